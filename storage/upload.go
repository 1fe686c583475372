package storage

import (
	"context"
	"crypto/md5" // what S3's ETags and Content-MD5 are
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

const (
	partAttempts = 3
	abortTimeout = 30 * time.Second
)

// upload is a multipart upload under way.
type upload struct {
	t      *transfer
	id     string
	layout layout
	head   http.Header // the source's
	begun  string      // see begunWith
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	parts []completedPart
	bytes int64

	// The digest of the first parts, where the layout has one. Only the part whose turn
	// it is touches it.
	hash   hash.Hash
	hashed int
}

// completedPart is a part that the destination has.
type completedPart struct {
	s3.Part
	sum   [md5.Size]byte
	plain bool // its ETag is the MD5 sum
}

func completedOf(p s3.Part) completedPart {
	c := completedPart{Part: p}
	if c.plain = sums.IsMD5(p.ETag); c.plain {
		_, _ = hex.Decode(c.sum[:], []byte(p.ETag))
	}
	return c
}

func (u *upload) request(name, method string, query url.Values) *s3.Request {
	return &s3.Request{
		Name: name, Method: method, Bucket: u.t.dst.Physical(u.t.bucket), Key: u.t.obj.Key,
		Query: query, Header: make(http.Header), Dog: u.t.dog,
	}
}

func (u *upload) openPart(ctx context.Context, n int) (*http.Response, error) {
	if u.layout.size == 0 {
		return u.t.source.get(ctx, partQuery("", n), "")
	}
	return u.t.source.get(ctx, nil, u.layout.byteRange(n, u.t.obj.Size))
}

// partQuery names a part of an upload, or of an object that was uploaded in parts.
func partQuery(uploadID string, part int) url.Values {
	v := url.Values{"partNumber": {strconv.Itoa(part)}}
	if uploadID != "" {
		v.Set("uploadId", uploadID)
	}
	return v
}

// completed notes a part that the destination has.
func (u *upload) completed(n int, size int64, answer http.Header) {
	p := completedOf(s3.Part{Number: n, ETag: s3.TrimETag(answer.Get("ETag")), CRC32C: answer.Get(s3.CRC32C)})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[n-1] = p
	u.bytes += size
}

// has reports whether a part is at the destination already.
func (u *upload) has(n int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.parts[n-1].ETag != ""
}

// checkContent compares the digest of what was read with the source's.
func checkContent(u *upload) error {
	d := u.layout.digest
	if got := d.Text(u.hash.Sum(nil)); got != d.Want {
		return u.t.src.wire.Fail(u.t.putRequest(), ErrCorrupt, "by its content the %s is %s, not %s", d.Name, got, d.Want)
	}
	return nil
}

// verify checks that the parts, as dst received them, add up to the source's ETag
// (S3 API reference: the MD5 of the parts' MD5s, a dash, their number).
func (u *upload) verify() error {
	switch {
	case u.layout.digest != nil:
		return checkContent(u)
	case !u.layout.verified:
		return nil
	}
	sum := md5.New()
	for i := range u.parts {
		if !u.parts[i].plain {
			return u.t.dst.wire.Fail(u.t.putRequest(), ErrCorrupt, "part %d has the ETag %q, not an MD5", i+1, u.parts[i].ETag)
		}
		sum.Write(u.parts[i].sum[:])
	}
	if got := fmt.Sprintf("%x-%d", sum.Sum(nil), len(u.parts)); got != u.t.obj.ETag {
		return u.t.dst.wire.Fail(u.t.putRequest(), ErrCorrupt, "the parts' ETag is %s, the source's %s", got, u.t.obj.ETag)
	}
	return nil
}

// noted reports whether uploads are noted. Each is, however small: one that a process which died
// has left is found by its note alone, and nothing expires it at most storages.
func (o CopyOptions) noted() bool { return o.Upload != nil }

// abort removes what a failed upload has left, and the note of it, even when the copy's
// context is over.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	err := u.t.dst.wire.AbortUpload(ctx, u.t.dst.Physical(u.t.bucket), u.t.obj.Key, u.id)
	if u.t.opts.noted() && err == nil {
		_ = u.t.opts.Upload.Clear(ctx) // a note that stays is found to be of nothing later
	}
}
