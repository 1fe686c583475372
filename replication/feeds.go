package replication

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// feedEvent is an event of one cluster's storage.
type feedEvent struct {
	cluster string
	storage.Event
}

// eventBatch bounds the events noted in one step.
const eventBatch = 512

// feeds keeps a listener running on every storage that has one.
func (r *run) feeds(ctx context.Context) {
	type listener struct {
		site *site
		stop func()
	}
	running := make(map[string]listener)
	defer func() {
		for _, l := range running {
			l.stop()
		}
	}()
	for {
		for _, name := range r.sites.declared() {
			s := r.sites.get(name)
			if l, ok := running[name]; ok && l.site == s {
				continue
			} else if ok {
				l.stop()
				delete(running, name)
			}
			if s != nil && s.client != nil {
				running[name] = listener{s, r.listener(ctx, s)}
			}
		}
		for name, l := range running {
			if r.sites.get(name) != l.site {
				l.stop()
				delete(running, name)
			}
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// listener starts listening to a site; stop ends it and waits.
func (r *run) listener(ctx context.Context, s *site) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.leading(ctx, "replication/listen/"+s.name, func(ctx context.Context) {
			s.feed.set(false, "about to listen") // whoever listened before has left a gap
			s.ears.Store(true)
			defer s.ears.Store(false)
			r.listen(ctx, s)
		})
	}()
	return func() { cancel(); <-done }
}

// noListener says why a storage can never be listened to.
const noListener = "the storage has no listener"

// feedDown says why a storage is not listened to for now.
const feedDown = "the storage is down"

// How long to wait before listening again.
const (
	relistenMin         = 200 * time.Millisecond
	relistenMax         = 30 * time.Second
	relistenUnsupported = 10 * time.Minute

	// earsPatience is how long an instance keeps a storage to itself that it can't reach.
	earsPatience = 5 * time.Second
)

// listen follows a storage's events for as long as ctx lasts. Whatever happens while it
// does not listen is found by the scan that every new beginning asks for.
func (r *run) listen(ctx context.Context, s *site) {
	defer s.feed.set(false, "")
	if r.conf().NoEventFeed {
		s.feed.set(false, "event_feed is off")
		<-ctx.Done()
		return
	}
	wait := relistenMin
	down := time.Now()
	for ctx.Err() == nil {
		if !s.up() {
			s.feed.set(false, feedDown)
			if r.ctl.Shared() && time.Since(down) > earsPatience {
				return // another instance may reach it
			}
			sleep(ctx, 100*time.Millisecond)
			continue
		}
		s.feed.over(feedDown, "about to listen")
		began := false
		err := s.client.Listen(ctx, func() {
			began = true
			r.listening(s)
		}, func(ev storage.Event) {
			select {
			case r.events <- feedEvent{s.name, ev}:
			case <-ctx.Done():
			}
		})
		if ctx.Err() != nil {
			return
		}
		wait = r.notListening(s, err, wait, began)
		sleep(ctx, jitter(wait))
		down = time.Now()
	}
}

func (r *run) listening(s *site) {
	if s.feed.set(true, "") {
		r.log.Info("listening for changes", zap.String("cluster", s.name))
		r.sweeper.gap(s.name)
	}
}

// notListening notes why a listener ended, and returns how long to wait.
func (r *run) notListening(s *site, err error, wait time.Duration, began bool) time.Duration {
	why := "the listener ended"
	if err != nil {
		why = err.Error()
	}
	switch {
	case errors.Is(err, storage.ErrUnsupported):
		s.feed.set(false, noListener)
		return relistenUnsupported
	case errors.Is(err, storage.ErrSilent):
		why = "the listener is silent"
		wait = max(wait, 5*time.Second)
	case began:
		wait = relistenMin
	}
	if s.feed.set(false, why) {
		r.log.Warn("not listening for changes: scanning instead", zap.String("cluster", s.name), zap.String("reason", why))
	}
	return min(2*wait, relistenMax)
}

// lateEvents bounds the events kept while the store takes none; further ones wait in the
// listeners.
const lateEvents = 100_000

// noticeLoop makes pending rows of events, as many at a time as have come meanwhile.
// What the store does not take is kept and tried again, while newer events are noted at
// once: even a store that fails makes their objects exceptions to freshness.
func (r *run) noticeLoop(ctx context.Context) {
	late := make(map[objectRef]feedEvent)
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		events := r.events
		if len(late) >= lateEvents {
			events = nil
		}
		var batch []feedEvent
		note := r.workers.noteLive
		select {
		case <-ctx.Done():
			return
		case first := <-events:
			batch = r.collect(first)
		case <-again.C:
			batch = slices.Collect(maps.Values(late))
			clear(late)
			note = r.storeRows // the storages need not be asked until the store takes rows
		}
		if err := note(ctx, r.rowsFor(ctx, batch)); err != nil && ctx.Err() == nil {
			if len(late) == 0 {
				r.log.Warn("noting changes", zap.Error(err))
			}
			for _, ev := range batch {
				late[objectRef{ev.Bucket, ev.Key, ev.cluster}] = ev
			}
		}
	}
}

