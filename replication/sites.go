package replication

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// site is one cluster's storage as this engine knows it. Its client changes when the
// storage's declaration does: then it is another site.
type site struct {
	name    string
	decl    catalog.Storage
	client  storage.Storage // nil while it can't be opened
	limiter *rate.Limiter   // bytes read and written here; nil: unlimited

	kick  chan struct{} // asks for a ping now
	feed  feedState
	space fullness
	ears  atomic.Bool // this instance is the one that listens, or tries to

	lastOK atomic.Int64 // unix nanoseconds of the last answer that was a proof of life
	fails  atomic.Int32 // requests in a row that found it unavailable

	mu       sync.Mutex
	cond     routing.StorageCondition
	reason   string
	caps     storage.Capabilities
	probed   bool
	probedIn bool // with a bucket
}

// feedState says how changes made directly at a storage are noticed.
type feedState struct {
	mu    sync.Mutex
	live  bool
	epoch int64  // raised whenever the feed comes or goes: equal epochs mean no gap
	why   string // why it is not live
}

func (f *feedState) set(live bool, why string) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = f.live != live
	if changed {
		f.epoch++
	}
	f.live, f.why = live, why
	return changed
}

// over replaces a reason that is no more.
func (f *feedState) over(was, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.why == was {
		f.why = why
	}
}

func (f *feedState) get() (live bool, epoch int64, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live, f.epoch, f.why
}

func (s *site) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client != nil && s.cond == routing.StorageUp
}

func (s *site) down() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cond == routing.StorageDown, s.reason
}

// alive notes an answer of the storage.
func (s *site) alive(now time.Time) {
	s.lastOK.Store(now.UnixNano())
	s.fails.Store(0)
}

// ask has the storage pinged soon.
func (s *site) ask() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// sites are the storages of all clusters.
type sites struct {
	e *Engine

	mu     sync.Mutex
	byName map[string]*site
}

func newSites(e *Engine) *sites { return &sites{e: e, byName: make(map[string]*site)} }

// get returns the site of a cluster as it is declared now; nil if the cluster has no
// storage or does not exist.
func (ss *sites) get(cluster string) *site {
	cl := ss.e.ctl.Router().Snapshot().Cluster(cluster)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byName[cluster]
	if cl == nil || cl.Storage == nil {
		if s != nil {
			ss.drop(s)
		}
		return nil
	}
	if s != nil && s.decl == *cl.Storage && s.client != nil {
		return s
	}
	if s != nil {
		if s.decl == *cl.Storage && time.Since(time.Unix(0, s.lastOK.Load())) < time.Second {
			return s // could not be opened a moment ago
		}
		ss.drop(s)
	}
	s = ss.openSite(cluster, cl.Storage)
	ss.byName[cluster] = s
	return s
}

// openSite makes a site; one whose client can't be made is down. The caller holds mu.
func (ss *sites) openSite(cluster string, decl *catalog.Storage) *site {
	s := &site{name: cluster, decl: *decl, kick: make(chan struct{}, 1), limiter: newLimiter(int64(decl.Bandwidth))}
	client, err := ss.e.open(cluster, decl)
	if err != nil {
		s.lastOK.Store(time.Now().UnixNano())
		s.cond, s.reason = routing.StorageDown, err.Error()
		return s
	}
	s.client = client
	return s
}

// drop closes a site's client; what is in flight on it fails and is tried again with
// the next one. The caller holds mu.
func (ss *sites) drop(s *site) {
	delete(ss.byName, s.name)
	if s.client != nil {
		s.client.Close()
	}
	s.feed.set(false, "the storage's declaration changed")
}

func (ss *sites) close() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byName {
		ss.drop(s)
	}
}

// usable returns the site of a cluster if requests to it make sense now.
func (ss *sites) usable(cluster string) (*site, error) {
	s := ss.get(cluster)
	if s == nil {
		return nil, fmt.Errorf("cluster %s has no storage: %w", cluster, storage.ErrUnavailable)
	}
	if down, why := s.down(); down || s.client == nil {
		return nil, fmt.Errorf("the storage of %s is down: %s: %w", cluster, why, errDown)
	}
	return s, nil
}

