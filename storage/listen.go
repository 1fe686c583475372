package storage

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/fado-project/fado/storage/s3"
)

// Listen implements [Reader]. The stream counts as begun at its first byte: a MinIO
// that never flushes accepts the request too.
func (c server) Listen(ctx context.Context, ready func(), f func(Event)) error {
	p, err := c.who.Provider(ctx, c.wire)
	if err != nil {
		return err
	}
	if !p.Listener {
		return c.wire.Fail(s3.Listening(nil), ErrUnsupported, "%s has no listener", p.Name)
	}
	ctx, dog := s3.Watch(ctx, c.silence)
	defer dog.Stop()
	stream, err := c.wire.Events(ctx, dog)
	if err == nil {
		defer stream.Close()
		err = stream.Read(ready, func(r *s3.EventRecord) {
			if e, ok := eventOf(c.conn, r); ok {
				f(e)
			}
		})
	}
	if errors.Is(context.Cause(ctx), s3.ErrStalled) {
		return c.wire.Fail(s3.Listening(nil), ErrSilent, "nothing came for %v", c.silence)
	}
	return err
}

// eventOf translates a record; false for buckets that are not below our prefix.
func eventOf(c *conn, r *s3.EventRecord) (Event, bool) {
	bucket, ok := strings.CutPrefix(r.S3.Bucket.Name, c.cfg.BucketPrefix)
	if !ok || bucket == "" || r.S3.Object.Key == "" {
		return Event{}, false
	}
	return Event{
		Bucket: bucket, Key: r.S3.Object.Key, Size: r.S3.Object.Size, Removed: r.Removed(),
		VersionID: r.S3.Object.VersionID, Gone: r.RemovedVersion() && uuid.Validate(r.S3.Object.VersionID) == nil, ETag: s3.TrimETag(r.S3.Object.ETag), Time: r.Time(),
	}, true
}
