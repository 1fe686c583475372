package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

const (
	mirrorEvery = time.Second      // between writes of what changed
	mirrorBeat  = 10 * time.Second // between notes that nothing did
	mirrorBatch = 500              // things written in one transaction
	mirrorRows  = 4096             // rows of pending objects written in one transaction
)

// metaMirror is the mirror's value that says what it holds.
const metaMirror = "mirror/holds"

// holds says up to where a mirror holds what the store does, and when that was so.
type holds struct {
	At      time.Time `json:"at"`
	Changes state.Seq `json:"changes"`
	Objects state.Seq `json:"objects"`
}

// mirror keeps a copy on local disk of what this instance routes by, for a start without
// the shared store. It is written by a goroutine of its own, some time after: nobody waits
// for it, and what changes often is written once.
//
// A write cut short leaves a mirror that is cautious, never one that is wrong: exceptions
// are added before, and removed after, what else was true at the same time; the note of
// how far the mirror goes comes last.
type mirror struct {
	c     *Control
	open  func(context.Context) (state.Store, error) // where store is yet to be opened
	store state.Store                                // the goroutine's, once it runs
	seed  maphash.Seed

	mu      sync.Mutex
	opened  bool
	dirty   dirt
	age     time.Time // what is mirrored was true then
	failing bool

	stored map[uint64]struct{} // pending objects that the mirror has, by hash
	beaten time.Time           // last note

	startOnce, stopOnce sync.Once
	quit, done          chan struct{}
}

// dirt is what changed and is yet to be written.
type dirt struct {
	all       bool
	resources map[state.Ref]*state.Record // nil: removed
	copies    map[string][]state.Copy
	objects   map[objectKey]bool // true: gone
}

func newDirt() dirt {
	return dirt{
		resources: make(map[state.Ref]*state.Record), copies: make(map[string][]state.Copy), objects: make(map[objectKey]bool),
	}
}

func (d dirt) empty() bool {
	return !d.all && len(d.resources)+len(d.copies)+len(d.objects) == 0
}

func newMirror(c *Control, s state.Store, open func(context.Context) (state.Store, error)) *mirror {
	return &mirror{c: c, store: s, open: open, opened: s != nil, seed: maphash.MakeSeed(), dirty: newDirt(), quit: make(chan struct{}), done: make(chan struct{})}
}

// mirroredAt says when what a mirror holds was true.
func mirroredAt(ctx context.Context, s state.Store) (time.Time, error) {
	h, err := readHolds(ctx, s)
	if err == nil && h.At.IsZero() {
		err = errors.New("there is no local mirror yet")
	}
	return h.At, err
}

func readHolds(ctx context.Context, s state.Store) (h holds, err error) {
	text, err := s.GetMeta(ctx, metaMirror)
	if err != nil || text == "" {
		return h, err
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return holds{}, fmt.Errorf("reading what the local mirror holds: %w", err)
	}
	return h, nil
}

func (m *mirror) start() { m.startOnce.Do(func() { go m.run() }) }

func (m *mirror) stop() {
	m.stopOnce.Do(func() { close(m.quit) })
	m.startOnce.Do(func() { close(m.done) })
	<-m.done
	if m.store == nil {
		return
	}
	if err := m.store.Close(); err != nil {
		m.c.log.Warn("closing the local mirror", zap.Error(err))
	}
}

// note collects what changed. What changes before the mirror is open is found by resume.
func (m *mirror) note(f func(*dirt)) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opened {
		f(&m.dirty)
	}
}

func (c *Control) mirrorResource(ref state.Ref, rec *state.Record) {
	c.mirror.note(func(d *dirt) {
		d.resources[ref] = rec
		if rec == nil && ref.Kind == catalog.KindBucket {
			delete(d.copies, ref.Name)
		}
	})
}

func (c *Control) mirrorCopies(bucket string, rows []state.Copy) {
	c.mirror.note(func(d *dirt) { d.copies[bucket] = rows })
}

func (c *Control) mirrorNews(n *news) {
	c.mirror.note(func(d *dirt) {
		if n.res {
			d.resources[n.ref] = n.rec
		}
		if n.ref.Kind == catalog.KindBucket {
			d.copies[n.ref.Name] = n.rows
		}
	})
}

func (c *Control) mirrorObjects(changes []state.ObjectChange) {
	c.mirror.note(func(d *dirt) {
		for _, ch := range changes {
			if ch.Kind == state.ObjectPending {
				d.objects[objectKey{ch.Bucket, ch.Key, ch.Cluster}] = ch.Gone
			}
		}
	})
}

// mirrorAll has everything compared anew, because it was loaded anew.
func (c *Control) mirrorAll() { c.mirror.note(func(d *dirt) { d.all = true }) }

