package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bucketServer is an S3 server for one bucket's listings: right in what it lists, and as odd
// in how as servers are.
type bucketServer struct {
	mu       sync.Mutex
	keys     []string // sorted
	encoded  bool     // it follows encoding-type
	page     int      // the most entries it gives, whatever is asked for
	requests []url.Values
}

func (s *bucketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	s.requests = append(s.requests, q)
	after := q.Get("start-after")
	if token := q.Get("continuation-token"); token != "" {
		after = strings.TrimPrefix(token, "after ")
	}
	most, _ := strconv.Atoi(q.Get("max-keys"))
	if s.page > 0 {
		most = min(most, s.page)
	}
	x := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		EncodingType          string   `xml:",omitempty"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []listedObject
	}{}
	show := func(key string) string { return key }
	if s.encoded {
		x.EncodingType, show = "url", url.QueryEscape
	}
	for _, key := range s.keys {
		if key <= after || !strings.HasPrefix(key, q.Get("prefix")) {
			continue
		}
		if len(x.Contents) == most {
			x.IsTruncated, x.NextContinuationToken = true, "after "+after
			break
		}
		after = key
		x.Contents = append(x.Contents, listedObject{Key: show(key), ETag: `"e"`, Size: 1, LastModified: "2026-01-02T03:04:05.678Z"})
	}
	_ = xml.NewEncoder(w).Encode(x)
}

// A listing followed page by page has every key after the one asked for, once and in order,
// however small the server's pages are and whether or not it encodes keys.
func TestListFollowsPages(t *testing.T) {
	server := new(bucketServer)
	c := fake(t, server.ServeHTTP)
	rapid.Check(t, func(t *rapid.T) {
		server.encoded, server.page = rapid.Bool().Draw(t, "encoded"), rapid.IntRange(1, 5).Draw(t, "page")
		server.keys = rapid.SliceOfNDistinct(rapid.StringMatching(`[ab+%/é ]{1,5}`), 0, 20, rapid.ID[string]).Draw(t, "keys")
		slices.Sort(server.keys)
		l := ListQuery{
			Prefix: rapid.SampledFrom([]string{"", "a", "a+", "é"}).Draw(t, "prefix"), After: rapid.StringMatching(`[ab/]{0,3}`).Draw(t, "after"),
			Limit: rapid.IntRange(0, 4).Draw(t, "limit"),
		}
		server.requests = nil
		var got []string
		for {
			p, err := c.List(context.Background(), "b", l)
			if err != nil {
				t.Fatal(err)
			}
			if l.Limit > 0 && len(p.Entries) > l.Limit {
				t.Fatalf("%d entries, %d were asked for", len(p.Entries), l.Limit)
			}
			for _, e := range p.Entries {
				got = append(got, e.Key)
				if e.ETag != "e" || e.Size != 1 || e.LastModified.Nanosecond() != 678e6 {
					t.Fatalf("%+v", e)
				}
			}
			if l.Token = p.Token; l.Token == "" {
				break
			}
		}
		want := slices.DeleteFunc(slices.Clone(server.keys), func(k string) bool { return k <= l.After || !strings.HasPrefix(k, l.Prefix) })
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for i, q := range server.requests {
			if (q.Get("continuation-token") != "") != (i > 0) || q.Has("start-after") != (i == 0 && l.After != "") {
				t.Fatalf("page %d was asked for by %v", i, q)
			}
		}
	})
}

// A listing in folders has the prefixes that were asked for, decoded.
func TestListInFolders(t *testing.T) {
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if d := r.URL.Query().Get("delimiter"); d != "/" {
			t.Errorf("delimiter %q", d)
		}
		_, _ = io.WriteString(w, `<ListBucketResult><EncodingType>url</EncodingType><CommonPrefixes><Prefix>a+b%2F</Prefix></CommonPrefixes></ListBucketResult>`)
	})
	p, err := c.List(t.Context(), "b", ListQuery{Delimiter: "/"})
	if err != nil || !slices.Equal(p.Prefixes, []string{"a b/"}) || len(p.Entries) != 0 || p.Token != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// What a server writes where a listing should be is never an empty listing: that would look
// like a bucket whose objects are all gone.
func TestRubbishIsNoListing(t *testing.T) {
	for name, a := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"nothing":             {200, "", ErrUnavailable},
		"half of it":          {200, "<ListBucketResult><Contents><Key>k", ErrUnavailable},
		"another document":    {200, "<ListAllMyBucketsResult></ListAllMyBucketsResult>", ErrUnavailable},
		"a page":              {200, "<!DOCTYPE html><html><body>It works!</body></html>", ErrUnavailable},
		"a bad time":          {200, "<ListBucketResult><Contents><Key>k</Key><LastModified>yesterday</LastModified></Contents></ListBucketResult>", ErrUnavailable},
		"a bad size":          {200, "<ListBucketResult><Contents><Key>k</Key><Size>big</Size></Contents></ListBucketResult>", ErrUnavailable},
		"a bad escape":        {200, "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key><LastModified>2026-01-02T03:04:05Z</LastModified></Contents></ListBucketResult>", ErrUnavailable},
		"a bad prefix":        {200, "<ListBucketResult><EncodingType>url</EncodingType><CommonPrefixes><Prefix>%</Prefix></CommonPrefixes></ListBucketResult>", ErrUnavailable},
		"no such key":         {404, "<Error><Code>NoSuchKey</Code></Error>", ErrUnavailable},
		"not found":           {404, "", ErrUnavailable},
		"no such bucket":      {404, "<Error><Code>NoSuchBucket</Code></Error>", ErrNoBucket},
		"an error in success": {200, "<Error><Code>NoSuchBucket</Code></Error>", ErrNoBucket},
		"denied":              {403, "<Error><Code>AccessDenied</Code></Error>", ErrDenied},
	} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(a.status)
			_, _ = io.WriteString(w, a.body)
		})
		if p, err := c.List(t.Context(), "b", ListQuery{Delimiter: "/"}); !errors.Is(err, a.want) {
			t.Errorf("%s: %+v, %v, want %v", name, p, err, a.want)
		}
		for _, err := range c.Versions(t.Context(), "b", "", 0) {
			if name != "a bad prefix" && !errors.Is(err, a.want) && a.status != http.StatusOK {
				t.Errorf("%s, versions: %v, want %v", name, err, a.want)
			}
		}
	}
}

// Statuses are the reason where a server gives no code; a proxy's page never proves that
// something is absent.
func TestErrorsByStatus(t *testing.T) {
	for status, want := range map[int]error{
		401: ErrDenied, 403: ErrDenied, 404: ErrUnavailable, 405: ErrUnsupported, 408: ErrUnavailable, 412: ErrPrecondition,
		413: ErrRefused, 429: ErrUnavailable, 500: ErrUnavailable, 501: ErrUnsupported, 503: ErrUnavailable, 507: ErrFull, 302: ErrUnavailable,
	} {
		for _, body := range []string{"", "<html>not here</html>"} {
			c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://elsewhere.invalid/")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			})
			_, err := c.Call(t.Context(), &Request{Method: http.MethodGet, Bucket: "b", Key: "k"})
			var e *Error
			if !errors.Is(err, want) || !errors.As(err, &e) || e.Status != status || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoBucket) {
				t.Errorf("HTTP %d, body %q: %v", status, body, err)
			}
			if says := strings.Contains(err.Error(), "not S3's"); says != (body != "") {
				t.Errorf("HTTP %d, body %q: the text is %q", status, body, err)
			}
		}
	}
}

// MinIO says in headers of a HEAD what it can't say in a body.
func TestErrorOfHead(t *testing.T) {
	c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Minio-Error-Code", "NoSuchKey")
		w.Header().Set("X-Minio-Error-Desc", `"The key is not there"`)
		w.Header().Set("X-Amz-Delete-Marker", "true")
		w.WriteHeader(http.StatusNotFound)
	})
	_, err := c.Head(t.Context(), &Request{Method: http.MethodHead, Bucket: "b", Key: "k"})
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrNotFound) || e.Code != "NoSuchKey" || e.Message != "The key is not there" || !e.DeleteMarker {
		t.Errorf("%+v, %v", e, err)
	}
}

// The text of an error names storage, operation, bucket and key, and the cause is found in it.
func TestErrorText(t *testing.T) {
	cause := errors.New("connection refused")
	e := &Error{Op: "GET", Storage: "c1", Bucket: "b", Key: "k", Kind: ErrUnavailable, err: cause}
	if got, want := e.Error(), "c1: GET b/k: the storage is unavailable (connection refused)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(e, cause) || !errors.Is(e, ErrUnavailable) {
		t.Error("it is neither its kind nor its cause")
	}
	e = &Error{Op: "listing", Storage: "c1", Bucket: "b", Status: 503, Kind: ErrUnavailable, Message: "busy"}
	if got, want := e.Error(), "c1: listing b: the storage is unavailable (HTTP 503: busy)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// uploadServer is an S3 server for the parts of one upload.
type uploadServer struct {
	mu       sync.Mutex
	parts    []listedPart
	page     int
	gone     bool // the upload is not known
	late     int  // so many aborts find parts that arrived since
	aborts   int
	complete []completeBodyPart
}

func (s *uploadServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodDelete:
		s.aborts++
		s.gone = s.aborts > s.late
		w.WriteHeader(http.StatusNoContent)
	case s.gone:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchUpload</Code></Error>")
	case r.Method == http.MethodPost:
		x := struct {
			Part []completeBodyPart
		}{}
		_ = xml.NewDecoder(r.Body).Decode(&x)
		s.complete = x.Part
		_, _ = io.WriteString(w, ` <CompleteMultipartUploadResult><ETag>"whole-2"</ETag></CompleteMultipartUploadResult>`)
	default:
		marker, _ := strconv.Atoi(r.URL.Query().Get("part-number-marker"))
		x := partListing{}
		for _, p := range s.parts {
			if p.PartNumber <= marker {
				continue
			}
			if len(x.Parts) == s.page {
				x.IsTruncated = true
				x.NextPartNumberMarker = strconv.Itoa(x.Parts[len(x.Parts)-1].PartNumber)
				break
			}
			x.Parts = append(x.Parts, p)
		}
		_ = xml.NewEncoder(w).Encode(x)
	}
}

// The parts of an upload are those of all pages.
func TestPartsFollowPages(t *testing.T) {
	server := new(uploadServer)
	c := fake(t, server.ServeHTTP)
	rapid.Check(t, func(t *rapid.T) {
		server.page = rapid.IntRange(1, 4).Draw(t, "page")
		server.parts = nil
		numbers := rapid.SliceOfNDistinct(rapid.IntRange(1, MaxParts), 0, 12, rapid.ID[int]).Draw(t, "numbers")
		slices.Sort(numbers)
		var want []ListedPart
		for _, n := range numbers {
			server.parts = append(server.parts, listedPart{PartNumber: n, ETag: `"e"`, Size: int64(n), ChecksumCRC32C: "AAAAAA=="})
			want = append(want, ListedPart{Part{n, "e", "AAAAAA=="}, int64(n)})
		}
		got, err := c.Parts(context.Background(), "b", "k", "id", nil)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

// A marker that is no number ends the listing of parts in an error.
func TestPartsOfABadMarker(t *testing.T) {
	c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>x</NextPartNumberMarker></ListPartsResult>")
	})
	if parts, err := c.Parts(t.Context(), "b", "k", "id", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v, %v", parts, err)
	}
}

// An upload is aborted until the storage knows it no more: parts may still be arriving.
func TestAbortAsksUntilTheUploadIsGone(t *testing.T) {
	server := &uploadServer{late: 2, page: 10}
	c := fake(t, server.ServeHTTP)
	if err := c.AbortUpload(t.Context(), "b", "k", "id"); err != nil || server.aborts != 3 {
		t.Errorf("%v after %d aborts", err, server.aborts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server.late, server.aborts, server.gone = 1_000_000, 0, false
	go func() {
		for {
			server.mu.Lock()
			enough := server.aborts >= 2
			server.mu.Unlock()
			if enough {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if err := c.AbortUpload(ctx, "b", "k", "id"); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended by %v", err)
	}
}

// What completes an upload names each part by its number, ETag and checksum, in order.
func TestCompleteNamesItsParts(t *testing.T) {
	server := new(uploadServer)
	c := fake(t, server.ServeHTTP)
	h, err := c.CompleteUpload(t.Context(), &Request{Bucket: "b", Key: "k"}, "id", []Part{{1, "a", "AAAAAA=="}, {2, "b", ""}})
	if err != nil || TrimETag(h.Get("ETag")) != "whole-2" {
		t.Fatalf("%v, %v", h, err)
	}
	want := []completeBodyPart{{PartNumber: 1, ETag: `"a"`, ChecksumCRC32C: "AAAAAA=="}, {PartNumber: 2, ETag: `"b"`}}
	got := server.complete
	for i := range got {
		got[i].XMLName = xml.Name{}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// seen is a request as a server got it.
type seen struct {
	http.Request
	body []byte
}

// serveSeen answers a PUT as S3 does, and remembers the last request.
func serveSeen(t *testing.T) (*Client, *seen) {
	t.Helper()
	last := new(seen)
	return fake(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*last = seen{Request: *r, body: body}
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("X-Amz-Request-Id", "1")
	}), last
}

// A body that is sent with a trailer arrives whole, with the CRC-32C of what was sent.
func TestTrailingChecksum(t *testing.T) {
	c, last := serveSeen(t)
	content := bytes.Repeat([]byte("content "), 20_000)
	q := &Request{Method: http.MethodPut, Bucket: "b", Key: "k", Body: bytes.NewReader(content), Size: int64(len(content)), Trailing: true}
	if _, err := c.Put(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if got := last.Header.Get("X-Amz-Content-Sha256"); got != unsignedTrailer {
		t.Errorf("the payload is %q", got)
	}
	if n, _ := strconv.Atoi(last.Header.Get("X-Amz-Decoded-Content-Length")); n != len(content) {
		t.Errorf("%d decoded bytes are announced, %d sent", n, len(content))
	}
	var sent []byte
	rest := last.body
	for {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		size, err := strconv.ParseInt(string(bytes.SplitN(line, []byte(";"), 2)[0]), 16, 64)
		if !ok || err != nil || int(size) > len(after) {
			t.Fatalf("a chunk begins with %q", line[:min(len(line), 40)])
		}
		rest = after
		if size == 0 {
			break
		}
		sent, rest = append(sent, rest[:size]...), bytes.TrimPrefix(rest[size:], []byte("\r\n"))
	}
	if !bytes.Equal(sent, content) {
		t.Errorf("%d bytes arrived, not the %d that were sent", len(sent), len(content))
	}
	sum := crc32.Checksum(content, castagnoli)
	want := base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	if !strings.Contains(string(rest), strings.ToLower(CRC32C)+":"+want) {
		t.Errorf("the trailer is %q, want the checksum %s", rest, want)
	}
}

// Requests are signed as they are sent, for their key, query and headers; secrets are in
// none of them.
func TestRequestsAreSigned(t *testing.T) {
	c, last := serveSeen(t)
	for _, key := range []string{"plain", "a b+c/ü%20?#&=", "trailing/", "..dots/.", "日本"} {
		q := &Request{
			Method: http.MethodPut, Bucket: "b", Key: key, Query: url.Values{"versionId": {"a+b c="}},
			Header: http.Header{"X-Amz-Meta-Name": {"value"}}, AskFirst: true,
		}
		q.SetBody([]byte("body"))
		if _, err := c.Put(t.Context(), q); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		if last.URL.Path != "/b/"+key || last.URL.Query().Get("versionId") != "a+b c=" || strings.Contains(last.URL.RawQuery, "+") || string(last.body) != "body" {
			t.Errorf("%q arrived as %q?%s with %q", key, last.URL.Path, last.URL.RawQuery, last.body)
		}
		auth := last.Header.Get("Authorization")
		if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=the-access-key/") || !strings.Contains(auth, "x-amz-meta-name") {
			t.Errorf("%q: signed by %q", key, auth)
		}
		for name, values := range last.Header {
			if strings.Contains(strings.Join(values, ""), "the-secret-key") {
				t.Errorf("%q: the secret is in %s", key, name)
			}
		}
	}
}

// Two requests of which one differs in what is signed have two signatures.
func TestSignaturesCoverTheRequest(t *testing.T) {
	c, last := serveSeen(t)
	signature := func(q Request) string {
		q.Method, q.Header = http.MethodPut, maps.Clone(q.Header)
		if _, err := c.Put(t.Context(), &q); err != nil {
			t.Fatal(err)
		}
		_, s, _ := strings.Cut(last.Header.Get("Authorization"), "Signature=")
		return s + last.Header.Get("X-Amz-Date")
	}
	base := Request{Bucket: "b", Key: "k", Header: http.Header{"X-Amz-Meta-A": {"1"}}}
	for name, change := range map[string]func(q *Request){
		"key":    func(q *Request) { q.Key = "k2" },
		"bucket": func(q *Request) { q.Bucket = "c" },
		"query":  func(q *Request) { q.Query = url.Values{"versionId": {"v"}} },
		"header": func(q *Request) { q.Header = http.Header{"X-Amz-Meta-A": {"2"}} },
	} {
		other := base
		change(&other)
		if signature(base) == signature(other) {
			t.Errorf("the signature does not cover the %s", name)
		}
	}
}

// A redirect is not followed: it would carry the signature, and the body, elsewhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	other := fake(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.at.base.String(), http.StatusTemporaryRedirect)
	})
	for name, call := range calls(c) {
		if err := call.do(t.Context()); err == nil {
			t.Errorf("%s: a redirect was taken for an answer", name)
		}
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d requests were redirected", n)
	}
}

// A fence is asked right before a request that changes something, and its error is why the
// request was not made; reads are not fenced.
func TestFence(t *testing.T) {
	c, last := serveSeen(t)
	fenced := errors.New("the lease has ended")
	ctx := WithFence(t.Context(), func() error { return fenced })
	if _, err := c.Put(ctx, &Request{Method: http.MethodPut, Bucket: "b", Key: "k"}); !errors.Is(err, fenced) || last.Method != "" {
		t.Errorf("%v, and the server got %q", err, last.Method)
	}
	if _, err := c.Call(ctx, &Request{Method: http.MethodGet, Bucket: "b", Key: "k"}); err != nil || last.Method != http.MethodGet {
		t.Errorf("%v, and the server got %q", err, last.Method)
	}
}

// Tags are read by name, and none are none.
func TestTags(t *testing.T) {
	for body, want := range map[string]string{
		"<Tagging><TagSet><Tag><Key>a</Key><Value>1 &amp; 2</Value></Tag><Tag><Key>b</Key><Value></Value></Tag></TagSet></Tagging>": "a=1+%26+2&b=",
		"<Tagging><TagSet></TagSet></Tagging>": "",
	} {
		c := fake(t, func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); !q.Has("tagging") || q.Get("versionId") != "v" {
				t.Errorf("asked by %v", q)
			}
			_, _ = io.WriteString(w, body)
		})
		if tags, err := c.Tags(t.Context(), "b", "k", "v"); err != nil || tags.Encode() != want {
			t.Errorf("%q, %v, want %q", tags.Encode(), err, want)
		}
	}
}

// A storage without versions says so in words of its own; whether the bucket is there is
// asked then.
func TestVersioningOfStoragesWithoutIt(t *testing.T) {
	for name, a := range map[string]struct {
		status int
		code   string
		there  bool
		want   error
	}{
		"not implemented": {501, "NotImplemented", true, nil},
		"not configured":  {404, "VersioningNotConfigured", true, nil},
		"no bucket":       {501, "NotImplemented", false, ErrNoBucket},
		"denied":          {403, "AccessDenied", true, ErrDenied},
		"overloaded":      {503, "SlowDown", true, ErrUnavailable},
	} {
		c := fake(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Query().Has("versioning"):
				w.WriteHeader(a.status)
				_, _ = io.WriteString(w, "<Error><Code>"+a.code+"</Code></Error>")
			case !a.there:
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, "<Error><Code>NoSuchBucket</Code></Error>")
			}
		})
		status, err := c.Buckets.Versioning(t.Context(), "b")
		if status != "" || (a.want == nil) != (err == nil) || a.want != nil && !errors.Is(err, a.want) {
			t.Errorf("%s: %q, %v, want %v", name, status, err, a.want)
		}
	}
}

// An event stream is told by its type, begins with its first line, and ends in an error that
// says why.
func TestEventStream(t *testing.T) {
	const record = `{"Records":[{"eventName":"s3:ObjectRemoved:Delete","eventTime":"2026-01-02T03:04:05Z","s3":{"bucket":{"name":"b"},"object":{"key":"k","sequencer":"1886D1A2B3C4D5E6"}}}]}`
	for name, a := range map[string]struct {
		kind, body string
		opens      bool
		records    int
		says       string
	}{
		"an event and a ping": {"text/event-stream", record + "\n{\"Records\":null}\n", true, 1, "ended the stream"},
		"blank pings":         {"text/event-stream", "{}\n{}\n", true, 0, "ended the stream"},
		"a list of buckets":   {"application/xml", "<ListAllMyBucketsResult/>", false, 0, "no event stream"},
		"rubbish":             {"text/event-stream", "<html>\n", true, 0, "not MinIO's"},
		"nothing":             {"text/event-stream", "", true, 0, "ended the stream"},
	} {
		c := fake(t, func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); !slices.Contains(q["events"], "s3:ObjectRemoved:*") || r.URL.Path != "/" {
				t.Errorf("%s: asked for %v", name, q)
			}
			w.Header().Set("Content-Type", a.kind)
			_, _ = io.WriteString(w, a.body)
		})
		ctx, dog := Watch(t.Context(), time.Minute)
		s, err := c.Events(ctx, dog)
		if (err == nil) != a.opens {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			began, n := 0, 0
			err = s.Read(func() { began++ }, func(r *EventRecord) {
				n++
				if !r.Removed() || r.S3.Object.Key != "k" {
					t.Errorf("%s: %+v", name, r)
				}
			})
			if n != a.records || began != min(1, strings.Count(a.body, "\n")) {
				t.Errorf("%s: %d records, began %d times", name, n, began)
			}
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), a.says) {
			t.Errorf("%s: %v, want one that says %q", name, err, a.says)
		}
		dog.Stop()
	}
}

// The time of an event is that of the object, where its sequencer is one.
func TestEventTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	for _, c := range []struct {
		sequencer, event string
		want             time.Time
	}{
		{strconv.FormatInt(at.UnixNano(), 16), "2026-01-02T09:00:00Z", at},
		{"0055AED6DCD90281E5", "2026-01-02T09:00:00Z", time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC)}, // AWS: no time
		{"", "2026-01-02T09:00:00+01:00", time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC)},
		{"1", "2026-01-02T09:00:00Z", time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC)}, // 1970
	} {
		r := &EventRecord{EventTime: c.event}
		r.S3.Object.Sequencer = c.sequencer
		if got := r.Time(); !got.Equal(c.want) || got.Location() != time.UTC {
			t.Errorf("sequencer %q, event %q: %v, want %v", c.sequencer, c.event, got, c.want)
		}
	}
}
