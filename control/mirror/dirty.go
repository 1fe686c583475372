package mirror

import (
	"maps"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/state"
)

type objectKey struct{ bucket, key, cluster string }

// dirtySet is what changed and is yet to be written.
type dirtySet struct {
	all       bool
	resources map[state.Ref]*state.Record // nil: removed
	copies    map[string][]state.Copy
	objects   map[objectKey]bool // true: gone
}

func newDirtySet() dirtySet {
	return dirtySet{
		resources: make(map[state.Ref]*state.Record), copies: make(map[string][]state.Copy), objects: make(map[objectKey]bool),
	}
}

func (d dirtySet) empty() bool {
	return !d.all && len(d.resources)+len(d.copies)+len(d.objects) == 0
}

// note collects what changed. What changes before the mirror is open is found by resume.
func (m *Mirror) note(f func(*dirtySet)) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opened {
		f(&m.dirty)
	}
}

// NoteResource notes what became of a resource; nil: it is gone. The Note methods are
// called in the order of the changes, and never wait for the disk.
func (m *Mirror) NoteResource(ref state.Ref, rec *state.Record) {
	m.note(func(d *dirtySet) { d.putResource(ref, rec) })
}

func (d *dirtySet) putResource(ref state.Ref, rec *state.Record) {
	d.resources[ref] = rec
	if rec == nil && ref.Kind == catalog.KindBucket {
		delete(d.copies, ref.Name)
	}
}

// NoteCopies notes the rows of a bucket.
func (m *Mirror) NoteCopies(bucket string, rows []state.Copy) {
	m.note(func(d *dirtySet) { d.copies[bucket] = rows })
}

// NoteChange notes what another instance changed.
func (m *Mirror) NoteChange(c *publish.Change) {
	m.note(func(d *dirtySet) {
		if c.Resource {
			d.putResource(c.Ref, c.Record)
		}
		if c.Ref.Kind == catalog.KindBucket {
			d.copies[c.Ref.Name] = c.Rows
		}
	})
}

// NoteObjects notes what happened to pending objects.
func (m *Mirror) NoteObjects(changes []state.ObjectChange) {
	m.note(func(d *dirtySet) {
		for _, ch := range changes {
			if ch.Kind == state.ObjectPending {
				d.objects[objectKey{ch.Bucket, ch.Key, ch.Cluster}] = ch.Gone
			}
		}
	})
}

// NoteAll has everything compared, because it was loaded again.
func (m *Mirror) NoteAll() { m.note(func(d *dirtySet) { d.all = true }) }

// putBack has what was not written be written later, unless it is overtaken.
func (m *Mirror) putBack(d dirtySet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirty.all = m.dirty.all || d.all
	m.dirty.resources = overtaken(d.resources, m.dirty.resources)
	m.dirty.copies = overtaken(d.copies, m.dirty.copies)
	m.dirty.objects = overtaken(d.objects, m.dirty.objects)
}

// overtaken adds newer values to a map.
func overtaken[K comparable, V any](old, newer map[K]V) map[K]V {
	maps.Copy(old, newer)
	return old
}
