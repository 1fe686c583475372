package lbpolicy

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/fado-project/fado/internal/cafile"
	"github.com/fado-project/fado/routing"
)

// secureTransports makes and keeps one transport per way of checking certificates.
// Endpoints that are checked alike share it, and its connections.
type secureTransports struct {
	base reverseproxy.HTTPTransport // the options, not provisioned

	mu     sync.RWMutex
	ctx    caddy.Context
	cancel context.CancelFunc
	made   map[tlsSetting]*secureTransport
	closed bool
}

// secureTransport is a transport, and the certificates of the ca_file that it was made with.
type secureTransport struct {
	*reverseproxy.HTTPTransport
	authorities []*x509.Certificate
}

// tlsSetting is what https endpoints may differ in.
type tlsSetting struct {
	caFile     string
	insecure   bool
	serverName string // only where it does not follow from the request
}

func (s *secureTransports) init(ctx caddy.Context, base reverseproxy.HTTPTransport) {
	s.base = base
	s.made = make(map[tlsSetting]*secureTransport)
	// Transports are made while requests are served, when the config's own context
	// must no longer be used.
	s.ctx, s.cancel = caddy.NewContext(ctx)
}

func (s *secureTransports) of(ctx context.Context, ep *routing.Endpoint) (http.RoundTripper, error) {
	key := s.settingOf(ep)
	s.mu.RLock()
	t := s.made[key]
	s.mu.RUnlock()
	if t != nil {
		return t.Transport, nil
	}
	var authorities []*x509.Certificate
	if key.caFile != "" {
		var err error
		if authorities, err = cafile.Read(ctx, key.caFile); err != nil { // it may take long
			return nil, err
		}
	}
	return s.make(key, authorities)
}

func (s *secureTransports) settingOf(ep *routing.Endpoint) tlsSetting {
	key := tlsSetting{caFile: ep.CAFile, insecure: ep.InsecureSkipVerify}
	if s.base.ProxyProtocol != "" {
		// Caddy then puts the client's address where the server name is taken from.
		key.serverName = ep.Parsed.Hostname()
	}
	return key
}

// refused has the ca_file of an endpoint, with which there was no TLS, used as it is now: it may
// have been renewed, and health checks go by it.
func (s *secureTransports) refused(ctx context.Context, ep *routing.Endpoint) {
	if ep.CAFile == "" {
		return
	}
	authorities, err := cafile.Read(ctx, ep.CAFile)
	if err != nil {
		return // what was read before may be right
	}
	key := s.settingOf(ep)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.made[key]; t != nil && !slices.EqualFunc(t.authorities, authorities, (*x509.Certificate).Equal) {
		delete(s.made, key)
		t.Transport.CloseIdleConnections()
	}
}

func (s *secureTransports) make(key tlsSetting, authorities []*x509.Certificate) (http.RoundTripper, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.made[key]; t != nil {
		return t.Transport, nil
	}
	t := s.base
	t.TLS = s.tlsConfig(key, authorities)
	if t.KeepAlive != nil { // provisioning writes into it
		k := *t.KeepAlive
		t.KeepAlive = &k
	}
	if err := t.Provision(s.ctx); err != nil {
		return nil, fmt.Errorf("setting up TLS: %w", err)
	}
	// Requests of a config that was replaced may be served a little longer than it.
	t.Transport.DisableKeepAlives = t.Transport.DisableKeepAlives || s.closed
	s.made[key] = &secureTransport{&t, authorities}
	return t.Transport, nil
}

func (s *secureTransports) tlsConfig(key tlsSetting, authorities []*x509.Certificate) *reverseproxy.TLSConfig {
	cfg := new(reverseproxy.TLSConfig)
	if s.base.TLS != nil {
		*cfg = *s.base.TLS
	}
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = handshakeTimeout
	}
	if len(authorities) > 0 {
		//nolint:staticcheck // deprecated, and in the way of ca while users may still set them
		cfg.RootCAPool, cfg.RootCAPEMFiles = nil, nil
		cfg.CARaw = caddyconfig.JSONModuleObject(inlinePool(authorities), "provider", "inline", nil)
	}
	cfg.InsecureSkipVerify = cfg.InsecureSkipVerify || key.insecure
	if cfg.ServerName == "" {
		cfg.ServerName = key.serverName
	}
	return cfg
}

// inlinePool is Caddy's pool of these authorities.
func inlinePool(authorities []*x509.Certificate) caddytls.InlineCAPool {
	var pool caddytls.InlineCAPool
	for _, c := range authorities {
		pool.TrustedCACerts = append(pool.TrustedCACerts, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return pool
}

func (s *secureTransports) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, t := range s.made {
		t.Transport.CloseIdleConnections()
	}
	if s.cancel != nil {
		s.cancel()
	}
}

// handshakeTimeout bounds a TLS handshake where the options don't.
const handshakeTimeout = caddy.Duration(10 * time.Second)
