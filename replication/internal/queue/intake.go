package queue

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Event is an event of one cluster's storage.
type Event struct {
	Cluster string
	storage.Event
	// before are the versions that events of the key before told to be gone.
	before state.VersionIDs
}

// removed are the versions that the event, and those before it, told to be gone.
func (ev Event) removed() state.VersionIDs {
	if !ev.Gone {
		return ev.before
	}
	return ev.before.With(state.VersionIDs(ev.VersionID))
}

// Hint is an event from outside (a webhook): a key of a physical bucket changed, in a
// cluster or ("") wherever a physical bucket of that name is.
type Hint struct {
	Cluster  string
	Physical string
	Key      string
	// Or are further keys, one of which may have been meant instead.
	Or   []string
	Size int64
}

// recentFor and recentMax bound what is remembered of events.
const (
	recentFor = 5 * time.Minute
	recentMax = 50_000
)

// Intake turns reported changes into pending rows.
type Intake struct {
	router  *routing.Router
	pending Pending
	sites   *site.Sites
	catchUp func(ctx context.Context) error
	now     func() time.Time
	log     *zap.Logger
	// live stores the rows of live events; workers may begin while it does.
	live func(ctx context.Context, rows []state.Pending) error
	// seen is what events said of primaries' objects lately, so that a worker may copy one
	// without asking again. Its refs have no cluster.
	seen *memory.Memory[ids.Object, storage.Object]

	events chan Event
	inHand atomic.Int64 // those taken in that are yet to be noted
	gaps   Gaps

	overflow struct {
		sync.Mutex
		clusters map[string]struct{} // whose listeners had to wait for room
	}
}

// eventBatch bounds the events noted in one step; eventRoom those that wait for it.
const (
	eventBatch = 512
	eventRoom  = 4096
)

func newIntake(o Options) *Intake {
	return &Intake{
		router: o.Router, pending: o.Pending, sites: o.Sites, catchUp: o.CatchUp, now: o.Now, log: o.Log,
		live:   func(ctx context.Context, rows []state.Pending) error { return o.Pending.Add(ctx, rows...) },
		seen:   memory.New[ids.Object, storage.Object](recentMax, recentFor, o.Now),
		events: make(chan Event, eventRoom), gaps: o.Gaps,
	}
}

// Take takes an event of a listener, waiting for room until ctx ends. A storage drops what a
// listener does not take in time, without a sign: where one has to wait, there is a gap until
// there is room again.
func (n *Intake) Take(ctx context.Context, ev Event) {
	n.inHand.Add(1)
	select {
	case n.events <- ev:
		return
	default:
		n.overflowing(ev.Cluster)
	}
	select {
	case n.events <- ev:
	case <-ctx.Done():
		n.inHand.Add(-1)
	}
}

// overflowing notes that a cluster's listener has to wait.
func (n *Intake) overflowing(cluster string) {
	n.overflow.Lock()
	defer n.overflow.Unlock()
	if n.overflow.clusters == nil {
		n.overflow.clusters = make(map[string]struct{})
	}
	n.overflow.clusters[cluster] = struct{}{}
	n.gaps.Lost(cluster)
}

// flowing has the gaps last that listeners made which had to wait, while events still do: they
// end a while after the last time.
func (n *Intake) flowing() {
	n.overflow.Lock()
	defer n.overflow.Unlock()
	waiting := len(n.events) > 0
	for cluster := range n.overflow.clusters {
		if n.gaps.Lost(cluster); !waiting {
			delete(n.overflow.clusters, cluster)
		}
	}
}

// Waiting returns how many events wait to be noted. Of none that was taken in before it
// returns 0 routing does not know.
func (n *Intake) Waiting() int { return int(n.inHand.Load()) }

// Hints notes changes. It returns once the rows are durable and every instance routes by
// them; unknown buckets are ignored.
func (n *Intake) Hints(ctx context.Context, hints ...Hint) error {
	events := func() (all []Event) {
		snap := n.router.Snapshot()
		for _, h := range hints {
			all = append(all, h.in(snap)...)
		}
		return all
	}
	if err := n.everywhere(ctx, events); err != nil {
		return err
	}
	for _, ev := range events() {
		if s := n.sites.Known(ev.Cluster); s != nil {
			s.Feed.Hinted(n.now())
		}
	}
	return nil
}

