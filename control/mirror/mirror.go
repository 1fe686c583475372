package mirror

import (
	"cmp"
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/follow"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/state"
)

const (
	writeEvery   = time.Second      // between writes of what changed
	beat         = 10 * time.Second // between notes that nothing did
	changePage   = 4096             // changes of the store read at a time
	lastPatience = 5 * time.Second  // for the last write, by default
)

// Source is what is mirrored.
type Source interface {
	// Shared returns the store, which is a shared one.
	Shared() state.Shared
	// At returns what this instance routes by, and when that was all there was.
	At() (follow.Position, time.Time)
}

// Options of a Mirror.
type Options struct {
	// Store is the mirror's own store, closed by Stop. Where it is nil, Open is tried until
	// it succeeds, because a runtime that is about to end may still have it.
	Store state.Store
	Open  func(context.Context) (state.Store, error)

	Source Source
	Now    func() time.Time
	Log    *zap.Logger
	// LastPatience bounds the last write, at Stop. Default: 5 seconds.
	LastPatience time.Duration
}

// Mirror keeps a copy on local disk of what this instance routes by. What changes often is
// written once.
type Mirror struct {
	source Source
	now    func() time.Time
	log    *zap.Logger
	last   time.Duration // for the last write
	open   func(context.Context) (state.Store, error)
	store  state.Store // the goroutine's, once it runs
	writer *writer

	mu     sync.Mutex
	opened bool
	dirty  dirtySet
	age    time.Time // what is mirrored was true then

	beaten time.Time // last note of what the mirror holds

	startOnce, stopOnce sync.Once
	quit, done          chan struct{}
}

// New returns a Mirror that writes nothing yet; nil where the options have no store. The
// Note methods of a nil Mirror do nothing.
func New(o Options) *Mirror {
	if o.Store == nil && o.Open == nil {
		return nil
	}
	return &Mirror{
		source: o.Source, now: o.Now, log: o.Log, open: o.Open, store: o.Store, opened: o.Store != nil,
		last:  cmp.Or(o.LastPatience, lastPatience),
		dirty: newDirtySet(), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// Start begins writing. The source is in use by then.
func (m *Mirror) Start() {
	if m != nil {
		m.startOnce.Do(func() { go m.run() })
	}
}

// Stop writes once more and closes the mirror's store. It may be called more than once.
func (m *Mirror) Stop() {
	if m == nil {
		return
	}
	m.stopOnce.Do(func() { close(m.quit) })
	m.startOnce.Do(func() { close(m.done) })
	<-m.done
	if m.store == nil {
		return
	}
	if err := m.store.Close(); err != nil {
		m.log.Warn("could not close the local mirror; what was written last may be written again", zap.Error(err))
	}
}

// Age returns when what the mirror holds was true; not ok while it is not open.
func (m *Mirror) Age() (at time.Time, ok bool) {
	if m == nil {
		return time.Time{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.age, m.opened
}

func (m *Mirror) setAge(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age = at
}

// run writes until Stop, and once more then.
func (m *Mirror) run() {
	defer close(m.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-m.quit:
			time.AfterFunc(m.last, cancel)
		case <-m.done:
		}
	}()
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	if !m.takeOver(ctx, tick.C) {
		return
	}
	m.resume(ctx)
	failing := false
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-m.quit:
			last = true
		}
		err := m.flush(ctx)
		if err != nil && !failing {
			m.log.Warn("could not write the local mirror; retrying every second", zap.Error(err))
		}
		failing = err != nil
	}
}

// takeOver opens the mirror, if it is not open; false if it comes to its end before.
func (m *Mirror) takeOver(ctx context.Context, tick <-chan time.Time) bool {
	for last := false; m.store == nil; {
		store, err := m.open(ctx)
		if err == nil {
			m.store = store
			m.mu.Lock()
			m.opened = true
			m.mu.Unlock()
			m.log.Info("the local mirror is written again")
			return true
		}
		m.log.Debug("could not open the local mirror; retrying every second", zap.Error(err))
		if last {
			return false
		}
		select {
		case <-tick:
		case <-m.quit:
			last = true // the runtime that had it may have ended a moment ago
		}
	}
	return true
}

// resume finds out what the mirror has and misses.
func (m *Mirror) resume(ctx context.Context) {
	w, err := newWriter(ctx, m.store)
	m.writer = w
	if err == nil {
		err = m.replay(ctx)
	}
	if err != nil {
		m.log.Info("could not go on from what the local mirror holds; it is compared with the store from the start", zap.Error(err))
		m.NoteAll()
	}
}

// replay collects what changed in the store since the mirror was written.
func (m *Mirror) replay(ctx context.Context) error {
	h, err := readHolds(ctx, m.store)
	if err != nil {
		return err
	}
	if h.At.IsZero() {
		return errEmpty
	}
	if err := m.precedes(ctx, h); err != nil {
		return err
	}
	if err := m.replayChanges(ctx, h.Changes); err != nil {
		return err
	}
	for {
		changes, err := m.source.Shared().Instances().ObjectChanges(ctx, h.Objects, changePage)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			return nil
		}
		h.Objects = changes[len(changes)-1].Seq
		m.NoteObjects(changes)
	}
}

// precedes returns an error if the store has not come as far as the mirror: it is another one,
// or was restored from a backup.
func (m *Mirror) precedes(ctx context.Context, h holds) error {
	changes, err := m.source.Shared().ChangeLog().Seq(ctx)
	if err != nil {
		return err
	}
	objects, err := m.source.Shared().Instances().ObjectSeq(ctx)
	if err == nil && (h.Changes > changes || h.Objects > objects) {
		err = errAhead
	}
	return err
}

func (m *Mirror) replayChanges(ctx context.Context, after state.Seq) error {
	store := m.source.Shared()
	for {
		changes, err := store.ChangeLog().Changes(ctx, after, changePage)
		if err != nil || len(changes) == 0 {
			return err
		}
		after = changes[len(changes)-1].Seq
		for _, c := range follow.Gather(changes) {
			if err := c.Read(ctx, store.Catalogue()); err != nil {
				return err
			}
			m.NoteChange(c)
		}
	}
}

// flush writes what changed so far. What can't be written stays to be.
func (m *Mirror) flush(ctx context.Context) error {
	p, at := m.source.At() // before what is collected
	m.mu.Lock()
	d := m.dirty
	m.dirty = newDirtySet()
	m.mu.Unlock()
	if at.IsZero() {
		at = m.now()
	}
	if err := m.writer.write(ctx, d, m.source.Shared()); err != nil {
		m.putBack(d)
		return err
	}
	if !d.empty() || time.Since(m.beaten) > beat {
		if err := writeHolds(ctx, m.store, holds{At: at.UTC(), Changes: p.Changes, Objects: p.Objects}); err != nil {
			return err
		}
		m.beaten = time.Now()
	}
	m.setAge(at)
	return nil
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

// NoteResource notes the new value of a resource; nil: it is gone. The Note methods are
// called in the order of the changes, and never wait for the disk.
func (m *Mirror) NoteResource(ref state.Ref, rec *state.Record) {
	m.note(func(d *dirtySet) { d.putResource(ref, rec) })
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
