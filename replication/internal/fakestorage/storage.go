// Package fakestorage has storages in memory for tests of replication's rooms: any call can
// be made to fail or hang. They keep what promises are about exact (conditions, positive
// absence, FaDO's mark, versions). Only tests use it.
package fakestorage

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fado-project/fado/storage"
)

// Storage is a storage in memory for error paths: any call can be made to fail or
// hang. It keeps what promises are about exact: conditions, positive absence, marks.
type Storage struct {
	caps        storage.Capabilities // what a probe finds
	plainDelete bool                 // deletes go by no condition
	keepsTimes  bool                 // versions can have a time of their own
	name        string

	mu      sync.Mutex
	buckets map[string]map[string]object
	history map[string]map[string][]object // newest first, of the buckets that keep versions
	clock   time.Time
	births  map[string]time.Time    // of buckets, as they are found to be there
	marks   map[storage.Mark]string // the bucket of each
	// fault, when set, is asked before every call.
	fault    func(ctx context.Context, op, bucket, key string) error
	events   func(storage.Event)
	hangUp   chan struct{} // ends the listener
	writes   []string      // "put bucket/key", "delete bucket/key"
	versions int           // made
	settings map[string]storage.Settings
}

// object is a stored object with its content.
type object struct {
	storage.Object
	body    string
	deleted bool // it is a delete marker
}

