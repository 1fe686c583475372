package storage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// inParts reports whether the copy is a multipart upload. An object that was uploaded
// in parts is copied in the same parts, so that its ETag comes out the same on any
// storage, and checks the content on the way; one that was not goes in one piece,
// for the same reason, up to the size from which parts that go at the same time, and
// stay when the rest is cut, are worth another ETag.
func inParts(o Object) bool {
	return o.Size >= orderedFrom || (sums.PartsOf(o.ETag) > 0 && o.Size > smallObject)
}

// momentary is up to what size an object is taken to be written in a moment, whatever the link.
const momentary = 256 << 10

// holdsUp reports whether a PUT of the whole would hold up readers of what it replaces: a MinIO
// locks a key for as long as the body of a conditional PUT takes. Parts lock nothing, and the
// upload is completed on the condition. Nor is what would be unpacked to go in one piece.
func (t *destination) holdsUp() bool {
	return t.unpacks || t.preserve && t.to.ConditionalPut && t.opts.If.IfETag != "" && t.obj.Size > momentary && sums.IsMD5(t.obj.ETag)
}

// opened is a source object about to be copied in parts.
type opened struct {
	head   http.Header
	layout layout         // count 0: it is better copied as a whole
	first  *http.Response // the first part, where that was how to find out; nil otherwise
}

func (o *opened) close() {
	if o.first != nil {
		_ = o.first.Body.Close()
	}
}

// open decides on the layout: the source's own parts, where it tells them; parts in
// order, where it keeps a checksum of the whole; else parts that are checked one by one. holdsUp: the
// whole in one piece would hold up readers.
func (t *source) open(ctx context.Context, holdsUp bool) (*opened, error) {
	n := sums.PartsOf(t.obj.ETag)
	if n > 0 && n <= s3.MaxParts && !t.gaps && !t.opts.notedOwnParts(ctx, t.obj) {
		resp, err := t.get(ctx, partQuery("", 1), "")
		if err != nil {
			return nil, err
		}
		told, _ := strconv.Atoi(resp.Header.Get("X-Amz-Mp-Parts-Count"))
		if told == n && (n == 1 || resp.ContentLength >= s3.MinPart) {
			return &opened{resp.Header, layout{count: n, verified: !sums.Encrypted(resp.Header)}, resp}, nil
		}
		_ = resp.Body.Close()
	}
	head, err := t.head(ctx)
	if err != nil {
		return nil, err
	}
	d := sums.Of(t.obj.ETag, head)
	if l := orderedLayout(t.obj.Size, d); d != nil && l.count <= s3.MaxParts && (l.count > 1 || holdsUp) && l.count != n {
		return &opened{head: head, layout: l}, nil
	}
	return t.openOwn(ctx, n)
}

// openOwn opens the first of parts that are checked one by one.
func (t *source) openOwn(ctx context.Context, n int) (*opened, error) {
	l := ownLayout(t.obj.Size, n)
	resp, err := t.get(ctx, nil, l.byteRange(1, t.obj.Size))
	if err != nil {
		return nil, err
	}
	if want := l.bytesOf(1, t.obj.Size); resp.ContentLength != want {
		_ = resp.Body.Close()
		return nil, t.src.wire.Fail(t.putRequest(), ErrPrecondition, "a range of %d bytes has %d", want, resp.ContentLength)
	}
	if l.count == 1 {
		l.count = 0
	}
	return &opened{resp.Header, l, resp}, nil
}

