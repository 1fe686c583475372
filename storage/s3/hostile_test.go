package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// counted has the client count the bytes that it reads from its connections.
func counted(c *Client) *atomic.Int64 {
	n := new(atomic.Int64)
	t := c.http.Transport.(limitedTransport).base // minio-go has the same
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return countedConn{conn, n}, err
	}
	return n
}

type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// calls are all that is asked of a server whose answers have a bound, and that bound.
func calls(c *Client) map[string]struct {
	limit Limit
	do    func(ctx context.Context) error
} {
	type call = struct {
		limit Limit
		do    func(ctx context.Context) error
	}
	object := func(method string) *Request { return &Request{Method: method, Bucket: "b", Key: "k"} }
	return map[string]call{
		"buckets": {LimitPing, func(ctx context.Context) error { return c.ListBuckets(ctx) }},
		"list": {LimitPage, func(ctx context.Context) error {
			_, err := c.List(ctx, "b", ListQuery{})
			return err
		}},
		"versions": {LimitPage, func(ctx context.Context) (err error) {
			for _, err = range c.Versions(ctx, "b", "", 0) {
			}
			return err
		}},
		"parts": {LimitParts, func(ctx context.Context) error {
			_, err := c.Parts(ctx, "b", "k", "id", nil)
			return err
		}},
		"versioning": {LimitSmall, func(ctx context.Context) error {
			_, err := c.Buckets.Versioning(ctx, "b")
			return err
		}},
		"tags": {LimitSmall, func(ctx context.Context) error {
			_, err := c.Tags(ctx, "b", "k", "")
			return err
		}},
		"begin": {LimitSmall, func(ctx context.Context) error {
			_, err := c.BeginUpload(ctx, object(http.MethodPost))
			return err
		}},
		"complete": {LimitSmall, func(ctx context.Context) error {
			_, err := c.CompleteUpload(ctx, object(http.MethodPost), "id", []Part{{Number: 1, ETag: "e"}})
			return err
		}},
		"put": {LimitSmall, func(ctx context.Context) error {
			_, err := c.Put(ctx, object(http.MethodPut))
			return err
		}},
		"copy":    {LimitSmall, func(ctx context.Context) error { return c.CopyObject(ctx, object(http.MethodPut)) }},
		"remove":  {LimitSmall, func(ctx context.Context) error { return c.Remove(ctx, object(http.MethodDelete)) }},
		"version": {LimitSmall, func(ctx context.Context) error { return c.Buckets.EnableVersioning(ctx, "b") }},
		"make": {LimitSmall, func(ctx context.Context) error {
			_, err := c.Buckets.Make(ctx, "bucket", false)
			return err
		}},
	}
}