// in tells the events that a hint may stand for.
func (h Hint) in(snap *routing.Snapshot) (events []Event) {
	snap.Clusters(func(c *catalog.Cluster) bool {
		if c.Storage == nil || (h.Cluster != "" && h.Cluster != c.Name) {
			return true
		}
		if bucket, ok := strings.CutPrefix(h.Physical, c.Storage.BucketPrefix); ok && bucket != "" {
			for _, key := range append([]string{h.Key}, h.Or...) {
				events = append(events, Event{Cluster: c.Name, Event: storage.Event{Bucket: bucket, Key: key, Size: h.Size}})
			}
		}
		return true
	})
	return events
}

// everywhere makes rows of events, which every instance routes by when it returns: of the copies that are
// known at once, then of those that another instance has made meanwhile of what was there before.
func (n *Intake) everywhere(ctx context.Context, events func() []Event) error {
	rows := n.RowsFor(events())
	if err := n.pending.AddEverywhere(ctx, rows...); err != nil {
		return err
	}
	if err := n.catchUp(ctx); err != nil {
		return err
	}
	if unseen := Unseen(n.RowsFor(events()), rows); len(unseen) > 0 {
		return n.pending.AddEverywhere(ctx, unseen...)
	}
	return nil
}

// Unseen returns those rows of objects that are not among others.
func Unseen(rows, others []state.Pending) []state.Pending {
	known := make(map[ids.Object]bool, len(others))
	for _, r := range others {
		known[ids.ObjectIn(r.Bucket, r.Key, r.Cluster)] = true
	}
	return slices.DeleteFunc(rows, func(r state.Pending) bool { return known[ids.ObjectIn(r.Bucket, r.Key, r.Cluster)] })
}

// Noted is the hook of a gateway through which users write: it is called with a key that
// is about to be written or removed in a cluster, after the storage took the write and
// before the user is told so. When it returns without an error, the rows are durable and
// every instance routes by them: no other cluster is a hit for the key until it has what
// was written. An error means that this is not so, and the write must not be
// acknowledged; calling again is harmless, and so is a call for a write that failed: the
// workers ask the storages what is true. Size is that of the object, 0 for a removal.
//
// Buckets that FaDO does not know are ignored.
func (n *Intake) Noted(ctx context.Context, bucket, key, cluster string, size int64) error {
	return n.everywhere(ctx, func() []Event {
		return []Event{{Cluster: cluster, Event: storage.Event{Bucket: bucket, Key: key, Size: size, Removed: true}}}
	})
}

// lateEvents bounds the events on their way into the store, and kept while it takes none;
// further ones wait in the listeners.
const lateEvents = 100_000

// lateEvery is the time between attempts to store them.
const lateEvery = time.Second

// noted is how storing a batch of events ended.
type noted struct {
	batch []Event
	again bool // they were noted before
	err   error
}

// Run makes pending rows of events, as many at a time as have come meanwhile, until ctx
// ends. Their objects are exceptions to freshness at once, though what came before them is
// still being stored. What the store does not take is kept and tried again.
func (n *Intake) Run(ctx context.Context) {
	var storing sync.WaitGroup
	defer storing.Wait()
	late, inHand := make(map[ids.Object]Event), 0
	defer n.drop()
	said := false // that the store takes none
	outcomes := make(chan noted)
	note := func(batch []Event, again bool, how func(context.Context, []state.Pending) error) {
		inHand += len(batch)
		rows := n.RowsFor(batch)
		storing.Go(func() {
			select {
			case outcomes <- noted{batch, again, how(ctx, rows)}:
			case <-ctx.Done():
			}
		})
	}
	again := time.NewTicker(lateEvery)
	defer again.Stop()
	for {
		events := n.events
		if len(late)+inHand >= lateEvents {
			events = nil
		}
		select {
		case <-ctx.Done():
			return
		case first := <-events:
			note(n.collect(first), false, n.live)
		case <-again.C:
			n.flowing()
			if len(late) > 0 { // the storages need not be asked until the store takes rows
				note(slices.Collect(maps.Values(late)), true, n.store)
				clear(late)
			}
		case o := <-outcomes:
			inHand -= len(o.batch)
			if !o.again {
				n.inHand.Add(int64(-len(o.batch)))
			}
			n.keepLate(late, o, said)
			said = o.err != nil
		}
	}
}

