package s3gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/fado-project/fado/internal/testenv"
)

// faithful are requests in a bucket, each on what those before it made there. BUCKET stands for
// its name.
var faithful = []struct {
	method, path string
	header       http.Header
	body         string
}{
	{"PUT", "k", http.Header{
		"Content-Type": {"text/x"}, "Cache-Control": {"no-cache"}, "Content-Disposition": {`attachment; filename="a b"`}, "Content-Language": {"de"},
		"Expires": {"Wed, 21 Oct 2026 07:28:00 GMT"}, "X-Amz-Meta-Colour": {"blue"}, "X-Amz-Meta-Empty": {""}, "X-Amz-Tagging": {"a=1&b=2"},
	}, "0123456789"},
	{"PUT", "empty", nil, ""},
	{"PUT", "coded", http.Header{"Content-Encoding": {"gzip"}}, "no gzip at all"},
	{"GET", "k", nil, ""},
	{"HEAD", "k", nil, ""},
	{"GET", "empty", nil, ""},
	{"GET", "coded", http.Header{"Accept-Encoding": {"gzip"}}, ""},
	{"HEAD", "none", nil, ""},
	{"GET", "none", nil, ""},
	{"GET", "k?response-content-type=a/b&response-cache-control=x&response-content-disposition=y&response-content-encoding=z&response-content-language=en", nil, ""},
	{"GET", "k?response-expires=Thu,%2001%20Dec%201994%2016:00:00%20GMT", nil, ""},
	{"GET", "k", http.Header{"Range": {"bytes=0-0"}}, ""},
	{"GET", "k", http.Header{"Range": {"bytes=-3"}}, ""},
	{"GET", "k", http.Header{"Range": {"bytes=7-500"}}, ""},
	{"GET", "k", http.Header{"Range": {"bytes=10-"}}, ""},
	{"GET", "k", http.Header{"Range": {"bytes=5-2"}}, ""},
	{"GET", "k", http.Header{"Range": {"bytes=0-1,3-4"}}, ""},
	{"GET", "k", http.Header{"Range": {"chars=0-1"}}, ""},
	{"GET", "k", http.Header{"Range": {"bytes=-0"}}, ""},
	{"GET", "empty", http.Header{"Range": {"bytes=0-"}}, ""},
	{"GET", "k?partNumber=1", nil, ""},
	{"HEAD", "k?partNumber=1", nil, ""},
	{"GET", "k?partNumber=2", nil, ""},
	{"GET", "k?partNumber=1", http.Header{"Range": {"bytes=0-1"}}, ""},
	{"GET", "k", http.Header{"If-Match": {`"x"`}}, ""},
	{"GET", "k", http.Header{"If-Match": {`"781e5e245d69b566979b86e28d23f2c7"`}}, ""},
	{"GET", "k", http.Header{"If-None-Match": {`"781e5e245d69b566979b86e28d23f2c7"`}}, ""},
	{"GET", "k", http.Header{"If-Modified-Since": {"Thu, 01 Dec 2033 16:00:00 GMT"}}, ""},
	{"GET", "k", http.Header{"If-Unmodified-Since": {"Thu, 01 Dec 1994 16:00:00 GMT"}}, ""},
	{"PUT", "k", http.Header{"If-None-Match": {"*"}}, "x"},
	{"PUT", "k", http.Header{"If-Match": {`"x"`}}, "x"},
	{"PUT", "none", http.Header{"If-Match": {`"x"`}}, "x"},
	{"PUT", "k", http.Header{"Content-Md5": {"AAAAAAAAAAAAAAAAAAAAAA=="}}, "x"},
	{"PUT", "k", http.Header{"X-Amz-Storage-Class": {"NONSENSE"}}, "x"},
	{"PUT", "locked", http.Header{"X-Amz-Object-Lock-Legal-Hold": {"ON"}}, "x"},
	{"GET", "k?attributes", http.Header{"X-Amz-Object-Attributes": {"ETag,ObjectSize"}}, ""},
	{"GET", "k?tagging", nil, ""},
	{"PUT", "k?tagging", nil, "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>a</Key><Value>2</Value></Tag></TagSet></Tagging>"},
	{"PUT", "k?tagging", nil, "<Tagging><TagSet><Tag><Key>c</Key><Value>3</Value></Tag></TagSet></Tagging>"},
	{"HEAD", "k", nil, ""},
	{"DELETE", "k?tagging", nil, ""},
	{"GET", "k?retention", nil, ""},
	{"GET", "k?legal-hold", nil, ""},
	{"GET", "k?versionId=null", nil, ""},
	{"PUT", "copy", http.Header{"X-Amz-Copy-Source": {"/BUCKET/k"}}, ""},
	{"HEAD", "copy", nil, ""},
	{"PUT", "k", http.Header{"X-Amz-Copy-Source": {"/BUCKET/k"}}, ""},
	{"PUT", "copy", http.Header{"X-Amz-Copy-Source": {"/BUCKET/k"}, "X-Amz-Metadata-Directive": {"REPLACE"}, "X-Amz-Meta-New": {"1"}, "Content-Type": {"x/y"}}, ""},
	{"HEAD", "copy", nil, ""},
	{"PUT", "copy", http.Header{"X-Amz-Copy-Source": {"/BUCKET/k"}, "X-Amz-Tagging-Directive": {"REPLACE"}, "X-Amz-Tagging": {"q=r"}}, ""},
	{"GET", "copy?tagging", nil, ""},
	{"PUT", "copy", http.Header{"X-Amz-Copy-Source": {"/BUCKET/k"}, "X-Amz-Copy-Source-If-Match": {`"x"`}}, ""},
	{"PUT", "copy", http.Header{"X-Amz-Copy-Source": {"/BUCKET/none"}}, ""},
	{"GET", "?list-type=2&max-keys=-1", nil, ""},
	{"GET", "?list-type=2&max-keys=0", nil, ""},
	{"GET", "?versioning", nil, ""},
	{"GET", "?object-lock", nil, ""},
	{"GET", "?tagging", nil, ""},
	{"DELETE", "none", nil, ""},
	{"DELETE", "copy", nil, ""},
	{"HEAD", "copy", nil, ""},
	{"DELETE", "", nil, ""},
}