// TestAnswersAreBounded has a server answer without end, in every shape that an answer
// has: as one long text, as elements without number, as an error.
func TestAnswersAreBounded(t *testing.T) {
	roots := map[string]string{
		"buckets": "ListAllMyBucketsResult", "list": "ListBucketResult", "versions": "ListVersionsResult",
		"parts": "ListPartsResult", "versioning": "VersioningConfiguration", "tags": "Tagging><TagSet",
		"begin": "InitiateMultipartUploadResult", "complete": "CompleteMultipartUploadResult", "copy": "CopyObjectResult",
	}
	for shape, endless := range map[string]struct {
		status int
		chunk  string
	}{
		"one long text":   {200, strings.Repeat("A", 1<<10)},
		"empty elements":  {200, strings.Repeat("<Contents/><Version/><Part/><Tag/>", 30)},
		"a status of 500": {500, strings.Repeat("A", 1<<10)},
		"an error":        {403, "<Message>" + strings.Repeat("A", 1<<10) + "</Message>"},
	} {
		var current atomic.Value // which call is made
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"e"`)
			w.WriteHeader(endless.status)
			_, err := io.WriteString(w, "<"+roots[current.Load().(string)]+"><Owner>")
			for chunk := []byte(endless.chunk); err == nil; {
				_, err = w.Write(chunk)
			}
		})
		read := counted(c)
		for name, call := range calls(c) {
			current.Store(name)
			read.Store(0)
			if err := call.do(t.Context()); err == nil {
				t.Errorf("%s, %s: it was taken for an answer", name, shape)
			}
			// Of a removal that fails half-way and an admin call there may be two answers.
			if n, most := read.Load(), 2*int64(call.limit)+512<<10; n > most {
				t.Errorf("%s, %s: %d KiB were read, at most %d expected", name, shape, n>>10, most>>10)
			}
		}
	}
}

// TestLimitIsExact: an answer may be as long as its limit, and not a byte longer.
func TestLimitIsExact(t *testing.T) {
	for extra, ok := range map[int]bool{0: true, 1: false} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			const head, foot = "<ListAllMyBucketsResult><Owner>", "</Owner></ListAllMyBucketsResult>"
			_, _ = io.WriteString(w, head+strings.Repeat("A", int(LimitPing)-len(head)-len(foot)+extra)+foot)
		})
		err := c.ListBuckets(t.Context())
		if (err == nil) != ok || !ok && (!errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "larger")) {
			t.Errorf("%d bytes more than the limit: %v", extra, err)
		}
	}
}

// TestAnswersEnd: an answer that trickles holds nothing up for ever.
func TestAnswersEnd(t *testing.T) {
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
	})
	c.Waits.Whole, c.Waits.Complete = 50*time.Millisecond, 50*time.Millisecond
	c.Waits.Answer = 100 * time.Millisecond // for the calls of minio-go
	for name, call := range calls(c) {
		if err := call.do(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: want ErrUnavailable, got %v", name, err)
		}
	}
}

// TestNoMoreEntriesThanAsked: a page's entries are counted as they come.
func TestNoMoreEntriesThanAsked(t *testing.T) {
	entry := `<Contents><Key>k%06d</Key><LastModified>2026-01-02T03:04:05Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>`
	for _, c := range []struct{ asked, given int }{{5, 6}, {0, PageSize + 1}} {
		cl := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<ListBucketResult>")
			for i := range c.given {
				_, _ = fmt.Fprintf(w, entry, i)
			}
			_, _ = io.WriteString(w, "</ListBucketResult>")
		})
		if p, err := cl.List(t.Context(), "b", ListQuery{Limit: c.asked}); err == nil {
			t.Errorf("%d asked for, %d taken", c.asked, len(p.Entries))
		}
	}
}

// TestListingsAdvance: a listing that would be followed for ever ends in an error.
func TestListingsAdvance(t *testing.T) {
	var requests atomic.Int64
	serve := func(page func(q url.Values) string) *Client {
		requests.Store(0)
		return fake(t, func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) > 100 {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			_, _ = io.WriteString(w, page(r.URL.Query()))
		})
	}
	check := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, ErrCorrupt) || requests.Load() > 10 {
			t.Errorf("%s: want ErrCorrupt, got %v after %d requests", name, err, requests.Load())
		}
	}
	for name, page := range map[string]string{
		"prefixes that were not asked for": `<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>`,
		"no entries":                       `<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>`,
		"no token":                         `<IsTruncated>true</IsTruncated><Contents><Key>k</Key><LastModified>2026-01-02T03:04:05Z</LastModified></Contents>`,
	} {
		c := serve(func(url.Values) string { return "<ListBucketResult>" + page + "</ListBucketResult>" })
		_, err := c.List(t.Context(), "b", ListQuery{})
		check(name, err)
	}
	c := serve(func(url.Values) string {
		return `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>` +
			`<Contents><Key>k</Key><LastModified>2026-01-02T03:04:05Z</LastModified></Contents></ListBucketResult>`
	})
	_, err := c.List(t.Context(), "b", ListQuery{Token: "t"})
	check("the same page", err)
	for name, markers := range map[string]string{
		"alternating": "a,1 a,2", "the same": "a,1", "falling": "b,1 a,1", "none": ",", "back and forth": "a,1 b,1 a,2",
	} {
		steps := strings.Fields(markers)
		c := serve(func(url.Values) string {
			key, id, _ := strings.Cut(steps[(int(requests.Load())-1)%len(steps)], ",")
			return "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>" + key + "</NextKeyMarker>" +
				"<NextVersionIdMarker>" + id + "</NextVersionIdMarker></ListVersionsResult>"
		})
		var err error
		for _, err = range c.Versions(t.Context(), "b", "", 0) {
		}
		check("versions, markers "+name, err)
		requests.Store(0)
		_, err = c.VersionsOf(t.Context(), "b", "k", 0)
		check("versions of a key, markers "+name, err)
	}
	c = serve(func(url.Values) string {
		return `<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>3</NextPartNumberMarker></ListPartsResult>`
	})
	_, err = c.Parts(t.Context(), "b", "k", "id", nil)
	check("parts", err)
}

// TestVersionsOfAnUnsortedListing: what is below a key's prefix and not in order never
// hides a version of the key.
func TestVersionsOfAnUnsortedListing(t *testing.T) {
	for keys, ok := range map[string]bool{"k k k2": true, "k2 k": false, "k k2 k": false, "j": false} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<ListVersionsResult>")
			for k := range strings.FieldsSeq(keys) {
				_, _ = fmt.Fprintf(w, "<Version><Key>%s</Key><VersionId>i</VersionId><LastModified>2026-01-02T03:04:05Z</LastModified></Version>", k)
			}
			_, _ = io.WriteString(w, "</ListVersionsResult>")
		})
		vs, err := c.VersionsOf(t.Context(), "b", "k", 0)
		if ok && (err != nil || len(vs) != 2) || !ok && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %+v, %v", keys, vs, err)
		}
	}
}

// TestSuccessIsProved: what a proxy, a captive portal or a broken server answers instead
// of the storage is no success, whatever its status.
func TestSuccessIsProved(t *testing.T) {
	const etag, html, failed = `"e"`, "<!DOCTYPE html><html></html>", "<Error><Code>SlowDown</Code><Message>m</Message></Error>"
	changes := []string{"put", "copy", "begin", "complete", "remove"}
	for _, a := range []struct {
		what   string
		status int
		header http.Header
		body   string
		proves string
	}{
		{what: "nothing", status: 200},
		{what: "a page", status: 200, header: http.Header{"Content-Type": {"text/html"}}, body: html},
		{what: "a page and an ETag", status: 200, header: http.Header{"Etag": {etag}, "X-Amz-Request-Id": {"1"}}, body: html},
		{what: "an error", status: 200, body: failed},
		{what: "an error and an ETag", status: 200, header: http.Header{"Etag": {etag}, "X-Amz-Request-Id": {"1"}}, body: failed},
		{what: "an ETag", status: 200, header: http.Header{"Etag": {etag}}, proves: "put"},
		{what: "no content", status: 204, proves: "remove"},
		{what: "a request ID", status: 200, header: http.Header{"X-Amz-Request-Id": {"1"}}, proves: "remove"},
		{what: "an upload", status: 200, body: `<InitiateMultipartUploadResult><UploadId>i</UploadId></InitiateMultipartUploadResult>`, proves: "begin"},
		{what: "an upload without an ID", status: 200, body: `<InitiateMultipartUploadResult/>`},
		{what: "an object", status: 200, body: `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`, proves: "complete"},
		{what: "an object without an ETag", status: 200, body: `<CompleteMultipartUploadResult/>`},
		{what: "a copy", status: 200, body: `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`, proves: "copy"},
		{what: "a copy without an ETag", status: 200, body: `<CopyObjectResult/>`},
	} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			maps.Copy(w.Header(), a.header)
			w.WriteHeader(a.status)
			_, _ = io.WriteString(w, a.body)
		})
		for _, name := range changes {
			err := calls(c)[name].do(t.Context())
			if (err == nil) != (name == a.proves) || err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s answered by %s: %v", name, a.what, err)
			}
			if e := new(Error); a.body == failed && (!errors.As(err, &e) || e.Code != "SlowDown") {
				t.Errorf("%s answered by %s: %v does not say what the storage said", name, a.what, err)
			}
		}
	}
}

// TestBucketsAreProved: a bucket that was acknowledged is asked for.
func TestBucketsAreProved(t *testing.T) {
	var there atomic.Bool
	var status atomic.Value
	status.Store("")
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
		case !there.Load():
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchBucket</Code></Error>")
		default:
			_, _ = io.WriteString(w, "<VersioningConfiguration><Status>"+status.Load().(string)+"</Status></VersioningConfiguration>")
		}
	})
	if made, err := c.Buckets.Make(t.Context(), "bucket", false); made || !errors.Is(err, ErrUnavailable) {
		t.Errorf("made, and not there: %v, %v", made, err)
	}
	there.Store(true)
	if made, err := c.Buckets.Make(t.Context(), "bucket", false); !made || err != nil {
		t.Errorf("made: %v, %v", made, err)
	}
	if err := c.Buckets.EnableVersioning(t.Context(), "bucket"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("switched on, and off: %v", err)
	}
	status.Store("Enabled")
	if err := c.Buckets.EnableVersioning(t.Context(), "bucket"); err != nil {
		t.Errorf("switched on: %v", err)
	}
}

// TestUnpackedObjects: an object that something on the way unpacks, for a client that does
// not say that it takes gzip, is asked for again.
func TestUnpackedObjects(t *testing.T) {
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", "6")
		} else {
			w.(http.Flusher).Flush() // without a length
		}
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "packed")
		}
	})
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		resp, err := c.Object(t.Context(), &Request{Method: method, Bucket: "b", Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		if resp.ContentLength != 6 || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %d bytes, %v", method, resp.ContentLength, resp.Header)
		}
		_ = resp.Body.Close()
	}
}
