package s3gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/bodies"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

const (
	minCache         = 1 << 20
	defaultMaxObject = 1 << 20
)

// makeCache makes the cache that is configured. It takes no memory before its first use.
func (h *Handler) makeCache() {
	if h.Cache == nil {
		return
	}
	o := bodies.Options{Size: int64(h.Cache.Size), MaxObject: int64(h.Cache.MaxObject)}
	if o.MaxObject == 0 {
		o.MaxObject = min(defaultMaxObject, o.Size)
	}
	o.Hold, o.May = h.holdBodies, h.mayKeep
	h.bodies = bodies.New(o)
}

// holdBodies has a change of the catalogue remove what it does not allow to be here.
func (h *Handler) holdBodies(bucket string, keys iter.Seq[string]) (ctx context.Context, end func(), err error) {
	return h.app.Replication().Gateway().Keep(func(s *routing.Snapshot) bool {
		rules := s.Of(bucket).Rules()
		all := len(rules) > 0
		for _, r := range rules {
			all = all && h.mayPass(s, r.Policy)
		}
		if all {
			return true
		}
		for key := range keys {
			if rule, known := s.Of(bucket).RuleOf(key); !known || !h.mayPass(s, rule.Policy) {
				return false
			}
		}
		return true
	})
}

func (h *Handler) mayKeep(bucket, key string) bool {
	s := h.app.Control().Router().Snapshot()
	rule, known := s.Of(bucket).RuleOf(key)
	return known && h.mayPass(s, rule.Policy)
}

// mayPass reports whether a policy allows the clusters that this endpoint and this instance are
// in, as far as anyone says where they are.
func (h *Handler) mayPass(s *routing.Snapshot, policy string) bool {
	return (h.Cluster == "" || s.AllowsPolicy(policy, h.Cluster)) && s.PassesPolicy(policy, s.Here())
}

// keeping is what a read and the cache have to do with each other.
type keeping struct {
	c       reader
	cache   *bodies.Cache // nil: nothing
	part    *wire.Range   // nil: all of it
	changed bool          // another version was kept
}

// newKeeping says whether a read may be answered from the cache: a plain one, of all of an object or
// one range of it, under any conditions.
func newKeeping(c reader, f *storage.Forward) keeping {
	k := keeping{c: c, cache: c.h.bodies}
	if k.cache == nil || f.Method != http.MethodGet || len(f.Query) > 0 {
		return keeping{}
	}
	if spec := f.Header.Get("Range"); spec != "" {
		part, ok := wire.ParseRange(spec)
		if !ok {
			return keeping{}
		}
		k.part = &part
	}
	return k
}

// serve answers from the cache if a storage confirms what it has. It reports false, and nothing
// was answered, where the object is to be read.
//
// A storage confirms by its answer to a HEAD, which says all there is to say of the object now: an
// answer of 304 to a GET says nothing of metadata, tags and versions, which change without the
// content. The passage of that answer stays open while the body is sent, so that a change that
// forbids it cuts it.
func (k *keeping) serve(holders []routing.Holder, f storage.Forward) (done bool, err error) {
	if k.cache == nil {
		return false, nil
	}
	c := k.c
	b := k.cache.Get(c.bucket, c.key)
	if b == nil {
		return false, nil
	}
	from, to := int64(0), b.Length
	if k.part != nil {
		var ok bool
		if from, to, ok = k.part.In(b.Length); !ok {
			return false, nil // a storage must say what becomes of it
		}
	}
	f.Method, f.Content, f.Header = http.MethodHead, false, f.Header.Clone()
	f.Header.Del("Range")
	a, at, err := c.askAny(holders, f)
	if err != nil {
		return false, err
	}
	if a.Status == http.StatusNotModified { // the client has it
		return true, delivery{c}.deliver(a, holders, at, f)
	}
	defer func() { _ = a.Body.Close() }()
	storage.Original(a.Header, c.bucket, c.key)
	if a.Status != http.StatusOK || !confirms(a, b) {
		if k.changed = a.Status == http.StatusOK || a.Status == http.StatusNotFound; k.changed {
			k.cache.Drop(b)
		}
		return false, nil
	}
	h, status := (delivery{c}).answerOf(a, &holders[at]), http.StatusOK
	if k.part != nil {
		status = http.StatusPartialContent
		partOf(h, from, to, b.Length)
	}
	h.Set("Content-Length", strconv.FormatInt(to-from, 10))
	c.w.WriteHeader(status)
	c.h.app.S3().CountS3Cache(true, to-from)
	_, err = (delivery{c}).send(bytes.NewReader(b.Content[from:to]))
	return true, err
}

// partOf makes the headers of a whole answer those of a part of it. Checksums are of the whole.
func partOf(h http.Header, from, to, length int64) {
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, length))
	for name := range h {
		if strings.HasPrefix(name, checksumPrefix) {
			h.Del(name)
		}
	}
}

// checksumPrefix begins the headers of checksums, which are only told on request.
const checksumPrefix = "X-Amz-Checksum-"

// identity returns what a storage says of the version it has.
func identity(a *storage.Answer) bodies.Identity {
	return bodies.Identity{
		ETag: a.Header.Get("Etag"), Version: a.Header.Get("X-Amz-Version-Id"), Modified: a.Header.Get("Last-Modified"), Length: a.Length,
	}
}

// confirms reports whether a storage has the very version of a body, and says all of it that came
// with the body.
func confirms(a *storage.Answer, b *bodies.Body) bool {
	if identity(a) != b.Identity {
		return false
	}
	for _, name := range b.Headers {
		if len(a.Header[name]) == 0 {
			return false
		}
	}
	return true
}

// take has the cache keep an answer's body while it passes, if that is worth it.
func (k *keeping) take(a *storage.Answer) {
	if k.cache == nil {
		return
	}
	length := wholeLength(a)
	if length <= 0 || length > k.cache.MaxObject() {
		return
	}
	k.c.h.app.S3().CountS3Cache(false, 0)
	storage.Original(a.Header, k.c.bucket, k.c.key)
	id := identity(a)
	if a.Status != http.StatusOK || id.ETag == "" || strings.HasPrefix(id.ETag, "W/") || id.Modified == "" ||
		strings.Contains(strings.ToLower(a.Header.Get("Cache-Control")), "no-store") {
		return
	}
	if f := k.cache.Fill(k.c.bucket, k.c.key, id, told(a.Header), k.changed); f != nil {
		a.Body = &fillingBody{a.Body, f}
	}
}

// told returns the names of the headers that clients see of an object.
func told(from http.Header) (names []string) {
	to := make(http.Header)
	for name, v := range from {
		clear(to)
		wire.AnswerHeaders(to, http.Header{name: v})
		if len(to) > 0 && !strings.HasPrefix(name, checksumPrefix) {
			names = append(names, name)
		}
	}
	return names
}

// fillingBody is a body on its way to a client and into the cache.
type fillingBody struct {
	io.ReadCloser
	f *bodies.Filling
}

func (b *fillingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.f != nil {
		b.f.Write(p[:n])
	}
	return n, err
}

// Close ends the passage after the cache has what it may keep.
func (b *fillingBody) Close() error {
	if b.f != nil {
		b.f.End()
		b.f = nil
	}
	return b.ReadCloser.Close()
}
