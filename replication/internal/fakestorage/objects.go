package fakestorage

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/fado-project/fado/storage"
)

// objects shows current objects. They have no bytes to read again.
type objects struct{ f *shelf }

func (s objects) List(ctx context.Context, bucket, prefix, after string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		if err := s.f.before(ctx, "list", bucket, prefix); err != nil {
			yield(storage.Object{}, err)
			return
		}
		s.f.mu.Lock()
		objects, there := s.f.buckets[bucket], s.f.buckets[bucket] != nil
		keys := slices.Sorted(maps.Keys(objects))
		listed := make([]storage.Object, 0, len(keys))
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && k > after {
				o := objects[k].Object
				o.Replica, o.Source, o.Attributes, o.Token = false, storage.Source{}, "", ""
				listed = append(listed, o)
			}
		}
		s.f.mu.Unlock()
		if !there {
			yield(storage.Object{}, storage.ErrNoBucket)
			return
		}
		for _, o := range listed {
			if err := s.f.before(ctx, "listed", bucket, o.Key); err != nil {
				yield(storage.Object{}, err)
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (s objects) Page(ctx context.Context, bucket, prefix, _, after string, limit int) (objs []storage.Object, prefixes []string, next string, err error) {
	for o, err := range s.List(ctx, bucket, prefix, after) {
		if err != nil {
			return nil, nil, "", err
		}
		if limit > 0 && len(objs) == limit {
			return objs, nil, objs[limit-1].Key, nil
		}
		objs = append(objs, o)
	}
	return objs, nil, "", nil
}

func (s objects) Stat(ctx context.Context, bucket, key string) (storage.Object, error) {
	if err := s.f.before(ctx, "stat", bucket, key); err != nil {
		return storage.Object{}, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.buckets[bucket] == nil {
		return storage.Object{}, storage.ErrNoBucket
	}
	o, ok := s.f.buckets[bucket][key]
	if !ok {
		return storage.Object{}, storage.ErrNotFound
	}
	return o.Object, nil
}

func (s objects) Reread(context.Context, string, storage.Object, func(context.Context, int) error) (storage.Reread, error) {
	return storage.Reread{}, errVersions
}
