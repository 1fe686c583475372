package sigv4

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The examples of "Authenticating Requests (AWS Signature Version 4)" in the S3 API reference.
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	exampleHost   = "examplebucket.s3.amazonaws.com"
)

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

func exampleVerifier() *Verifier {
	return &Verifier{
		Region: "us-east-1",
		Now:    func() time.Time { return exampleTime },
		Secret: func(id string) (string, bool) { return exampleSecret, id == exampleKey },
	}
}

type vector struct {
	name, method, host, target string
	header                     []string // "name: value"
	signed, signature          string
	body                       string
	plain                      string // what comes out of Body
}

func (v vector) request() *http.Request {
	r := httptest.NewRequest(v.method, "http://"+v.host+v.target, strings.NewReader(v.body))
	for _, h := range v.header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	if v.signed != "" {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+exampleKey+"/20130524/us-east-1/s3/aws4_request,SignedHeaders="+
			v.signed+",Signature="+v.signature)
	}
	return r
}

func chunk(size, signature string, n int) string {
	s := size + ";chunk-signature=" + signature + "\r\n"
	if n > 0 {
		s += strings.Repeat("a", n) + "\r\n"
	}
	return s
}

var vectors = []vector{
	{
		name: "get object", method: "GET", host: exampleHost, target: "/test.txt",
		header:    []string{"Range: bytes=0-9", "x-amz-content-sha256: " + emptySHA256, "x-amz-date: 20130524T000000Z"},
		signed:    "host;range;x-amz-content-sha256;x-amz-date",
		signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
	},
	{
		name: "put object", method: "PUT", host: exampleHost, target: "/test$file.text",
		header: []string{
			"Date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-date: 20130524T000000Z", "x-amz-storage-class: REDUCED_REDUNDANCY",
			"x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
		},
		signed:    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
		body:      "Welcome to Amazon S3.", plain: "Welcome to Amazon S3.",
	},
	{
		name: "get bucket lifecycle", method: "GET", host: exampleHost, target: "/?lifecycle",
		header:    []string{"x-amz-content-sha256: " + emptySHA256, "x-amz-date: 20130524T000000Z"},
		signed:    "host;x-amz-content-sha256;x-amz-date",
		signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
	},
	{
		name: "list objects", method: "GET", host: exampleHost, target: "/?max-keys=2&prefix=J",
		header:    []string{"x-amz-content-sha256: " + emptySHA256, "x-amz-date: 20130524T000000Z"},
		signed:    "host;x-amz-content-sha256;x-amz-date",
		signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
	},
	{
		name: "presigned", method: "GET", host: exampleHost,
		target: "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
	},
	{
		name: "chunks", method: "PUT", host: "s3.amazonaws.com", target: "/examplebucket/chunkObject.txt",
		header: []string{
			"x-amz-date: 20130524T000000Z", "x-amz-storage-class: REDUCED_REDUNDANCY", "Content-Encoding: aws-chunked",
			"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length: 66560", "Content-Length: 66824",
		},
		signed:    "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		signature: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		body: chunk("10000", "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", 65536) +
			chunk("400", "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", 1024) +
			chunk("0", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", 0) + "\r\n",
		plain: strings.Repeat("a", 66560),
	},
	{
		name: "chunks and trailer", method: "PUT", host: "s3.amazonaws.com", target: "/examplebucket/chunkObject.txt",
		header: []string{
			"x-amz-date: 20130524T000000Z", "x-amz-storage-class: REDUCED_REDUNDANCY", "Content-Encoding: aws-chunked",
			"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "x-amz-decoded-content-length: 66560",
			"x-amz-trailer: x-amz-checksum-crc32c",
		},
		signed:    "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
		signature: "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
		body: chunk("10000", "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", 65536) +
			chunk("400", "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", 1024) +
			chunk("0", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992", 0) +
			"x-amz-checksum-crc32c:sOO8/Q==\r\n" +
			"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
		plain: strings.Repeat("a", 66560),
	},
}

func TestPublishedVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			got, err := exampleVerifier().Verify(v.request())
			if err != nil {
				t.Fatal(err)
			}
			if got.KeyID != exampleKey || got.Length != int64(len(v.plain)) || got.Presigned != (v.signed == "") {
				t.Fatalf("got %+v", got)
			}
			body, err := io.ReadAll(got.Body)
			if err != nil || string(body) != v.plain {
				t.Fatalf("%d bytes, %v", len(body), err)
			}
			if got.Err() != nil {
				t.Fatal(got.Err())
			}
			wantTrailer := strings.Contains(v.body, "x-amz-trailer-signature")
			if sum := got.Trailer().Get("x-amz-checksum-crc32c"); (sum == "sOO8/Q==") != wantTrailer {
				t.Fatalf("trailer %q", sum)
			}
		})
	}
}

// Whatever byte of a signed body changes, the consumer gets an error before it has the announced length.
func TestChangedBody(t *testing.T) {
	for _, v := range vectors {
		for at := 0; at < len(v.body); at += max(1, len(v.body)/97) {
			body := []byte(v.body)
			body[at] ^= 1
			changed := v
			changed.body = string(body)
			mustFail(t, changed.request(), len(v.plain), v.name, at)
		}
		for _, cut := range []int{1, 2, 3, 5, 90, len(v.body) / 2} {
			if v.body == "" || cut > len(v.body) {
				continue
			}
			changed := v
			changed.body = v.body[:len(v.body)-cut]
			mustFail(t, changed.request(), len(v.plain), v.name+" cut", cut)
		}
	}
}

func mustFail(t *testing.T, r *http.Request, whole int, what string, at int) {
	t.Helper()
	got, err := exampleVerifier().Verify(r)
	if err != nil {
		t.Fatalf("%s, %d: %v: the header is as signed", what, at, err)
	}
	body, err := io.ReadAll(got.Body)
	if e := new(Error); !errors.As(err, &e) {
		t.Fatalf("%s, %d: %v instead of an S3 error", what, at, err)
	}
	if len(body) >= whole {
		t.Fatalf("%s, %d: %d of %d bytes handed on before %v", what, at, len(body), whole, err)
	}
	if !errors.Is(got.Err(), err) {
		t.Fatalf("Err is %v, not %v", got.Err(), err)
	}
	if got.Trailer() != nil {
		t.Fatal("a trailer of a body that failed")
	}
}

func TestBodyWithUnknownLength(t *testing.T) {
	for _, body := range []string{"Welcome to Amazon S3.", "Welcome to Amazon S2.", "Welcome", ""} {
		v := vectors[1]
		r := v.request()
		r.ContentLength, r.Body = -1, io.NopCloser(bytes.NewReader([]byte(body)))
		got, err := exampleVerifier().Verify(r)
		if err != nil || got.Length != -1 {
			t.Fatal(got, err)
		}
		_, err = io.ReadAll(got.Body)
		if good := body == v.plain; good != (err == nil) || !good && !errors.Is(err, &Error{Code: "XAmzContentSHA256Mismatch"}) {
			t.Fatalf("%q: %v", body, err)
		}
	}
}
