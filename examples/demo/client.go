package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// reply is what an invocation gave: the function's answer, or FaDO's refusal.
type reply struct {
	Status   int
	Reason   string // X-FaDO-Reason
	Function string `json:"function"`
	Locality string `json:"locality"`
	Storage  string `json:"storage"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
	Version  string `json:"version"`
	Error    string `json:"error"`
}

// invoke calls the functions through FaDO, naming a bucket and maybe an object.
func (w *world) invoke(ctx context.Context, bucket, object string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.fadoURL+"/summarise", nil)
	if err != nil {
		return reply{}, err
	}
	if bucket != "" {
		req.Header.Set("X-FaDO-Bucket", bucket)
	}
	if object != "" {
		req.Header.Set("X-FaDO-Object", url.PathEscape(object))
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	r := reply{Status: resp.StatusCode, Reason: resp.Header.Get("X-FaDO-Reason")}
	body, err := io.ReadAll(resp.Body)
	if err == nil && len(body) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

// invokeMany calls n times and counts the answers per function.
func (w *world) invokeMany(ctx context.Context, n int, bucket, object string) (map[string]int, error) {
	count := make(map[string]int)
	for range n {
		r, err := w.invoke(ctx, bucket, object)
		if err != nil {
			return count, err
		}
		if r.Status != http.StatusOK {
			return count, fmt.Errorf("an invocation naming %s/%s got %d (%s %s)", bucket, object, r.Status, r.Reason, r.Error)
		}
		count[r.Function]++
	}
	return count, nil
}

// api calls the admin API; in and out may be nil.
func (w *world) api(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.adminURL+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(b))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// bucketStatus is the part of a bucket the demo looks at.
type bucketStatus struct {
	Status struct {
		State   string `json:"state"`
		Reason  string `json:"reason"`
		Primary string `json:"primary"`
		Copies  []struct {
			Cluster string `json:"cluster"`
			Role    string `json:"role"`
			State   string `json:"state"`
			Objects int64  `json:"objects"`
			Pending struct {
				Objects int64 `json:"objects"`
			} `json:"pending"`
		} `json:"copies"`
	} `json:"status"`
}

// awaitOK waits until a bucket is in state ok with its copies in exactly these
// clusters, showing how far it is.
func (w *world) awaitOK(ctx context.Context, say *display, bucket string, clusters ...string) error {
	var b bucketStatus
	err := await(ctx, func() (bool, error) {
		b = bucketStatus{}
		if err := w.api(ctx, http.MethodGet, "/fado/buckets/"+bucket, nil, &b); err != nil {
			return false, err
		}
		var synced int64
		held := make(map[string]bool)
		for _, c := range b.Status.Copies {
			held[c.Cluster] = true
			if c.State == "synced" && c.Pending.Objects == 0 {
				synced++
			}
		}
		say.progress(synced, int64(len(clusters)), b.Status.State+" "+b.Status.Reason)
		for _, c := range clusters {
			if !held[c] {
				return false, nil
			}
		}
		return b.Status.State == "ok" && len(held) == len(clusters), nil
	})
	if err != nil {
		return fmt.Errorf("bucket %s should be ok in %s, it is %+v: %w", bucket, strings.Join(clusters, ", "), b.Status, err)
	}
	return nil
}

// patience bounds every wait of the demo.
const patience = 90 * time.Second

// await asks until the answer is yes.
func await(ctx context.Context, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("it did not happen in time")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// put writes an object of random bytes with a version number and returns its SHA-256.
func (c *cluster) put(ctx context.Context, bucket, key string, size, version int) (string, error) {
	data := make([]byte, size)
	_, _ = rand.Read(data)
	_, err := c.s3.PutObject(ctx, bucket, key, bytes.NewReader(data), int64(size), minio.PutObjectOptions{
		ContentType: "application/octet-stream", UserMetadata: map[string]string{"Version": strconv.Itoa(version)},
	})
	if err != nil {
		return "", fmt.Errorf("writing %s to bucket %s in %s: %w", key, bucket, c.name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// keys lists a bucket: key to ETag; nil if the bucket is not there.
func (c *cluster) keys(ctx context.Context, bucket string) (map[string]string, error) {
	there, err := c.s3.BucketExists(ctx, bucket)
	if err != nil || !there {
		return nil, err
	}
	m := make(map[string]string)
	for o := range c.s3.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		m[o.Key] = o.ETag
	}
	return m, nil
}
