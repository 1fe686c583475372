package storage

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/fado-project/fado/storage/s3"
)

// Headers of object lock (S3 User Guide, "Locking objects with Object Lock").
const (
	lockMode  = "X-Amz-Object-Lock-Mode"
	lockUntil = "X-Amz-Object-Lock-Retain-Until-Date"
	lockHold  = "X-Amz-Object-Lock-Legal-Hold"

	minioRetentionTime = "X-Minio-Source-Replication-Retention-Timestamp"
	minioHoldTime      = "X-Minio-Source-Replication-Legalhold-Timestamp"
)

// lockOf reads what protects a version, from an answer about it: its retention period, unless
// that is over, and its legal hold. The text is the same for the same lock at any storage, and
// empty for none.
func lockOf(h http.Header) string {
	var parts []string
	if until, err := time.Parse(time.RFC3339, h.Get(lockUntil)); err == nil && h.Get(lockMode) != "" && until.After(time.Now()) {
		parts = append(parts, h.Get(lockMode)+" until "+until.UTC().Format(time.RFC3339Nano))
	}
	if strings.EqualFold(h.Get(lockHold), "ON") {
		parts = append(parts, "legal hold")
	}
	return strings.Join(parts, ", ")
}

// locksEntry remembers whether a bucket has object lock.
type locksEntry struct {
	has   bool
	until time.Time
}

// KeepsLocks implements [Reader].
func (c buckets) KeepsLocks(ctx context.Context, bucket string) (bool, error) {
	name := c.Physical(bucket)
	c.mu.Lock()
	e, ok := c.locks[name]
	c.mu.Unlock()
	if ok && time.Now().Before(e.until) {
		return e.has, nil
	}
	has, err := c.wire.Buckets.Configured(ctx, name, "object-lock")
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locks[name] = locksEntry{has: has, until: time.Now().Add(versioningTTL)}
	return has, nil
}

// MakeLocked implements [Writer].
func (c writer) MakeLocked(ctx context.Context, bucket string) (made bool, err error) {
	name := c.Physical(bucket)
	defer forgetBucket(c.conn, name)
	return c.wire.Buckets.Make(ctx, name, true)
}

// CopyLockRule has a bucket give new objects the retention that they get at src, where both have
// object lock. It reports whether there was anything to change.
func CopyLockRule(ctx context.Context, src Reader, dst Writer, bucket string) (changed bool, err error) {
	s, err := connOf(src)
	if err != nil {
		return false, nil //nolint:nilerr // no client of this package's: it has no locks
	}
	d, err := connOf(dst)
	if err != nil {
		return false, nil //nolint:nilerr // likewise
	}
	want, locks, err := s.wire.Buckets.LockRule(ctx, s.Physical(bucket))
	if err != nil || !locks {
		return false, err
	}
	has, locks, err := d.wire.Buckets.LockRule(ctx, d.Physical(bucket))
	if err != nil || !locks || has == want {
		return false, err
	}
	return true, d.wire.Buckets.SetLockRule(ctx, d.Physical(bucket), want)
}

// FollowsLock reports whether a copy at dst, which was just looked at, is locked as the object
// it was made from, as far as a copy can be: both storages preserve what a version is, and the
// copy's bucket has object lock.
func FollowsLock(ctx context.Context, src, dst Reader, bucket string, from, to Object) (bool, error) {
	if from.Lock == to.Lock {
		return true, nil
	}
	s, err := connOf(src)
	if err != nil {
		return true, nil //nolint:nilerr // no client of this package's: it has no locks
	}
	d, err := connOf(dst)
	if err != nil {
		return true, nil //nolint:nilerr // likewise
	}
	keeps, err := carriesLocks(ctx, s, d, bucket)
	return !keeps, err
}

// carriesLocks reports whether copies from src have the locks of their originals at dst.
func carriesLocks(ctx context.Context, src, dst *conn, bucket string) (bool, error) {
	for _, c := range []*conn{src, dst} {
		if p, err := c.who.Provider(ctx, c.wire); err != nil || !p.Preserve {
			return false, err
		}
	}
	return buckets{dst}.KeepsLocks(ctx, bucket)
}

// setLock makes the copy's lock that of the object, by the headers of which it is described.
func (t *transfer) setLock(ctx context.Context, out, h http.Header) error {
	lock := lockOf(h)
	if lock == "" || t.opts.Unlocked {
		return nil
	}
	var err error
	if t.locks, err = carriesLocks(ctx, t.src, t.dst, t.bucket); err != nil || !t.locks {
		return err
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	if strings.Contains(lock, " until ") {
		out.Set(lockMode, h.Get(lockMode))
		out.Set(lockUntil, h.Get(lockUntil))
		out.Set(minioRetentionTime, now)
	}
	if strings.EqualFold(h.Get(lockHold), "ON") {
		out.Set(lockHold, "ON")
		out.Set(minioHoldTime, now)
	}
	return nil
}

// lockFits reports whether dst's version has the lock that the headers of a write give it.
func (t *transfer) lockFits(put *s3.Request, there Object, src http.Header) bool {
	if t.opts.Unlocked || put.Header.Get(lockMode) == "" && put.Header.Get(lockHold) == "" && there.Lock == "" {
		return true
	}
	return there.Lock == lockOf(src)
}
