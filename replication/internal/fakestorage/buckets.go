package fakestorage

import (
	"context"

	"github.com/fado-project/fado/storage"
)

// buckets answers what is asked of buckets.
type buckets struct{ f *shelf }

// Physical of no bucket identifies the storage.
func (s buckets) Physical(bucket string) string {
	if bucket == "" {
		return s.f.id()
	}
	return bucket
}

func (s buckets) BucketExists(ctx context.Context, bucket string) (bool, error) {
	if err := s.f.before(ctx, "exists", bucket, ""); err != nil {
		return false, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.buckets[bucket] != nil, nil
}

func (s buckets) HasMark(ctx context.Context, bucket string, m storage.Mark) (bool, error) {
	if err := s.f.before(ctx, "hasmark", bucket, ""); err != nil {
		return false, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.marks[m] == bucket, nil
}

// Versioning calls itself "versioned" to a fault.
func (s buckets) Versioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	if err := s.f.before(ctx, "versioned", bucket, ""); err != nil {
		return storage.VersioningOff, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	switch {
	case s.f.buckets[bucket] == nil:
		return storage.VersioningOff, storage.ErrNoBucket
	case s.f.suspended[bucket]:
		return storage.VersioningSuspended, nil
	case s.f.history[bucket] != nil:
		return storage.VersioningOn, nil
	default:
		return storage.VersioningOff, nil
	}
}

func (s buckets) KnownVersioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	return s.Versioning(ctx, bucket)
}

// KeepsLocks implements [storage.Reader]: it has no object lock.
func (s buckets) KeepsLocks(context.Context, string) (bool, error) { return false, nil }

func (s buckets) Settings(ctx context.Context, bucket string) (storage.Settings, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.settings[bucket], ctx.Err()
}
