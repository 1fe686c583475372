package storage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fado-project/fado/storage/s3"
)

// Delete markers as MinIO makes them for a replica: with a version ID and a moment of their own.
//
// Invariant: making a marker removes nothing. MinIO has one request for two things: a replica's
// DELETE of a version ID that is not there makes a marker of that ID, and one of an ID that is
// there takes that version away for good, be it content or the marker itself. So makeMarker, the
// only one to send that request, looks at the ID first, below what is shown as well, and that it is
// not there counts by MinIO's own word only.

// PutMarker implements [Writer].
func (c writer) PutMarker(ctx context.Context, bucket string, m Version) error {
	id := markerID(bucket, m.Key, m.VersionID, m.Written)
	q := ofVersion(c.conn, bucket, m.Key, id)
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return err
	}
	state, err := buckets(c).KnownVersioning(ctx, bucket)
	if err != nil {
		return err
	}
	if !p.Preserve || state != VersioningOn || strings.HasSuffix(m.Key, "/") {
		return c.wire.Fail(q, ErrUnsupported, "it takes no delete markers with a time of their own")
	}
	there, err := makeMarker(ctx, c.conn, bucket, m.Key, id, m.Written)
	if err == nil && there == holdsContent {
		return c.wire.Fail(q, ErrRefused, "version %s is there and is no delete marker", id)
	}
	return err
}

// coverAs makes a delete marker of an ID and a moment after all that a key shows. Where another version
// has that ID, below what is shown, the marker gets one that FaDO derives.
func coverAs(ctx context.Context, c *conn, bucket, key, id string, at time.Time) error {
	id = markerID(bucket, key, id, at)
	there, err := makeMarker(ctx, c, bucket, key, id, at)
	if own := derivedID(bucket, key, "", at); err == nil && there != notThere && id != own {
		id = own
		there, err = makeMarker(ctx, c, bucket, key, id, at)
	}
	if err == nil && there != notThere {
		return c.wire.Fail(ofVersion(c, bucket, key, id), ErrPrecondition, "version %s is there already", id)
	}
	return err
}

// markerID is the version ID of a delete marker of a moment: its own where it has one that MinIO takes.
func markerID(bucket, key, id string, at time.Time) string {
	if uuid.Validate(id) != nil {
		return derivedID(bucket, key, "", at)
	}
	return id
}

// ofVersion is a request about one version of a key.
func ofVersion(c *conn, bucket, key, id string) *s3.Request {
	return &s3.Request{
		Name: "DELETE", Bucket: c.Physical(bucket), Key: key,
		Header: make(http.Header), Query: url.Values{"versionId": {id}},
	}
}

// makeMarker makes a delete marker of an ID and a moment, unless a version of that ID is there, which
// it tells, and leaves as it is.
func makeMarker(ctx context.Context, c *conn, bucket, key, id string, at time.Time) (idState, error) {
	if there, err := stateOfID(ctx, c, bucket, key, id); err != nil || there != notThere {
		return there, err
	}
	q := ofVersion(c, bucket, key, id)
	q.Header.Set(minioRequest, "true")
	q.Header.Set(replicaStatus, "REPLICA")
	q.Header.Set(minioDeleteMarker, "true")
	q.Header.Set(minioSourceMTime, at.UTC().Format(time.RFC3339Nano))
	return notThere, c.wire.Remove(ctx, q)
}

// idState is what is there under a version ID.
type idState uint8

const (
	notThere idState = iota
	holdsContent
	isMarker
)

// Version implements [Reader]. S3 answers a HEAD of a delete marker with 405. A 404 without MinIO's
// code for it is no answer of MinIO's, see package s3.
func (c versions) Version(ctx context.Context, bucket, key, id string) (Version, error) {
	if id == "" {
		return currentVersion(ctx, c.conn, bucket, key)
	}
	q := ofVersion(c.conn, bucket, key, id)
	q.Name, q.Method = "HEAD", http.MethodHead
	h, err := c.wire.Head(ctx, q)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusMethodNotAllowed {
		return Version{Object: Object{Key: key, VersionID: id}, Deleted: true}, nil
	}
	if errors.Is(err, ErrNotFound) {
		return Version{}, nil
	}
	if err != nil {
		return Version{}, err
	}
	o, err := parseObject(c.conn, q, bucket, h)
	o.VersionID = id
	return Version{Object: o, Written: written(o)}, err
}

// stateOfID looks at a version ID.
func stateOfID(ctx context.Context, c *conn, bucket, key, id string) (idState, error) {
	v, err := versions{c}.Version(ctx, bucket, key, id)
	switch {
	case err != nil, !v.Exists():
		return notThere, err
	case v.Deleted:
		return isMarker, nil
	}
	return holdsContent, nil
}
