package console

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Guesses are counted by who makes them: an IPv4 address, or the network of an IPv6 one, as far as
// Caddy knows it behind proxies.
func TestAddressesOfGuesses(t *testing.T) {
	for from, want := range map[string][2]string{ // remote address, the client's that Caddy found
		"192.0.2.7":         {"192.0.2.7:5000", ""},
		"192.0.2.8":         {"192.0.2.7:5000", "192.0.2.8"},
		"2001:db8:1:2::/64": {"[2001:db8:1:2:3::9]:5000", ""},
		"2001:db8:1:3::/64": {"192.0.2.7:5000", "2001:db8:1:3::1"},
		"::ffff:192.0.2.7":  {"[::ffff:192.0.2.7]:5000", ""},
		"@":                 {"@", ""}, // a Unix socket's
	} {
		r := httptest.NewRequest("POST", "/api/session", nil)
		r.RemoteAddr = want[0]
		vars := map[string]any{}
		if want[1] != "" {
			vars[caddyhttp.ClientIPVarKey] = want[1]
		}
		if got := address(r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))); got != from {
			t.Errorf("%q counts as %s, want %s", want, got, from)
		}
	}
}

// Passwords cross no network in clear: only a browser on this machine may sign in without TLS.
func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8090": true, "fado.localhost:80": true, "127.0.0.1": true, "127.9.9.9:80": true, "[::1]": true, "[::1]:80": true,
		"": false, "localhost.example": false, "notlocalhost": false, "192.0.2.7:80": false, "[2001:db8::1]:80": false, "fado.example": false,
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Host = host
		if got := onLoopback(r); got != want {
			t.Errorf("%q is on this machine: %t", host, got)
		}
	}
}

// What is signed in a URL's query is the operation's, and no more.
func TestQueriesOfSignedURLs(t *testing.T) {
	for op, tc := range map[operation]struct {
		in   presignInput
		want string
	}{
		"get":      {presignInput{Key: "a/report.csv"}, "response-content-disposition=attachment; filename=report.csv"},
		"head":     {presignInput{Key: "k", Version: "v"}, "versionId=v"},
		"tags":     {presignInput{Key: "k", Version: "v"}, "tagging=&versionId=v"},
		"versions": {presignInput{Key: "k", Marker: "m"}, "encoding-type=url&key-marker=k&max-keys=100&prefix=k&version-id-marker=m&versions="},
		"put":      {presignInput{Key: "k", Version: "ignored"}, ""},
		"delete":   {presignInput{Key: "k"}, ""},
		"begin":    {presignInput{Key: "k"}, "uploads="},
		"part":     {presignInput{Key: "k", Upload: "u", Part: 3}, "partNumber=3&uploadId=u"},
		"complete": {presignInput{Key: "k", Upload: "u"}, "uploadId=u"},
		"abort":    {presignInput{Key: "k", Upload: "u"}, "uploadId=u"},
	} {
		got, err := url.QueryUnescape(operations[op].query(tc.in).Encode())
		if err != nil || got != tc.want {
			t.Errorf("%s: %s, want %s", op, got, tc.want)
		}
	}
	// Whatever a key holds, what it is stored as is one header field.
	for _, key := range []string{"a\r\nSet-Cookie: x", `"; filename="b`, "ü", "/", strings.Repeat("é", 400)} {
		d := attached(presignInput{Key: key}).Get("response-content-disposition")
		if !strings.HasPrefix(d, "attachment") || strings.ContainsAny(d, "\r\n") {
			t.Errorf("%q is stored by %q", key, d)
		}
	}
}
