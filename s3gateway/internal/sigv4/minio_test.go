package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
	"pgregory.net/rapid"
)

// minio-go's signer is the second opinion: it has been written by other people, against S3 itself.

// sha256Hasher is what minio-go's streaming signer asks for.
type sha256Hasher struct{ hash.Hash }

func (sha256Hasher) Close() {}

type signedCase struct {
	method, path, query, host string
	header                    http.Header
	body                      []byte
	mode                      string
	sum                       *checksum
}

func drawCase(t *rapid.T) signedCase {
	text := rapid.StringMatching(`[a-zA-Z0-9 ._~!$&'()*+,;=:@/äé日-]{0,20}`)
	c := signedCase{
		method: rapid.SampledFrom([]string{"GET", "PUT", "POST", "DELETE", "HEAD"}).Draw(t, "method"),
		path:   "/" + rapid.SampledFrom([]string{"bucket/", "bucket//", "b/../x/./"}).Draw(t, "bucket") + text.Draw(t, "key"),
		host:   rapid.SampledFrom([]string{"s3.example.com", "localhost:9000"}).Draw(t, "host"),
		header: http.Header{},
		body:   rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "body"),
		mode:   rapid.SampledFrom([]string{"hash", "unsigned", "chunks", "signed trailer", "unsigned trailer", "presigned"}).Draw(t, "mode"),
		sum:    rapid.SampledFrom(checksums).Draw(t, "checksum"),
	}
	q := url.Values{}
	for range rapid.IntRange(0, 3).Draw(t, "parameters") {
		q.Set(rapid.StringMatching(`[a-z-]{1,8}`).Draw(t, "name"), text.Draw(t, "value"))
	}
	c.query = q.Encode()
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		value := rapid.StringMatching(`[a-zA-Z0-9 ,;=]{0,12}`).Draw(t, "value")
		c.header.Add(rapid.SampledFrom([]string{"X-Amz-Meta-A", "X-Amz-Meta-B", "Content-Type", "X-Other"}).Draw(t, "name"), value)
	}
	if rapid.Bool().Draw(t, "long body") && c.mode != "presigned" {
		c.body = bytes.Repeat([]byte{'x'}, 70_000)
	}
	return c
}

// sign has minio-go sign the case, and returns it as a server would see it.
func (c signedCase) sign(t *rapid.T) *http.Request {
	req := &http.Request{
		Method: c.method, Host: c.host, Header: c.header.Clone(), ContentLength: int64(len(c.body)),
		URL:  &url.URL{Scheme: "http", Host: c.host, Path: c.path, RawQuery: c.query},
		Body: io.NopCloser(bytes.NewReader(c.body)),
	}
	h := c.sum.new()
	h.Write(c.body)
	trailer := http.Header{c.sum.header(): {base64.StdEncoding.EncodeToString(h.Sum(nil))}}
	switch c.mode {
	case "hash":
		sum := sha256.Sum256(c.body)
		req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		req = signer.SignV4(*req, exampleKey, exampleSecret, "", "us-east-1")
	case "unsigned":
		req.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
		req.Header.Set(c.sum.header(), trailer[c.sum.header()][0])
		req = signer.SignV4(*req, exampleKey, exampleSecret, "", "us-east-1")
	case "chunks":
		req = signer.StreamingSignV4(req, exampleKey, exampleSecret, "", "us-east-1", int64(len(c.body)), time.Now().UTC(), sha256Hasher{sha256.New()})
	case "signed trailer":
		req.Trailer = trailer
		req = signer.StreamingSignV4(req, exampleKey, exampleSecret, "", "us-east-1", int64(len(c.body)), time.Now().UTC(), sha256Hasher{sha256.New()})
	case "unsigned trailer":
		req.Header.Set("X-Amz-Content-Sha256", unsignedTrailer)
		req = signer.SignV4Trailer(*req, exampleKey, exampleSecret, "", "us-east-1", trailer)
	case "presigned":
		req = signer.PreSignV4(*req, exampleKey, exampleSecret, "", "us-east-1", 60)
	}
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return arrived(req, raw)
}

func arrived(req *http.Request, raw []byte) *http.Request {
	r := httptest.NewRequest(req.Method, req.URL.String(), bytes.NewReader(raw))
	r.Header, r.Host = req.Header.Clone(), req.Host
	return r
}

func minioVerifier() *Verifier {
	v := exampleVerifier()
	v.Now = nil
	return v
}

// read verifies r and reads its body, as a consumer does.
func read(r *http.Request) ([]byte, error) {
	got, err := minioVerifier().Verify(r)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(got.Body)
}

// Any request that minio-go signed verifies; any single change to it is refused.
func TestMinioSigns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t)
		r := c.sign(t)
		raw, _ := io.ReadAll(r.Body)
		body, err := read(arrived(r, raw))
		if err != nil || !bytes.Equal(body, c.body) {
			t.Fatalf("%s %s: %d of %d bytes, %v", c.mode, r.URL, len(body), len(c.body), err)
		}
		changed, what := change(t, r, raw, c.mode)
		if changed == nil {
			return
		}
		if _, err := read(changed); err == nil {
			t.Fatalf("%s %s: passes in spite of a change: %s", c.mode, r.URL, what)
		} else if e := new(Error); !errors.As(err, &e) && !errors.Is(err, ErrAnonymous) {
			t.Fatalf("%s: %v is no S3 error", what, err)
		}
	})
}

// change makes one change, of a kind that S3 refuses.
func change(t *rapid.T, r *http.Request, raw []byte, mode string) (*http.Request, string) {
	out := arrived(r, raw)
	what := rapid.SampledFrom([]string{"method", "path", "query", "host", "header", "new header", "body", "key", "signature"}).Draw(t, "change")
	switch what {
	case "method":
		out.Method = "PATCH"
	case "path":
		at := rapid.IntRange(1, len(out.URL.Path)).Draw(t, "at")
		out.URL.Path = out.URL.Path[:at] + "z" + out.URL.Path[at:]
	case "query":
		out.URL.RawQuery += "&zz=1"
	case "host":
		out.Host += ".evil"
	case "header":
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range out.Header {
				if strings.HasPrefix(name, "X-Amz-") && !yield(name) {
					return
				}
			}
		})
		if len(names) == 0 {
			return nil, ""
		}
		name := rapid.SampledFrom(names).Draw(t, "changed header")
		out.Header[name] = []string{out.Header[name][0] + "1"}
	case "new header":
		out.Header.Set("X-Amz-Acl", "public-read")
	case "body":
		if len(raw) == 0 || mode == "presigned" {
			return nil, ""
		}
		changed := slices.Clone(raw)
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "byte")
		changed[at] ^= 0x80 // never another spelling of the same
		out = arrived(r, changed)
	case "key":
		swap(out, exampleKey, exampleKey+"2")
	case "signature":
		swap(out, "Signature=", "Signature=0")
	}
	return out, what
}

// swap changes what is signed with, in the header or in the query.
func swap(r *http.Request, from, to string) {
	r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), from, to))
	if r.Header.Get("Authorization") == "" {
		r.Header.Del("Authorization")
	}
	r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, from, to)
}
