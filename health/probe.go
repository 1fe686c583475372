package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/internal/cafile"
	"github.com/fado-project/fado/internal/dress"
	"github.com/fado-project/fado/routing"
)

// What a function may answer a check with: so much is read of it, at most.
const (
	maxHeader  = 64 << 10
	bufferSize = 4 << 10
)

// Probe checks an endpoint once: a GET of its health path, answered with 2xx or
// 3xx, or without one a TCP connect. It opens a connection of its own, as a new
// client would. The error says why the endpoint is not healthy.
func Probe(ctx context.Context, ep *routing.Endpoint) error {
	if ep.HealthPath == "" {
		return connect(ctx, ep.Dial)
	}
	return get(ctx, ep)
}

func connect(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	return conn.Close()
}

func get(ctx context.Context, ep *routing.Endpoint) error {
	target, err := healthURL(ep)
	if err != nil {
		return fmt.Errorf("health path: %w", err)
	}
	tlsConfig, err := tlsConfigOf(ctx, ep)
	if err != nil {
		return err
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        tlsConfig,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeader,
		ReadBufferSize:         bufferSize, // how much of a body is read; its content is ignored
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return fmt.Errorf("making the health request: %w", err)
	}
	req.Header.Set("User-Agent", "FaDO health check")
	if err := dress.Request(req, &ep.Function, replacer(ep)); err != nil {
		return fmt.Errorf("making the health request: %w", err)
	}
	res, err := transport.RoundTrip(req) // not a client: a redirect is an answer
	if err != nil {
		return fmt.Errorf("GET %s: %w", target, err)
	}
	_ = res.Body.Close() // nothing in it is of interest, and it may never end
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("GET %s: status %d, expected 2xx or 3xx", target, res.StatusCode)
	}
	return nil
}

// replacer replaces placeholders in what is put on a check. Those of FaDO stand for what they do
// of an invocation that names no data; those of a request stand for nothing, and are an error.
func replacer(ep *routing.Endpoint) *caddy.Replacer {
	repl := caddy.NewReplacer()
	repl.Map(func(key string) (any, bool) {
		switch key {
		case "fado.cluster":
			return ep.Cluster, true
		case "fado.locality":
			return routing.LocalityNone.String(), true
		case "fado.reason", "fado.bucket", "fado.object":
			return "", true
		default:
			return nil, false
		}
	})
	return repl
}

// healthURL is the health path below the endpoint's host; the endpoint's own path
// prefix is not part of it.
func healthURL(ep *routing.Endpoint) (string, error) {
	path, err := url.Parse(ep.HealthPath)
	if err != nil {
		return "", err
	}
	return (&url.URL{
		Scheme: ep.Parsed.Scheme, Host: ep.Parsed.Host,
		Path: path.Path, RawPath: path.RawPath, RawQuery: path.RawQuery,
	}).String(), nil
}

// tlsConfigOf says how an https endpoint's certificate is checked. The CA file is read
// each time, so that a renewed one needs no reload.
func tlsConfigOf(ctx context.Context, ep *routing.Endpoint) (*tls.Config, error) {
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12,
		//nolint:gosec // the user asks for it by name
		InsecureSkipVerify: ep.InsecureSkipVerify,
	}
	if ep.CAFile == "" {
		return cfg, nil
	}
	var err error
	cfg.RootCAs, err = cafile.Pool(ctx, ep.CAFile, nil)
	return cfg, err
}