// drop forgets what waits when the intake ends: what comes next begins with a gap.
func (n *Intake) drop() {
	for {
		select {
		case <-n.events:
		default:
			n.inHand.Store(0)
			return
		}
	}
}

// keepLate keeps the events that the store did not take, and tells of it once.
func (n *Intake) keepLate(late map[ids.Object]Event, o noted, said bool) {
	if o.err == nil {
		return
	}
	if !said {
		n.log.Warn("could not store that objects changed; routing knows, and storing is tried again",
			zap.Int("events", len(o.batch)), zap.Error(o.err))
	}
	for _, ev := range o.batch {
		ref := ids.ObjectIn(ev.Bucket, ev.Key, ev.Cluster)
		ev.before = late[ref].removed().With(ev.before)
		late[ref] = ev
	}
}

func (n *Intake) store(ctx context.Context, rows []state.Pending) error {
	return n.pending.Add(ctx, rows...)
}

func (n *Intake) collect(first Event) []Event {
	batch := []Event{first}
	for len(batch) < eventBatch {
		select {
		case ev := <-n.events:
			batch = append(batch, ev)
		default:
			return batch
		}
	}
	return batch
}

// Note makes pending rows of live events. They are exceptions to freshness when it returns,
// whether or not they could be stored.
func (n *Intake) Note(ctx context.Context, events ...Event) error {
	return n.live(ctx, n.RowsFor(events))
}

// RowsFor makes rows of what events tell of. It asks the snapshot and memory alone.
//
// No event is taken for the echo of a write of FaDO's: a user may write again what FaDO wrote
// there last, and nothing that an event tells of tells the two apart. FaDO's writes raise no
// events where FaDO listens; those that a webhook tells of cost a comparison.
func (n *Intake) RowsFor(events []Event) []state.Pending {
	snap := n.router.Snapshot()
	at := make(map[ids.Object]int)
	var rows []state.Pending
	var wanted []string
	now := n.now()
	for _, ev := range events {
		bucket := snap.Of(ev.Bucket)
		primary := bucket.Primary()
		if primary == "" || ev.Key == "" {
			continue
		}
		if ev.Size > 0 && !ev.Removed {
			n.router.Sizes().Note(ev.Bucket, ev.Key, ev.Size)
		}
		wanted = n.router.Pulled.AppendClusters(bucket.WantedIn(wanted[:0], ev.Key), ev.Bucket, ev.Key)
		anywhere := bucket.Anywhere(ev.Key)
		if ev.Cluster == primary && !anywhere {
			n.remember(ev)
		}
		var gone state.VersionIDs
		if ev.Cluster == primary && !anywhere {
			gone = ev.removed()
		}
		looks := Concerned(wanted, primary, ev.Cluster)
		if anywhere {
			looks = others(wanted, ev.Cluster)
		}
		for _, c := range looks {
			ref := ids.ObjectIn(ev.Bucket, ev.Key, c)
			if i, ok := at[ref]; ok {
				rows[i].Size, rows[i].Gone = ev.Size, rows[i].Gone.With(gone)
				continue
			}
			at[ref] = len(rows)
			rows = append(rows, state.Pending{Bucket: ev.Bucket, Key: ev.Key, Cluster: c, Size: ev.Size, Since: now, Gone: gone})
		}
	}
	return rows
}

// Concerned returns the clusters in which a key that changed in one cluster is to be
// looked at: every copy when it is the primary, itself when it is a copy.
func Concerned(wanted []string, primary, changed string) []string {
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

// remember keeps what an event of the primary said of an object.
func (n *Intake) remember(ev Event) {
	ref := ids.ObjectIn(ev.Bucket, ev.Key, "")
	if ev.Removed || ev.ETag == "" {
		n.seen.Drop(ref)
		return
	}
	n.seen.Note(ref, storage.Object{
		Key: ev.Key, Size: ev.Size, ETag: ev.ETag, VersionID: ev.VersionID, LastModified: ev.Time,
	})
}
