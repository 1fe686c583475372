package testenv

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is what an HTTPProxy does to requests. The zero value does nothing.
type Fault struct {
	// Share of the requests that are hit, from 0 to 1; 0 means all.
	Share float64
	// Status is answered in place of the server's answer, with Code as the S3 error.
	Status int
	Code   string
	// Delay comes before a request is passed on.
	Delay time.Duration
	// Truncate ends the body of an answer in its middle; Corrupt changes a byte of it;
	// Garbage replaces it.
	Truncate, Corrupt, Garbage bool
}

// Write is a request that was to change the content of a key, as an HTTPProxy saw it.
type Write struct {
	Method, Path string
	// From when to when the server answered, with which status. Until is zero while it
	// goes on, and Status is where the proxy passed on no answer.
	From, Until time.Time
	Status      int
}

// HTTPProxy passes S3 requests on to a server, meddles with them when told, and notes
// which write. Signatures stay valid: clients sign for the proxy's address, and the
// server sees that address as the host. Its methods are safe for concurrent use.
type HTTPProxy struct {
	listener net.Listener
	server   *http.Server
	pass     *httputil.ReverseProxy

	mu     sync.Mutex
	fault  Fault
	skew   time.Duration
	writes []*Write
}

// NewHTTPProxy starts a proxy on a free loopback port before a server's URL.
func NewHTTPProxy(target string) (*HTTPProxy, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	l, err := listen()
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	p := &HTTPProxy{listener: l}
	p.pass = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		FlushInterval:  -1, // listeners' events must not wait
		Transport:      &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		ModifyResponse: p.change,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { abort(w) },
		ErrorLog:       log.New(io.Discard, "", 0), // faults are what it is for
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve)}
	go func() { _ = p.server.Serve(l) }()
	return p, nil
}

// abort ends a connection without an answer, as a server that died would.
func abort(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// Endpoint is the proxy's URL.
func (p *HTTPProxy) Endpoint() string { return "http://" + p.listener.Addr().String() }

// Set makes a fault the one in force; the zero Fault heals.
func (p *HTTPProxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Skew shifts all times that the server tells by so much.
func (p *HTTPProxy) Skew(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skew = by
}

// Close ends the proxy.
func (p *HTTPProxy) Close() { _ = p.server.Close() }

// Writes returns the writes of content that went on at any moment from one time to
// another.
func (p *HTTPProxy) Writes(from, until time.Time) (during []Write) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.writes {
		if w.From.Before(until) && (w.Until.IsZero() || w.Until.After(from)) {
			during = append(during, *w)
		}
	}
	return during
}

func (p *HTTPProxy) now() (f Fault, skew time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f = p.fault
	if f.Share > 0 && rand.Float64() >= f.Share {
		f = Fault{}
	}
	return f, p.skew
}

func (p *HTTPProxy) serve(w http.ResponseWriter, r *http.Request) {
	f, _ := p.now()
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if f.Status != 0 {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(f.Status)
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>injected</Message></Error>`, f.Code)
		return
	}
	if writesContent(r) {
		note := p.begin(r)
		defer p.end(note, 0)
		r = r.WithContext(context.WithValue(r.Context(), writeKey{}, note))
	}
	p.pass.ServeHTTP(w, r)
}

// writesContent says whether a request puts an object's bytes, or makes an upload's the
// object's.
func writesContent(r *http.Request) bool {
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		return false
	}
	q := r.URL.Query()
	key := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 2)
	if len(key) < 2 || key[1] == "" {
		return false
	}
	return !q.Has("tagging") && !q.Has("uploads") && !q.Has("delete")
}

func (p *HTTPProxy) begin(r *http.Request) *Write {
	w := &Write{Method: r.Method, Path: r.URL.Path, From: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes = append(p.writes, w)
	return w
}

// end notes the answer to a write, unless one was noted before.
func (p *HTTPProxy) end(w *Write, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.Until.IsZero() {
		w.Until, w.Status = time.Now(), status
	}
}

// writeKey is where a request's context has its Write.
type writeKey struct{}

// change does to an answer what is in force.
func (p *HTTPProxy) change(r *http.Response) error {
	if w, ok := r.Request.Context().Value(writeKey{}).(*Write); ok {
		p.end(w, r.StatusCode)
	}
	f, skew := p.now()
	if skew != 0 {
		if err := shiftTimes(r, skew); err != nil {
			return err
		}
	}
	stream := r.ContentLength < 0
	switch {
	case r.Request.Method == http.MethodHead || stream || r.ContentLength == 0:
	case f.Garbage:
		replaceBody(r, []byte(strings.Repeat("garbage ", 1+int(min(r.ContentLength, 1<<20)/8))))
	case f.Truncate:
		r.Body = &shortBody{ReadCloser: r.Body, left: r.ContentLength / 2}
	case f.Corrupt:
		r.Body = &wrongBody{ReadCloser: r.Body, at: rand.Int64N(r.ContentLength)}
	}
	return nil
}

func replaceBody(r *http.Response, b []byte) {
	_ = r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(b))
	r.ContentLength, r.TransferEncoding = int64(len(b)), nil
	r.Header.Set("Content-Length", strconv.Itoa(len(b)))
}

// shortBody fails after some bytes: the proxy then cuts the connection.
type shortBody struct {
	io.ReadCloser
	left int64
}

func (b *shortBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// wrongBody changes one byte.
type wrongBody struct {
	io.ReadCloser
	at int64
}

func (b *wrongBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.at >= 0 && b.at < int64(n) {
		p[b.at] ^= 0x20
	}
	b.at -= int64(n)
	return n, err
}

var lastModified = regexp.MustCompile(`<LastModified>([^<]+)</LastModified>`)

// shiftTimes makes the server's clock another one.
func shiftTimes(r *http.Response, by time.Duration) error {
	for _, h := range []string{"Date", "Last-Modified"} {
		if t, err := http.ParseTime(r.Header.Get(h)); err == nil {
			r.Header.Set(h, t.Add(by).UTC().Format(http.TimeFormat))
		}
	}
	if !strings.Contains(r.Header.Get("Content-Type"), "xml") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	replaceBody(r, lastModified.ReplaceAllFunc(body, func(m []byte) []byte {
		t, err := time.Parse(time.RFC3339, string(lastModified.FindSubmatch(m)[1]))
		if err != nil {
			return m
		}
		return []byte("<LastModified>" + t.Add(by).UTC().Format("2006-01-02T15:04:05.000Z") + "</LastModified>")
	}))
	return nil
}
