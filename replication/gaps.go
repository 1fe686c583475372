package replication

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/routing"
)

// gaps knows when changes made at storages may not have been told. A gap is open while they
// are not; it is closed when they are again, or when scans are all there is to find them. It
// is forgotten when everything that is written there was compared by a scan that began after
// it was closed: until then what was not is no hit, and the status tells of it. The gap itself
// is in the cluster's live state, where routing reads it.
type gaps struct {
	core
	// pass asks for a scan of every bucket with a copy in a cluster.
	pass func(cluster string)

	mu  sync.Mutex
	all map[string]*gap
}

// gap is what people are told of one.
type gap struct {
	seen            bool // its buckets were counted
	written, behind int
	lost            time.Time // when events were lost last; zero: none were
	waits           time.Time // since when the storage is up and nothing tells of changes
}

func newGaps(c core, pass func(cluster string)) *gaps {
	return &gaps{core: c, pass: pass, all: make(map[string]*gap)}
}

func (g *gaps) state(cluster string) *routing.ClusterState { return g.snap().ClusterState(cluster) }

// of returns a cluster's gap, which is made if there is none. The caller holds mu.
func (g *gaps) of(cluster string) *gap {
	if g.all[cluster] == nil {
		g.all[cluster] = new(gap)
	}
	return g.all[cluster]
}

// Open notes that changes at a storage are not told from now on.
func (g *gaps) Open(cluster string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if st := g.state(cluster); st != nil {
		st.SetExact(false)
		st.OpenGap()
		*g.of(cluster) = gap{}
	}
}

// begin opens a gap of every cluster: nobody listened until now. Where instances share the
// work, another one may have; then the one that takes over opens it, or this one hears of it.
func (g *gaps) begin() {
	if g.ctl.Members.Shared() {
		return
	}
	for _, cluster := range g.sites.Declared() {
		if g.conf().NoEventFeed {
			g.Drop(cluster)
		} else {
			g.Open(cluster)
		}
	}
}

// Follow notes how another instance listens to a storage; none: there is nothing to listen to.
func (g *gaps) Follow(cluster string, live, none bool) {
	switch {
	case none:
		g.Drop(cluster)
	case live:
		g.Close(cluster)
	default:
		g.Open(cluster)
	}
}

// Close notes that changes at a storage are told from now on.
func (g *gaps) Close(cluster string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if st := g.state(cluster); st != nil {
		st.SetExact(true)
		g.close(cluster, st)
	}
}

// gapMargin is what the clocks of instances may differ by.
const gapMargin = time.Second

// close closes a gap now. The caller holds mu.
func (g *gaps) close(cluster string, st *routing.ClusterState) {
	at := g.now()
	if g.ctl.Members.Shared() { // another instance's clock says when it compared
		at = at.Add(gapMargin)
	}
	st.CloseGap(at)
	*g.of(cluster) = gap{}
	g.pass(cluster)
}

// Drop notes that a storage has no feed: nothing is promised of it.
func (g *gaps) Drop(cluster string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if st := g.state(cluster); st != nil {
		st.SetExact(false)
		st.DropGap()
	}
	delete(g.all, cluster)
}

// lostQuiet is how long no event was lost before a gap that this made is closed.
const lostQuiet = 2 * time.Second

// Lost notes that events of a storage were refused or could not be taken in. Where a listener
// tells everything, only its own can be lost.
func (g *gaps) Lost(cluster string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if st := g.state(cluster); st != nil && !g.conf().Disabled {
		st.OpenGap()
		g.of(cluster).lost = g.now()
	}
}

// gapEvery is the time between looks at gaps.
const gapEvery = 500 * time.Millisecond

// watch closes gaps that are over, has scanned what is yet to be compared, and forgets gaps of
// which everything was, until ctx ends.
func (g *gaps) watch(ctx context.Context, jobs *runner, scan func(bucket string)) {
	wait := gapEvery
	for delay.Sleep(ctx, wait) {
		began := time.Now()
		for _, cluster := range g.clusters() {
			g.look(cluster, jobs.waiting(jobScan) == 0, scan)
		}
		wait = max(gapEvery, 10*time.Since(began)) // a tenth of a core at most, however many buckets
	}
}

// clusters returns those that have a gap, and closes gaps that are over.
func (g *gaps) clusters() (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, one := range g.all {
		st := g.state(name)
		if st == nil {
			delete(g.all, name)
			continue
		}
		if _, open := st.Gap(); open && g.ended(one, st) {
			g.close(name, st)
		}
		names = append(names, name)
	}
	return names
}

// ended reports whether a gap that is open is over: no events were lost for a while, or
// nothing has told of changes for so long that scans are all there is to find them.
func (g *gaps) ended(one *gap, st *routing.ClusterState) bool {
	now := g.now()
	switch {
	case st.Exact():
		return now.Sub(one.lost) >= lostQuiet
	case st.Storage() != routing.StorageUp:
		one.waits = time.Time{}
	case one.waits.IsZero():
		one.waits = now
	}
	return !one.waits.IsZero() && now.Sub(one.waits) >= feedPatience && now.Sub(one.lost) >= lostQuiet
}

// gapScans is how many buckets are asked to be scanned at a look.
const gapScans = 100

// look counts what is behind in a cluster's gap, and forgets the gap if nothing is.
func (g *gaps) look(cluster string, idle bool, scan func(bucket string)) {
	st := g.state(cluster)
	if st == nil {
		return
	}
	at, open := st.Gap()
	if open || at.IsZero() {
		return
	}
	behind := 0
	written := g.ctl.Router().Behind(cluster, func(bucket string) bool {
		if behind++; idle && behind <= gapScans {
			scan(bucket)
		}
		return true
	})
	g.ctl.Router().PulledBehind(cluster, func(bucket string) {
		if behind++; idle && behind <= gapScans {
			scan(bucket)
		}
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.all[cluster]
	if one == nil {
		return
	}
	one.seen, one.written, one.behind = true, written, behind
	if now, open := st.Gap(); behind == 0 && !open && now.Equal(at) {
		st.ForgetGap(at)
		delete(g.all, cluster)
		g.log.Info("what changed while changes were not told was looked for", zap.String("cluster", cluster), zap.Int("buckets", written))
	}
}

// Gap is a time in which changes made at a storage may not have been told.
type Gap struct {
	// Open: they still are not. Otherwise what was changed before Before is being looked for.
	Open   bool
	Before time.Time
	// Behind of Buckets that are written there are yet to be compared; -1 while that is not
	// counted.
	Behind, Buckets int
}

// String says it in words.
func (g *Gap) String() string {
	if g.Open {
		return "what changes now may be missed"
	}
	text := "what changed before " + g.Before.UTC().Format(time.TimeOnly) + " is being looked for"
	if g.Behind >= 0 {
		text += fmt.Sprintf(", %d of %d buckets are left", g.Behind, g.Buckets)
	}
	return text
}

// status returns a cluster's gap, nil if it has none.
func (g *gaps) status(cluster string) *Gap {
	st := g.state(cluster)
	if st == nil {
		return nil
	}
	at, open := st.Gap()
	if !open && at.IsZero() {
		return nil
	}
	s := &Gap{Open: open, Before: at, Behind: -1}
	g.mu.Lock()
	defer g.mu.Unlock()
	if one := g.all[cluster]; one != nil && one.seen {
		s.Behind, s.Buckets = one.behind, one.written
	}
	return s
}
