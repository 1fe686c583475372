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

	"github.com/fado-project/fado/storage/s3"
)

// History is every version and delete marker of one key as a listing shows them, newest
// first. What only a look at each version tells (stamp, attributes) is not in it.
type History struct {
	Key      string
	Versions []Version
	// Cut: there are older ones than these.
	Cut bool
}

// MaxHistory bounds the versions of one key that are held at a time; older ones are cut off.
const MaxHistory = 100_000

// listedVersion is a version as a listing shows it.
func listedVersion(e s3.VersionEntry) Version {
	v := Version{
		Object:  Object{Key: e.Key, VersionID: e.ID, LastModified: e.LastModified},
		Deleted: e.DeleteMarker, Written: e.LastModified.Truncate(time.Millisecond),
	}
	if !e.DeleteMarker {
		v.Size, v.ETag = e.Size, etagOr(e.ETag, e.Size, e.LastModified)
	}
	return v
}

// History implements [Reader].
func (c *Client) History(ctx context.Context, bucket, key string, limit int) (History, error) {
	entries, err := versionsOf(ctx, c, bucket, key, limit)
	h := History{Key: key, Cut: len(entries) >= limit}
	if err != nil {
		return h, err
	}
	entries = entries[:min(limit, len(entries))]
	h.Versions = make([]Version, len(entries))
	for i, e := range entries {
		h.Versions[i] = listedVersion(e)
	}
	return h, nil
}

// Histories implements [Reader].
func (c *Client) Histories(ctx context.Context, bucket, prefix string) iter.Seq2[History, error] {
	return func(yield func(History, error) bool) {
		var h History
		for e, err := range c.wire.Versions(ctx, c.Physical(bucket), prefix, 0) {
			if err != nil {
				yield(History{}, err)
				return
			}
			if len(h.Versions) > 0 && e.Key != h.Key {
				if !yield(h, nil) {
					return
				}
				h = History{}
			}
			if h.Key, h.Cut = e.Key, len(h.Versions) >= MaxHistory; !h.Cut {
				h.Versions = append(h.Versions, listedVersion(e))
			}
		}
		if len(h.Versions) > 0 {
			yield(h, nil)
		}
	}
}

// Holds reports whether a version, or a copy that keeps what it is, is among others of its
// key: by its ID, or where that is another one or none, by the moment it was written at. All
// are as listings of storages that keep times show them.
func Holds(there []Version, v Version) bool {
	return slices.ContainsFunc(there, func(t Version) bool { return sameListed(t, v) })
}

func sameListed(a, b Version) bool {
	if a.Deleted != b.Deleted || a.ETag != b.ETag || a.Size != b.Size {
		return false
	}
	return !isNull(a.VersionID) && a.VersionID == b.VersionID || a.Written.Equal(b.Written)
}

// PutMarker implements [Writer].
//
// A replica's DELETE of a version ID that is there removes it, be it content, and one of an
// ID that is not makes a marker: so the ID is looked at first.
func (c *Client) PutMarker(ctx context.Context, bucket string, m Version) error {
	q := &s3.Request{Name: "DELETE", Bucket: c.Physical(bucket), Key: m.Key, Header: make(http.Header)}
	p, err := c.who.provider(ctx, c.wire)
	if err != nil {
		return err
	}
	state, err := c.KnownVersioning(ctx, bucket)
	if err != nil {
		return err
	}
	if !p.preserve || state != VersioningOn || strings.HasSuffix(m.Key, "/") {
		return c.wire.Fail(q, ErrUnsupported, "it takes no delete markers with a time of their own")
	}
	id := markerID(bucket, m.Key, m.VersionID, m.Written)
	switch there, marker, err := c.isMarker(ctx, bucket, m.Key, id); {
	case err != nil || marker:
		return err
	case there:
		return c.wire.Fail(q, ErrRefused, "version %s is there and is no delete marker", id)
	}
	return makeMarker(ctx, c, q, id, m.Written)
}

// isMarker reports whether there is a version of an ID, and whether it is a delete marker: S3 answers
// a HEAD of one with 405.
func (c *Client) isMarker(ctx context.Context, bucket, key, id string) (there, marker bool, err error) {
	q := &s3.Request{
		Name: "HEAD", Method: http.MethodHead, Bucket: c.Physical(bucket), Key: key,
		Header: make(http.Header), Query: url.Values{"versionId": {id}},
	}
	_, err = c.wire.Head(ctx, q)
	var e *Error
	switch {
	case err == nil:
		return true, false, nil
	case errors.As(err, &e) && e.Status == http.StatusMethodNotAllowed:
		return true, true, nil
	case errors.Is(err, ErrNotFound):
		return false, false, nil
	}
	return false, false, err
}
