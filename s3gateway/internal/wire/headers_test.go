package wire

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

// codeOf is the S3 code of an error, "" for none.
func codeOf(err error) string {
	if e := (*s3err.Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// A storage is told what concerns the object, and neither of the client's credentials nor what only
// FaDO writes.
func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	got := RequestHeaders(http.Header{
		"Content-Type": {"a/b"}, "If-None-Match": {"*"}, "Range": {"bytes=0-1"}, "Content-Encoding": {"gzip, aws-chunked"}, "Content-Md5": {"m"},
		"X-Amz-Meta-A": {"1", "2"}, "X-Amz-Tagging": {"a=b"}, "X-Amz-Storage-Class": {"STANDARD"}, "X-Amz-Object-Lock-Mode": {"GOVERNANCE"},
		"X-Amz-Checksum-Crc32": {"AAAAAA=="}, "X-Amz-Checksum-Mode": {"ENABLED"},
		// not those
		"Authorization": {"AWS4-HMAC-SHA256 …"}, "Cookie": {"c"}, "Host": {"h"}, "Accept-Encoding": {"gzip"}, "X-Forwarded-For": {"x"}, "X-Minio-Source-Etag": {"e"},
		"X-Amz-Date": {"d"}, "X-Amz-Content-Sha256": {"s"}, "X-Amz-Decoded-Content-Length": {"1"}, "X-Amz-Security-Token": {"t"}, "X-Amz-Trailer": {"x"},
		"X-Amz-Acl": {"private"}, "X-Amz-Copy-Source": {"/other/k"}, "X-Amz-Replication-Status": {"REPLICA"}, "X-Amz-Meta-Fado-Source-Etag": {"e"},
		"X-Amz-Expected-Bucket-Owner": {"o"}, "X-Amz-Sdk-Checksum-Algorithm": {"CRC32"},
	})
	want := http.Header{
		"Content-Type": {"a/b"}, "If-None-Match": {"*"}, "Range": {"bytes=0-1"}, "Content-Encoding": {"gzip"}, "Content-Md5": {"m"},
		"X-Amz-Meta-A": {"1,2"}, "X-Amz-Tagging": {"a=b"}, "X-Amz-Storage-Class": {"STANDARD"}, "X-Amz-Object-Lock-Mode": {"GOVERNANCE"},
		"X-Amz-Checksum-Crc32": {"AAAAAA=="}, "X-Amz-Checksum-Mode": {"ENABLED"},
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v\nwant %v", got, want)
	}
	for coding, want := range map[string]string{"": "", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip,br": "gzip,br"} {
		if got := RequestHeaders(http.Header{"Content-Encoding": {coding}}).Get("Content-Encoding"); got != want {
			t.Errorf("%q: %q, want %q", coding, got, want)
		}
	}
}

// A client is told what concerns the object, in the spelling that clients make keys of, and nothing
// of the storage behind.
func TestAnswerHeaders(t *testing.T) {
	t.Parallel()
	got := http.Header{"X-Amz-Request-Id": {"ours"}}
	AnswerHeaders(got, http.Header{
		"Etag": {`"e"`}, "Last-Modified": {"m"}, "Content-Range": {"bytes 0-1/2"}, "Content-Type": {"a/b"}, "Accept-Ranges": {"bytes"},
		"X-Amz-Meta-Some_name": {"1"}, "X-Amz-Version-Id": {"v"}, "X-Amz-Checksum-Crc32": {"c"},
		"X-Amz-Request-Id": {"theirs"}, "X-Amz-Id-2": {"theirs"}, "X-Amz-Bucket-Region": {"theirs"}, "X-Amz-Replication-Status": {"COMPLETED"},
		"Server": {"MinIO"}, "Vary": {"Origin"}, "Set-Cookie": {"c"}, "Strict-Transport-Security": {"s"}, "Content-Security-Policy": {"p"}, "Connection": {"close"},
	})
	want := http.Header{
		"X-Amz-Request-Id": {"ours"}, "Etag": {`"e"`}, "Last-Modified": {"m"}, "Content-Range": {"bytes 0-1/2"}, "Content-Type": {"a/b"}, "Accept-Ranges": {"bytes"},
		"x-amz-meta-some_name": {"1"}, "X-Amz-Version-Id": {"v"}, "X-Amz-Checksum-Crc32": {"c"},
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// A head is refused from the first byte that is too many.
func TestHeadsAreBounded(t *testing.T) {
	t.Parallel()
	head := func(name string, size int) string {
		r := httptest.NewRequest(http.MethodPut, "/b/k", nil)
		used := len(r.RequestURI) + len(name)
		if name == "X-Amz-Meta-A" {
			used = len("A")
		}
		r.Header.Set(name, strings.Repeat("x", size-used))
		return codeOf(CheckSize(r))
	}
	for _, c := range []struct {
		name string
		size int
		want string
	}{
		{"Cookie", maxHead, ""},
		{"Cookie", maxHead + 1, "RequestHeaderSectionTooLarge"},
		{"X-Amz-Meta-A", maxMetadata, ""},
		{"X-Amz-Meta-A", maxMetadata + 1, "MetadataTooLarge"},
	} {
		if got := head(c.name, c.size); got != c.want {
			t.Errorf("%s of %d bytes: %q, want %q", c.name, c.size, got, c.want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/b/k?"+strings.Repeat("q", maxHead), nil)
	if got := codeOf(CheckSize(r)); got != "RequestHeaderSectionTooLarge" {
		t.Errorf("a long query: %q", got)
	}
}

// What no storage is asked for is refused by its name.
func TestHeadersThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"X-Amz-Server-Side-Encryption-Customer-Key", "x", "NotImplemented"},
		{"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm", "AES256", "NotImplemented"},
		{"X-Amz-Grant-Read", "id=x", "AccessControlListNotSupported"},
		{"X-Amz-Acl", "public-read", "AccessControlListNotSupported"},
		{"X-Amz-Acl", "private", ""},
		{"X-Amz-Acl", "bucket-owner-full-control", ""},
		{"X-Amz-Server-Side-Encryption", "AES256", ""},
	} {
		if got := codeOf(CheckHeaders(http.Header{c.name: {c.value}})); got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

// The list of an upload's parts is judged as S3 does, at its bounds, too.
func TestCheckParts(t *testing.T) {
	t.Parallel()
	list := func(parts ...string) string {
		return "<CompleteMultipartUpload>" + strings.Join(parts, "") + "</CompleteMultipartUpload>"
	}
	part := func(n int) string { return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>e</ETag></Part>", n) }
	all := make([]string, MaxParts)
	for i := range all {
		all[i] = part(i + 1)
	}
	for _, c := range []struct{ what, doc, want string }{
		{"one", list(part(1)), ""},
		{"with gaps", list(part(2), part(MaxParts)), ""},
		{"as many as may be", list(all...), ""},
		{"one more", list(append(all, part(MaxParts+1))...), "MalformedXML"},
		{"a number above them", list(part(MaxParts + 1)), "InvalidArgument"},
		{"a number below 1", list(part(-1)), "InvalidArgument"},
		{"no number", list("<Part><ETag>e</ETag></Part>"), "MalformedXML"},
		{"no ETag", list("<Part><PartNumber>1</PartNumber></Part>"), "MalformedXML"},
		{"none", list(), "MalformedXML"},
		{"downward", list(part(2), part(1)), "InvalidPartOrder"},
		{"one twice", list(part(1), part(1)), "InvalidPartOrder"},
		{"no document", "", "MalformedXML"},
	} {
		if got := codeOf(CheckParts([]byte(c.doc))); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// Documents that nest too deep or declare a type are refused before they are decoded.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	for doc, want := range map[string]bool{
		deep(maxDepth): true, deep(maxDepth + 1): false, "<!DOCTYPE x><a/>": false, `<!DOCTYPE x [<!ENTITY a "b">]><a>&a;</a>`: false,
		strings.Repeat("<a></a>", 1000): true, "<a": false, "": true, // there is nothing in it: decoding it fails
	} {
		if err := CheckDepth([]byte(doc)); (err == nil) != want {
			t.Errorf("%.60s: %v", doc, err)
		}
	}
	for doc, want := range map[string]bool{
		"<Error/>": true, `<?xml version="1.0"?> <Error><Code>x</Code></Error>`: true, "<CompleteMultipartUploadResult/>": false, "": false, "<": false, "Error": false,
	} {
		if got := IsError([]byte(doc)); got != want {
			t.Errorf("%s: an error %t", doc, got)
		}
	}
}

// Names and sizes of pages are read as S3 does, and tags as a header can say them.
func TestWhatQueriesSay(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"": MaxPage, "0": 0, "7": 7, "1000": MaxPage, "1001": MaxPage, "2147483647": MaxPage} {
		if got, err := LimitOf(in, "max-keys"); err != nil || got != want {
			t.Errorf("%q: %d %v", in, got, err)
		}
	}
	for _, bad := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		if _, err := LimitOf(bad, "max-keys"); codeOf(err) != "InvalidArgument" || !strings.Contains(err.Error(), "max-keys") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for in, want := range map[string]string{"a b+c/ü*": "a+b%2Bc/%C3%BC*", "a\x01": "a%01"} {
		if got := EncodeName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	var set TagSet
	if err := ParseXML([]byte("<Tagging><TagSet><Tag><Key>a b</Key><Value>c+d</Value></Tag></TagSet></Tagging>"), &set); err != nil || set.Header() != "a%20b=c%2Bd" {
		t.Errorf("%q %v", set.Header(), err)
	}
	h := make(http.Header)
	if SetMD5(h, []byte("hello")); h.Get("Content-Md5") != "XUFAKrxLKna5cZ2REBfFkg==" {
		t.Errorf("%v", h)
	}
}
