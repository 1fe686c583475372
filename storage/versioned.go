package storage

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// versionsOf lists the versions and delete markers of one key, newest first, at most
// limit (0: all).
func versionsOf(ctx context.Context, c *conn, bucket, key string, limit int) ([]s3.VersionEntry, error) {
	vs, err := c.wire.VersionsOf(ctx, c.Physical(bucket), key, limit)
	for i := range vs {
		if v := &vs[i]; !v.DeleteMarker {
			v.ETag = sums.ETagOr(v.ETag, v.Size, v.LastModified)
		}
	}
	return vs, err
}

// currentOf returns the current version of a key, with its time in whole seconds; an
// empty etag where there is none, and then whether a delete marker is why.
func currentOf(ctx context.Context, c *conn, bucket, key string) (s3.VersionEntry, error) {
	o, err := objects{c}.Stat(ctx, bucket, key)
	var e *Error
	if errors.Is(err, ErrNotFound) && errors.As(err, &e) {
		return s3.VersionEntry{DeleteMarker: e.DeleteMarker}, nil
	}
	return s3.VersionEntry{Key: key, ID: o.VersionID, ETag: o.ETag, Size: o.Size, LastModified: o.LastModified}, err
}

// listedNow returns the current version of a key as the listing shows it: exact to
// the millisecond, and for half of what a listing of versions costs. An empty etag
// means that there is none, or a delete marker.
func listedNow(ctx context.Context, c *conn, bucket, key string) (s3.VersionEntry, error) {
	objs, _, _, err := objects{c}.Page(ctx, bucket, key, "", "", 1)
	if err != nil || len(objs) == 0 || objs[0].Key != key {
		return s3.VersionEntry{}, err
	}
	return s3.VersionEntry{Key: key, ETag: objs[0].ETag, Size: objs[0].Size, LastModified: objs[0].LastModified}, nil
}

// coverPage bounds the versions read to find what a delete marker covers.
const coverPage = 100

// currentVersion returns the version of a key that users see: content, a delete marker, or the
// zero Version where the key has no version. The bucket keeps versions.
//
// A delete marker has no room for a stamp. MinIO keeps the time it is given; on any other
// storage a marker counts as written a moment after the version it covers: it takes back
// what its author saw, nothing newer, and it makes no difference whether a user or
// FaDO put it there. One that covers nothing is older than everything.
//
// Storages other than MinIO tell whole seconds, and have versions in order of arrival. What
// a user wrote there counts as newer than what it came to cover.
func currentVersion(ctx context.Context, c *conn, bucket, key string) (Version, error) {
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return Version{}, err
	}
	limit := coverPage
	if p.Preserve {
		limit = 1
	}
	vs, err := versionsOf(ctx, c, bucket, key, limit)
	if err != nil || len(vs) == 0 {
		return Version{}, err
	}
	if i := slices.IndexFunc(vs, func(v s3.VersionEntry) bool { return v.Latest }); i > 0 {
		vs = vs[i:]
	}
	if !vs[0].DeleteMarker {
		return contentAt(ctx, c, bucket, vs, p.Preserve)
	}
	m := Version{Object: Object{Key: key, VersionID: vs[0].ID, LastModified: vs[0].LastModified}, Deleted: true}
	if p.Preserve {
		m.Written = vs[0].LastModified.Truncate(time.Millisecond)
		return m, nil
	}
	i := slices.IndexFunc(vs, func(v s3.VersionEntry) bool { return !v.DeleteMarker })
	if i < 0 {
		return m, nil
	}
	covered, err := contentAt(ctx, c, bucket, vs[i:], false)
	m.Written = CoverTime(covered)
	return m, err
}

