package fakestorage

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

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

// KeepTimes has versions be ordered by times that can be given to them, and keep their IDs.
func (f *Storage) KeepTimes() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keepsTimes = true
}

func (f *Storage) KeepsTimes(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keepsTimes, nil
}

// RemoveVersion removes a version, or a delete marker, as a user does by its ID.
func (f *Storage) RemoveVersion(bucket, key, id string) {
	f.mu.Lock()
	f.drop(bucket, key, id)
	tell := f.events
	f.mu.Unlock()
	if tell != nil {
		tell(storage.Event{Bucket: bucket, Key: key, Removed: true, VersionID: id, Gone: true})
	}
}

func (f *Storage) drop(bucket, key, id string) {
	f.history[bucket][key] = slices.DeleteFunc(slices.Clone(f.history[bucket][key]), func(o object) bool { return o.VersionID == id })
	f.show(bucket, key)
}

// version returns a version by its ID. The caller holds mu.
func (f *Storage) version(bucket, key, id string) (object, bool) {
	past := f.history[bucket][key]
	i := slices.IndexFunc(past, func(o object) bool { return o.VersionID == id })
	if i < 0 {
		return object{}, false
	}
	return past[i], true
}

// comesOnTop reports whether a version that keeps its time would be the newest of its key.
func (f *Storage) comesOnTop(past []object, o object) bool {
	return !f.keepsTimes || len(past) == 0 || past[0].LastModified.Before(o.LastModified)
}

// writeBelow writes a version where its time puts it. The caller holds mu.
func (f *Storage) writeBelow(bucket string, have object) (storage.Object, error) {
	switch {
	case !f.keepsTimes || f.history[bucket] == nil:
		return storage.Object{}, errVersions
	case slices.ContainsFunc(f.history[bucket][have.Key], func(o object) bool { return o.VersionID == have.VersionID }):
		return have.Object, nil
	}
	have.Replica, have.Token = true, ""
	f.set(bucket, have)
	f.writes = append(f.writes, "put "+bucket+"/"+have.Key+" "+have.VersionID)
	return have.Object, nil
}

func (f *Storage) PutMarker(ctx context.Context, bucket string, m storage.Version) error {
	if err := f.before(ctx, "marker", bucket, m.Key); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.keepsTimes || f.history[bucket] == nil {
		return errVersions
	}
	if _, there := f.version(bucket, m.Key, m.VersionID); there {
		return nil
	}
	f.set(bucket, object{Object: m.Object, deleted: true})
	f.writes = append(f.writes, "delete "+bucket+"/"+m.Key+" as "+m.VersionID)
	return nil
}

func (f *Storage) History(ctx context.Context, bucket, key string, limit int) (storage.History, error) {
	h := storage.History{Key: key}
	if err := f.before(ctx, "history", bucket, key); err != nil {
		return h, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	vs, err := f.listed(bucket, key)
	h.Cut = len(vs) >= limit
	h.Versions = vs[:min(limit, len(vs))]
	return h, err
}

// listed is a key's history as a listing shows it. The caller holds mu.
func (f *Storage) listed(bucket, key string) (vs []storage.Version, err error) {
	past, keeps := f.history[bucket]
	if !keeps {
		return nil, errVersions
	}
	for _, v := range past[key] {
		o := v.Object
		o.Replica, o.Source, o.Attributes, o.Token = false, storage.Source{}, "", ""
		vs = append(vs, storage.Version{Object: o, Deleted: v.deleted, Written: v.LastModified})
	}
	return vs, nil
}

func (f *Storage) Histories(ctx context.Context, bucket, prefix string) iter.Seq2[storage.History, error] {
	return func(yield func(storage.History, error) bool) {
		for key, err := range f.VersionedKeys(ctx, bucket, prefix) {
			var vs []storage.Version
			if err == nil {
				err = f.before(ctx, "histories", bucket, key)
			}
			if err == nil {
				f.mu.Lock()
				vs, err = f.listed(bucket, key)
				f.mu.Unlock()
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

func (f *Storage) KnownVersioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	return f.Versioning(ctx, bucket)
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

func (f *Storage) Version(ctx context.Context, bucket, key, id string) (storage.Version, error) {
	if err := f.before(ctx, "version", bucket, key); err != nil {
		return storage.Version{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	past, keeps := f.history[bucket]
	var o object
	switch {
	case id == "" && !keeps:
		return storage.Version{}, errVersions
	case id != "":
		o, _ = f.version(bucket, key, id)
	case len(past[key]) > 0:
		o = past[key][0]
	}
	return storage.Version{Object: o.Object, Deleted: o.deleted, Written: o.LastModified}, nil
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
	if f.history[bucket] == nil {
		return errVersions
	}
	f.drop(bucket, key, id)
	f.writes = append(f.writes, "delete "+bucket+"/"+key+" "+id)
	return nil
}

func (f *Storage) Cover(ctx context.Context, bucket string, m, over storage.Version) error {
	if err := f.before(ctx, "cover", bucket, m.Key); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	past := f.history[bucket][m.Key]
	switch {
	case !f.keepsTimes || f.history[bucket] == nil:
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
	f.set(bucket, o)
	f.writes = append(f.writes, "delete "+bucket+"/"+m.Key)
	return nil
}
