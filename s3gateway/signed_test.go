package s3gateway

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/s3gateway/urls"
)

const page = "http://localhost:8090"

// signed makes a URL as FaDO does for the pages of an origin.
func (i *instance) signed(r urls.Request, origin string, expires time.Duration) string {
	i.Helper()
	system := i.Router().Snapshot().Key(urls.SystemKey)
	if system == nil {
		i.Fatal("there is no system key")
	}
	e := urls.Endpoint{Scheme: "http", Host: strings.TrimPrefix(i.server.URL, "http://"), Region: defaultRegion}
	return e.Sign(system, r, origin, expires)
}

// browse makes a request as a page does: it sends its origin.
func (i *instance) browse(method, u, body string, header ...string) (int, http.Header, string) {
	i.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, u, strings.NewReader(body))
	i.must(err)
	for n := 0; n < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	resp, err := i.server.Client().Do(req)
	i.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	i.must(err)
	return resp.StatusCode, resp.Header, string(b)
}

func signedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, nil)
	w.cluster("c1", minioA.Server(t))
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	w.apply(&catalog.Key{Name: urls.SystemKey, Secret: "the-secret-of-the-store"})
	return w
}

// A page uploads an object in parts and reads it, by URLs that FaDO signed and without a key.
func TestSignedURLs(t *testing.T) {
	t.Parallel()
	w := signedWorld(t)
	const key = "a b/ü/c+d.txt"
	at := func(method string, query url.Values) string {
		return w.signed(urls.Request{Method: method, Bucket: "bkt", Key: key, Query: query}, page, time.Minute)
	}
	status, h, body := w.browse(http.MethodPost, at(http.MethodPost, url.Values{"uploads": {""}}), "", "Origin", page, "Content-Type", "text/x-own")
	var begun struct{ UploadId string }
	if err := xml.Unmarshal([]byte(body), &begun); status != http.StatusOK || err != nil || h.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %v %s", status, h, body)
	}
	part := url.Values{"partNumber": {"1"}, "uploadId": {begun.UploadId}}
	status, h, body = w.browse(http.MethodPut, at(http.MethodPut, part), "content", "Origin", page)
	if status != http.StatusOK || h.Get("Access-Control-Expose-Headers") != "*" {
		t.Fatalf("%d %s", status, body)
	}
	done := `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>` + h.Get("ETag") + `</ETag></Part></CompleteMultipartUpload>`
	if status, _, body = w.browse(http.MethodPost, at(http.MethodPost, url.Values{"uploadId": {begun.UploadId}}), done, "Origin", page); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	attached := url.Values{"response-content-disposition": {`attachment; filename="d e.txt"`}}
	status, h, body = w.browse(http.MethodGet, at(http.MethodGet, attached), "", "Origin", page)
	if status != http.StatusOK || body != "content" || h.Get("Content-Disposition") != attached.Get("response-content-disposition") || h.Get("Content-Type") != "text/x-own" {
		t.Errorf("%d %v %s", status, h, body)
	}
	versions := w.signed(urls.Request{Method: http.MethodGet, Bucket: "bkt", Query: url.Values{"versions": {""}, "prefix": {key}}}, page, time.Minute)
	if status, _, body = w.browse(http.MethodGet, versions, "", "Origin", page); status != http.StatusOK || strings.Count(body, "<VersionId>") != 1 {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body = w.browse(http.MethodDelete, at(http.MethodDelete, nil), "", "Origin", page); status != http.StatusNoContent {
		t.Errorf("%d %s", status, body)
	}
	if got := w.get("bkt", key); got != "NoSuchKey" {
		t.Errorf("after its removal: %s", got)
	}
}

