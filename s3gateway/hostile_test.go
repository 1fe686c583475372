package s3gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/fado-project/fado/s3gateway/internal/pace"
)

// Bad input is the error that S3 clients know, and stores nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.cluster("c1", minioA.Server(t))
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	ctx := context.Background()
	id, err := w.core.NewMultipartUpload(ctx, "bkt", "big", minio.PutObjectOptions{})
	w.must(err)
	parts := func(numbers ...int) string {
		var b strings.Builder
		for _, n := range numbers {
			fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%032d&quot;</ETag></Part>", n, n)
		}
		return "<CompleteMultipartUpload>" + b.String() + "</CompleteMultipartUpload>"
	}
	many := make([]int, 10_001)
	for i := range many {
		many[i] = i + 1
	}
	deep := strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000)
	bomb := `<!DOCTYPE b [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`
	keys := strings.Repeat("<Object><Key>k</Key></Object>", 1001)
	upload := "/bkt/big?uploadId=" + id
	for name, c := range map[string]struct {
		method, path string
		header       http.Header
		body         string
		status       int
		code         string
	}{
		"64 KiB of headers":    {"PUT", "/bkt/k", http.Header{"X-Amz-Meta-A": {strings.Repeat("x", 64<<10)}}, "x", 400, "RequestHeaderSectionTooLarge"},
		"64 KiB of other ones": {"GET", "/bkt/k", http.Header{"Cookie": {strings.Repeat("x", 64<<10)}}, "", 400, "RequestHeaderSectionTooLarge"},
		"metadata":             {"PUT", "/bkt/k", http.Header{"X-Amz-Meta-A": {strings.Repeat("x", 2100)}}, "x", 400, "MetadataTooLarge"},
		"part 0":               {"PUT", upload + "&partNumber=0", nil, "x", 400, "InvalidArgument"},
		"part 10,001":          {"PUT", upload + "&partNumber=10001", nil, "x", 400, "InvalidArgument"},
		"no part number":       {"PUT", upload + "&partNumber=x", nil, "x", 400, "InvalidArgument"},
		"parts out of order":   {"POST", upload, nil, parts(2, 1), 400, "InvalidPartOrder"},
		"a part twice":         {"POST", upload, nil, parts(1, 1), 400, "InvalidPartOrder"},
		"parts that are not":   {"POST", upload, nil, parts(1, 2), 400, "InvalidPart"},
		"10,001 parts":         {"POST", upload, nil, parts(many...), 400, "MalformedXML"},
		"no parts":             {"POST", upload, nil, parts(), 400, "MalformedXML"},
		"nothing":              {"POST", upload, nil, "", 400, "MalformedXML"},
		"another document":     {"POST", upload, nil, "<Delete/>", 400, "MalformedXML"},
		"no upload":            {"POST", "/bkt/big?uploadId=x", nil, parts(1), 404, "NoSuchUpload"},
		"an XML bomb":          {"POST", "/bkt?delete", nil, bomb, 400, "MalformedXML"},
		"a deep document":      {"PUT", "/bkt/k?tagging", nil, deep, 400, "MalformedXML"},
		"half a document":      {"POST", "/bkt?delete", nil, "<Delete><Object>", 400, "MalformedXML"},
		"two documents":        {"POST", "/bkt?delete", nil, "<Delete><Object><Key>k</Key></Object></Delete><x/>", 400, "MalformedXML"},
		"1,001 keys":           {"POST", "/bkt?delete", nil, "<Delete>" + keys + "</Delete>", 400, "MalformedXML"},
		"5 MiB of XML":         {"POST", "/bkt?delete", nil, strings.Repeat(" ", 5<<20), 400, "MaxMessageLengthExceeded"},
		"a key of 1,025 bytes": {"PUT", "/bkt/" + strings.Repeat("k", 1025), nil, "x", 400, "KeyTooLongError"},
		"a bucket's name":      {"PUT", "/Bad_Bucket", nil, "", 400, "InvalidBucketName"},
		"a wrong MD5":          {"PUT", "/bkt/k", http.Header{"Content-Md5": {"AAAAAAAAAAAAAAAAAAAAAA=="}}, "x", 400, "BadDigest"},
		"no MD5":               {"PUT", "/bkt/k", http.Header{"Content-Md5": {"x"}}, "x", 400, "InvalidDigest"},
		"a bad number":         {"GET", "/bkt?max-keys=x", nil, "", 400, "InvalidArgument"},
		"a foreign page":       {"GET", "/bkt?list-type=2&continuation-token=x", nil, "", 400, "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := w.do(c.method, c.path, c.header, c.body)
			if status != c.status || !strings.Contains(body, "<Code>"+c.code+"</Code>") {
				t.Errorf("%d %.300s, want %d %s", status, body, c.status, c.code)
			}
		})
	}
	if got := w.list("bkt", "", ""); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

