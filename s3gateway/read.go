package s3gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/latency"
	"github.com/fado-project/fado/s3gateway/internal/pace"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// objectQuery are the query parameters of a read that pass to a storage.
var objectQuery = []string{
	"partNumber", "versionId", "response-cache-control", "response-content-disposition", "response-content-encoding",
	"response-content-language", "response-content-type", "response-expires",
	"attributes", "tagging", "legal-hold", "retention",
}

// need says how much of an object's identity a request relies on.
func need(r *http.Request, query url.Values) fidelity {
	if query.Has("versionId") {
		return history
	}
	if query.Has("partNumber") || conditional(r.Header, "") {
		return onlySame
	}
	return content
}

// conditions are headers by which a storage judges a request: by an ETag or a time that it may not have kept.
var conditions = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

// conditional reports whether a request has a condition, which a prefix begins the name of.
func conditional(h http.Header, prefix string) bool {
	return slices.ContainsFunc(conditions, func(name string) bool { return h.Get(prefix+name) != "" })
}

// firstWait bounds the wait for a storage while there is another one to ask.
const firstWait = latency.MostHedge

// getObject answers GetObject and HeadObject.
func getObject(c reader) error {
	if err := wire.CheckHeaders(c.r.Header); err != nil {
		return err
	}
	holders, err := c.readers(routing.Input{Bucket: c.bucket, Key: c.key, Scope: routing.ScopeObject}, need(c.r, c.query))
	if err != nil {
		return err
	}
	f := storage.Forward{
		Name: c.op.name, Method: c.r.Method, Bucket: c.bucket, Key: c.key, Content: true,
		Query: wire.Pick(c.query, objectQuery), Header: wire.RequestHeaders(c.r.Header),
	}
	k := newKeeping(c, &f)
	if done, err := k.serve(holders, f); done || err != nil {
		return err
	}
	a, at, err := c.askAny(holders, f)
	if err != nil {
		return err
	}
	learn(c, a, &f)
	k.take(a)
	return delivery{c}.deliver(a, holders, at, f)
}

// learn tells routing how large the object is that an answer is about.
func learn(c reader, a *storage.Answer, f *storage.Forward) {
	if n := wholeLength(a); n >= 0 && !f.Query.Has("versionId") && !f.Query.Has("partNumber") {
		c.router().Sizes().Note(c.bucket, c.key, n)
	}
}

