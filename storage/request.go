package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// Values of X-Amz-Content-Sha256 (S3 API reference, "Authenticating requests").
const (
	emptySHA256     = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	unsignedPayload = "UNSIGNED-PAYLOAD"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	crc32cHeader    = "X-Amz-Checksum-Crc32c"
)

// A request is one S3 request. Objects are read and written by these rather than by
// minio-go's methods, because those parse and rename headers that a copy has to
// carry over as they are, and can't tell an answer S3 gave from one it made up.
type request struct {
	name   string // for errors; default: the method
	method string
	bucket string // physical; "" for the service
	key    string
	query  url.Values
	header http.Header

	body io.Reader // nil: none
	size int64
	// replay holds the body when it is in memory, so that a connection that the
	// server had closed while it was idle costs nothing.
	replay []byte
	// trailing sends a CRC-32C after the body, which the server checks.
	trailing bool

	// askFirst waits for the server's consent before it sends the body, so that a
	// refusal (a condition that does not hold) arrives instead of a broken connection.
	askFirst bool

	// dog watches over the request when it is part of a transfer; otherwise the
	// request gets one of its own.
	dog *watchdog
}

func (q *request) op() string {
	if q.name != "" {
		return q.name
	}
	return q.method
}

// send makes the request and returns a successful answer; everything else is an
// error. The caller closes the body. The context ends the whole exchange, and so
// does silence: without a watchdog of the caller's, the answer's head must come
// within Client.answerWait, and its body must not stall. A request that changes
// something is not cut off while its outcome is open; see delivery.
func (c *Client) send(ctx context.Context, q *request) (*http.Response, error) {
	dog, end := q.dog, func() {}
	if dog == nil {
		ctx, dog = watch(ctx, c.answerWait)
		end = dog.stop
	}
	if ctx.Err() != nil {
		end()
		return nil, c.transportError(ctx, q, ctx.Err())
	}
	if fence := fenceOf(ctx); fence != nil && changes(q.method) {
		if err := fence(); err != nil {
			end()
			return nil, c.transportError(ctx, q, err)
		}
	}
	ctx, d, delivered := c.deliver(ctx, q)
	resp, err := c.exchange(ctx, q, dog, d)
	if err != nil {
		delivered()
		end()
		return nil, err
	}
	if q.dog == nil {
		dog.allow(c.stallWait)
	}
	resp.Body = &answerBody{c: c, ctx: ctx, q: q, body: resp.Body, dog: dog, end: func() { delivered(); end() }}
	return resp, nil
}

func (c *Client) exchange(ctx context.Context, q *request, dog *watchdog, d *delivery) (*http.Response, error) {
	req, err := c.newRequest(ctx, q, dog, d)
	if err != nil {
		return nil, c.fail(q, ErrRefused, "%v", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.transportError(ctx, q, err)
	}
	dog.touch()
	c.observe(resp)
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.answerError(q, resp)
}

// newRequest builds and signs.
func (c *Client) newRequest(ctx context.Context, q *request, dog *watchdog, d *delivery) (*http.Request, error) {
	u := c.url(q)
	req, err := http.NewRequestWithContext(ctx, q.method, "http://host/", nil)
	if err != nil {
		return nil, fmt.Errorf("building the request: %w", err)
	}
	req.URL, req.Host = u, u.Host
	for k, v := range q.header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", userAgent)
	payload := emptySHA256
	var trailer http.Header
	if q.body != nil && q.size > 0 {
		payload = unsignedPayload
		req.ContentLength = q.size
		body := fenced(ctx, d.reader(dog.reader(q.body)))
		if q.replay != nil {
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(fenced(ctx, bytes.NewReader(q.replay))), nil }
		}
		if q.trailing {
			payload = unsignedTrailer
			trailer = http.Header{crc32cHeader: {base64.StdEncoding.EncodeToString(make([]byte, 4))}}
			body = &trailingReader{r: body, trailer: trailer}
		}
		req.Body = io.NopCloser(body)
	}
	req.Header.Set("X-Amz-Content-Sha256", payload)
	if trailer != nil {
		req = signer.SignV4Trailer(*req, c.cfg.AccessKey, c.cfg.SecretKey, "", c.cfg.Region, trailer)
	} else {
		req = signer.SignV4(*req, c.cfg.AccessKey, c.cfg.SecretKey, "", c.cfg.Region)
	}
	if q.askFirst {
		req.Header.Set("Expect", "100-continue") // after signing: proxies may answer it themselves
	}
	return req, nil
}

func (c *Client) url(q *request) *url.URL {
	u := *c.endpoint
	path := strings.TrimSuffix(u.Path, "/") + "/"
	if q.bucket != "" {
		if c.cfg.VirtualHost {
			u.Host = q.bucket + "." + u.Host
		} else {
			path += q.bucket
			if q.key != "" {
				path += "/"
			}
		}
	}
	path += q.key
	u.Path, u.RawPath = path, s3utils.EncodePath(path)
	u.RawQuery = strings.ReplaceAll(q.query.Encode(), "+", "%20")
	return &u
}

// trailingReader computes the CRC-32C of what passes and puts it into the trailer at
// the end, before the signer's reader sends it.
type trailingReader struct {
	r       io.Reader
	crc     uint32
	trailer http.Header
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (t *trailingReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.crc = crc32.Update(t.crc, castagnoli, p[:n])
	if errors.Is(err, io.EOF) {
		sum := []byte{byte(t.crc >> 24), byte(t.crc >> 16), byte(t.crc >> 8), byte(t.crc)}
		t.trailer.Set(crc32cHeader, base64.StdEncoding.EncodeToString(sum))
	}
	return n, err
}

// answerBody is the body of a successful answer. Its errors are classified, and
// closing it ends what send started for the request.
type answerBody struct {
	c    *Client
	ctx  context.Context
	q    *request
	body io.ReadCloser
	dog  *watchdog
	end  func()
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.dog.touch()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.c.transportError(b.ctx, b.q, err)
	}
	return n, err
}

func (b *answerBody) Close() error {
	err := b.body.Close()
	b.end()
	return err
}

// discard reads the rest of a short answer, so that its connection can be used
// again, and closes it.
func discard(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
}

// call makes a request whose answer's body does not matter, and returns its headers.
func (c *Client) call(ctx context.Context, q *request) (http.Header, error) {
	resp, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	discard(resp)
	return resp.Header, nil
}

// observe learns from any answer: who the server is, and what its clock says.
func (c *Client) observe(resp *http.Response) {
	c.learnProvider(resp.Header)
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.clock.set(t, time.Now())
	}
}
