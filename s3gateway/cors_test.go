package s3gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// ask makes a request without a signature.
func (i *instance) ask(method, path string, header ...string) (int, http.Header) {
	i.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, i.server.URL+path, nil)
	i.must(err)
	for n := 0; n < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	resp, err := i.server.Client().Do(req)
	i.must(err)
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

// Browsers are told what pages of other origins may do, by the bucket's rules.
func TestCORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.Anonymous = []string{"bkt"} })
	w.cluster("c1", versA.Server(t))
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	w.put("bkt", "k", "content")
	preflight := func(path, origin, method, headers string) (int, http.Header) {
		return w.ask(http.MethodOptions, path, "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
	}
	if status, _ := preflight("/bkt/k", "https://app.example", "GET", ""); status != http.StatusForbidden {
		t.Errorf("without rules: %d", status)
	}
	const rules = `<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>` +
		`<AllowedHeader>x-amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>`
	if status, _, body := w.do(http.MethodPut, "/bkt?cors", nil, rules); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if status, _, body := w.do(http.MethodGet, "/bkt?cors", nil, ""); status != http.StatusOK || !strings.Contains(body, "https://*.example") {
		t.Errorf("%d %s", status, body)
	}
	status, h := preflight("/bkt/k?uploads", "https://app.example", "PUT", "X-Amz-Date, x-amz-acl")
	if status != http.StatusOK || h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Max-Age") != "60" ||
		h.Get("Access-Control-Allow-Headers") != "x-amz-date, x-amz-acl" || h.Get("Access-Control-Allow-Methods") != "GET, PUT" || h.Get("Vary") == "" {
		t.Errorf("%d %v", status, h)
	}
	for _, no := range [][4]string{
		{"/bkt/k", "https://app.test", "GET", ""},
		{"/bkt/k", "https://app.example", "DELETE", ""},
		{"/bkt/k", "https://app.example", "GET", "authorization"},
		{"/none/k", "https://app.example", "GET", ""},
	} {
		if status, h := preflight(no[0], no[1], no[2], no[3]); status != http.StatusForbidden || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: %d %v", no, status, h)
		}
	}
	if status, _ := preflight("/bkt/k", "", "GET", ""); status != http.StatusBadRequest {
		t.Errorf("no origin: %d", status)
	}
	for path, want := range map[string]int{"/bkt/k": http.StatusOK, "/bkt/none": http.StatusNotFound, "/bkt/k?acl": http.StatusForbidden} {
		status, h := w.ask(http.MethodGet, path, "Origin", "https://app.example")
		if status != want || h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Expose-Headers") != "ETag" {
			t.Errorf("%s: %d %v", path, status, h)
		}
	}
	if status, _, body := w.do(http.MethodDelete, "/bkt?cors", nil, ""); status != http.StatusNoContent {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := preflight("/bkt/k", "https://app.example", "PUT", ""); status != http.StatusForbidden {
		t.Errorf("rules removed: %d", status)
	}
	// Who asks without a key does not say under which type the content is taken.
	if status, _ := w.ask(http.MethodGet, "/bkt/k?response-content-type=text/html"); status != http.StatusBadRequest {
		t.Errorf("response-content-type: %d", status)
	}
}