// conn is a client that does what it should not.
type conn struct {
	net.Conn
	answers *bufio.Reader
	i       *instance
}

func (i *instance) dial() *conn {
	i.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(i.server.URL, "http://"))
	i.must(err)
	i.Cleanup(func() { c.Close() })
	i.must(c.SetDeadline(time.Now().Add(time.Minute)))
	return &conn{c, bufio.NewReader(c), i}
}

// begin sends the head of a signed request for a body of some length.
func (c *conn) begin(method, path string, length int, header http.Header) {
	c.i.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, c.i.server.URL+path, nil)
	c.i.must(err)
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	req = signer.SignV4(*req, testKey, testSecret, "", defaultRegion)
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", method, path, req.Host, length)
	c.i.must(req.Header.Write(c))
	fmt.Fprint(c, "\r\n")
}

// chunked sends an upload in chunks that are not signed, with a trailer.
func (c *conn) chunked(path, length, trailer, body string) {
	c.i.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, c.i.server.URL+path, nil)
	c.i.must(err)
	req.Header = http.Header{"X-Amz-Decoded-Content-Length": {length}, "Content-Encoding": {"aws-chunked"}, "X-Amz-Trailer": {trailer}}
	req.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	req = signer.SignV4(*req, testKey, testSecret, "", defaultRegion)
	fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", path, req.Host, len(body))
	c.i.must(req.Header.Write(c))
	fmt.Fprint(c, "\r\n", body)
}

// answer reads the next answer.
func (c *conn) answer() (status int, body string, err error) {
	res, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// single is a world of one MinIO with a bucket.
func single(t *testing.T, change func(*Handler)) *world {
	t.Helper()
	w := newWorld(t, change)
	w.cluster("c1", minioA.Server(t))
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	return w
}

// A client that rests in the middle of a body is told so, and its connection ends; nothing is
// stored.
func TestRestingSender(t *testing.T) {
	t.Parallel()
	w := single(t, func(h *Handler) { h.patience = 2 * time.Second })
	for _, size := range []int{100, 3 << 20} {
		c := w.dial()
		c.begin(http.MethodPut, "/bkt/k", size, nil)
		_, err := io.WriteString(c, strings.Repeat("x", size/2))
		w.must(err)
		if status, body, err := c.answer(); err != nil || status != http.StatusBadRequest || !strings.Contains(body, "<Code>RequestTimeout</Code>") {
			t.Errorf("%d of %d bytes: %d %s %v", size/2, size, status, body, err)
		}
		if _, err := c.answers.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection goes on: %v", err)
		}
	}
	if got := w.get("bkt", "k"); got != "NoSuchKey" {
		t.Errorf("%.20q", got)
	}
}