// declared lists the clusters that have a storage.
func (ss *sites) declared() []string {
	var names []string
	ss.e.ctl.Router().Snapshot().Clusters(func(c *catalog.Cluster) bool {
		if c.Storage != nil {
			names = append(names, c.Name)
		}
		return true
	})
	return names
}

// watch keeps one monitor per declared storage running until the run ends.
func (ss *sites) watch(r *run) {
	watched := make(map[string]*monitored)
	defer func() {
		for _, m := range watched {
			m.stop()
		}
	}()
	for {
		names := ss.declared()
		ss.e.slots.setClusters(len(names))
		ss.reconcile(r, watched, names)
		select {
		case <-r.ctx.Done():
			return
		case <-r.planner.clustersChanged:
		case <-time.After(10 * time.Second):
		}
	}
}

// monitored is a running monitor of a site.
type monitored struct {
	site *site
	stop func()
}

func (ss *sites) reconcile(r *run, watched map[string]*monitored, names []string) {
	want := make(map[string]bool)
	for _, n := range names {
		want[n] = true
		s := ss.get(n)
		if m := watched[n]; m != nil && m.site == s {
			continue
		} else if m != nil {
			m.stop()
			delete(watched, n)
		}
		if s == nil {
			continue
		}
		watched[n] = r.monitor(s)
	}
	for n, m := range watched {
		if !want[n] {
			m.stop()
			delete(watched, n)
			ss.get(n) // closes the client
		}
	}
}

// monitor starts pinging a site.
func (r *run) monitor(s *site) *monitored {
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.pingLoop(ctx, s)
	}()
	return &monitored{site: s, stop: func() { cancel(); <-done }}
}

// maxPingGap bounds the backoff of pings to a storage that is down.
const maxPingGap = 15 * time.Second

func (r *run) pingLoop(ctx context.Context, s *site) {
	strikes := 0
	for ctx.Err() == nil {
		err := r.ping(ctx, s)
		if ctx.Err() != nil {
			return
		}
		gap := r.tune.PingEvery
		if err == nil {
			strikes = 0
			r.siteUp(ctx, s)
		} else {
			strikes++
			gap = min(time.Second<<min(strikes-1, 10), maxPingGap, r.tune.PingEvery)
			if strikes > 1 || !errors.Is(err, context.DeadlineExceeded) {
				r.siteDown(s, err)
			}
		}
		r.awaitPing(ctx, s, jitter(gap))
	}
}

// awaitPing waits for the next ping's time, or until somebody asks for one.
func (r *run) awaitPing(ctx context.Context, s *site, gap time.Duration) {
	t := time.NewTimer(gap)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.kick:
		sleep(ctx, min(gap, 200*time.Millisecond)) // many may ask at once
	case <-ctx.Done():
	}
}

// ping asks the storage for a sign of life. A storage that answered other requests
// meanwhile is alive even if the ping itself came back late.
func (r *run) ping(ctx context.Context, s *site) error {
	if s.client == nil {
		if n := r.sites.get(s.name); n != nil && n != s && n.client != nil {
			r.planner.clusterChange()
		}
		_, why := s.down()
		return errors.New(why)
	}
	began := r.now()
	pctx, cancel := context.WithTimeout(ctx, r.tune.PingTimeout)
	defer cancel()
	err := s.client.Ping(pctx)
	if err == nil {
		s.alive(r.now())
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) && s.lastOK.Load() > began.UnixNano() {
		return nil
	}
	return err
}