// said is what a client makes of an answer.
type said struct {
	status     int
	code, body string
	header     http.Header
}

// ask makes a signed request for the path of a bucket.
func ask(t *testing.T, base, id, secret, bucket, method, path string, header http.Header, body string) said {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, base+"/"+bucket+"/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range header {
		req.Header.Set(name, strings.ReplaceAll(v[0], "BUCKET", bucket))
	}
	req.Close = true // a storage may end the connection of a request that it refused
	sum := sha256.Sum256([]byte(body))
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	resp, err := http.DefaultTransport.RoundTrip(signer.SignV4(*req, id, secret, "", defaultRegion))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := said{status: resp.StatusCode, header: make(http.Header)}
	var doc struct {
		XMLName xml.Name
		Code    string
	}
	if xml.Unmarshal(b, &doc) == nil {
		out.code = cmp.Or(doc.Code, doc.XMLName.Local) // documents name times, owners and buckets
	} else {
		out.body = string(b)
	}
	for name, v := range resp.Header {
		for _, of := range []string{"X-Amz-Meta-", "X-Amz-Checksum-", "X-Amz-Tagging-Count", "X-Amz-Mp-Parts-Count", "Etag", "Content-", "Cache-Control", "Expires"} {
			if strings.HasPrefix(name, of) && out.code == "" && resp.StatusCode < http.StatusMultipleChoices && name != "Content-Security-Policy" {
				out.header[name] = v
			}
		}
	}
	if out.body == "" && method != http.MethodHead {
		delete(out.header, "Content-Type") // of nothing
		delete(out.header, "Content-Length")
	}
	return out
}

// An answer is the storage's own, whatever it is, as far as clients look at it.
func TestAnswersAreTheStorages(t *testing.T) {
	t.Parallel()
	for kind, shared := range map[string]testenv.Shared{"MinIO": minioA, "versitygw": versA} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			srv := shared.Server(t)
			w := newWorld(t, nil)
			w.cluster("c1", srv)
			w.policy("one", 1, "c1")
			w.bucket("bkt", "one", "c1")
			plain := w.prefix + "plain"
			w.must(w.direct(srv).MakeBucket(context.Background(), plain, minio.MakeBucketOptions{}))
			for n, r := range faithful {
				want := ask(t, srv.Endpoint, srv.AccessKey, srv.SecretKey, plain, r.method, r.path, r.header, r.body)
				got := ask(t, w.server.URL, testKey, testSecret, "bkt", r.method, r.path, r.header, r.body)
				if got.status != want.status || got.code != want.code || got.body != want.body || !maps.EqualFunc(got.header, want.header, slices.Equal) {
					t.Errorf("%d. %s %s %v:\n  the storage: %+v\n  through FaDO: %+v", n, r.method, r.path, r.header, want, got)
				}
			}
		})
	}
}

// Buckets are listed page by page, each once, and those alone that the key sees.
func TestPagesOfBuckets(t *testing.T) {
	t.Parallel()
	w := single(t, nil)
	for _, b := range []string{"team-a-1", "team-a-2", "team-a-3", "team-b-1", "other"} {
		w.bucket(b, "one", "c1")
	}
	for query, want := range map[string]string{
		"":              "bkt other team-a-1 team-a-2 team-a-3 team-b-1",
		"prefix=team-a": "team-a-1 team-a-2 team-a-3",
		"prefix=x":      "",
	} {
		var got []string
		token := ""
		for range 10 {
			_, _, body := w.do(http.MethodGet, fmt.Sprintf("/?max-buckets=2&%s%s", query, token), nil, "")
			var page bucketList
			w.must(xml.Unmarshal([]byte(body), &page))
			if len(page.Buckets) > 2 {
				t.Errorf("a page of %d", len(page.Buckets))
			}
			for _, b := range page.Buckets {
				got = append(got, b.Name)
			}
			if token = page.ContinuationToken; token == "" {
				break
			}
			token = "&continuation-token=" + token
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}

// A client that asks before it sends is told to go on before it has sent a byte, and one that may
// not is refused instead.
func TestExpectIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	w := single(t, nil)
	c := w.dial()
	c.begin(http.MethodPut, "/bkt/k", 7, http.Header{"Expect": {"100-continue"}})
	line, err := c.answers.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q %v", line, err)
	}
	_, err = c.answers.ReadString('\n')
	w.must(err)
	fmt.Fprint(c, "content")
	if status, body, err := c.answer(); err != nil || status != http.StatusOK {
		t.Errorf("%d %s %v", status, body, err)
	}
	if got := w.get("bkt", "k"); got != "content" {
		t.Errorf("%q", got)
	}
	c = w.dial()
	c.begin(http.MethodPut, "/nobucket/k", 7, http.Header{"Expect": {"100-continue"}})
	if status, body, err := c.answer(); err != nil || status != http.StatusNotFound || !strings.Contains(body, "NoSuchBucket") {
		t.Errorf("%d %s %v", status, body, err)
	}
}
