package replication

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

// fakeStorage is a storage in memory for error paths: any call can be made to fail or
// hang. It keeps what promises are about exact: conditions, positive absence, marks.
type fakeStorage struct {
	caps storage.Capabilities // what a probe finds
	name string

	mu      sync.Mutex
	buckets map[string]map[string]fakeObject
	clock   time.Time
	births  map[string]time.Time    // of buckets, as they are found to be there
	marks   map[storage.Mark]string // the bucket of each
	// fault, when set, is asked before every call.
	fault  func(ctx context.Context, op, bucket, key string) error
	events func(storage.Event)
	hangUp chan struct{} // ends the listener
	writes []string      // "put bucket/key", "delete bucket/key"
}

type fakeObject struct {
	storage.Object
	body string
}

func newFakeStorage(name string) *fakeStorage {
	f := &fakeStorage{name: name, buckets: make(map[string]map[string]fakeObject), clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	fakes.Store(f.Physical(""), f)
	return f
}

func (f *fakeStorage) before(ctx context.Context, op, bucket, key string) error {
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

func (f *fakeStorage) setFault(fault func(ctx context.Context, op, bucket, key string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// tick moves the storage's clock on; every write happens at a second of its own.
func (f *fakeStorage) tick() time.Time {
	f.clock = f.clock.Add(2 * time.Second)
	return f.clock
}

// user writes an object as a user would.
func (f *fakeStorage) user(bucket, key, body string) {
	f.mu.Lock()
	if f.buckets[bucket] == nil {
		f.buckets[bucket] = make(map[string]fakeObject)
	}
	o := storage.Object{Key: key, Size: int64(len(body)), ETag: etagOf(body), LastModified: f.tick()}
	f.buckets[bucket][key] = fakeObject{o, body}
	tell := f.events
	f.mu.Unlock()
	if tell != nil {
		tell(storage.Event{Bucket: bucket, Key: key, Size: o.Size, ETag: o.ETag, Time: o.LastModified})
	}
}

// userDelete removes an object as a user would.
func (f *fakeStorage) userDelete(bucket, key string) {
	f.mu.Lock()
	f.tick()
	delete(f.buckets[bucket], key)
	tell := f.events
	f.mu.Unlock()
	if tell != nil {
		tell(storage.Event{Bucket: bucket, Key: key, Removed: true})
	}
}

func etagOf(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

func (f *fakeStorage) contents(bucket string) map[string]string {
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

func (f *fakeStorage) Name() string { return f.name }
func (f *fakeStorage) Close()       {}

func (f *fakeStorage) Ping(ctx context.Context) error { return f.before(ctx, "ping", "", "") }

func (f *fakeStorage) Capabilities() (storage.Capabilities, bool) {
	return storage.Capabilities{}, true
}

func (f *fakeStorage) Probe(ctx context.Context, _ string) (storage.Capabilities, error) {
	f.mu.Lock()
	caps := f.caps
	f.mu.Unlock()
	return caps, f.before(ctx, "probe", "", "")
}

func (f *fakeStorage) Now(ctx context.Context) (time.Time, error) {
	if err := f.before(ctx, "now", "", ""); err != nil {
		return time.Time{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tick(), nil
}

func (f *fakeStorage) Physical(bucket string) string {
	if bucket == "" {
		return fmt.Sprintf("%s %p", f.name, f)
	}
	return bucket
}

func (f *fakeStorage) BucketExists(ctx context.Context, bucket string) (bool, error) {
	if err := f.before(ctx, "exists", bucket, ""); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.buckets[bucket] != nil, nil
}

func (f *fakeStorage) Births(ctx context.Context) (map[string]time.Time, error) {
	if err := f.before(ctx, "births", "", ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	births := make(map[string]time.Time)
	for b := range f.buckets {
		if f.births[b].IsZero() {
			births[b] = f.tick()
		} else {
			births[b] = f.births[b]
		}
	}
	f.births = births
	return maps.Clone(births), nil
}

func (f *fakeStorage) HasMark(ctx context.Context, bucket string, m storage.Mark) (bool, error) {
	if err := f.before(ctx, "hasmark", bucket, ""); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.marks[m] == bucket, nil
}

func (f *fakeStorage) PlaceMark(ctx context.Context, bucket, key string) (storage.Mark, error) {
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

func (f *fakeStorage) RemoveMark(ctx context.Context, bucket string, m storage.Mark) error {
	if err := f.before(ctx, "unmark", bucket, ""); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.marks, m)
	return nil
}

func (f *fakeStorage) EnsureBucket(ctx context.Context, bucket string, _ bool) (bool, error) {
	if err := f.before(ctx, "ensure", bucket, ""); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets[bucket] != nil {
		return false, nil
	}
	f.buckets[bucket] = make(map[string]fakeObject)
	return true, nil
}

func (f *fakeStorage) Versioned(ctx context.Context, bucket string) (bool, error) {
	if err := f.before(ctx, "versioned", bucket, ""); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.buckets[bucket] == nil {
		return false, storage.ErrNoBucket
	}
	return false, nil
}

func (f *fakeStorage) RemoveBucket(ctx context.Context, bucket string) error {
	if err := f.before(ctx, "removebucket", bucket, ""); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.buckets[bucket]) > 0 {
		return storage.ErrPrecondition
	}
	delete(f.buckets, bucket)
	return nil
}

func (f *fakeStorage) List(ctx context.Context, bucket, prefix, after string) iter.Seq2[storage.Object, error] {
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
				o.Replica, o.Source, o.Attributes = false, storage.Source{}, ""
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

func (f *fakeStorage) Page(ctx context.Context, bucket, prefix, _, after string, limit int) (objs []storage.Object, prefixes []string, next string, err error) {
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

func (f *fakeStorage) Stat(ctx context.Context, bucket, key string) (storage.Object, error) {
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

func (f *fakeStorage) Delete(ctx context.Context, bucket, key, ifETag string) error {
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
	delete(f.buckets[bucket], key)
	f.writes = append(f.writes, "delete "+bucket+"/"+key)
	return nil
}

func (f *fakeStorage) DeleteAllVersions(ctx context.Context, bucket, key string) error {
	return f.Delete(ctx, bucket, key, "")
}

func (f *fakeStorage) Listen(ctx context.Context, ready func(), tell func(storage.Event)) error {
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

// cut ends the listener: what happens from now on is told to nobody until there is another.
func (f *fakeStorage) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.events != nil {
		f.events = nil
		close(f.hangUp)
	}
}

// told reports whether a listener is told of what happens.
func (f *fakeStorage) told() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events != nil
}

// fakes are all there are, by what Physical says of no bucket: the reading half of a storage
// does not give its storage away.
var fakes sync.Map

func fakeOf(r storage.Reader) *fakeStorage {
	f, ok := fakes.Load(r.Physical(""))
	if !ok {
		panic("not the reading half of a fake: " + r.Name())
	}
	return f.(*fakeStorage)
}

// fakeCopy copies between fakes as storage.Copy does between real ones.
func fakeCopy(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
	from, to := fakeOf(src), dst.(*fakeStorage)
	if err := from.before(ctx, "get", bucket, o.Key); err != nil {
		return storage.Object{}, err
	}
	from.mu.Lock()
	have, ok := from.buckets[bucket][o.Key]
	from.mu.Unlock()
	if !ok || have.ETag != o.ETag {
		return storage.Object{}, fmt.Errorf("%w: the source is another", storage.ErrPrecondition)
	}
	if opts.Limit != nil {
		if err := opts.Limit(ctx, len(have.body)); err != nil {
			return storage.Object{}, err
		}
	}
	if opts.Progress != nil {
		opts.Progress(have.Size)
	}
	if err := to.before(ctx, "put", bucket, o.Key); err != nil {
		return storage.Object{}, err
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	if to.buckets[bucket] == nil {
		return storage.Object{}, storage.ErrNoBucket
	}
	now, there := to.buckets[bucket][o.Key]
	if (opts.If.Absent && there) || (!opts.If.Absent && opts.If.IfETag != "" && (!there || now.ETag != opts.If.IfETag)) {
		return storage.Object{}, storage.ErrPrecondition
	}
	put := storage.Object{
		Key: o.Key, Size: have.Size, ETag: have.ETag, LastModified: to.tick(), Replica: true,
		Source: storage.Source{ETag: have.ETag, Size: have.Size, ModTime: have.LastModified},
	}
	to.buckets[bucket][o.Key] = fakeObject{put, have.body}
	to.writes = append(to.writes, "put "+bucket+"/"+o.Key)
	return put, nil
}
