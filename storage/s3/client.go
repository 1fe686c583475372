package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fado-project/fado/internal/cafile"
)

const (
	userAgent    = "FaDO"
	dialTimeout  = 5 * time.Second
	maxIdleConns = 128
	bufferSize   = 64 << 10
)

// Config says where an endpoint is and how requests to it are signed.
type Config struct {
	Name                 string // for errors
	Endpoint             string // http://host[:port] or https://host[:port]
	AccessKey, SecretKey string
	Region               string
	VirtualHost          bool // buckets are in the host's name, not in the path
	CAFile               string
	InsecureSkipVerify   bool
	// Observe, when set, is shown the headers of every answer, errors included.
	Observe func(http.Header)
	// Frames, when set, tells whether bodies have to show their own end to the server.
	Frames func() bool
}

// Waits bounds how long an answer is waited for.
type Waits struct {
	Answer   time.Duration // for the head of an ordinary answer
	Stall    time.Duration // between two bytes of a transfer
	Complete time.Duration // for a server that assembles a large object's parts
	Settle   time.Duration // for the answer to a cancelled change that the server has as a whole
	Whole    time.Duration // from an answer's head to its end, where it has a Limit
}

// Client is one S3 endpoint. Its methods are safe for concurrent use.
type Client struct {
	// Waits is set before the first request, if at all.
	Waits Waits
	// Buckets are for what is about a bucket as a whole.
	Buckets Buckets

	at   *endpoint
	http *http.Client
	api  *minio.Client // bucket administration
}

// endpoint is where a client's requests go and how they are signed. It makes requests, and
// errors of their answers.
type endpoint struct {
	Config
	base  *url.URL
	today atomic.Pointer[SigningKey] // see keyOf
}

// Open returns a client. It makes no connection; it fails on what can't be right: an
// endpoint that is no URL, a CA file that can't be read.
func Open(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("%s: endpoint %q: %w", cfg.Name, cfg.Endpoint, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%s: endpoint %q: want http://host[:port] or https://host[:port]", cfg.Name, cfg.Endpoint)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	transport, err := newTransport(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Name, err)
	}
	lookup := minio.BucketLookupPath
	if cfg.VirtualHost {
		lookup = minio.BucketLookupDNS
	}
	c := &Client{at: &endpoint{Config: cfg, base: u}, Waits: Waits{
		Answer: 30 * time.Second, Stall: time.Minute, Complete: 10 * time.Minute,
		Settle: 5 * time.Second, Whole: 2 * time.Minute,
	}}
	c.Buckets = Buckets{c}
	c.http = &http.Client{
		Transport:     limitedTransport{base: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.api, err = minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""),
		Secure: u.Scheme == "https", Region: cfg.Region, BucketLookup: lookup,
		Transport: limitedTransport{base: transport}, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: endpoint %q: %w", cfg.Name, cfg.Endpoint, err)
	}
	return c, nil
}

func newTransport(cfg Config) (*http.Transport, error) {
	tlsConfig := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: cfg.InsecureSkipVerify, //nolint:gosec // the operator's explicit choice
	}
	if cfg.CAFile != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		defer cancel()
		if tlsConfig.RootCAs, err = cafile.Pool(ctx, cfg.CAFile, pool); err != nil {
			return nil, err
		}
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		TLSClientConfig:     tlsConfig,
		MaxIdleConns:        maxIdleConns,
		MaxIdleConnsPerHost: maxIdleConns,
		IdleConnTimeout:     55 * time.Second, // below the servers' usual minute
		WriteBufferSize:     bufferSize,
		ReadBufferSize:      bufferSize,
		// For uploads that ask first (Expect: 100-continue) servers that don't answer.
		ExpectContinueTimeout: 2 * time.Second,
		DisableCompression:    true, // an object's bytes are not to be unpacked
		// HTTP/2 stays off: one connection per transfer is faster, and one that
		// breaks breaks one transfer.
	}, nil
}

// Close closes idle connections. Requests under way continue.
func (c *Client) Close() { c.http.CloseIdleConnections() }