// A client that does not take the object it asked for is ended.
func TestRestingReceiver(t *testing.T) {
	t.Parallel()
	w := single(t, nil)
	w.put("bkt", "big", strings.Repeat("x", 32<<20))
	w.handler.patience = 300 * time.Millisecond
	c := w.dial()
	c.begin(http.MethodGet, "/bkt/big", 0, nil)
	w.await("the read has ended", func() bool { return w.counted("GetObject RequestTimeout") > 0 })
	if n, _ := io.Copy(io.Discard, c.answers); n >= 32<<20 {
		t.Errorf("%d bytes", n)
	}
}

// A length that lies stores nothing.
func TestLengthsThatLie(t *testing.T) {
	t.Parallel()
	w := single(t, nil)
	c := w.dial()
	c.begin(http.MethodPut, "/bkt/k", 100, nil)
	_, err := io.WriteString(c, "too short")
	w.must(err)
	w.must(c.Conn.(*net.TCPConn).CloseWrite())
	if status, body, err := c.answer(); err == nil && !strings.Contains(body, "<Code>IncompleteBody</Code>") {
		t.Errorf("too short: %d %s", status, body)
	}
	// The decoded length of chunks.
	for _, length := range []string{"5", "500"} {
		c := w.dial()
		c.chunked("/bkt/k", length, "x-amz-checksum-crc32", "b\r\nhello world\r\n0\r\n\r\n")
		if status, body, err := c.answer(); err != nil || status != http.StatusBadRequest || !strings.Contains(body, "<Code>IncompleteBody</Code>") {
			t.Errorf("%s: %d %s %v", length, status, body, err)
		}
	}
	if got := w.get("bkt", "k"); got != "NoSuchKey" {
		t.Errorf("%.20q", got)
	}
}

// A checksum that no storage is told at the end of a body is verified here.
func TestTrailersThatStoragesDoNotKnow(t *testing.T) {
	t.Parallel()
	w := single(t, nil)
	for sum, want := range map[string]int{"mgNkuembtIDdJeHwKEyFVQ==": http.StatusOK, "AAAAAAAAAAAAAAAAAAAAAA==": http.StatusBadRequest} {
		c := w.dial()
		c.chunked("/bkt/k", "7", "x-amz-checksum-md5", "7\r\ncontent\r\n0\r\nx-amz-checksum-md5:"+sum+"\r\n\r\n")
		if status, body, err := c.answer(); err != nil || status != want {
			t.Errorf("%s: %d %s %v, want %d", sum, status, body, err, want)
		}
	}
	if got := w.get("bkt", "k"); got != "content" {
		t.Errorf("%q", got)
	}
}

// What is left of a body after an early answer is no request.
func TestTheRestOfABodyIsNoRequest(t *testing.T) {
	t.Parallel()
	w := single(t, func(h *Handler) { h.Anonymous = []string{"bkt"} })
	w.put("bkt", "k", "content")
	const rest = "GET /bkt/k HTTP/1.1\r\nHost: x\r\n\r\n"
	const times = (pace.DrainBytes + 4<<20) / len(rest) // more than servers read for nothing
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		c := w.dial()
		fmt.Fprintf(c, "PUT /bkt/k HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n", expect, 4+times*len(rest))
		if expect == "" {
			go func() { _, _ = io.WriteString(c, "body"+strings.Repeat(rest, times)) }()
		}
		if status, body, err := c.answer(); err != nil || status != http.StatusForbidden {
			t.Fatalf("%d %s %v", status, body, err)
		}
		if expect != "" {
			_, _ = io.WriteString(c, rest)
		}
		if status, body, err := c.answer(); err == nil {
			t.Errorf("the rest of the body was answered with %d %s", status, body)
		}
	}
	// The connection of a body that was short is used again.
	c := w.dial()
	fmt.Fprint(c, "PUT /bkt/k HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"+rest)
	for _, want := range []int{http.StatusForbidden, http.StatusOK} {
		if status, body, err := c.answer(); err != nil || status != want {
			t.Errorf("%d %s %v, want %d", status, body, err, want)
		}
	}
}
