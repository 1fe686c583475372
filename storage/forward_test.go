package storage

import (
	"context"
	"encoding/base64"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// answerOf makes a Forward at a client and returns status, headers and body.
func answerOf(t *testing.T, c *whole, f *Forward) (*Answer, string) {
	t.Helper()
	a, err := Send(context.Background(), c, f)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, string(b)
}

// A Forward passes as it is, and its answer comes back whatever its status.
func TestForward(t *testing.T) {
	t.Parallel()
	c := minioA.side(t).whole
	bucket := newBucket(t, false, minioA.side(t))
	sum := crc32.ChecksumIEEE([]byte("content"))
	crc := base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	trailer := func(v string) func() http.Header {
		return func() http.Header { return http.Header{"X-Amz-Checksum-Crc32": {v}} }
	}
	put := func(f Forward) (*Answer, string) {
		f.Name, f.Method, f.Bucket, f.Key = "PUT", http.MethodPut, bucket, "k"
		f.Body, f.Size = strings.NewReader("content"), 7
		return answerOf(t, c, &f)
	}
	a, body := put(Forward{
		Header: http.Header{"X-Amz-Meta-Colour": {"blue"}}, Trailers: trailer(crc), TrailerNames: []string{"X-Amz-Checksum-Crc32"},
	})
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, body)
	}
	a, body = answerOf(t, c, &Forward{Method: http.MethodGet, Bucket: bucket, Key: "k", Content: true, Header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}})
	if body != "content" || a.Length != 7 || a.Header.Get("X-Amz-Meta-Colour") != "blue" || a.Header.Get("X-Amz-Checksum-Crc32") != crc {
		t.Errorf("%q %v", body, a.Header)
	}
	if a, body = put(Forward{Trailers: trailer("AAAAAA=="), TrailerNames: []string{"X-Amz-Checksum-Crc32"}}); a.Status != http.StatusBadRequest {
		t.Errorf("a wrong checksum: %d %s", a.Status, body)
	}
	if a, body = put(Forward{Header: http.Header{"If-None-Match": {"*"}}}); a.Status != http.StatusPreconditionFailed || !strings.Contains(body, "PreconditionFailed") {
		t.Errorf("a condition: %d %s", a.Status, body)
	}
	if a, body = answerOf(t, c, &Forward{Method: http.MethodGet, Bucket: bucket, Query: url.Values{"list-type": {"2"}}}); !strings.Contains(body, "<Key>k</Key>") {
		t.Errorf("a listing: %d %s", a.Status, body)
	}
	if a, _ = answerOf(t, c, &Forward{Method: http.MethodGet, Bucket: bucket, Key: "none"}); a.Status != http.StatusNotFound {
		t.Errorf("what is not there: %d", a.Status)
	}
	_, err := Send(t.Context(), c, &Forward{
		Method: http.MethodPut, Bucket: bucket, Key: "k", Body: strings.NewReader("x"), Size: 1,
		Trailers: trailer(""), TrailerNames: []string{"X-Amz-Checksum-Crc32"},
	})
	if err == nil {
		t.Error("a trailer that is missing passes")
	}
}

// Only a Writer changes anything.
func TestAskChangesNothing(t *testing.T) {
	t.Parallel()
	c := minioA.side(t).whole
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete} {
		if _, err := Ask(t.Context(), ReadOnly(c), &Forward{Method: method, Bucket: "b"}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestOriginal(t *testing.T) {
	t.Parallel()
	src := Source{ETag: "0123456789abcdef0123456789abcdef-2", VersionID: "v1", Size: 3, ModTime: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	h := http.Header{"Etag": {`"other"`}, "X-Amz-Version-Id": {"v2"}, "Last-Modified": {"never"}, "X-Amz-Meta-Own": {"kept"}, "X-Amz-Replication-Status": {"REPLICA"}}
	setStamp(h, "b", "k", src, "token")
	copied := h.Clone()
	Original(h, "b", "k")
	if h.Get("Etag") != `"`+src.ETag+`"` || h.Get("X-Amz-Version-Id") != "v1" || h.Get("Last-Modified") != "Fri, 02 Jan 2026 03:04:05 GMT" || h.Get("X-Amz-Meta-Own") != "kept" {
		t.Errorf("%v", h)
	}
	Original(copied, "b", "another key") // a user's copy of the copy is theirs
	if copied.Get("Etag") != `"other"` || copied.Get("X-Amz-Version-Id") != "v2" {
		t.Errorf("%v", copied)
	}
	for _, h := range []http.Header{h, copied} {
		for name := range h {
			if Stamped(name) || name == replicaStatus {
				t.Errorf("%s is shown", name)
			}
		}
	}
}
