package storage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/storage/internal/kind"
	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// Delete implements [Writer]. What is gone already is no error.
//
// On a versioned MinIO bucket the marker gets the time of the version it covers, a
// moment later, and raises no event. MinIO orders versions by time, so a version that
// is written meanwhile stays on top, and one that follows at the source, whatever
// the two clocks say, comes on top.
func (c writer) Delete(ctx context.Context, bucket, key, ifETag string) error {
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return err
	}
	q := &s3.Request{Name: "DELETE", Bucket: c.Physical(bucket), Key: key, Header: make(http.Header)}
	if p.ConditionalDelete && sums.RealETag(ifETag) {
		setIfMatch(q.Header, ifETag)
	} else if gone, err := beforeDelete(ctx, c.conn, p, q, bucket, ifETag); gone || err != nil {
		return err
	}
	return removeObject(ctx, c.conn, bucket, q)
}

// beforeDelete checks the condition where the storage can't, and prepares a
// deletion that MinIO takes for a replica's.
func beforeDelete(ctx context.Context, c *conn, p *kind.Provider, q *s3.Request, bucket, ifETag string) (gone bool, err error) {
	if p.Preserve {
		q.Header.Set(minioRequest, "true")
	}
	state := VersioningOff
	if p.Preserve {
		if state, err = (buckets{c}).KnownVersioning(ctx, bucket); err != nil {
			return false, err
		}
	}
	var cur s3.VersionEntry
	switch {
	case state != VersioningOff:
		cur, err = listedNow(ctx, c, bucket, q.Key)
	case ifETag != "":
		cur, err = currentOf(ctx, c, bucket, q.Key)
	default:
		return false, nil
	}
	switch {
	case err != nil:
		return false, err
	case cur.ETag == "":
		return true, confirmGone(ctx, c, bucket, q)
	case ifETag != "" && cur.ETag != ifETag:
		return false, c.wire.Fail(q, ErrPrecondition, "ETag is %s, expected %s", cur.ETag, ifETag)
	}
	if state != VersioningOff {
		q.Header.Set(minioSourceMTime, cur.LastModified.Add(time.Millisecond).Format(time.RFC3339Nano))
		q.Header.Set(replicaStatus, "REPLICA")
	}
	return false, nil
}

// DeleteAllVersions implements [Writer]. It raises no event where the storage has a
// way to say so.
func (c writer) DeleteAllVersions(ctx context.Context, bucket, key string) error {
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return err
	}
	h := make(http.Header)
	if p.Preserve {
		h.Set(minioRequest, "true")
	}
	vs, err := versionsOf(ctx, c.conn, bucket, key, 0)
	if errors.Is(err, ErrUnsupported) {
		vs, err = []s3.VersionEntry{{Key: key}}, nil
	}
	if err != nil {
		return err
	}
	for _, v := range vs {
		q := &s3.Request{Name: "DELETE version of", Bucket: c.Physical(bucket), Key: key, Header: h.Clone()}
		if v.ID != "" {
			q.Query = url.Values{"versionId": {v.ID}}
		}
		if err := removeObject(ctx, c.conn, bucket, q); err != nil {
			return err
		}
	}
	return nil
}

// DeleteVersion removes one version for good. What is gone already is no error.
func (c writer) DeleteVersion(ctx context.Context, bucket, key, id string) error {
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return err
	}
	q := ofVersion(c.conn, bucket, key, id)
	q.Name = "DELETE version of"
	if p.Preserve {
		q.Header.Set(minioRequest, "true")
	}
	return removeObject(ctx, c.conn, bucket, q)
}

// Cover puts a delete marker, a copy of m, over what a key shows here, which is over;
// ErrPrecondition if it is not. On MinIO the marker keeps time and version ID of m where
// it comes to stand on top that way, else it gets the next moment; it raises no event.
func (c writer) Cover(ctx context.Context, bucket string, m, over Version) error {
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return err
	}
	key := m.Key
	if !p.Preserve {
		return c.Delete(ctx, bucket, key, over.ETag)
	}
	q := &s3.Request{Name: "DELETE", Bucket: c.Physical(bucket), Key: key, Header: make(http.Header)}
	if strings.HasSuffix(key, "/") {
		return c.wire.Fail(q, ErrRefused, "it has no delete markers for keys that end in /")
	}
	vs, err := versionsOf(ctx, c.conn, bucket, key, 1)
	if err != nil {
		return err
	}
	at, id := m.Written, m.VersionID
	if len(vs) > 0 {
		top := vs[0]
		if top.DeleteMarker && sameVersion(top.ID, m.VersionID) {
			return nil
		}
		if top.ETag != over.ETag || top.DeleteMarker != over.Deleted {
			return c.wire.Fail(q, ErrPrecondition, "version %s is there, expected %s", top.ID, over.VersionID)
		}
		if !top.LastModified.Before(at) {
			at, id = afterVersion(top.LastModified), ""
		}
	} else if over.Exists() {
		return c.wire.Fail(q, ErrPrecondition, "nothing is there, expected version %s", over.VersionID)
	}
	return coverAs(ctx, c.conn, bucket, key, id, at)
}

// removeObject makes a DELETE of an object, or of a version of it. What is gone already is no
// error.
func removeObject(ctx context.Context, c *conn, bucket string, q *s3.Request) error {
	err := c.wire.Remove(ctx, q)
	if errors.Is(err, ErrNotFound) {
		return confirmGone(ctx, c, bucket, q)
	}
	return err
}

// confirmGone asks the listing whether what a DELETE is about is gone, as an answer said:
// something between the storage and FaDO may have answered for it.
func confirmGone(ctx context.Context, c *conn, bucket string, q *s3.Request) error {
	var there bool
	if id := q.Query.Get("versionId"); id != "" {
		vs, err := versionsOf(ctx, c, bucket, q.Key, 0)
		if err != nil {
			return err
		}
		there = slices.ContainsFunc(vs, func(v s3.VersionEntry) bool { return v.ID == id })
	} else {
		now, err := listedNow(ctx, c, bucket, q.Key)
		if err != nil {
			return err
		}
		there = now.ETag != ""
	}
	if there {
		return c.wire.Fail(q, ErrInconsistent, "the answer was that it is not there, and it is listed")
	}
	return nil
}
