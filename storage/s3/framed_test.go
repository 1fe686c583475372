package s3

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

func framing(frames bool) *endpoint {
	at := &endpoint{Config: Config{AccessKey: "id", SecretKey: "secret", Region: "eu-west-1"}}
	at.Frames = func() bool { return frames }
	return at
}

func uploadRequest(t *testing.T) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://host/bucket/key", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Meta-Colour", "blue")
	return req
}

type closedHash struct{ hash.Hash }

func (closedHash) Close() {}

// minio-go's signer makes the same chunks, for a request that says aws-chunked already.
func TestFramedBodyIsWhatMinioGoSigns(t *testing.T) {
	for _, size := range []int{1, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 5} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(rand.Uint32())
		}
		ours := uploadRequest(t)
		ours.Header.Set("Content-Encoding", "aws-chunked")
		ours.Body = io.NopCloser(iotest.HalfReader(bytes.NewReader(body)))
		ours, err := framing(true).signFramed(ours, int64(size))
		if err != nil {
			t.Fatal(err)
		}
		date, err := time.Parse(timeForm, ours.Header.Get("X-Amz-Date"))
		if err != nil {
			t.Fatal(err)
		}
		theirs := uploadRequest(t)
		theirs.Body = io.NopCloser(bytes.NewReader(body))
		theirs = signer.StreamingSignV4(theirs, "id", "secret", "", "eu-west-1", int64(size), date, closedHash{sha256.New()})
		got, err := io.ReadAll(ours.Body)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(theirs.Body)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes go as %.120q, want %.120q", size, got, want)
		}
		if ours.ContentLength != int64(len(got)) {
			t.Errorf("%d bytes: Content-Length is %d of %d", size, ours.ContentLength, len(got))
		}
		for _, name := range []string{"Authorization", "X-Amz-Content-Sha256", "X-Amz-Decoded-Content-Length"} {
			if g, w := strings.ReplaceAll(ours.Header.Get(name), ", ", ","), theirs.Header.Get(name); g != w {
				t.Errorf("%d bytes: %s is %s, want %s", size, name, g, w)
			}
		}
	}
}

// The chunk that ends a body never follows on a part of it.
func TestFramedBodyEndsWithTheWhole(t *testing.T) {
	broken := errors.New("the client is gone")
	for _, c := range []struct {
		name string
		body io.Reader
		want error
	}{
		{"short", bytes.NewReader(make([]byte, chunkSize+7)), io.ErrUnexpectedEOF},
		{"short by whole chunks", bytes.NewReader(make([]byte, chunkSize)), io.ErrUnexpectedEOF},
		{"broken", io.MultiReader(bytes.NewReader(make([]byte, chunkSize+7)), iotest.ErrReader(broken)), broken},
	} {
		req := uploadRequest(t)
		req.Body = io.NopCloser(c.body)
		req, err := framing(true).signFramed(req, 2*chunkSize)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(req.Body)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if bytes.Contains(got, []byte("\r\n0;chunk-signature=")) {
			t.Errorf("%s: the body has its last chunk", c.name)
		}
	}
}

// A body is framed where nothing else tells the server how it ends.
func TestFrames(t *testing.T) {
	body := func(change func(*Request)) *Request {
		q := &Request{Method: http.MethodPut, Body: bytes.NewReader([]byte("content")), Size: 7, Header: http.Header{}}
		change(q)
		return q
	}
	for _, c := range []struct {
		name string
		q    *Request
		want bool
	}{
		{"bare", body(func(*Request) {}), true},
		{"other headers", body(func(q *Request) { q.Header.Set("X-Amz-Checksum-Type", "FULL_OBJECT") }), true},
		{"no body", body(func(q *Request) { q.Body = nil }), false},
		{"empty", body(func(q *Request) { q.Size = 0 }), false},
		{"Content-MD5", body(func(q *Request) { q.Header.Set("Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==") }), false},
		{"checksum", body(func(q *Request) { q.Header.Set(CRC32C, "AAAAAA==") }), false},
		{"trailing", body(func(q *Request) { q.Trailing = true }), false},
		{"trailers", body(func(q *Request) { q.Trailers = func() http.Header { return nil } }), false},
		{"POST", body(func(q *Request) { q.Method = http.MethodPost }), false},
		{"document", body(func(q *Request) { q.SetBody([]byte("<Tagging/>")) }), false},
	} {
		if got := framing(true).frames(c.q); got != c.want {
			t.Errorf("%s: framed is %t", c.name, got)
		}
		if framing(false).frames(c.q) || (&endpoint{}).frames(c.q) {
			t.Errorf("%s: framed for a server that knows the end", c.name)
		}
	}
}