// SnapshotAge returns how old the knowledge is that a start without the store would go by;
// without a mirror, the knowledge that routing goes by. It is 0 with a store that only
// this instance uses.
func (c *Control) SnapshotAge() time.Duration {
	at := c.followed.link.lastSeen()
	if c.mirror != nil {
		c.mirror.mu.Lock()
		if c.mirror.opened {
			at = c.mirror.age
		}
		c.mirror.mu.Unlock()
	}
	if at.IsZero() {
		return 0
	}
	return max(0, c.now().Sub(at))
}

// aged notes when what the mirror holds was true.
func (m *mirror) aged(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.age = at
}

// run writes until stop, and once more then.
func (m *mirror) run() {
	defer close(m.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-m.quit:
			time.AfterFunc(followTimeout, cancel) // for the last write
		case <-m.done:
		}
	}()
	tick := time.NewTicker(mirrorEvery)
	defer tick.Stop()
	if !m.takeOver(ctx, tick.C) {
		return
	}
	m.resume(ctx)
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-m.quit:
			last = true
		}
		err := m.flush(ctx)
		if err != nil && !m.failing {
			m.c.log.Warn("writing the local mirror", zap.Error(err))
		}
		m.failing = err != nil
	}
}

// takeOver opens the mirror, if it is not open; false if it comes to its end before.
func (m *mirror) takeOver(ctx context.Context, tick <-chan time.Time) bool {
	for last := false; m.store == nil; {
		store, err := m.open(ctx)
		if err == nil {
			m.store = store
			m.mu.Lock()
			m.opened = true
			m.mu.Unlock()
			m.c.log.Info("the local mirror is kept again")
			return true
		}
		m.c.log.Debug("opening the local mirror", zap.Error(err))
		if last {
			return false
		}
		select {
		case <-tick:
		case <-m.quit:
			last = true // whoever had it may have ended a moment ago
		}
	}
	return true
}

// resume finds out what the mirror has and misses.
func (m *mirror) resume(ctx context.Context) {
	m.stored = make(map[uint64]struct{})
	err := m.store.EachPending(ctx, func(p state.Pending) error {
		m.stored[m.hash(objectKey{p.Bucket, p.Key, p.Cluster})] = struct{}{}
		return nil
	})
	if err == nil {
		err = m.replay(ctx)
	}
	if err != nil {
		m.c.log.Info("writing the local mirror anew", zap.String("reason", err.Error()))
		m.c.mirrorAll()
	}
}

func (m *mirror) hash(k objectKey) uint64 { return maphash.Comparable(m.seed, k) }

// replay collects what changed in the store since the mirror was written.
func (m *mirror) replay(ctx context.Context) error {
	h, err := readHolds(ctx, m.store)
	if err != nil {
		return err
	}
	if h.At.IsZero() {
		return errors.New("it is empty")
	}
	for {
		changes, err := m.c.Store().Changes(ctx, h.Changes, objectPage)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			break
		}
		h.Changes = changes[len(changes)-1].Seq
		for _, n := range m.c.followed.gatherAll(changes) {
			if err := m.c.readNews(ctx, n); err != nil {
				return err
			}
			m.c.mirrorNews(n)
		}
	}
	for {
		changes, err := m.c.followed.store().ObjectChanges(ctx, h.Objects, objectPage)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			return nil
		}
		h.Objects = changes[len(changes)-1].Seq
		m.c.mirrorObjects(changes)
	}
}

// flush writes what changed so far. What can't be written stays to be.
func (m *mirror) flush(ctx context.Context) error {
	at, p := m.c.followed.link.lastSeen(), *m.c.followed.position.Load() // before what is collected
	m.mu.Lock()
	d := m.dirty
	m.dirty = newDirt()
	m.mu.Unlock()
	if at.IsZero() {
		at = m.c.now()
	}
	if err := m.write(ctx, d); err != nil {
		m.putBack(d)
		return err
	}
	if !d.empty() || time.Since(m.beaten) > mirrorBeat {
		text, err := json.Marshal(holds{At: at.UTC(), Changes: p.changes, Objects: p.objects})
		if err != nil {
			return err
		}
		if err := m.store.PutMeta(ctx, metaMirror, string(text)); err != nil {
			return err
		}
		m.beaten = time.Now()
	}
	m.aged(at)
	return nil
}

func (m *mirror) write(ctx context.Context, d dirt) error {
	if d.all {
		return m.writeAll(ctx)
	}
	if err := m.addObjects(ctx, d.objects); err != nil {
		return err
	}
	if err := m.writeNews(ctx, d); err != nil {
		return err
	}
	return m.removeObjects(ctx, d.objects)
}

// putBack has what was not written be written later, unless it is overtaken.
func (m *mirror) putBack(d dirt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirty.all = m.dirty.all || d.all
	for k, v := range d.resources {
		if _, newer := m.dirty.resources[k]; !newer {
			m.dirty.resources[k] = v
		}
	}
	for k, v := range d.copies {
		if _, newer := m.dirty.copies[k]; !newer {
			m.dirty.copies[k] = v
		}
	}
	for k, v := range d.objects {
		if _, newer := m.dirty.objects[k]; !newer {
			m.dirty.objects[k] = v
		}
	}
}