func (r *run) collect(first feedEvent) []feedEvent {
	batch := []feedEvent{first}
	for len(batch) < eventBatch {
		select {
		case ev := <-r.events:
			batch = append(batch, ev)
		default:
			return batch
		}
	}
	return batch
}

// storeRows returns once rows are durable.
func (e *Engine) storeRows(ctx context.Context, rows []state.Pending) error {
	return e.ctl.AddPending(ctx, rows...)
}

// rowsFor makes rows of what events tell of.
func (e *Engine) rowsFor(ctx context.Context, events []feedEvent) []state.Pending {
	snap := e.ctl.Router().Snapshot()
	at := make(map[objectRef]int)
	var rows []state.Pending
	var wanted []string
	now := e.now()
	for _, ev := range events {
		primary := snap.Primary(ev.Bucket)
		if primary == "" || ev.Key == "" {
			continue
		}
		wanted = e.ctl.Router().Pulled.AppendClusters(snap.WantedIn(wanted[:0], ev.Bucket, ev.Key), ev.Bucket, ev.Key)
		everywhere := e.anywhere(ev.Bucket, ev.Key)
		if ev.cluster == primary && !everywhere {
			e.remember(ev)
		} else if e.own.wrote(objectRef{ev.Bucket, ev.Key, ev.cluster}, ev.Event) {
			continue
		}
		looks := concerned(wanted, primary, ev.cluster)
		if everywhere {
			looks = others(wanted, ev.cluster)
		}
		for _, c := range looks {
			ref := objectRef{ev.Bucket, ev.Key, c}
			if i, ok := at[ref]; ok {
				rows[i].Size = ev.Size
				continue
			}
			at[ref] = len(rows)
			rows = append(rows, state.Pending{Bucket: ev.Bucket, Key: ev.Key, Cluster: c, Size: ev.Size, Since: now})
		}
	}
	return rows
}

// concerned returns the clusters in which a key that changed in one cluster is to be
// looked at: every copy when it is the primary, itself when it is a copy.
func concerned(wanted []string, primary, changed string) []string {
	var cs []string
	for _, c := range wanted {
		if c != primary && (changed == primary || changed == c) {
			cs = append(cs, c)
		}
	}
	return cs
}

// others returns the clusters in which a key that may be written anywhere is to be looked
// at when it changed in one of them.
func others(wanted []string, changed string) []string {
	var cs []string
	for _, c := range wanted {
		if c != changed {
			cs = append(cs, c)
		}
	}
	return cs
}

// remember keeps what an event of the primary said of an object, so that a worker may
// copy it without asking again.
func (e *Engine) remember(ev feedEvent) {
	ref := objectRef{ev.Bucket, ev.Key, ""}
	if ev.Removed || ev.ETag == "" {
		e.seen.drop(ref)
		return
	}
	e.seen.note(ref, storage.Object{
		Key: ev.Key, Size: ev.Size, ETag: ev.ETag, VersionID: ev.VersionID, LastModified: ev.Time,
	})
}

// Hint takes an event from outside (a webhook): a key of a physical bucket changed, in a
// cluster or ("") wherever a physical bucket of that name is.
type Hint struct {
	Cluster  string
	Physical string
	Key      string
	Size     int64
}

// Hints notes changes. It returns once the rows are durable and every instance routes by
// them; unknown buckets are ignored.
func (e *Engine) Hints(ctx context.Context, hints ...Hint) error {
	snap := e.ctl.Router().Snapshot()
	var events []feedEvent
	for _, h := range hints {
		snap.Clusters(func(c *catalog.Cluster) bool {
			if c.Storage == nil || (h.Cluster != "" && h.Cluster != c.Name) {
				return true
			}
			if bucket, ok := strings.CutPrefix(h.Physical, c.Storage.BucketPrefix); ok && bucket != "" {
				events = append(events, feedEvent{c.Name, storage.Event{Bucket: bucket, Key: h.Key, Size: h.Size}})
			}
			return true
		})
	}
	return e.ctl.AddPendingEverywhere(ctx, e.rowsFor(ctx, events)...)
}

// recent remembers objects for a while. It is a hint's memory: forgetting is harmless.
type recent struct {
	now func() time.Time

	mu sync.Mutex
	by map[objectRef]recalled
}

type recalled struct {
	storage.Object
	at time.Time
}

const (
	recentFor = 5 * time.Minute
	recentMax = 50_000
)

func newRecent(now func() time.Time) *recent {
	return &recent{now: now, by: make(map[objectRef]recalled)}
}

func (r *recent) note(ref objectRef, o storage.Object) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.by) >= recentMax {
		for k, v := range r.by {
			if now.Sub(v.at) > recentFor/10 {
				delete(r.by, k)
			}
		}
		if len(r.by) >= recentMax {
			clear(r.by)
		}
	}
	r.by[ref] = recalled{o, now}
}

func (r *recent) get(ref objectRef) (storage.Object, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.by[ref]
	if !ok || r.now().Sub(v.at) > recentFor {
		return storage.Object{}, false
	}
	return v.Object, true
}

func (r *recent) drop(ref objectRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, ref)
}

// wrote says whether an event is that of a write noted here.
func (r *recent) wrote(ref objectRef, ev storage.Event) bool {
	o, ok := r.get(ref)
	return ok && !ev.Removed && ev.ETag != "" && o.ETag == ev.ETag
}
