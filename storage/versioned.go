package storage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Versioning says how a bucket keeps versions.
type Versioning string

// The values of Versioning.
const (
	VersioningOff       Versioning = "off"
	VersioningOn        Versioning = "on"
	VersioningSuspended Versioning = "suspended"
)

// Versioning asks how a bucket keeps versions; a storage that has none says "off".
func (c *Client) Versioning(ctx context.Context, bucket string) (Versioning, error) {
	s, err := c.versioningOf(ctx, bucket)
	return s.public(), err
}

// KnownVersioning is Versioning, remembered for half a minute.
func (c *Client) KnownVersioning(ctx context.Context, bucket string) (Versioning, error) {
	s, err := c.knownVersioning(ctx, bucket)
	return s.public(), err
}

func (s versioningState) public() Versioning {
	switch s {
	case versioned:
		return VersioningOn
	case suspended:
		return VersioningSuspended
	default:
		return VersioningOff
	}
}

// coverPage bounds the versions looked at to find what a delete marker covers.
const coverPage = 100

// Current returns the version of a key that users see: content, a delete marker, or the
// zero Version where the key has no version. The bucket keeps versions.
//
// A delete marker has no room for a stamp. MinIO keeps the time it is given; on any other
// storage a marker counts as written a moment after the version it covers: it takes back
// what whoever deleted it saw, nothing newer, and it makes no difference whether a user or
// FaDO put it there. One that covers nothing is older than everything.
//
// Storages other than MinIO tell whole seconds, and have versions in order of arrival. What
// a user wrote there counts as newer than what it came to cover.
func (c *Client) Current(ctx context.Context, bucket, key string) (Version, error) {
	p, err := c.provider(ctx)
	if err != nil {
		return Version{}, err
	}
	limit := coverPage
	if p.preserve {
		limit = 1
	}
	vs, err := c.versionsOf(ctx, bucket, key, limit)
	if err != nil || len(vs) == 0 {
		return Version{}, err
	}
	if i := slices.IndexFunc(vs, func(v version) bool { return v.latest }); i > 0 {
		vs = vs[i:]
	}
	if !vs[0].deleteMarker {
		return c.contentAt(ctx, bucket, vs, p.preserve)
	}
	m := Version{Object: Object{Key: key, VersionID: vs[0].id, LastModified: vs[0].lastModified}, Deleted: true}
	if p.preserve {
		m.Written = vs[0].lastModified.Truncate(time.Millisecond)
		return m, nil
	}
	i := slices.IndexFunc(vs, func(v version) bool { return !v.deleteMarker })
	if i < 0 {
		return m, nil
	}
	covered, err := c.contentAt(ctx, bucket, vs[i:], false)
	m.Written = CoverTime(covered)
	return m, err
}

