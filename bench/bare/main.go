// Bare is what copiers are measured against: parallel streams of GET into PUT, unsigned
// bodies, no listing, no comparison, no checksums, nothing carried over.
//
//	bare keys            copies the keys on stdin, one a line, each in one stream
//	bare parts <key>     copies one object as parallel ranged parts
//	bare listen          copies what MinIO's listener tells of, until its stdin ends
//
// Where from and where to stands in the environment: SRC and DST, each
// "endpoint access-key secret-key bucket"; WORKERS is how many streams.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"
)

const partSize = 64 << 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run() error {
	src, err := newEnd("SRC")
	if err != nil {
		return err
	}
	dst, err := newEnd("DST")
	if err != nil {
		return err
	}
	workers, err := strconv.Atoi(os.Getenv("WORKERS"))
	if err != nil {
		return fmt.Errorf("WORKERS: %w", err)
	}
	c := &copier{src: src, dst: dst, workers: workers}
	switch {
	case len(os.Args) == 2 && os.Args[1] == "keys":
		return c.keys()
	case len(os.Args) == 3 && os.Args[1] == "parts":
		return c.parts(os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "listen":
		return c.listen()
	default:
		return errors.New("want keys, parts <key> or listen")
	}
}

// end is one bucket at one storage.
type end struct {
	endpoint, access, secret, bucket string
	http                             *http.Client
	api                              *minio.Client
}

func newEnd(name string) (*end, error) {
	f := strings.Fields(os.Getenv(name))
	if len(f) != 4 {
		return nil, fmt.Errorf("%s: want endpoint, access key, secret key and bucket", name)
	}
	transport := &http.Transport{
		MaxIdleConns: 128, MaxIdleConnsPerHost: 128, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10, DisableCompression: true,
	}
	u, err := url.Parse(f[0])
	if err != nil {
		return nil, err
	}
	api, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(f[1], f[2], ""), Transport: transport, Region: "us-east-1"})
	return &end{f[0], f[1], f[2], f[3], &http.Client{Transport: transport}, api}, err
}

func (e *end) do(method, key, query, byteRange string, body io.Reader, size int64) (*http.Response, error) {
	u := e.endpoint + "/" + e.bucket + "/" + key
	if query != "" {
		u += "?" + query
	}
	req, err := http.NewRequestWithContext(context.Background(), method, u, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	resp, err := e.http.Do(signer.SignV4(*req, e.access, e.secret, "", "us-east-1"))
	if err == nil && resp.StatusCode/100 != 2 {
		_ = resp.Body.Close()
		err = fmt.Errorf("%s %s: %s", method, key, resp.Status)
	}
	return resp, err
}

type copier struct {
	src, dst *end
	workers  int
}

// one streams a GET into a PUT and returns the PUT's ETag.
func (c *copier) one(key, putQuery, byteRange string) (string, error) {
	get, err := c.src.do(http.MethodGet, key, "", byteRange, nil, 0)
	if err != nil {
		return "", err
	}
	defer get.Body.Close()
	put, err := c.dst.do(http.MethodPut, key, putQuery, "", io.NopCloser(get.Body), get.ContentLength)
	if err != nil {
		return "", err
	}
	_, _ = io.Copy(io.Discard, get.Body) // its connection is used again
	_, _ = io.Copy(io.Discard, put.Body)
	return strings.Trim(put.Header.Get("ETag"), `"`), put.Body.Close()
}

// parallel runs f on what next yields.
func (c *copier) parallel(work <-chan string, f func(string) error) error {
	var wg sync.WaitGroup
	errs := make([]error, c.workers)
	for i := range c.workers {
		wg.Go(func() {
			for w := range work {
				if err := f(w); err != nil && errs[i] == nil {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *copier) keys() error {
	work := make(chan string, 1024)
	go func() {
		defer close(work)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			work <- in.Text()
		}
	}()
	return c.parallel(work, func(key string) error { _, err := c.one(key, "", ""); return err })
}

func (c *copier) parts(key string) error {
	ctx := context.Background()
	info, err := c.src.api.StatObject(ctx, c.src.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return err
	}
	core := minio.Core{Client: c.dst.api}
	id, err := core.NewMultipartUpload(ctx, c.dst.bucket, key, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	n := int((info.Size + partSize - 1) / partSize)
	parts := make([]minio.CompletePart, n)
	work := make(chan string, n)
	for i := range n {
		work <- strconv.Itoa(i)
	}
	close(work)
	err = c.parallel(work, func(w string) error {
		i, err := strconv.Atoi(w)
		if err != nil {
			return err
		}
		from := int64(i) * partSize
		etag, err := c.one(key, fmt.Sprintf("partNumber=%d&uploadId=%s", i+1, id),
			fmt.Sprintf("bytes=%d-%d", from, min(from+partSize, info.Size)-1))
		parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: etag}
		return err
	})
	if err != nil {
		return err
	}
	_, err = core.CompleteMultipartUpload(ctx, c.dst.bucket, key, id, parts, minio.PutObjectOptions{})
	return err
}

func (c *copier) listen() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	work := make(chan string, 1024)
	go func() {
		defer close(work)
		for n := range c.src.api.ListenBucketNotification(ctx, c.src.bucket, "", "", []string{"s3:ObjectCreated:*"}) {
			for _, r := range n.Records {
				if key, err := url.QueryUnescape(r.S3.Object.Key); err == nil {
					work <- key
				}
			}
		}
	}()
	return c.parallel(work, func(key string) error { _, err := c.one(key, "", ""); return err })
}
