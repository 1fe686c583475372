package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake returns a client of a server of the test's own.
func fake(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := Open(Config{Name: "fake", Endpoint: srv.URL, AccessKey: "the-access-key", SecretKey: "the-secret-key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestURLs(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		virtual  bool
		want     string
	}{
		{"http://host:9000", false, "http://host:9000/bucket/a%20b%2B/c"},
		{"https://host/", true, "https://bucket.host/a%20b%2B/c"},
		{"https://host/base/", false, "https://host/base/bucket/a%20b%2B/c"},
	} {
		cl, err := Open(Config{Endpoint: c.endpoint, VirtualHost: c.virtual})
		if err != nil {
			t.Fatal(err)
		}
		if got := cl.at.url(&Request{Bucket: "bucket", Key: "a b+/c"}).String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// Every byte of a key counts on its way to a storage: nothing is cleaned, and nothing is taken for a
// query.
func TestKeysPassAsTheyAre(t *testing.T) {
	var got string
	cl := fake(t, func(_ http.ResponseWriter, r *http.Request) { got = r.RequestURI })
	for key, want := range map[string]string{
		"a//b": "/b/a//b", "/a": "/b//a", "a/../b": "/b/a/../b", "./a": "/b/./a", "a/": "/b/a/", "a//": "/b/a//", "a?b=c#d": "/b/a%3Fb%3Dc%23d", "100%": "/b/100%25",
		"ü \\": "/b/%C3%BC%20%5C",
	} {
		if _, err := cl.Call(t.Context(), &Request{Method: http.MethodPut, Bucket: "b", Key: key}); err != nil || got != want {
			t.Errorf("%q came as %s, want %s: %v", key, got, want, err)
		}
	}
}

func TestErrorsByCode(t *testing.T) {
	for code, c := range map[string]struct {
		status int
		want   error
	}{
		"XMinioStorageFull":    {507, ErrFull},
		"QuotaExceeded":        {400, ErrFull},
		"SlowDown":             {503, ErrUnavailable},
		"InternalError":        {500, ErrUnavailable},
		"NoSuchKey":            {404, ErrNotFound},
		"NoSuchBucket":         {404, ErrNoBucket},
		"NotImplemented":       {501, ErrUnsupported},
		"KeyTooLongError":      {400, ErrRefused},
		"BadDigest":            {400, ErrCorrupt},
		"RequestTimeTooSkewed": {403, ErrDenied},
		"SomethingNew":         {400, ErrUnavailable},
	} {
		cl := fake(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>m the-secret-key\n m</Message></Error>", code)
		})
		_, err := cl.Call(t.Context(), &Request{Method: http.MethodGet, Bucket: "b", Key: "k"})
		var e *Error
		if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Storage != "fake" {
			t.Errorf("%s: got %v", code, err)
		}
		if strings.Contains(err.Error(), "secret-key") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the text is %q", code, err)
		}
	}
}