// contentAt reads the first of a key's versions, which holds content; the others are those
// below it. exact: the storage's times are to be believed.
func (c *Client) contentAt(ctx context.Context, bucket string, vs []version, exact bool) (Version, error) {
	v, err := c.lookAt(ctx, bucket, vs[0])
	if err != nil || exact || v.Source.ETag != "" {
		return v, err
	}
	i := slices.IndexFunc(vs[1:], func(o version) bool { return !o.deleteMarker })
	if i < 0 {
		return v, nil
	}
	below := vs[1+i:]
	var under Version
	if below[0].lastModified.Truncate(time.Second).Equal(vs[0].lastModified.Truncate(time.Second)) {
		under, err = c.contentAt(ctx, bucket, below, false)
	} else {
		under, err = c.lookAt(ctx, bucket, below[0])
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
func (c *Client) lookAt(ctx context.Context, bucket string, v version) (Version, error) {
	q := &request{name: "HEAD", method: http.MethodHead, bucket: c.Physical(bucket), key: v.key, header: make(http.Header)}
	if v.id != "" && !v.latest { // versitygw does not find a null version by its ID
		q.query = url.Values{"versionId": {v.id}}
	}
	c.askForTags(q.header)
	resp, err := c.send(ctx, q)
	if errors.Is(err, ErrNotFound) {
		return Version{}, c.fail(q, ErrPrecondition, "version %s has gone", v.id)
	}
	if err != nil {
		return Version{}, err
	}
	discard(resp)
	o, err := c.parseObject(q, bucket, resp.Header)
	if err != nil {
		return Version{}, err
	}
	if o.ETag != v.etag {
		return Version{}, c.fail(q, ErrPrecondition, "ETag is %s, expected %s", o.ETag, v.etag)
	}
	tags, err := c.tagsOf(ctx, bucket, v.key, resp.Header.Get("X-Amz-Version-Id"), resp.Header)
	if err != nil {
		return Version{}, err
	}
	o.Attributes, o.VersionID, o.LastModified = attributes(resp.Header, tags), v.id, v.lastModified
	return Version{Object: o, Written: written(o)}, nil
}

// Versions returns every version of a key that holds content, and every delete marker,
// newest first as the storage sees it. Markers' Written is the storage's time.
func (c *Client) Versions(ctx context.Context, bucket, key string) ([]Version, error) {
	vs, err := c.versionsOf(ctx, bucket, key, 0)
	if err != nil {
		return nil, err
	}
	p, err := c.provider(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Version, 0, len(vs))
	for i, v := range vs {
		if v.deleteMarker {
			all = append(all, Version{
				Object:  Object{Key: key, VersionID: v.id, LastModified: v.lastModified},
				Deleted: true, Written: v.lastModified.Truncate(time.Millisecond),
			})
			continue
		}
		full, err := c.contentAt(ctx, bucket, vs[i:], p.preserve)
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

// DeleteVersion removes one version for good. What is gone already is no error.
func (c *Client) DeleteVersion(ctx context.Context, bucket, key, id string) error {
	p, err := c.provider(ctx)
	if err != nil {
		return err
	}
	q := &request{
		name: "DELETE version of", method: http.MethodDelete, bucket: c.Physical(bucket), key: key,
		header: make(http.Header), query: url.Values{"versionId": {id}},
	}
	if p.preserve {
		q.header.Set(minioRequest, "true")
	}
	if _, err = c.call(ctx, q); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Cover puts a delete marker, a copy of m, over what a key shows here, which is over;
// ErrPrecondition if it is not. On MinIO the marker keeps time and version ID of m where
// it comes to stand on top that way, else it gets the next moment; it raises no event.
func (c *Client) Cover(ctx context.Context, bucket string, m, over Version) error {
	p, err := c.provider(ctx)
	if err != nil {
		return err
	}
	key := m.Key
	if !p.preserve {
		return c.Delete(ctx, bucket, key, over.ETag)
	}
	q := &request{name: "DELETE", method: http.MethodDelete, bucket: c.Physical(bucket), key: key, header: make(http.Header)}
	if strings.HasSuffix(key, "/") {
		return c.fail(q, ErrRefused, "it has no delete markers for keys that end in /")
	}
	vs, err := c.versionsOf(ctx, bucket, key, 1)
	if err != nil {
		return err
	}
	at, id := m.Written, m.VersionID
	if len(vs) > 0 {
		top := vs[0]
		if top.deleteMarker && sameVersion(top.id, m.VersionID) {
			return nil
		}
		if top.etag != over.ETag || top.deleteMarker != over.Deleted {
			return c.fail(q, ErrPrecondition, "version %s is there, expected %s", top.id, over.VersionID)
		}
		if !top.lastModified.Before(at) {
			at, id = afterVersion(top.lastModified), ""
		}
	} else if over.Exists() {
		return c.fail(q, ErrPrecondition, "nothing is there, expected version %s", over.VersionID)
	}
	if uuid.Validate(id) != nil {
		id = derivedID(bucket, key, "", at)
	}
	q.query = url.Values{"versionId": {id}}
	q.header.Set(minioRequest, "true")
	q.header.Set(replicaStatus, "REPLICA")
	q.header.Set(minioDeleteMarker, "true")
	q.header.Set(minioSourceMTime, at.UTC().Format(time.RFC3339Nano))
	_, err = c.call(ctx, q)
	return err
}

// KeepsTimes says whether the storage can be given versions with a time of their own, so
// that one can be put below what is there.
func (c *Client) KeepsTimes(ctx context.Context) (bool, error) {
	p, err := c.provider(ctx)
	return err == nil && p.preserve, err
}

// derivedID is the version ID of a copy that can't have its original's; always the same, so
// that making it again changes nothing.
func derivedID(bucket, key, etag string, at time.Time) string {
	name := strings.Join([]string{bucket, key, etag, at.UTC().Format(time.RFC3339Nano)}, "\x00")
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String()
}