// siteUp notes that a storage answers: what waited for it becomes due.
func (r *run) siteUp(ctx context.Context, s *site) {
	defer r.probe(ctx, s) // takes its time: nothing waits for it
	s.mu.Lock()
	was := s.cond
	s.cond, s.reason = routing.StorageUp, ""
	s.mu.Unlock()
	if st := r.ctl.Router().Snapshot().ClusterState(s.name); st != nil {
		st.SetStorage(routing.StorageUp)
	}
	if was == routing.StorageUp {
		return
	}
	r.slots.setSuspect(s.name, false)
	r.ctl.Events().Emit(control.Event{Type: control.EventStorage, Cluster: s.name, State: "up"})
	r.log.Info("storage is up", zap.String("cluster", s.name))
	if _, err := r.ctl.Store().RetryPending(ctx, state.PendingFilter{}, r.now()); err != nil && ctx.Err() == nil {
		r.log.Warn("making waiting objects due", zap.Error(err))
	}
	r.ctl.WakeWorkers()
	r.planner.storageChanged()
	r.sweeper.gap(s.name)
}

// siteDown notes that a storage does not answer or refuses us. What is in flight on it
// is aborted: it would only hold slots until it times out.
func (r *run) siteDown(s *site, err error) {
	s.mu.Lock()
	was := s.cond
	s.cond, s.reason = routing.StorageDown, err.Error()
	s.mu.Unlock()
	if st := r.ctl.Router().Snapshot().ClusterState(s.name); st != nil {
		st.SetStorage(routing.StorageDown)
	}
	if was == routing.StorageDown {
		return
	}
	r.gate.cutOff(s.name)
	r.ctl.Events().Emit(control.Event{Type: control.EventStorage, Cluster: s.name, State: "down", Reason: err.Error()})
	r.log.Warn("storage is down", zap.String("cluster", s.name), zap.Error(err))
	r.planner.storageChanged()
}

// probe finds out what the storage offers, once it can.
func (r *run) probe(ctx context.Context, s *site) {
	s.mu.Lock()
	probed := s.probed
	s.mu.Unlock()
	if probed {
		return
	}
	pctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	caps, err := s.client.Probe(pctx, "")
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("probing a storage", zap.String("cluster", s.name), zap.Error(err))
		}
		return
	}
	s.mu.Lock()
	s.caps, s.probed = caps, true
	s.mu.Unlock()
}

// suspicion is how many requests in a row must find a storage unavailable before it is
// pinged at once and kept to few slots.
const suspicion = 3

// observed learns from the outcome of a request to a storage.
func (e *Engine) observed(s *site, err error) {
	switch {
	case errors.Is(err, control.ErrCutOff): // it is about this instance
	case err == nil:
		e.slots.flowing(s.name, time.Now())
		if s.fails.Load() >= suspicion {
			e.slots.setSuspect(s.name, false)
		}
		s.alive(e.now())
	case errors.Is(err, storage.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStalled):
		e.slots.congested(s.name, time.Now())
		if s.fails.Add(1) == suspicion {
			e.slots.setSuspect(s.name, true)
			s.ask()
		}
	case errors.Is(err, storage.ErrDenied):
		s.ask()
	case !errors.Is(err, context.Canceled):
		s.alive(e.now())
	}
}

// StorageStatus returns what is known of a cluster's storage.
func (e *Engine) StorageStatus(cluster string) StorageStatus {
	e.sites.mu.Lock()
	s := e.sites.byName[cluster]
	e.sites.mu.Unlock()
	st := StorageStatus{State: routing.StorageUnknown.String(), UsedBytes: e.ctl.UsedBytes()[cluster]}
	if s == nil {
		return st
	}
	s.mu.Lock()
	st.State, st.Error, st.Capabilities = s.cond.String(), s.reason, s.caps
	s.mu.Unlock()
	if why, _ := s.space.full(); why != "" {
		st.Full = true
		if st.Error == "" {
			st.Error = why
		}
	}
	live, _, why := s.feed.get()
	if st.Feed = "listening"; !live {
		st.Feed = "scanning"
		if why != "" {
			st.Feed += ": " + why
		}
	}
	return st
}

// jitter spreads a duration by a fifth either way.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
