package fakestorage

import (
	"time"

	"github.com/fado-project/fado/storage"
)

// User writes an object as a user would.
func (f *Storage) User(bucket, key, body string) {
	f.shelf.mu.Lock()
	if f.shelf.buckets[bucket] == nil {
		f.shelf.buckets[bucket] = make(map[string]object)
	}
	o := storage.Object{Key: key, Size: int64(len(body)), ETag: ETag(body), LastModified: f.shelf.tick(), Attributes: "text/plain"}
	f.shelf.set(bucket, object{Object: o, body: body})
	tell := f.Events.listener()
	f.shelf.mu.Unlock()
	tell(storage.Event{Bucket: bucket, Key: key, Size: o.Size, ETag: o.ETag, Time: o.LastModified})
}

// Describe has a user write an object again with the same content and other headers, by their
// digest. It raises no event.
func (f *Storage) Describe(bucket, key, attributes string) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	o := f.shelf.buckets[bucket][key]
	o.Attributes, o.LastModified, o.Replica, o.Source, o.VersionID = attributes, f.shelf.tick(), false, storage.Source{}, ""
	f.shelf.set(bucket, o)
}

// Restore has an object be what it was before all else was written, as a restored backup does.
func (f *Storage) Restore(bucket, key, body string) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	o := storage.Object{Key: key, Size: int64(len(body)), ETag: ETag(body), LastModified: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)}
	f.shelf.set(bucket, object{Object: o, body: body})
}

// UserDelete removes an object as a user would.
func (f *Storage) UserDelete(bucket, key string) {
	f.shelf.mu.Lock()
	f.shelf.tick()
	f.shelf.unset(bucket, key, func(time.Time) time.Time { return f.shelf.tick() })
	tell := f.Events.listener()
	f.shelf.mu.Unlock()
	tell(storage.Event{Bucket: bucket, Key: key, Removed: true})
}

// Replicate writes an object as a replication that is not FaDO's would: it raises no event.
func (f *Storage) Replicate(bucket, key, body string) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	o := storage.Object{Key: key, Size: int64(len(body)), ETag: ETag(body), LastModified: f.shelf.tick()}
	f.shelf.set(bucket, object{Object: o, body: body})
}

// RemoveVersion removes a version, or a delete marker, as a user does by its ID.
func (f *Storage) RemoveVersion(bucket, key, id string) {
	f.shelf.mu.Lock()
	f.shelf.drop(bucket, key, id)
	tell := f.Events.listener()
	f.shelf.mu.Unlock()
	tell(storage.Event{Bucket: bucket, Key: key, Removed: true, VersionID: id, Gone: true})
}

// CopyVersion writes the content of an object's oldest version again, with its metadata, as a
// user's server-side copy does.
func (f *Storage) CopyVersion(bucket, key string) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	past := f.shelf.history[bucket][key]
	o := past[len(past)-1]
	o.VersionID, o.LastModified, o.Replica = "", f.shelf.tick(), o.Token != ""
	f.shelf.set(bucket, o)
}
