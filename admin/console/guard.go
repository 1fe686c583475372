package console

import (
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// What pages of the console may do: run and show what comes from here, and ask the S3 endpoint,
// which is named in between.
const (
	policyBefore = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'"
	policyAfter  = "; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
)

func setHeaders(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// sites are those whose pages may use the console.
type sites struct {
	trusted []string // origins, besides the console's own
	crossed *http.CrossOriginProtection
}

func newSites(trusted []string) (*sites, error) {
	s := &sites{trusted, http.NewCrossOriginProtection()}
	for _, o := range trusted {
		if err := s.crossed.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("trusted_origin: %w", err)
		}
	}
	return s, nil
}

// guard refuses what a page of another site may have had a browser send: a browser adds
// cookies, passwords and certificates by itself, but can't lie about where a request comes
// from. Requests with a bearer token need no guard: no browser adds one.
func (s *sites) guard(r *http.Request) error {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if origin != "" && slices.Contains(s.trusted, origin) {
		return needJSON(r)
	}
	// Another port of this host is "same-site"; where a browser does not tell the site, as on plain HTTP, it
	// tells the origin of what a page asks for.
	if site != "" && site != "same-origin" && site != "none" || site == "" && origin != "" && !sameHost(origin, r.Host) {
		return errors.New("a page of another site may not use the console")
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if err := s.crossed.Check(r); err != nil {
		return errors.New("a page of another site may not use the console")
	}
	if site != "same-origin" && !sameHost(origin, r.Host) {
		return errors.New("expected Sec-Fetch-Site: same-origin, or an Origin that is this site; scripts use a token (Authorization: Bearer)")
	}
	return needJSON(r)
}

// sameHost says whether an origin is of a host and port.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// needJSON refuses bodies that forms can send.
func needJSON(r *http.Request) error {
	if r.ContentLength == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/json" && media != "application/merge-patch+json" {
		return errors.New("Content-Type: expected application/json")
	}
	return nil
}

// overTLS says whether the browser's connection is private, as far as this or a trusted
// proxy before it knows.
func overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// onLoopback says whether the browser is on the machine that it thinks it talks to: what it
// sends then crosses no network in clear.
func onLoopback(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// address is where a request comes from, for limits: an IPv6 network counts as one.
func address(r *http.Request) string {
	host, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if host == "" {
		var err error
		if host, _, err = net.SplitHostPort(r.RemoteAddr); err != nil {
			host = r.RemoteAddr
		}
	}
	ip := net.ParseIP(host)
	if ip == nil || ip.To4() != nil {
		return host
	}
	return ip.Mask(net.CIDRMask(64, 128)).String() + "/64"
}
