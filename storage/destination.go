package storage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// checkBefore looks at dst before the write where the write itself can't be made
// conditional: the storage knows no conditions, or it is a MinIO that is given a
// version ID, which looks for that version then and not for the current one. It also
// looks before a large object is moved in vain; some servers then reset the
// connection rather than say why.
//
// On such a MinIO nothing can be lost in between: a version added by another writer stays,
// and stays on top if it is newer. If what is there now is not older than the
// source, the preserved time would put the copy below it; then the copy is a new
// version instead.
func (t *destination) checkBefore(ctx context.Context) error {
	if t.opts.Below {
		return nil // it replaces nothing, and is ordered by its time
	}
	blind := t.preserve && t.state != VersioningOff
	if t.to.ConditionalPut && !blind && t.obj.Size <= smallObject && (t.opts.If.IfETag == "" || sums.RealETag(t.opts.If.IfETag)) {
		return nil
	}
	cur, err := currentOf(ctx, t.dst, t.bucket, t.obj.Key)
	if err != nil {
		return err
	}
	c := t.opts.If
	switch {
	case c.Absent && cur.ETag != "":
		return t.dst.wire.Fail(t.putRequest(), ErrPrecondition, "something is there: ETag %s", cur.ETag)
	case !c.Absent && c.IfETag != "" && cur.ETag != c.IfETag:
		return t.dst.wire.Fail(t.putRequest(), ErrPrecondition, "ETag is %q, expected %q", cur.ETag, c.IfETag)
	}
	if !blind {
		return nil
	}
	return t.checkOrder(ctx, cur)
}

// checkOrder gives up the preserved time, and with it the version ID, where the copy
// would come below what is there.
func (t *destination) checkOrder(ctx context.Context, cur s3.VersionEntry) error {
	t.nullFree = cur.ETag == "" && !cur.DeleteMarker
	same := sameVersion(cur.ID, t.obj.VersionID) && cur.ETag == t.obj.ETag
	older := cur.ETag != "" && cur.LastModified.Add(time.Second).Before(t.obj.LastModified)
	if t.nullFree || same || older {
		return nil
	}
	vs, err := versionsOf(ctx, t.dst, t.bucket, t.obj.Key, 1)
	if err != nil {
		return err
	}
	if len(vs) > 0 && !vs[0].LastModified.Before(t.obj.LastModified.Truncate(time.Millisecond)) {
		t.preserve = false
		t.placed.at = afterVersion(vs[0].LastModified) // dst's clock may be behind it as well
	}
	return nil
}

// describe makes the headers that describe the object: everything but content and
// condition.
func (t *transfer) describe(ctx context.Context, h http.Header) (http.Header, error) {
	out := kept(h)
	if class := h.Get("X-Amz-Storage-Class"); t.from == t.to && slices.Contains(t.to.Classes, class) {
		out.Set("X-Amz-Storage-Class", class)
	}
	tags, err := tagsOf(ctx, t.src, t.bucket, t.obj.Key, h.Get("X-Amz-Version-Id"), h)
	if err != nil {
		return nil, err
	}
	if tags != "" {
		out.Set("X-Amz-Tagging", tags)
	}
	if err := t.setLock(ctx, out, h); err != nil {
		return nil, err
	}
	if t.to.Preserve {
		out.Set(minioRequest, "true")
		out.Set(replicaStatus, "REPLICA")
	}
	if t.dest.preserve {
		out.Set(minioSourceETag, t.obj.ETag)
		out.Set(minioSourceMTime, t.obj.LastModified.UTC().Format(time.RFC3339Nano))
	} else {
		t.stamp = Source{
			ETag: t.obj.ETag, VersionID: h.Get("X-Amz-Version-Id"), ModTime: t.obj.LastModified,
			Size: t.obj.Size, Attributes: attributes(h, tags),
		}
		if t.opts.Version != nil {
			t.stamp = t.opts.Version.stampOn(t.stamp)
		}
		t.token = newToken()
		setStamp(out, t.bucket, t.obj.Key, t.stamp, t.token)
		t.dest.placed.setTime(out)
	}
	return out, nil
}

// placeVersion asks for the source's version ID. A null version is only written
// where there is no version at all: it would replace another null version for good.
func (t *destination) placeVersion(q *s3.Request, h http.Header) {
	defer t.setMark(q)
	if t.placed.id != "" {
		q.Query.Set("versionId", t.placed.id)
		return
	}
	if !t.preserve || t.state == VersioningOff {
		return
	}
	id := h.Get("X-Amz-Version-Id")
	if null := strings.HasSuffix(t.obj.Key, "/"); null || isNull(id) { // MinIO keeps one version of keys that end in /
		if !null && !t.nullFree {
			return
		}
		id = "null"
	}
	if t.state == VersioningSuspended && id != "null" {
		return
	}
	q.Query.Set("versionId", id)
}

func (t *destination) setCondition(h http.Header) {
	if !t.to.ConditionalPut || t.opts.Below || t.placed.overMarker {
		return
	}
	switch c := t.opts.If; {
	case t.placed.marker != "":
		setIfMatch(h, t.placed.marker)
	case c.Absent:
		h.Set("If-None-Match", "*")
	default:
		setIfMatch(h, c.IfETag)
	}
}

