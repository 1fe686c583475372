package storage

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	userAgent       = "FaDO"
	dialTimeout     = 5 * time.Second
	answerTimeout   = 30 * time.Second // to the head of an ordinary answer
	stallTimeout    = 60 * time.Second // between two bytes of a transfer
	completeTimeout = 10 * time.Minute // a server may assemble a large object's parts
	versioningTTL   = 30 * time.Second // how long a bucket's versioning is believed
	maxIdleConns    = 128
	bufferSize      = 64 << 10
)

// Client is one S3 storage. It implements [Storage].
type Client struct {
	cfg      Config
	endpoint *url.URL
	http     *http.Client
	api      *minio.Client // bucket administration

	who   atomic.Pointer[provider]
	caps  atomic.Pointer[Capabilities]
	clock clock

	mu         sync.Mutex
	versioning map[string]versioningEntry // by physical bucket

	parts   chan struct{} // bounds the parts in memory on their way here
	streams chan struct{} // bounds the parts' streams here that an object need not have

	// Bounds on waiting; tests shorten them.
	answerWait, stallWait, completeWait time.Duration
	settleWait                          time.Duration
	silence                             time.Duration // of a listener
}

var _ Storage = (*Client)(nil)

type versioningEntry struct {
	state versioningState
	until time.Time
}

// versioningState of a bucket.
type versioningState uint8

const (
	unversioned versioningState = iota
	versioned
	suspended
)

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
	c := &Client{
		cfg: cfg, endpoint: u, versioning: make(map[string]versioningEntry),
		parts:      make(chan struct{}, partBuffersEach),
		streams:    make(chan struct{}, moreStreams),
		answerWait: answerTimeout, stallWait: stallTimeout, completeWait: completeTimeout,
		settleWait: settleTimeout, silence: silenceTimeout,
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.api, err = minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""),
		Secure: u.Scheme == "https", Region: cfg.Region, BucketLookup: lookup,
		Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: endpoint %q: %w", cfg.Name, cfg.Endpoint, err)
	}
	return c, nil
}

func newTransport(cfg Config) (*http.Transport, error) {
	tlsConfig := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: cfg.InsecureSkipVerify, // the operator's explicit choice
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading ca_file: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading ca_file %s: no certificate in it", cfg.CAFile)
		}
		tlsConfig.RootCAs = pool
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

// Name implements [Storage].
func (c *Client) Name() string { return c.cfg.Name }

// Close implements [Storage]. Requests under way go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Physical implements [Storage].
func (c *Client) Physical(bucket string) string { return c.cfg.BucketPrefix + bucket }

// Ping implements [Storage]: it asks for a list of one bucket. Keys that are known and
// may not list buckets are good enough: S3 has other codes for keys that are not.
func (c *Client) Ping(ctx context.Context) error {
	q := &request{name: "listing buckets", method: http.MethodGet, query: url.Values{"max-buckets": {"1"}}}
	resp, err := c.send(ctx, q)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Code == "AccessDenied" {
			return nil
		}
		return err
	}
	defer discard(resp)
	var list struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
	}
	if err := xml.NewDecoder(resp.Body).Decode(&list); err != nil {
		return c.rubbish(q, err)
	}
	return nil
}

// rubbish is the error of an answer that is a success by its status and not S3's by
// its content.
func (c *Client) rubbish(q *request, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err // reading failed, not parsing
	}
	return c.fail(q, ErrUnavailable, "the answer is not S3's: %s", shorten(err.Error()))
}

// Now implements [Storage]. The Date header counts whole seconds and the answer has
// travelled, so the value is a lower bound: at most a second and the way of an
// answer behind the storage's clock, never ahead of it.
func (c *Client) Now(ctx context.Context) (time.Time, error) {
	if t, ok := c.clock.now(); ok {
		return t, nil
	}
	if err := c.Ping(ctx); err != nil {
		return time.Time{}, err
	}
	t, ok := c.clock.now()
	if !ok {
		return time.Time{}, fmt.Errorf("%s: %w: its answers have no Date", c.cfg.Name, ErrUnsupported)
	}
	return t, nil
}

// clock estimates a server's clock from its Date headers.
type clock struct {
	mu     sync.Mutex
	offset time.Duration // server minus ours, a lower bound
	at     time.Time     // when it was last confirmed
	best   time.Time     // when offset was measured
}

const (
	clockFresh = time.Minute     // an estimate without a newer answer is believed so long
	clockStep  = 2 * time.Second // a step back by more is a clock that was set
)

// set notes that the server's clock showed at least date when our clock showed
// local. The largest offset seen is the closest bound, until it is old or the
// server's clock was set back.
func (k *clock) set(date, local time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	off := date.Sub(local.Round(0))
	if k.at.IsZero() || off > k.offset || local.Sub(k.best) > clockFresh || k.offset-off > clockStep {
		k.offset, k.best = off, local
	}
	k.at = local
}

func (k *clock) now() (time.Time, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.at.IsZero() || now.Sub(k.at) > clockFresh {
		return time.Time{}, false
	}
	return now.Round(0).Add(k.offset).UTC(), true
}
