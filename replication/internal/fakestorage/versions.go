package fakestorage

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/fado-project/fado/storage"
)

// versions shows the versions of the buckets that were told to keep them, as MinIO does of MinIO's:
// copies have the version ID and time of the original.
type versions struct{ f *shelf }

func (s versions) Version(ctx context.Context, bucket, key, id string) (storage.Version, error) {
	if err := s.f.before(ctx, "version", bucket, key); err != nil {
		return storage.Version{}, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	past, keeps := s.f.history[bucket]
	var o object
	switch {
	case id == "" && !keeps:
		return storage.Version{}, errVersions
	case id != "":
		o, _ = s.f.version(bucket, key, id)
	case len(past[key]) > 0:
		o = past[key][0]
	}
	return storage.Version{Object: o.Object, Deleted: o.deleted, Written: o.LastModified}, nil
}

func (s versions) Versions(ctx context.Context, bucket, key string) (vs []storage.Version, err error) {
	s.f.mu.Lock()
	past, keeps := s.f.history[bucket]
	for _, v := range past[key] {
		vs = append(vs, storage.Version{Object: v.Object, Deleted: v.deleted, Written: v.LastModified})
	}
	s.f.mu.Unlock()
	if !keeps {
		return nil, errVersions
	}
	return vs, s.f.before(ctx, "versions", bucket, key)
}

func (s versions) Repeats(ctx context.Context, bucket string, o storage.Object) (bool, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	same := 0
	for _, v := range s.f.history[bucket][o.Key] {
		if v.Token != "" && v.Token == o.Token {
			same++
		}
	}
	return same > 1, ctx.Err()
}

func (s versions) History(ctx context.Context, bucket, key string, limit int) (storage.History, error) {
	h := storage.History{Key: key}
	if err := s.f.before(ctx, "history", bucket, key); err != nil {
		return h, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	vs, err := s.f.listed(bucket, key)
	h.Cut = len(vs) >= limit
	h.Versions = vs[:min(limit, len(vs))]
	return h, err
}

func (s versions) Histories(ctx context.Context, bucket, prefix string) iter.Seq2[storage.History, error] {
	return func(yield func(storage.History, error) bool) {
		for key, err := range s.VersionedKeys(ctx, bucket, prefix) {
			var vs []storage.Version
			if err == nil {
				err = s.f.before(ctx, "histories", bucket, key)
			}
			if err == nil {
				s.f.mu.Lock()
				vs, err = s.f.listed(bucket, key)
				s.f.mu.Unlock()
			}
			if err != nil {
				yield(storage.History{}, err)
				return
			}
			if len(vs) > 0 && !yield(storage.History{Key: key, Versions: vs}, nil) {
				return
			}
		}
	}
}

func (s versions) VersionedKeys(_ context.Context, bucket, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.f.mu.Lock()
		past, keeps := s.f.history[bucket]
		keys := slices.Sorted(maps.Keys(past))
		s.f.mu.Unlock()
		if !keeps {
			yield("", errVersions)
			return
		}
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && !yield(k, nil) {
				return
			}
		}
	}
}
