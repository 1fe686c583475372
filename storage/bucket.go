package storage

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/fado-project/fado/storage/s3"
)

// BucketExists implements [Reader].
func (c buckets) BucketExists(ctx context.Context, bucket string) (bool, error) {
	_, err := c.Versioning(ctx, bucket)
	switch {
	case errors.Is(err, ErrNoBucket):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// Versioned asks whether a bucket keeps versions now: one whose versioning is suspended
// does not.
func Versioned(ctx context.Context, r Reader, bucket string) (bool, error) {
	s, err := r.Versioning(ctx, bucket)
	return s == VersioningOn, err
}

// Versioning implements [Reader]; a storage that has none says "off". It notes the answer
// for KnownVersioning.
func (c buckets) Versioning(ctx context.Context, bucket string) (Versioning, error) {
	name := c.Physical(bucket)
	status, err := c.wire.Buckets.Versioning(ctx, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.versioning, name)
		return VersioningOff, err
	}
	state := VersioningOff
	switch status {
	case "Enabled":
		state = VersioningOn
	case "Suspended":
		state = VersioningSuspended
	}
	c.versioning[name] = versioningEntry{state: state, until: time.Now().Add(versioningTTL)}
	return state, nil
}

// KnownVersioning implements [Reader]: every copy needs it.
func (c buckets) KnownVersioning(ctx context.Context, bucket string) (Versioning, error) {
	c.mu.Lock()
	e, ok := c.versioning[c.Physical(bucket)]
	c.mu.Unlock()
	if ok && time.Now().Before(e.until) {
		return e.state, nil
	}
	return c.Versioning(ctx, bucket)
}

func forgetVersioning(c *conn, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.versioning, name)
}

// forgetBucket forgets what is remembered of a bucket that may be another one now.
func forgetBucket(c *conn, name string) {
	forgetVersioning(c, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.locks, name)
}

// EnsureBucket implements [Writer].
func (c writer) EnsureBucket(ctx context.Context, bucket string, wantVersions bool) (made bool, err error) {
	state, err := buckets(c).Versioning(ctx, bucket)
	name := c.Physical(bucket)
	defer forgetBucket(c.conn, name)
	if errors.Is(err, ErrNoBucket) {
		made, err = c.wire.Buckets.Make(ctx, name, false)
	}
	if err != nil || !wantVersions || state == VersioningOn {
		return made, err
	}
	return made, c.wire.Buckets.EnableVersioning(ctx, name)
}

// RemoveBucket implements [Writer].
func (c writer) RemoveBucket(ctx context.Context, bucket string) error {
	name := c.Physical(bucket)
	defer forgetBucket(c.conn, name)
	return c.wire.Remove(ctx, &s3.Request{Name: "removing bucket", Method: http.MethodDelete, Bucket: name})
}
