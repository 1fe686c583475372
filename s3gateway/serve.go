package s3gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/fado-project/fado/s3gateway/internal/pace"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
)

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	h.serve(w, r)
	return nil
}

// serve answers one request.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	began := h.now()
	h.app.S3().CountS3Open(1)
	defer h.app.S3().CountS3Open(-1)
	c := h.newCall(w, r)
	s := serving{c}
	defer c.w.End()
	c.w.Header().Set("X-Amz-Request-Id", c.id)
	c.w.Header()["Server"] = []string{"FaDO"}
	err := s.handle()
	name, code, broken := "unknown", "OK", err != nil && c.w.Wrote()
	if c.op != nil {
		name = c.op.name
	}
	if err != nil {
		e := s.asError(err)
		code = e.Code
		s.told(e, err)
	}
	h.app.S3().CountS3(name, code, h.now().Sub(began))
	if broken {
		panic(http.ErrAbortHandler) // the client must not take what it got for the whole
	}
}

// serving is what is done with every call, before and after its operation.
type serving struct{ c *call }

// newCall takes a request up, from a client that may rest.
func (h *Handler) newCall(w http.ResponseWriter, r *http.Request) *call {
	pw, r := pace.New(w, r, h.patience)
	return &call{h: h, w: pw, r: r, ctx: r.Context(), id: requestID()}
}

// told logs an error, and answers with it if nothing was answered yet.
func (s serving) told(e *s3err.Error, err error) {
	c := s.c
	log := c.h.log.Debug
	if e.Status >= http.StatusInternalServerError && e.Status != http.StatusNotImplemented {
		log = c.h.log.Warn
	}
	if c.ctx.Err() != nil {
		log = c.h.log.Debug
	}
	log("request failed", zap.String("request_id", c.id), zap.String("code", e.Code), zap.Int("status", e.Status),
		zap.String("method", c.r.Method), zap.String("bucket", c.bucket), zap.Error(err))
	if c.w.Wrote() {
		return
	}
	s.refuse(e)
}

// handle finds the operation, checks who asks and runs it.
func (s serving) handle() error {
	c := s.c
	if err := s.start(); err != nil {
		return err
	}
	if err := wire.CheckSize(c.r); err != nil {
		return err
	}
	l, bucket, key, err := target(c.r, c.h.Domains)
	if err != nil {
		return err
	}
	c.bucket, c.key = bucket, key
	if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return s3err.BadRequest("InvalidURI", "Couldn't parse the specified URI.")
	}
	op, err := find(l, c.r, c.query)
	c.op = op
	origins{reader{c}}.tell()
	if authErr := s.authenticate(); authErr != nil {
		return authErr
	}
	if err != nil {
		return err
	}
	if err := s.authorize(); err != nil {
		return err
	}
	if l != atService && op.name != "CreateBucket" && !op.open && c.router().Snapshot().Bucket(bucket) == nil {
		return s3err.NoSuchBucket(bucket)
	}
	return op.run(c)
}

// start takes hold of what the request is to be answered from.
func (s serving) start() error {
	c := s.c
	select {
	case <-c.h.app.Ready():
	default:
		ctx, cancel := context.WithTimeout(c.ctx, readyTimeout)
		defer cancel()
		select {
		case <-c.h.app.Ready():
		case <-ctx.Done():
		}
	}
	engine := c.h.app.Replication()
	c.control = c.h.app.Control()
	if engine == nil || c.control == nil {
		return s3err.SlowDown(errors.New("the fado app has not started"), "The server is starting. Please retry.")
	}
	c.gateway = engine.Gateway()
	return nil
}

// readyTimeout is how long a request waits for an app that is still starting.
const readyTimeout = 10 * time.Second

// requestID makes an ID like S3's.
func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%X", b[:])
}

// maxKey is the most bytes of a key (S3 User Guide, "Naming Amazon S3 objects").
const maxKey = 1024

// target splits a request's path, and its host where it is below a domain, into bucket and key.
// Nothing is cleaned: every byte of a key counts.
func target(r *http.Request, domains []string) (l level, bucket, key string, err error) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if bucket = hostBucket(r.Host, domains); bucket != "" {
		key = path
	} else {
		bucket, key, _ = strings.Cut(path, "/")
	}
	switch {
	case bucket == "" && key == "":
		return atService, "", "", nil
	case bucket == "":
		return 0, "", "", s3err.BadRequest("InvalidBucketName", "The specified bucket is not valid.")
	case !utf8.ValidString(bucket), !utf8.ValidString(key):
		return 0, "", "", s3err.BadRequest("InvalidURI", "Couldn't parse the specified URI.")
	case len(key) > maxKey:
		return 0, "", "", s3err.BadRequest("KeyTooLongError", "Your key is too long")
	case strings.ContainsRune(key, 0):
		return 0, "", "", s3err.BadRequest("InvalidArgument", "The key holds a zero byte.")
	case key == "":
		return atBucket, bucket, "", nil
	}
	return atObject, bucket, key, nil
}

// hostBucket returns the bucket that a host below one of the domains names.
func hostBucket(host string, domains []string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	for _, d := range domains {
		if b, ok := strings.CutSuffix(strings.ToLower(host), "."+d); ok {
			return b
		}
	}
	return ""
}

// Interface guard
var _ caddyhttp.MiddlewareHandler = (*Handler)(nil)