// New returns a storage without buckets.
func New(name string) *Storage {
	f := &Storage{
		name: name, buckets: make(map[string]map[string]object), history: make(map[string]map[string][]object),
		settings: make(map[string]storage.Settings),
		clock:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	all.Store(f.Physical(""), f)
	return f
}

// all storages, by what Physical says of no bucket: the reading half of a storage does not
// give its storage away.
var all sync.Map

func (f *Storage) before(ctx context.Context, op, bucket, key string) error {
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

// SetFault has f asked before every call; what it returns is the call's error.
func (f *Storage) SetFault(fault func(ctx context.Context, op, bucket, key string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Offer sets what a probe finds.
func (f *Storage) Offer(caps storage.Capabilities) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.caps = caps
}

// Lose removes a bucket, or some keys of one, and returns what puts back all that the bucket
// had. No event tells of either.
func (f *Storage) Lose(bucket string, keys ...string) (restore func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	saved := f.buckets[bucket]
	if len(keys) == 0 {
		delete(f.buckets, bucket)
	} else {
		f.buckets[bucket] = maps.Clone(saved)
	}
	for _, key := range keys {
		delete(f.buckets[bucket], key)
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.buckets[bucket] = saved
	}
}

// Tell has the listener hear of an event.
func (f *Storage) Tell(ev storage.Event) {
	f.mu.Lock()
	tell := f.events
	f.mu.Unlock()
	tell(ev)
}

// DeletePlainly has the storage say that its deletes go by no condition.
func (f *Storage) DeletePlainly() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plainDelete = true
}

// tick moves the storage's clock on; every write happens at a second of its own.
func (f *Storage) tick() time.Time {
	f.clock = f.clock.Add(2 * time.Second)
	return f.clock
}

// User writes an object as a user would.
func (f *Storage) User(bucket, key, body string) {
	f.mu.Lock()
	if f.buckets[bucket] == nil {
		f.buckets[bucket] = make(map[string]object)
	}
	o := storage.Object{Key: key, Size: int64(len(body)), ETag: ETag(body), LastModified: f.tick(), Attributes: "text/plain"}
	f.set(bucket, object{Object: o, body: body})
	tell := f.events
	f.mu.Unlock()
	if tell != nil {
		tell(storage.Event{Bucket: bucket, Key: key, Size: o.Size, ETag: o.ETag, Time: o.LastModified})
	}
}

// Describe has a user write an object again with the same content and other headers, by their
// digest. It raises no event.
func (f *Storage) Describe(bucket, key, attributes string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.buckets[bucket][key]
	o.Attributes, o.LastModified, o.Replica, o.Source, o.VersionID = attributes, f.tick(), false, storage.Source{}, ""
	f.set(bucket, o)
}

// Attributes returns the digest of an object's headers.
func (f *Storage) Attributes(bucket, key string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.buckets[bucket][key].Attributes
}

// Restore has an object be what it was before all else was written, as a restored backup does.
func (f *Storage) Restore(bucket, key, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := storage.Object{Key: key, Size: int64(len(body)), ETag: ETag(body), LastModified: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)}
	f.set(bucket, object{Object: o, body: body})
}

// UserDelete removes an object as a user would.
func (f *Storage) UserDelete(bucket, key string) {
	f.mu.Lock()
	f.tick()
	f.unset(bucket, key, func(time.Time) time.Time { return f.tick() })
	tell := f.events
	f.mu.Unlock()
	if tell != nil {
		tell(storage.Event{Bucket: bucket, Key: key, Removed: true})
	}
}

// ETag returns the ETag of content.
func ETag(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// Contents returns the bodies of a bucket's objects by key; nil if there is no bucket.
func (f *Storage) Contents(bucket string) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets[bucket] == nil {
		return nil
	}
	m := make(map[string]string)
	for k, o := range f.buckets[bucket] {
		m[k] = o.body
	}
	return m
}

func (f *Storage) Name() string { return f.name }
func (f *Storage) Close()       {}

func (f *Storage) Ping(ctx context.Context) error { return f.before(ctx, "ping", "", "") }

func (f *Storage) Capabilities() (storage.Capabilities, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return storage.Capabilities{ConditionalDelete: !f.plainDelete}, true
}

func (f *Storage) Probe(ctx context.Context, _ string) (storage.Capabilities, error) {
	f.mu.Lock()
	caps := f.caps
	f.mu.Unlock()
	return caps, f.before(ctx, "probe", "", "")
}

func (f *Storage) Now(ctx context.Context) (time.Time, error) {
	if err := f.before(ctx, "now", "", ""); err != nil {
		return time.Time{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tick(), nil
}

// Physical of no bucket identifies the storage.
func (f *Storage) Physical(bucket string) string {
	if bucket == "" {
		return fmt.Sprintf("%s %p", f.name, f)
	}
	return bucket
}

func (f *Storage) BucketExists(ctx context.Context, bucket string) (bool, error) {
	if err := f.before(ctx, "exists", bucket, ""); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.buckets[bucket] != nil, nil
}

func (f *Storage) Births(ctx context.Context) (map[string]time.Time, error) {
	if err := f.before(ctx, "births", "", ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.births == nil {
		f.births = make(map[string]time.Time)
	}
	births := make(map[string]time.Time)
	for b := range f.buckets {
		if f.births[b].IsZero() {
			f.births[b] = f.tick()
		}
		births[b] = f.births[b]
	}
	return births, nil
}

func (f *Storage) HasMark(ctx context.Context, bucket string, m storage.Mark) (bool, error) {
	if err := f.before(ctx, "hasmark", bucket, ""); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.marks[m] == bucket, nil
}

func (f *Storage) PlaceMark(ctx context.Context, bucket, key string) (storage.Mark, error) {
	if err := f.before(ctx, "mark", bucket, ""); err != nil {
		return storage.Mark{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.marks == nil {
		f.marks = make(map[storage.Mark]string)
	}
	m := storage.Mark{Key: key, ID: fmt.Sprintf("%p", f)}
	f.marks[m] = bucket
	return m, nil
}

func (f *Storage) RemoveMark(ctx context.Context, bucket string, m storage.Mark) error {
	if err := f.before(ctx, "unmark", bucket, ""); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.marks, m)
	return nil
}

func (f *Storage) EnsureBucket(ctx context.Context, bucket string, _ bool) (bool, error) {
	if err := f.before(ctx, "ensure", bucket, ""); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets[bucket] != nil {
		return false, nil
	}
	f.buckets[bucket] = make(map[string]object)
	return true, nil
}

func (f *Storage) MakeLocked(ctx context.Context, bucket string) (bool, error) {
	return f.EnsureBucket(ctx, bucket, true)
}

// KeepsLocks implements [storage.Reader]: it has no object lock.
func (f *Storage) KeepsLocks(context.Context, string) (bool, error) { return false, nil }

// Versioning calls itself "versioned" to a fault.
func (f *Storage) Versioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	if err := f.before(ctx, "versioned", bucket, ""); err != nil {
		return storage.VersioningOff, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.buckets[bucket] == nil:
		return storage.VersioningOff, storage.ErrNoBucket
	case f.history[bucket] != nil:
		return storage.VersioningOn, nil
	default:
		return storage.VersioningOff, nil
	}
}

func (f *Storage) RemoveBucket(ctx context.Context, bucket string) error {
	if err := f.before(ctx, "removebucket", bucket, ""); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.buckets[bucket]) > 0 || len(f.history[bucket]) > 0 {
		return storage.ErrPrecondition
	}
	delete(f.births, bucket)
	delete(f.buckets, bucket)
	delete(f.history, bucket)
	return nil
}

func (f *Storage) List(ctx context.Context, bucket, prefix, after string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		if err := f.before(ctx, "list", bucket, prefix); err != nil {
			yield(storage.Object{}, err)
			return
		}
		f.mu.Lock()
		objects, there := f.buckets[bucket], f.buckets[bucket] != nil
		keys := slices.Sorted(maps.Keys(objects))
		listed := make([]storage.Object, 0, len(keys))
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && k > after {
				o := objects[k].Object
				o.Replica, o.Source, o.Attributes, o.Token = false, storage.Source{}, "", ""
				listed = append(listed, o)
			}
		}
		f.mu.Unlock()
		if !there {
			yield(storage.Object{}, storage.ErrNoBucket)
			return
		}
		for _, o := range listed {
			if err := f.before(ctx, "listed", bucket, o.Key); err != nil {
				yield(storage.Object{}, err)
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (f *Storage) Page(ctx context.Context, bucket, prefix, _, after string, limit int) (objs []storage.Object, prefixes []string, next string, err error) {
	for o, err := range f.List(ctx, bucket, prefix, after) {
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

func (f *Storage) Stat(ctx context.Context, bucket, key string) (storage.Object, error) {
	if err := f.before(ctx, "stat", bucket, key); err != nil {
		return storage.Object{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets[bucket] == nil {
		return storage.Object{}, storage.ErrNoBucket
	}
	o, ok := f.buckets[bucket][key]
	if !ok {
		return storage.Object{}, storage.ErrNotFound
	}
	return o.Object, nil
}

func (f *Storage) Delete(ctx context.Context, bucket, key, ifETag string) error {
	if err := f.before(ctx, "delete", bucket, key); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets[bucket] == nil {
		return storage.ErrNoBucket
	}
	if o, ok := f.buckets[bucket][key]; ok && ifETag != "" && o.ETag != ifETag {
		return storage.ErrPrecondition
	}
	f.unset(bucket, key, func(seen time.Time) time.Time {
		if f.keepsTimes {
			return seen.Add(time.Millisecond)
		}
		return f.tick()
	})
	f.writes = append(f.writes, "delete "+bucket+"/"+key)
	return nil
}

func (f *Storage) DeleteAllVersions(ctx context.Context, bucket, key string) error {
	f.mu.Lock()
	past, keeps := f.history[bucket]
	if keeps {
		delete(past, key)
		delete(f.buckets[bucket], key)
	}
	f.mu.Unlock()
	if keeps {
		return f.before(ctx, "delete", bucket, key)
	}
	return f.Delete(ctx, bucket, key, "")
}

func (f *Storage) Listen(ctx context.Context, ready func(), tell func(storage.Event)) error {
	if err := f.before(ctx, "listen", "", ""); err != nil {
		return err
	}
	f.mu.Lock()
	f.events, f.hangUp = tell, make(chan struct{})
	hangUp := f.hangUp
	f.mu.Unlock()
	ready()
	select {
	case <-ctx.Done():
	case <-hangUp:
		return fmt.Errorf("the connection was cut: %w", storage.ErrUnavailable)
	}
	f.mu.Lock()
	f.events = nil
	f.mu.Unlock()
	return ctx.Err()
}

// Cut ends the listener: what happens from now on is not notified until there is another.
func (f *Storage) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.events != nil {
		f.events = nil
		close(f.hangUp)
	}
}

// Deafen drops events until hear is called, without the listener's notice.
func (f *Storage) Deafen() (hear func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tell := f.events
	f.events = nil
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = tell
	}
}

// Listened reports whether there is a listener.
func (f *Storage) Listened() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events != nil
}

// Writes returns what FaDO wrote and removed, as "put bucket/key" and "delete bucket/key".
func (f *Storage) Writes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.writes)
}

// CopyFunc copies one object between storages.
type CopyFunc func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error)

// Copier copies between storages in memory, found by their names, as [storage.Copy] does
// between real ones.
func Copier(find func(name string) *Storage) CopyFunc {
	return func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
		have, err := find(src.Name()).read(ctx, bucket, o, opts)
		if err != nil {
			return storage.Object{}, err
		}
		return find(dst.Name()).write(ctx, bucket, have, opts)
	}
}

// Copy copies between storages in memory as [storage.Copy] does between real ones.
func Copy(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
	from, ok := all.Load(src.Physical(""))
	if !ok {
		return storage.Object{}, fmt.Errorf("%s is not the reading half of a storage in memory", src.Name())
	}
	have, err := from.(*Storage).read(ctx, bucket, o, opts)
	if err != nil {
		return storage.Object{}, err
	}
	return dst.(*Storage).write(ctx, bucket, have, opts)
}

func (f *Storage) read(ctx context.Context, bucket string, o storage.Object, opts storage.CopyOptions) (object, error) {
	if err := f.before(ctx, "get", bucket, o.Key); err != nil {
		return object{}, err
	}
	f.mu.Lock()
	have, ok := f.buckets[bucket][o.Key]
	if opts.Below {
		have, ok = f.version(bucket, o.Key, opts.Version.VersionID)
	}
	f.mu.Unlock()
	if !ok || have.ETag != o.ETag {
		return object{}, fmt.Errorf("%w: the source is another", storage.ErrPrecondition)
	}
	if opts.Limit != nil {
		if err := opts.Limit(ctx, len(have.body)); err != nil {
			return object{}, err
		}
	}
	if opts.Progress != nil {
		opts.Progress(have.Size)
	}
	return have, nil
}

func (f *Storage) write(ctx context.Context, bucket string, have object, opts storage.CopyOptions) (storage.Object, error) {
	cond := opts.If
	if err := f.before(ctx, "put", bucket, have.Key); err != nil {
		return storage.Object{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets[bucket] == nil {
		return storage.Object{}, storage.ErrNoBucket
	}
	now, there := f.buckets[bucket][have.Key]
	if opts.Below {
		return f.writeBelow(bucket, have)
	}
	if (cond.Absent && there) || (!cond.Absent && cond.IfETag != "" && (!there || now.ETag != cond.IfETag)) {
		return storage.Object{}, storage.ErrPrecondition
	}
	if past := f.history[bucket][have.Key]; f.keepsTimes && len(past) > 0 && past[0].LastModified.After(f.clock) {
		f.clock = past[0].LastModified // a copy comes on top, whatever the clock says
	}
	put := storage.Object{
		Key: have.Key, Size: have.Size, ETag: have.ETag, LastModified: f.tick(), Replica: true,
		Source:     storage.Source{ETag: have.ETag, Size: have.Size, ModTime: have.LastModified, Attributes: have.Attributes},
		Attributes: have.Attributes,
		Token:      fmt.Sprint(f.name, "/", len(f.writes)),
	}
	if past := f.history[bucket]; past != nil && have.VersionID != "" && f.comesOnTop(past[have.Key], have) {
		put.VersionID, put.LastModified, put.Source, put.Token = have.VersionID, have.LastModified, storage.Source{}, ""
	}
	f.set(bucket, object{Object: put, body: have.body})
	f.writes = append(f.writes, "put "+bucket+"/"+have.Key)
	return put, nil
}

// set writes an object, as a version where the bucket keeps them: they are in the order of
// their times. The caller holds mu.
func (f *Storage) set(bucket string, o object) {
	past, keeps := f.history[bucket]
	if !keeps {
		f.buckets[bucket][o.Key] = o
		return
	}
	if o.VersionID == "" {
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
func (f *Storage) show(bucket, key string) {
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
func (f *Storage) unset(bucket, key string, at func(seen time.Time) time.Time) {
	o, there := f.buckets[bucket][key]
	switch {
	case !there:
	case f.history[bucket] == nil:
		delete(f.buckets[bucket], key)
	default:
		f.set(bucket, object{Object: storage.Object{Key: key, LastModified: at(o.LastModified)}, deleted: true})
	}
}