// contentAt reads the first of a key's versions, which holds content; the others are those
// below it. exact: the storage's times are to be believed.
func contentAt(ctx context.Context, c *conn, bucket string, vs []s3.VersionEntry, exact bool) (Version, error) {
	v, err := lookAt(ctx, c, bucket, vs[0])
	if err != nil || exact || v.Source.ETag != "" {
		return v, err
	}
	i := slices.IndexFunc(vs[1:], func(o s3.VersionEntry) bool { return !o.DeleteMarker })
	if i < 0 {
		return v, nil
	}
	below := vs[1+i:]
	var under Version
	if below[0].LastModified.Truncate(time.Second).Equal(vs[0].LastModified.Truncate(time.Second)) {
		under, err = contentAt(ctx, c, bucket, below, false)
	} else {
		under, err = lookAt(ctx, c, bucket, below[0])
	}
	if errors.Is(err, ErrPrecondition) {
		return v, nil // it has gone, or can't be read: nothing to go by
	}
	if err == nil && !v.Written.After(under.Written) {
		v.Written = CoverTime(under)
	}
	return v, err
}

// lookAt reads one version's headers and stamp. ErrPrecondition: it has gone.
func lookAt(ctx context.Context, c *conn, bucket string, v s3.VersionEntry) (Version, error) {
	q := &s3.Request{Name: "HEAD", Method: http.MethodHead, Bucket: c.Physical(bucket), Key: v.Key, Header: make(http.Header)}
	if v.ID != "" && !v.Latest { // versitygw does not find a null version by its ID
		q.Query = url.Values{"versionId": {v.ID}}
	}
	c.who.AskForTags(q.Header)
	h, err := c.wire.Head(ctx, q)
	if errors.Is(err, ErrNotFound) {
		return Version{}, c.wire.Fail(q, ErrPrecondition, "version %s has gone", v.ID)
	}
	if err != nil {
		return Version{}, err
	}
	o, err := parseObject(c, q, bucket, h)
	if err != nil {
		return Version{}, err
	}
	if o.ETag != v.ETag {
		return Version{}, c.wire.Fail(q, ErrPrecondition, "ETag is %s, expected %s", o.ETag, v.ETag)
	}
	tags, err := tagsOf(ctx, c, bucket, v.Key, h.Get("X-Amz-Version-Id"), h)
	if err != nil {
		return Version{}, err
	}
	o.Attributes, o.VersionID, o.LastModified = attributes(h, tags), v.ID, v.LastModified
	return Version{Object: o, Written: written(o)}, nil
}

// Versions returns every version of a key that holds content, and every delete marker,
// newest first as the storage sees it. Markers' Written is the storage's time.
func (c versions) Versions(ctx context.Context, bucket, key string) ([]Version, error) {
	vs, err := versionsOf(ctx, c.conn, bucket, key, 0)
	if err != nil {
		return nil, err
	}
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return nil, err
	}
	all := make([]Version, 0, len(vs))
	for i, v := range vs {
		if v.DeleteMarker {
			all = append(all, Version{
				Object:  Object{Key: key, VersionID: v.ID, LastModified: v.LastModified},
				Deleted: true, Written: v.LastModified.Truncate(time.Millisecond),
			})
			continue
		}
		full, err := contentAt(ctx, c.conn, bucket, vs[i:], p.Preserve)
		if errors.Is(err, ErrPrecondition) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, full)
	}
	return all, nil
}

// KeepsTimes implements [Reader].
func (c server) KeepsTimes(ctx context.Context) (bool, error) {
	p, err := c.who.Provider(ctx, c.wire)
	return err == nil && p.Preserve, err
}

// derivedID is the version ID of a copy that can't have its original's; always the same, so
// that making it again changes nothing.
func derivedID(bucket, key, etag string, at time.Time) string {
	name := strings.Join([]string{bucket, key, etag, at.UTC().Format(time.RFC3339Nano)}, "\x00")
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String()
}

// Derived reports whether a version has the ID that FaDO gives a copy that can't have its
// original's: only FaDO makes one.
func Derived(bucket string, v Version) bool {
	return v.VersionID == derivedID(bucket, v.Key, v.origin().ETag, v.Written)
}

// VersionedKeys implements [Reader].
func (c versions) VersionedKeys(ctx context.Context, bucket, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last, begun := "", false
		for v, err := range c.wire.Versions(ctx, c.Physical(bucket), prefix, 0) {
			if err != nil {
				yield("", err)
				return
			}
			if begun && v.Key == last {
				continue
			}
			if last, begun = v.Key, true; !yield(v.Key, nil) {
				return
			}
		}
	}
}
