package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
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
)

// A Request is one S3 request. Objects are read and written by these rather than by
// minio-go's methods, because those parse and rename headers that a copy has to
// carry over as they are, and can't tell an answer S3 gave from one it made up.
type Request struct {
	Name   string // for errors; default: the method
	Method string
	Bucket string // physical; "" for the service
	Key    string
	Query  url.Values
	Header http.Header

	Body io.Reader // nil: none
	Size int64
	// Replay holds the body when it is in memory, so that a connection that the
	// server had closed while it was idle costs nothing.
	Replay []byte
	// Trailing sends a CRC-32C after the body, which the server checks.
	Trailing bool
	// Trailers, when it is set, gives checksums to send after the body: it is called when the
	// body has been read to its end. TrailerNames are the headers it gives, canonical; each is
	// one of those in trailerSizes.
	Trailers     func() http.Header
	TrailerNames []string
	// AskFirst waits for the server's consent before it sends the body, so that a
	// refusal (a condition that does not hold) arrives instead of a broken connection.
	AskFirst bool

	// AnyStatus returns an answer of whatever status, for those that are passed on.
	AnyStatus bool

	// Limit bounds the answer's body, and Within the time from its head to its end,
	// where it has a Limit; zero: LimitSmall and Waits.Whole.
	Limit  Limit
	Within time.Duration

	// Dog watches over the request when it is part of a transfer; otherwise the
	// request gets one of its own.
	Dog *Watchdog

	// takesGzip is said after signing: proxies change it.
	takesGzip bool
}

func (q *Request) op() string {
	if q.Name != "" {
		return q.Name
	}
	return q.Method
}

// changes reports whether the request may change something.
func (q *Request) changes() bool { return q.Method != http.MethodGet && q.Method != http.MethodHead }

// SetBody has the request send bytes that are in memory.
func (q *Request) SetBody(b []byte) {
	q.Body, q.Replay, q.Size = bytes.NewReader(b), b, int64(len(b))
}

// newRequest builds and signs. wrap is put around the body each time it is sent.
func (at *endpoint) newRequest(ctx context.Context, q *Request, wrap func(io.Reader) io.Reader) (*http.Request, error) {
	u := at.url(q)
	req, err := http.NewRequestWithContext(ctx, q.Method, "http://host/", nil)
	if err != nil {
		return nil, fmt.Errorf("building the request: %w", err)
	}
	req.URL, req.Host = u, u.Host
	maps.Copy(req.Header, q.Header)
	req.Header.Set("User-Agent", userAgent)
	payload := emptySHA256
	var trailer http.Header
	if q.Body != nil && q.Size > 0 {
		payload = unsignedPayload
		req.ContentLength = q.Size
		body := fenced(ctx, wrap(q.Body))
		if q.Replay != nil {
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(fenced(ctx, bytes.NewReader(q.Replay))), nil }
		}
		switch {
		case q.Trailing:
			payload = unsignedTrailer
			trailer = http.Header{CRC32C: {base64.StdEncoding.EncodeToString(make([]byte, 4))}}
			body = &trailingReader{r: body, trailer: trailer}
		case q.Trailers != nil:
			payload = unsignedTrailer
			if trailer, err = emptyTrailer(q.TrailerNames); err != nil {
				return nil, err
			}
			body = &givenTrailer{r: body, given: q.Trailers, trailer: trailer}
		}
		req.Body = io.NopCloser(body)
	}
	req.Header.Set("X-Amz-Content-Sha256", payload)
	return at.sign(req, q, trailer)
}

func (at *endpoint) sign(req *http.Request, q *Request, trailer http.Header) (_ *http.Request, err error) {
	switch {
	case trailer != nil:
		req = signer.SignV4Trailer(*req, at.AccessKey, at.SecretKey, "", at.Region, trailer)
	case at.frames(q):
		if req, err = at.signFramed(req, q.Size); err != nil {
			return nil, err
		}
	default:
		req = signer.SignV4(*req, at.AccessKey, at.SecretKey, "", at.Region)
	}
	// After signing: proxies may answer or change these themselves.
	if q.AskFirst {
		req.Header.Set("Expect", "100-continue")
	}
	if q.takesGzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	return req, nil
}

func (at *endpoint) url(q *Request) *url.URL {
	u := *at.base
	path := strings.TrimSuffix(u.Path, "/") + "/"
	if q.Bucket != "" {
		if at.VirtualHost {
			u.Host = q.Bucket + "." + u.Host
		} else {
			path += q.Bucket
			if q.Key != "" {
				path += "/"
			}
		}
	}
	path += q.Key
	u.Path, u.RawPath = path, s3utils.EncodePath(path)
	u.RawQuery = strings.ReplaceAll(q.Query.Encode(), "+", "%20")
	return &u
}

// CopySource is the value of X-Amz-Copy-Source for a version of an object.
func CopySource(bucket, key, versionID string) string {
	return s3utils.EncodePath("/"+bucket+"/"+key) + "?versionId=" + url.QueryEscape(versionID)
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
		t.trailer.Set(CRC32C, base64.StdEncoding.EncodeToString(sum))
	}
	return n, err
}