// overMarker reports whether a write that dst refused for its condition is to be made again over a delete marker,
// on the next condition that may hold there; see [placement]. A user's version that came meanwhile is
// no marker, and a marker that came meanwhile has another ID: then the refusal stands.
func (t *destination) overMarker(ctx context.Context, refusal error) bool {
	if !errors.Is(refusal, ErrPrecondition) || At(refusal) != t.dst.cfg.Name || !t.opts.If.Absent || t.to.Preserve ||
		t.opts.Below || t.placed.overMarker {
		return false
	}
	vs, err := versionsOf(ctx, t.dst, t.bucket, t.obj.Key, 0)
	if err != nil || len(vs) == 0 || !vs[0].DeleteMarker {
		return false // what is there can't be told, or is an object
	}
	if t.opts.Version != nil && t.notDeletedSince(ctx) != nil {
		return false
	}
	if t.placed.marker == "" {
		t.placed.cover(vs)
		return true
	}
	t.placed.marker, t.placed.overMarker = "", true
	return vs[0].ID == t.placed.markerID
}

// onTop reports whether a copy has to be written again, because it came below a version or
// marker that is dated ahead of dst's clock, at a dst that orders versions by time. The
// result is looked at: no answer to a write tells. What came below is taken away.
func (t *destination) onTop(ctx context.Context, out Object) (again bool, err error) {
	if !t.to.Preserve || t.preserve || t.opts.Version != nil || !t.placed.at.IsZero() || isNull(out.VersionID) {
		return false, nil
	}
	vs, err := versionsOf(ctx, t.dst, t.bucket, t.obj.Key, 1)
	if err != nil || len(vs) == 0 || sameVersion(vs[0].ID, out.VersionID) {
		return false, err
	}
	now, err := server{t.dst}.Now(ctx)
	if err != nil || !vs[0].LastModified.After(now.Add(time.Second)) {
		return false, err // another writer came after it
	}
	t.placed.at = afterVersion(vs[0].LastModified)
	return true, writer{t.dst}.DeleteVersion(ctx, t.bucket, t.obj.Key, out.VersionID)
}

// result is what is at dst after a successful write.
func (t *transfer) result(answer http.Header) Object {
	o := Object{
		Key: t.obj.Key, Size: t.obj.Size, ETag: s3.TrimETag(answer.Get("ETag")),
		VersionID: answer.Get("X-Amz-Version-Id"), Replica: true,
	}
	if t.dest.preserve {
		o.LastModified = t.obj.LastModified
	} else {
		o.Source, o.Token = t.stamp, t.token
		o.LastModified, _ = http.ParseTime(answer.Get("Date"))
	}
	return o
}

// afterRefusal looks at a write that dst refused for a condition. MinIO does so for a
// version it has already, too: then there is nothing to write but, perhaps, headers
// and tags.
func (t *transfer) afterRefusal(ctx context.Context, put *s3.Request, src http.Header, err error) (Object, error) {
	id := put.Query.Get("versionId")
	if errors.Is(err, ErrPrecondition) && t.opts.Below {
		return t.obj, nil // it is there already
	}
	if !errors.Is(err, ErrPrecondition) || id == "" {
		return Object{}, t.dest.refused(put, err)
	}
	o, serr := objects{t.dst}.Stat(ctx, t.bucket, t.obj.Key)
	if serr != nil {
		return Object{}, serr
	}
	if !sameVersion(o.VersionID, id) || o.ETag != t.obj.ETag {
		return Object{}, err
	}
	tags, serr := tagsOf(ctx, t.src, t.bucket, t.obj.Key, id, src)
	if serr != nil {
		return Object{}, serr
	}
	if o.Attributes == attributes(src, tags) && o.Replica && t.lockFits(put, o, src) {
		o.LastModified = t.obj.LastModified
		return o, nil
	}
	return t.updateAttributes(ctx, put)
}

// refused gives an error of a write its meaning.
func (t *destination) refused(put *s3.Request, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Code == "NoSuchKey" && (t.opts.If.IfETag != "" || t.placed.marker != ""):
		e.Kind = ErrPrecondition // If-Match, and nothing is there
	case e.Code == "InvalidArgument" && put.Query.Get("versionId") != "":
		forgetVersioning(t.dst, put.Bucket) // it is not versioned any more
		e.Kind = ErrUnavailable
	}
	return err
}

// updateAttributes rewrites the headers and tags of the version dst has already.
func (t *transfer) updateAttributes(ctx context.Context, put *s3.Request) (Object, error) {
	id := put.Query.Get("versionId")
	q := t.putRequest()
	q.Name, q.Query, q.Header = "COPY onto itself", url.Values{"versionId": {id}}, put.Header.Clone()
	for _, k := range []string{"Content-Md5", "If-Match", "If-None-Match", sdkChecksum, uploadChecksum} {
		q.Header.Del(k)
	}
	q.Header.Set("X-Amz-Copy-Source", s3.CopySource(put.Bucket, put.Key, id))
	q.Header.Set("X-Amz-Copy-Source-If-Match", s3.QuoteETag(t.obj.ETag))
	q.Header.Set("X-Amz-Metadata-Directive", "REPLACE")
	q.Header.Set("X-Amz-Tagging-Directive", "REPLACE")
	if err := t.dst.wire.CopyObject(ctx, q); err != nil {
		return Object{}, err
	}
	return objects{t.dst}.Stat(ctx, t.bucket, t.obj.Key)
}
