package fakestorage

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fado-project/fado/storage"
)

// Storage is a storage in memory for error paths: any call can be made to fail or
// hang. Its methods beside those of [storage.Storage] are what tests do to it and see of it, past all
// faults.
type Storage struct {
	// Events are those that the listener hears.
	Events *Events

	shelf *shelf
}

// New returns a storage without buckets.
func New(name string) *Storage {
	on := &shelf{
		name: name, buckets: make(map[string]map[string]object), history: make(map[string]map[string][]object),
		settings: make(map[string]storage.Settings), events: new(Events),
		clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	all.Store(on.id(), on)
	return &Storage{Events: on.events, shelf: on}
}

// reader is the reading half of a storage.
type reader struct {
	server
	buckets
	objects
	versions
}

// Name is the cluster's.
func (f *Storage) Name() string { return f.shelf.name }

// Reader implements [storage.Storage].
func (f *Storage) Reader() storage.Reader {
	on := f.shelf
	return reader{server{on}, buckets{on}, objects{on}, versions{on}}
}

// Writer implements [storage.Storage].
func (f *Storage) Writer() storage.Writer { return writer{f.shelf} }

// Close implements [storage.Storage].
func (f *Storage) Close() {}

// SetFault has f asked before every call; what it returns is the call's error.
func (f *Storage) SetFault(fault func(ctx context.Context, op, bucket, key string) error) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.shelf.fault = fault
}

// Offer sets what a probe finds.
func (f *Storage) Offer(caps storage.Capabilities) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.shelf.caps = caps
}

// Lose removes a bucket, or some keys of one, and returns what puts back all that the bucket
// had. No event tells of either.
func (f *Storage) Lose(bucket string, keys ...string) (restore func()) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	saved := f.shelf.buckets[bucket]
	if len(keys) == 0 {
		delete(f.shelf.buckets, bucket)
	} else {
		f.shelf.buckets[bucket] = maps.Clone(saved)
	}
	for _, key := range keys {
		delete(f.shelf.buckets[bucket], key)
	}
	return func() {
		f.shelf.mu.Lock()
		defer f.shelf.mu.Unlock()
		f.shelf.buckets[bucket] = saved
	}
}

// DeletePlainly has the storage say that its deletes go by no condition.
func (f *Storage) DeletePlainly() {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.shelf.plainDelete = true
}

// Attributes returns the digest of an object's headers.
func (f *Storage) Attributes(bucket, key string) string {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	return f.shelf.buckets[bucket][key].Attributes
}

// Contents returns the bodies of a bucket's objects by key; nil if there is no bucket.
func (f *Storage) Contents(bucket string) map[string]string {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	if f.shelf.buckets[bucket] == nil {
		return nil
	}
	m := make(map[string]string)
	for k, o := range f.shelf.buckets[bucket] {
		m[k] = o.body
	}
	return m
}

// Writes returns what FaDO wrote and removed, as "put bucket/key" and "delete bucket/key".
func (f *Storage) Writes() []string {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	return slices.Clone(f.shelf.writes)
}

// KeepVersions makes a bucket that keeps versions.
func (f *Storage) KeepVersions(bucket string) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.shelf.buckets[bucket] = make(map[string]object)
	f.shelf.history[bucket] = make(map[string][]object)
}

// Suspend suspends the versioning of a bucket that keeps versions, or ends that.
func (f *Storage) Suspend(bucket string, on bool) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	if f.shelf.suspended == nil {
		f.shelf.suspended = make(map[string]bool)
	}
	f.shelf.suspended[bucket] = on
}

// Bodies returns the contents of every version of a key, newest first; "" is a delete marker.
func (f *Storage) Bodies(bucket, key string) (bodies []string) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	for _, v := range f.shelf.history[bucket][key] {
		bodies = append(bodies, v.body)
	}
	return bodies
}

// KeepTimes has versions be ordered by times that can be given to them, and keep their IDs.
func (f *Storage) KeepTimes() {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.shelf.keepsTimes = true
}

// Configure has a bucket be configured.
func (f *Storage) Configure(bucket string, s storage.Settings) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.shelf.settings[bucket] = s
}