func (u *upload) begin(ctx context.Context) (*s3.Request, error) {
	q := u.request("beginning the upload of", http.MethodPost, url.Values{"uploads": {""}})
	var err error
	if q.Header, err = u.t.describe(ctx, u.head); err != nil {
		return q, err
	}
	u.t.dest.placeVersion(q, u.head)
	if !u.layout.verified && u.t.to.Trailers {
		q.Header.Set(uploadChecksum, "CRC32C")
	}
	u.begun = begunWith(q)
	if v := u.t.opts.Version; v != nil { // its time is what the order goes by
		u.begun += v.Written.UTC().Format(time.RFC3339Nano)
	}
	if going, err := u.resume(ctx); going || err != nil {
		return q, err
	}
	if u.id, err = u.t.dst.wire.BeginUpload(ctx, q); err != nil {
		return q, err
	}
	if err := u.note(ctx, 0, nil); err != nil {
		u.abort(ctx)
		return q, err
	}
	return q, nil
}

func (u *upload) transferAndComplete(ctx context.Context, first *http.Response) (http.Header, error) {
	move := func() error { return u.transferParts(ctx, first) }
	if u.layout.digest != nil {
		move = func() error { return u.transferOrdered(ctx) }
	}
	if err := move(); err != nil {
		return nil, err
	}
	if u.bytes != u.t.obj.Size {
		return nil, u.t.src.wire.Fail(u.t.putRequest(), ErrPrecondition, "its parts have %d bytes, expected %d", u.bytes, u.t.obj.Size)
	}
	if err := u.verify(); err != nil {
		return nil, err
	}
	if err := u.t.dest.checkBefore(ctx); err != nil { // again: the upload took its time
		return nil, err
	}
	return u.complete(ctx)
}

func (u *upload) complete(ctx context.Context) (http.Header, error) {
	q := u.request("completing the upload of", http.MethodPost, nil)
	parts := make([]s3.Part, len(u.parts))
	for i := range u.parts {
		parts[i] = u.parts[i].Part
	}
	u.t.dest.setCondition(q.Header)
	if u.t.to.Preserve {
		q.Header.Set(minioRequest, "true")
		q.Header.Set(minioActualSize, strconv.FormatInt(u.t.obj.Size, 10))
	}
	if u.t.dest.preserve {
		q.Header.Set(minioSourceMTime, u.t.obj.LastModified.UTC().Format(time.RFC3339Nano))
		q.Header.Set(minioSourceETag, u.t.obj.ETag)
	} else {
		u.t.dest.placed.setTime(q.Header)
	}
	u.t.dog.Allow(u.t.dst.wire.Waits.Complete)
	h, err := u.t.dst.wire.CompleteUpload(ctx, q, u.id, parts)
	if err != nil {
		return nil, u.t.dest.refused(q, err)
	}
	return h, nil
}

// copyParts copies by a multipart upload of parallel parts. An upload that was cut
// resumes, see UploadNote.
//
// The numbers of the source's parts may have gaps, which nothing tells but asking for one
// that is not there. Its parts can't be told then, and the copy is cut into other ones.
func (t *transfer) copyParts(ctx context.Context) (Object, error) {
	out, err := t.tryParts(ctx)
	var e *Error
	if !t.source.gaps && errors.As(err, &e) && e.Code == "InvalidPartNumber" && e.Storage == t.src.cfg.Name {
		t.source.gaps = true
		return t.tryParts(ctx)
	}
	return out, err
}

func (t *transfer) tryParts(ctx context.Context) (Object, error) {
	src, err := t.source.open(ctx, t.dest.holdsUp())
	if err != nil {
		return Object{}, err
	}
	defer src.close()
	if src.layout.count == 0 {
		src.close()
		return t.copyWhole(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u := &upload{t: t, layout: src.layout, head: src.head, cancel: cancel, parts: make([]completedPart, src.layout.count)}
	if q, err := u.begin(ctx); err != nil {
		return t.afterRefusal(ctx, q, src.head, err)
	}
	h, err := u.transferAndComplete(ctx, src.first)
	if err != nil {
		u.giveUp(ctx, err)
		return Object{}, err
	}
	t.tellLosses(src.head, h)
	if u.t.opts.noted() {
		_ = t.opts.Upload.Clear(context.WithoutCancel(ctx)) // what stays is found to be gone later
	}
	return t.result(h), nil
}
