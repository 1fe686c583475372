package fakestorage

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/fado-project/fado/storage"
)

// A Storage keeps versions of the buckets it was told to, as MinIO does of MinIO's: copies
// have the version ID and time of the original. Its objects have no bytes to read again.

var errVersions = fmt.Errorf("%w: the fake keeps no versions", storage.ErrUnsupported)

// KeepVersions makes a bucket that keeps versions.
func (f *Storage) KeepVersions(bucket string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buckets[bucket] = make(map[string]object)
	f.history[bucket] = make(map[string][]object)
}

// Replicate writes an object as a replication that is not FaDO's would: it raises no event.
func (f *Storage) Replicate(bucket, key, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := storage.Object{Key: key, Size: int64(len(body)), ETag: ETag(body), LastModified: f.tick()}
	f.set(bucket, object{Object: o, body: body})
}

// Bodies returns the contents of every version of a key, newest first; "" is a delete marker.
func (f *Storage) Bodies(bucket, key string) (bodies []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.history[bucket][key] {
		bodies = append(bodies, v.body)
	}
	return bodies
}

func (f *Storage) KeepsTimes(context.Context) (bool, error) { return false, nil }

func (f *Storage) KnownVersioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	return f.Versioning(ctx, bucket)
}

func (f *Storage) Current(context.Context, string, string) (storage.Version, error) {
	return storage.Version{}, errVersions
}

func (f *Storage) Versions(ctx context.Context, bucket, key string) (vs []storage.Version, err error) {
	f.mu.Lock()
	past, keeps := f.history[bucket]
	for _, v := range past[key] {
		vs = append(vs, storage.Version{Object: v.Object, Deleted: v.deleted, Written: v.LastModified})
	}
	f.mu.Unlock()
	if !keeps {
		return nil, errVersions
	}
	return vs, f.before(ctx, "versions", bucket, key)
}

// CopyVersion writes the content of an object's oldest version again, with its metadata, as a
// user's server-side copy does.
func (f *Storage) CopyVersion(bucket, key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	past := f.history[bucket][key]
	o := past[len(past)-1]
	o.VersionID, o.LastModified, o.Replica = "", f.tick(), o.Token != ""
	f.set(bucket, o)
}

// Configure has a bucket be configured.
func (f *Storage) Configure(bucket string, s storage.Settings) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settings[bucket] = s
}

func (f *Storage) Settings(ctx context.Context, bucket string) (storage.Settings, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings[bucket], ctx.Err()
}

func (f *Storage) Repeats(ctx context.Context, bucket string, o storage.Object) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	same := 0
	for _, v := range f.history[bucket][o.Key] {
		if v.Token != "" && v.Token == o.Token {
			same++
		}
	}
	return same > 1, ctx.Err()
}

func (f *Storage) VersionedKeys(_ context.Context, bucket, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f.mu.Lock()
		past, keeps := f.history[bucket]
		keys := slices.Sorted(maps.Keys(past))
		f.mu.Unlock()
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

func (f *Storage) Reread(context.Context, string, storage.Object, func(context.Context, int) error) (storage.Reread, error) {
	return storage.Reread{}, errVersions
}

func (f *Storage) DeleteVersion(ctx context.Context, bucket, key, id string) error {
	if err := f.before(ctx, "deleteversion", bucket, key); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	past, keeps := f.history[bucket]
	if !keeps {
		return errVersions
	}
	left := slices.DeleteFunc(past[key], func(o object) bool { return o.VersionID == id })
	past[key] = left
	delete(f.buckets[bucket], key)
	switch {
	case len(left) == 0:
		delete(past, key)
	case !left[0].deleted:
		f.buckets[bucket][key] = left[0]
	}
	f.writes = append(f.writes, "delete "+bucket+"/"+key+" "+id)
	return nil
}

func (f *Storage) Cover(context.Context, string, storage.Version, storage.Version) error {
	return errVersions
}
