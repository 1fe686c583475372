package storage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fado-project/fado/storage/internal/kind"
	"github.com/fado-project/fado/storage/s3"
)

// Capabilities implements [Reader].
func (c server) Capabilities() (Capabilities, bool) {
	if p := c.caps.Load(); p != nil {
		return *p, true
	}
	return Capabilities{}, false
}

// Probe implements [Reader]. It writes nothing: whether conditional writes are
// honoured is asked by completing an upload that does not exist.
func (c server) Probe(ctx context.Context, bucket string) (Capabilities, error) {
	if err := c.Ping(ctx); err != nil {
		return Capabilities{}, err
	}
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return Capabilities{}, err
	}
	caps := Capabilities{
		Provider: p.Name, ConditionalPut: p.ConditionalPut, ConditionalDelete: p.ConditionalDelete, PreserveVersion: p.Preserve,
		Versioning: p.Versions, Tags: p.Tags, Checksums: p.Trailers, SortedList: p.Sorted, Multipart: s3Multipart,
	}
	if p.Listener {
		if caps.Notifications, err = canListen(ctx, c.conn); err != nil {
			return Capabilities{}, err
		}
	}
	if bucket != "" {
		if err := probeBucket(ctx, c.conn, p, bucket, &caps); err != nil {
			return Capabilities{}, err
		}
	}
	c.caps.Store(&caps)
	return caps, nil
}

func probeBucket(ctx context.Context, c *conn, p *kind.Provider, bucket string, caps *Capabilities) error {
	name := c.Physical(bucket)
	var err error
	caps.Versioning, err = supports(ctx, c, &s3.Request{
		Name: "asking for the versioning of", Method: http.MethodGet, Bucket: name, Query: url.Values{"versioning": {""}},
	})
	if err != nil {
		return err
	}
	key := probeKey
	objs, _, _, err := objects{c}.Page(ctx, bucket, "", "", "", s3.PageSize)
	if err != nil {
		return err
	}
	// For a storage that is not known, a page in order is all that can be told beforehand;
	// List watches every page.
	caps.SortedList = p.Sorted || slices.IsSortedFunc(objs, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	if len(objs) > 0 {
		key = objs[0].Key
		caps.ConditionalPut = caps.ConditionalPut || honoursConditions(ctx, c, name, key)
	}
	caps.Tags, err = supports(ctx, c, &s3.Request{
		Name: "asking for tags of", Method: http.MethodGet, Bucket: name, Key: key, Query: url.Values{"tagging": {""}},
	})
	return err
}

// probeKey is asked about where a bucket has no object.
const probeKey = ".fado-probe"

// supports makes a request that reads, and reports whether the storage knows it.
func supports(ctx context.Context, c *conn, q *s3.Request) (bool, error) {
	_, err := c.wire.Call(ctx, q)
	var e *Error
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		return true, nil
	case errors.As(err, &e) && e.Status >= 400 && e.Status != http.StatusNotFound && e.Code != "" &&
		!errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnsupported):
		return false, nil
	case errors.As(err, &e) && (e.Code == "VersioningNotConfigured" || e.Code == "NoSuchTagSet"):
		return e.Code == "NoSuchTagSet", nil
	default:
		return false, err
	}
}

// honoursConditions completes a multipart upload that was never begun, on condition
// that an existing key does not exist. Nothing can come of it but the order in which
// the server finds the two faults.
func honoursConditions(ctx context.Context, c *conn, name, key string) bool {
	body := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"00000000000000000000000000000000"</ETag></Part></CompleteMultipartUpload>`)
	_, err := c.wire.Call(ctx, &s3.Request{
		Name: "probing", Method: http.MethodPost, Bucket: name, Key: key,
		Query:  url.Values{"uploadId": {"00000000-0000-0000-0000-000000000000"}},
		Header: http.Header{"If-None-Match": {"*"}},
		Body:   strings.NewReader(string(body)), Size: int64(len(body)), Replay: body,
	})
	return errors.Is(err, ErrPrecondition)
}

// canListen asks for notifications as Listen does, waits for the first sign of life,
// and hangs up. A listener that stays mute is none.
func canListen(ctx context.Context, c *conn) (bool, error) {
	ctx, dog := s3.Watch(ctx, c.silence/3)
	defer dog.Stop()
	stream, err := c.wire.Events(ctx, dog)
	if err == nil {
		err = stream.Alive()
		stream.Close()
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrDenied), errors.Is(context.Cause(ctx), s3.ErrStalled):
		return false, nil
	default:
		return false, err
	}
}