// A signed URL allows the one request that it was made for, until it expires, and as long as the
// system key allows it.
func TestSignedURLsAllowNothingElse(t *testing.T) {
	t.Parallel()
	w := signedWorld(t)
	w.put("bkt", "k", "content")
	get := urls.Request{Method: http.MethodGet, Bucket: "bkt", Key: "k"}
	good := w.signed(get, page, time.Minute)
	want := func(code int, method, u string) {
		t.Helper()
		if status, _, body := w.browse(method, u, ""); status != code {
			t.Errorf("%s: %d %s, want %d", method, status, body, code)
		}
	}
	want(http.StatusOK, http.MethodGet, good)
	want(http.StatusForbidden, http.MethodPut, good)
	want(http.StatusForbidden, http.MethodDelete, good)
	want(http.StatusForbidden, http.MethodGet, strings.Replace(good, "/bkt/k?", "/bkt/other?", 1))
	want(http.StatusForbidden, http.MethodGet, good+"&versionId=null")
	id := urls.Grant{Bucket: "bkt", Origin: page, Day: time.Now()}.ID()
	want(http.StatusForbidden, http.MethodGet, strings.Replace(good, id, urls.Grant{Bucket: "bkt", Write: true, Origin: page, Day: time.Now()}.ID(), 1))
	want(http.StatusForbidden, http.MethodGet, strings.Replace(good, id, urls.SystemKey, 1))

	// The system key itself signs nothing, even for someone who has its secret.
	if _, err := w.as(urls.SystemKey, "the-secret-of-the-store").StatObject(t.Context(), "bkt", "k", minio.StatObjectOptions{}); code(err) == "" {
		t.Error("the system key signs requests")
	}
	expiring := w.signed(get, page, time.Second)
	w.handler.now = func() time.Time { return time.Now().Add(2 * time.Second) }
	want(http.StatusForbidden, http.MethodGet, expiring)
	want(http.StatusOK, http.MethodGet, good)
	w.handler.now = time.Now

	write := w.signed(urls.Request{Method: http.MethodPut, Bucket: "bkt", Key: "k"}, page, time.Minute)
	w.apply(&catalog.Key{Name: urls.SystemKey, Secret: "the-secret-of-the-store", ReadOnly: true})
	want(http.StatusForbidden, http.MethodPut, write)
	want(http.StatusOK, http.MethodGet, good)
	w.must(w.ctl.Resources.Delete(t.Context(), catalog.KindKey, urls.SystemKey, control.Precondition{}))
	want(http.StatusForbidden, http.MethodGet, good)
}

// Browsers let the pages that a URL was signed for use it, whatever the bucket's rules, and no
// others.
func TestCORSOfSignedURLs(t *testing.T) {
	t.Parallel()
	w := signedWorld(t)
	w.put("bkt", "k", "content")
	get := w.signed(urls.Request{Method: http.MethodGet, Bucket: "bkt", Key: "k"}, page, time.Minute)
	put := w.signed(urls.Request{Method: http.MethodPut, Bucket: "bkt", Key: "k", Query: url.Values{"uploadId": {"x"}, "partNumber": {"1"}}}, page, time.Minute)
	none := w.signed(urls.Request{Method: http.MethodGet, Bucket: "bkt", Key: "k"}, "", time.Minute)
	for _, c := range []struct {
		name, u, origin, method, headers string
		allowed                          bool
	}{
		{"the page", get, page, "GET", "", true},
		{"a part", put, page, "PUT", "content-type", true},
		{"another page", get, "https://evil.example", "GET", "", false},
		{"another port", get, "http://localhost:8091", "GET", "", false},
		{"another method", get, page, "PUT", "", false},
		{"another object", strings.Replace(get, "/bkt/k?", "/bkt/other?", 1), page, "GET", "", false},
		{"not for a page", none, page, "GET", "", false},
		{"not for a page, which says so", none, "null", "GET", "", false},
	} {
		header := []string{"Origin", c.origin, "Access-Control-Request-Method", c.method}
		if c.headers != "" {
			header = append(header, "Access-Control-Request-Headers", c.headers)
		}
		status, h, _ := w.browse(http.MethodOptions, c.u, "", header...)
		if got := h.Get("Access-Control-Allow-Origin") != ""; got != c.allowed || (status == http.StatusOK) != c.allowed || c.allowed && h.Get("Access-Control-Allow-Headers") != c.headers {
			t.Errorf("%s: asked before: %d %v", c.name, status, h)
		}
		if h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: with credentials", c.name)
		}
		if c.method != "GET" {
			continue
		}
		if _, h, _ := w.browse(http.MethodGet, c.u, "", "Origin", c.origin); (h.Get("Access-Control-Allow-Origin") != "") != c.allowed {
			t.Errorf("%s: read: %v", c.name, h)
		}
	}
}

// An endpoint says how it is reached, as far as the configuration does.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	at := func(listen string) *caddyhttp.Server { return &caddyhttp.Server{Listen: []string{listen}} }
	for _, c := range []struct {
		h         *Handler
		srv       *caddyhttp.Server
		url, port string
	}{
		{&Handler{}, at(":9000"), "", "9000"},
		{&Handler{}, at("127.0.0.1:9000"), "", "9000"},
		{&Handler{}, at("unix//run/s3.sock"), "", ""},
		{&Handler{}, nil, "", ""},
		{&Handler{Domains: []string{"s3.example.org", "s4.example.org"}}, at(":9000"), "http://s3.example.org:9000", "9000"},
		{&Handler{Domains: []string{"s3.example.org"}}, at(":80"), "http://s3.example.org", "80"},
		{&Handler{Domains: []string{"s3.example.org"}, PublicURL: "https://objects.example.org"}, at(":9000"), "https://objects.example.org", "9000"},
	} {
		if e := c.h.endpoint(c.srv); e.URL() != c.url || e.Port != c.port {
			t.Errorf("domains %q, public_url %q: %q %q", c.h.Domains, c.h.PublicURL, e.URL(), e.Port)
		}
	}
}
