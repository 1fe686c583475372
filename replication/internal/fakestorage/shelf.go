package fakestorage

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/storage"
)

// shelf is what a storage holds and how it behaves: conditions, positive absence, marks and
// versions are exact.
type shelf struct {
	name   string
	events *Events

	mu          sync.Mutex
	caps        storage.Capabilities // what a probe finds
	plainDelete bool                 // deletes go by no condition
	keepsTimes  bool                 // versions can have a time of their own
	buckets     map[string]map[string]object
	history     map[string]map[string][]object // newest first, of the buckets that keep versions
	suspended   map[string]bool                // those of them whose versioning is suspended: what is written is the null version
	clock       time.Time
	births      map[string]time.Time    // of buckets, as they are found to be there
	marks       map[storage.Mark]string // the bucket of each
	// fault, when set, is asked before every call.
	fault    func(ctx context.Context, op, bucket, key string) error
	writes   []string // "put bucket/key", "delete bucket/key"
	versions int      // made
	settings map[string]storage.Settings
}

// object is a stored object with its content.
type object struct {
	storage.Object
	body    string
	deleted bool // it is a delete marker
}

// nullVersion is the ID of what is written where versioning is suspended, of which a key has one.
const nullVersion = "null"

var errVersions = fmt.Errorf("%w: the fake keeps no versions", storage.ErrUnsupported)

// id identifies the storage.
func (f *shelf) id() string { return fmt.Sprintf("%s %p", f.name, f) }

func (f *shelf) before(ctx context.Context, op, bucket, key string) error {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault != nil {
		if err := fault(ctx, op, bucket, key); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// tick moves the storage's clock on; every write happens at a second of its own.
func (f *shelf) tick() time.Time {
	f.clock = f.clock.Add(2 * time.Second)
	return f.clock
}

// set writes an object, as a version where the bucket keeps them: they are in the order of
// their times. The caller holds mu.
func (f *shelf) set(bucket string, o object) {
	past, keeps := f.history[bucket]
	if !keeps {
		f.buckets[bucket][o.Key] = o
		return
	}
	switch {
	case f.suspended[bucket]:
		o.VersionID = nullVersion
		past[o.Key] = slices.DeleteFunc(slices.Clone(past[o.Key]), func(v object) bool { return v.VersionID == nullVersion })
	case o.VersionID == "":
		f.versions++
		o.VersionID = fmt.Sprintf("%s-%d", f.name, f.versions)
	}
	i := 0
	if f.keepsTimes {
		for i < len(past[o.Key]) && past[o.Key][i].LastModified.After(o.LastModified) {
			i++
		}
	}
	past[o.Key] = slices.Insert(slices.Clone(past[o.Key]), i, o)
	f.show(bucket, o.Key)
}

// show has the newest version of a key be its current object. The caller holds mu.
func (f *shelf) show(bucket, key string) {
	delete(f.buckets[bucket], key)
	switch past := f.history[bucket][key]; {
	case len(past) == 0:
		delete(f.history[bucket], key)
	case !past[0].deleted:
		f.buckets[bucket][key] = past[0]
	}
}

// unset removes the current object of a key: by a delete marker of a time where the bucket keeps
// versions. The caller holds mu.
func (f *shelf) unset(bucket, key string, at func(seen time.Time) time.Time) {
	o, there := f.buckets[bucket][key]
	switch {
	case !there:
	case f.history[bucket] == nil:
		delete(f.buckets[bucket], key)
	default:
		f.set(bucket, object{Object: storage.Object{Key: key, LastModified: at(o.LastModified)}, deleted: true})
	}
}

func (f *shelf) drop(bucket, key, id string) {
	f.history[bucket][key] = slices.DeleteFunc(slices.Clone(f.history[bucket][key]), func(o object) bool { return o.VersionID == id })
	f.show(bucket, key)
}

// version returns a version by its ID. The caller holds mu.
func (f *shelf) version(bucket, key, id string) (object, bool) {
	past := f.history[bucket][key]
	i := slices.IndexFunc(past, func(o object) bool { return o.VersionID == id })
	if i < 0 {
		return object{}, false
	}
	return past[i], true
}

// comesOnTop reports whether a version that keeps its time would be the newest of its key.
func (f *shelf) comesOnTop(past []object, o object) bool {
	return !f.keepsTimes || len(past) == 0 || past[0].LastModified.Before(o.LastModified)
}

// listed is a key's history as a listing shows it. The caller holds mu.
func (f *shelf) listed(bucket, key string) (vs []storage.Version, err error) {
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

// ETag returns the ETag of content.
func ETag(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}
