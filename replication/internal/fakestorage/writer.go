package fakestorage

import (
	"context"
	"fmt"
	"time"

	"github.com/fado-project/fado/storage"
)

// writer is the writing half of a storage.
type writer struct{ f *shelf }

func (s writer) Name() string { return s.f.name }

func (s writer) EnsureBucket(ctx context.Context, bucket string, _ bool) (bool, error) {
	if err := s.f.before(ctx, "ensure", bucket, ""); err != nil {
		return false, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.buckets[bucket] != nil {
		return false, nil
	}
	s.f.buckets[bucket] = make(map[string]object)
	return true, nil
}

func (s writer) MakeLocked(ctx context.Context, bucket string) (bool, error) {
	return s.EnsureBucket(ctx, bucket, true)
}

func (s writer) RemoveBucket(ctx context.Context, bucket string) error {
	if err := s.f.before(ctx, "removebucket", bucket, ""); err != nil {
		return err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if len(s.f.buckets[bucket]) > 0 || len(s.f.history[bucket]) > 0 {
		return storage.ErrPrecondition
	}
	delete(s.f.births, bucket)
	delete(s.f.buckets, bucket)
	delete(s.f.history, bucket)
	return nil
}

func (s writer) PlaceMark(ctx context.Context, bucket, key string) (storage.Mark, error) {
	if err := s.f.before(ctx, "mark", bucket, ""); err != nil {
		return storage.Mark{}, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.marks == nil {
		s.f.marks = make(map[storage.Mark]string)
	}
	m := storage.Mark{Key: key, ID: fmt.Sprintf("%p", s.f)}
	s.f.marks[m] = bucket
	return m, nil
}

func (s writer) RemoveMark(ctx context.Context, bucket string, m storage.Mark) error {
	if err := s.f.before(ctx, "unmark", bucket, ""); err != nil {
		return err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	delete(s.f.marks, m)
	return nil
}

func (s writer) Delete(ctx context.Context, bucket, key, ifETag string) error {
	if err := s.f.before(ctx, "delete", bucket, key); err != nil {
		return err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.buckets[bucket] == nil {
		return storage.ErrNoBucket
	}
	if o, ok := s.f.buckets[bucket][key]; ok && ifETag != "" && o.ETag != ifETag {
		return storage.ErrPrecondition
	}
	s.f.unset(bucket, key, func(seen time.Time) time.Time {
		if s.f.keepsTimes {
			return seen.Add(time.Millisecond)
		}
		return s.f.tick()
	})
	s.f.writes = append(s.f.writes, "delete "+bucket+"/"+key)
	return nil
}

func (s writer) DeleteAllVersions(ctx context.Context, bucket, key string) error {
	s.f.mu.Lock()
	past, keeps := s.f.history[bucket]
	if keeps {
		delete(past, key)
		delete(s.f.buckets[bucket], key)
	}
	s.f.mu.Unlock()
	if keeps {
		return s.f.before(ctx, "delete", bucket, key)
	}
	return s.Delete(ctx, bucket, key, "")
}

func (s writer) DeleteVersion(ctx context.Context, bucket, key, id string) error {
	if err := s.f.before(ctx, "deleteversion", bucket, key); err != nil {
		return err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.history[bucket] == nil {
		return errVersions
	}
	s.f.drop(bucket, key, id)
	s.f.writes = append(s.f.writes, "delete "+bucket+"/"+key+" "+id)
	return nil
}

func (s writer) Cover(ctx context.Context, bucket string, m, over storage.Version) error {
	if err := s.f.before(ctx, "cover", bucket, m.Key); err != nil {
		return err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	past := s.f.history[bucket][m.Key]
	switch {
	case !s.f.keepsTimes || s.f.history[bucket] == nil:
		return errVersions
	case len(past) > 0 && past[0].deleted && past[0].VersionID == m.VersionID:
		return nil
	case len(past) == 0 || past[0].ETag != over.ETag || past[0].deleted != over.Deleted:
		return storage.ErrPrecondition
	}
	o := object{Object: m.Object, deleted: true}
	if !past[0].LastModified.Before(o.LastModified) {
		o.VersionID, o.LastModified = "", past[0].LastModified.Add(time.Millisecond)
	}
	s.f.set(bucket, o)
	s.f.writes = append(s.f.writes, "delete "+bucket+"/"+m.Key)
	return nil
}

func (s writer) PutMarker(ctx context.Context, bucket string, m storage.Version) error {
	if err := s.f.before(ctx, "marker", bucket, m.Key); err != nil {
		return err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if !s.f.keepsTimes || s.f.history[bucket] == nil {
		return errVersions
	}
	if _, there := s.f.version(bucket, m.Key, m.VersionID); there {
		return nil
	}
	s.f.set(bucket, object{Object: m.Object, deleted: true})
	s.f.writes = append(s.f.writes, "delete "+bucket+"/"+m.Key+" as "+m.VersionID)
	return nil
}