// wholeLength returns the length of the object that an answer has all or a part of, -1 where it
// does not say.
func wholeLength(a *storage.Answer) int64 {
	switch a.Status {
	case http.StatusOK:
		return a.Length
	case http.StatusPartialContent:
		if _, total, ok := strings.Cut(a.Header.Get("Content-Range"), "/"); ok {
			if n, err := strconv.ParseInt(total, 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// getObjectPart answers what is read of an object beside its content, from where its identity
// is the primary's.
func getObjectPart(c reader) error {
	holders, err := c.readers(routing.Input{Bucket: c.bucket, Key: c.key, Scope: routing.ScopeObject}, max(onlySame, need(c.r, c.query)))
	if err != nil {
		return err
	}
	a, at, err := c.askAny(holders, storage.Forward{
		Name: c.op.name, Method: c.r.Method, Bucket: c.bucket, Key: c.key,
		Query: wire.Pick(c.query, objectQuery), Header: wire.RequestHeaders(c.r.Header),
	})
	if err != nil {
		return err
	}
	if c.op.name == "GetObjectRetention" && a.Status == http.StatusOK {
		if err := namedAsS3(a); err != nil {
			return s3err.Unreadable(err)
		}
	}
	return delivery{c}.deliver(a, holders, at, storage.Forward{})
}

// namedAsS3 gives a retention period the root element that S3 has for it, by which some clients
// know the document: versitygw has one of its own.
func namedAsS3(a *storage.Answer) error {
	doc, err := io.ReadAll(io.LimitReader(a.Body, wire.MaxSmallXML))
	err = errors.Join(err, a.Body.Close())
	if err != nil {
		return err
	}
	doc = bytes.ReplaceAll(doc, []byte("ObjectLockRetention"), []byte("Retention"))
	a.Body, a.Length = io.NopCloser(bytes.NewReader(doc)), int64(len(doc))
	return nil
}

// delivery passes answers of storages on to the client of a call.
type delivery struct{ c reader }

// deliver passes an answer on. Where its body breaks off it goes on at another holder.
func (d delivery) deliver(a *storage.Answer, holders []routing.Holder, at int, f storage.Forward) error {
	c := d.c
	defer func() { _ = a.Body.Close() }()
	if a.Status >= http.StatusBadRequest {
		return c.storageError(a.Status, a.Header, a.Body)
	}
	h := d.answerOf(a, &holders[at])
	if a.Length >= 0 && a.Status != http.StatusNotModified {
		h.Set("Content-Length", strconv.FormatInt(a.Length, 10))
	}
	c.w.WriteHeader(a.Status)
	if c.r.Method == http.MethodHead || a.Status == http.StatusNotModified {
		return nil
	}
	n, err := d.send(a.Body)
	if err == nil || !resumable(a) || f.Method == "" {
		return err
	}
	return d.resume(a, n, err, slices.Delete(slices.Clone(holders), at, at+1), f)
}

// answerOf makes the headers of an answer those of a holder's.
func (d delivery) answerOf(a *storage.Answer, from *routing.Holder) http.Header {
	c := d.c
	h := c.w.Header()
	storage.Original(a.Header, c.bucket, c.key)
	wire.AnswerHeaders(h, a.Header)
	h.Set("X-Fado-Cluster", from.Cluster)
	if c.asker == nil {
		h.Del("X-Fado-Cluster")
	}
	return h
}

// send copies a body to the client and returns how much of it.
func (d delivery) send(body io.Reader) (int64, error) {
	c := d.c
	buf := pace.Buffers.Get().(*[]byte)
	defer pace.Buffers.Put(buf)
	var sent int64
	for {
		n, err := body.Read(*buf)
		if n > 0 {
			m, werr := c.w.Write((*buf)[:n])
			sent += int64(m)
			c.h.app.S3().CountS3Bytes("out", int64(m))
			if werr != nil {
				return sent, clientError{werr}
			}
		}
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
	}
}

// resumable reports whether the rest of a body can be asked for: its length and its version are
// known, and it is one range.
func resumable(a *storage.Answer) bool {
	etag := a.Header.Get("Etag")
	return a.Length > 0 && etag != "" && !strings.HasPrefix(etag, "W/") &&
		!strings.HasPrefix(a.Header.Get("Content-Type"), "multipart/byteranges")
}

// resume sends the rest of a body from other holders that have the same version. The first
// storage's error is returned if none does: the client's connection is cut then.
func (d delivery) resume(a *storage.Answer, sent int64, cause error, others []routing.Holder, f storage.Forward) error {
	c := d.c
	first, total := rangeOf(a)
	for sent < total {
		if _, gone := errors.AsType[clientError](cause); gone || c.ctx.Err() != nil || len(others) == 0 || !passes(cause) {
			return cause
		}
		next := others[0]
		others = others[1:]
		c.h.app.S3().CountS3Failover()
		c.h.log.Info("reading the rest from another copy", zap.String("request_id", c.id), zap.String("bucket", c.bucket),
			zap.String("to", next.Cluster), zap.Int64("sent", sent), zap.Error(cause))
		rest := f
		rest.Header = f.Header.Clone()
		for _, name := range conditions {
			rest.Header.Del(name)
		}
		rest.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first+sent, first+total-1))
		rest.Query = wire.Pick(f.Query, []string{"versionId"})
		n, err := d.sendRest(&next, rest, total-sent, a.Header)
		sent += n
		if err != nil && (n > 0 || !passes(cause)) {
			cause = err
		}
	}
	return nil
}

// sendRest sends the rest of a body if a holder has it, as the same version: one answer's headers
// and body belong together.
func (d delivery) sendRest(h *routing.Holder, f storage.Forward, length int64, begun http.Header) (int64, error) {
	c := d.c
	a, err := c.ask(c.ctx, h, f, true)
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	storage.Original(a.Header, c.bucket, c.key)
	if a.Status != http.StatusPartialContent || a.Length != length || a.Header.Get("Etag") != begun.Get("Etag") ||
		a.Header.Get("X-Amz-Version-Id") != begun.Get("X-Amz-Version-Id") {
		return 0, fmt.Errorf("%s has another version: %w", h.Cluster, storage.ErrUnavailable)
	}
	return d.send(a.Body)
}

// rangeOf returns where an answer's body begins in the object, and its length.
func rangeOf(a *storage.Answer) (first, length int64) {
	r, ok := strings.CutPrefix(a.Header.Get("Content-Range"), "bytes ")
	if !ok {
		return 0, a.Length
	}
	from, _, _ := strings.Cut(r, "-")
	first, _ = strconv.ParseInt(from, 10, 64)
	return first, a.Length
}

// clientError is a failure to send to the client: nothing that another storage could mend.
type clientError struct{ error }

// refusal is what the client does not get to see, but the metrics show.
func (e clientError) refusal() *s3err.Error {
	if errors.Is(e.error, os.ErrDeadlineExceeded) {
		return s3err.RequestTimeout().Because(e.error)
	}
	return s3err.BadRequest("ClientDisconnected", "The client went away.").Because(e.error)
}
