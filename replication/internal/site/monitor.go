package site

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// Redeclared tells that clusters may have been declared, changed or removed.
func (ss *Sites) Redeclared() {
	select {
	case ss.again <- struct{}{}:
	default:
	}
}

// lookEvery is the time between checks of the declarations without a request.
const lookEvery = 10 * time.Second

// Watch keeps one monitor per declared storage running until ctx ends.
func (ss *Sites) Watch(ctx context.Context) {
	watched := &monitors{sites: ss, o: ss.o, running: make(map[string]*monitor)}
	defer watched.stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		names := ss.Declared()
		ss.o.Pace.SetClusters(len(names))
		watched.reconcile(ctx, names)
		select {
		case <-ctx.Done():
			return
		case <-ss.again:
		case <-look.C:
		}
	}
}

// monitor is a running monitor of a site.
type monitor struct {
	site *Site
	stop func()
}

// monitors are those of all sites.
type monitors struct {
	sites   *Sites
	o       *Options
	running map[string]*monitor // by cluster
}

func (ms *monitors) stop() {
	for _, m := range ms.running {
		m.stop()
	}
}

// reconcile has the sites of some clusters pinged, and no others.
func (ms *monitors) reconcile(ctx context.Context, names []string) {
	want := make(map[string]bool)
	for _, n := range names {
		want[n] = true
		s := ms.sites.Get(n)
		if m := ms.running[n]; m != nil && m.site == s {
			continue
		} else if m != nil {
			m.stop()
			delete(ms.running, n)
		}
		if s != nil {
			ms.running[n] = ms.monitor(ctx, s)
		}
	}
	for n, m := range ms.running {
		if !want[n] {
			m.stop()
			delete(ms.running, n)
			ms.sites.Get(n) // closes the client
		}
	}
}

// monitor starts pinging a site.
func (ms *monitors) monitor(ctx context.Context, s *Site) *monitor {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ms.pingLoop(ctx, s)
	}()
	return &monitor{site: s, stop: func() { cancel(); <-done }}
}

// maxPingGap bounds the backoff of pings to a storage that is down.
const maxPingGap = 15 * time.Second

func (ms *monitors) pingLoop(ctx context.Context, s *Site) {
	failures := 0
	for ctx.Err() == nil {
		err := ms.ping(ctx, s)
		if ctx.Err() != nil {
			return
		}
		gap := ms.o.Timing.PingEvery
		if err == nil {
			failures = 0
			ms.up(ctx, s)
		} else {
			failures++
			gap = min(time.Second<<min(failures-1, 10), maxPingGap, ms.o.Timing.PingEvery)
			if failures > 1 || !errors.Is(err, context.DeadlineExceeded) {
				ms.down(s, err)
			}
		}
		awaitPing(ctx, s, delay.Jitter(gap))
	}
}

// awaitPing waits for the next ping's time, or until a ping is asked for.
func awaitPing(ctx context.Context, s *Site, gap time.Duration) {
	t := time.NewTimer(gap)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.kick:
		delay.Sleep(ctx, min(gap, 200*time.Millisecond)) // many may ask at once
	case <-ctx.Done():
	}
}

// ping asks the storage for a sign of life. A storage that answered other requests
// meanwhile is alive even if the ping itself came back late.
func (ms *monitors) ping(ctx context.Context, s *Site) error {
	if s.client == nil {
		if n := ms.sites.Get(s.name); n != nil && n != s && n.client != nil {
			ms.sites.Redeclared()
		}
		if _, why := s.Down(); why != "" {
			return errors.New(why)
		}
		return errNotOpen
	}
	began := ms.o.Now()
	pctx, cancel := context.WithTimeout(ctx, ms.o.Timing.PingTimeout)
	defer cancel()
	err := s.reader.Ping(pctx)
	if err == nil {
		alive(s, ms.o.Now())
		return nil
	}
	if storage.IsThrottled(err) {
		s.Congested()
		alive(s, ms.o.Now())
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) && s.lastOK.Load() > began.UnixNano() {
		return nil
	}
	return err
}

// up notes that a storage answers: what waited for it becomes due.
func (ms *monitors) up(ctx context.Context, s *Site) {
	if !ms.sites.current(s) {
		return
	}
	defer ms.probe(ctx, s) // takes its time: nothing waits for it
	defer ms.compareClocks(ctx, s)
	s.told.Store(true)
	if answered := ms.o.Hooks.Answered; answered != nil {
		answered(s.name, s.decl.Address())
	}
	if s.condition() != routing.StorageUp {
		s.Births.forget() // while it was away its buckets may have become others
	}
	if s.setCondition(routing.StorageUp, "", false) == routing.StorageUp {
		return
	}
	setSuspect(s, false)
	ms.o.Hooks.Changed(s.name, "up", "")
	ms.o.Log.Info("storage is up", zap.String("cluster", s.name))
	ms.o.Hooks.Up(ctx, s.name)
}

// compareClocks notes how far the storage's clock, which answers show, is ahead of this instance's.
func (ms *monitors) compareClocks(ctx context.Context, s *Site) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	var skew *time.Duration
	if there, err := s.reader.Now(ctx); err == nil {
		skew = new(there.Sub(ms.o.Now()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = skew
}

// down notes that a storage does not answer, or refuses FaDO. What is in flight on it is
// aborted by the hook: it would only hold slots until it times out.
func (ms *monitors) down(s *Site, err error) {
	if !ms.sites.current(s) {
		return
	}
	// One that can't be opened is down from the beginning, and nobody was told yet.
	why := strings.TrimPrefix(err.Error(), s.name+": ") // who reads it knows whose it is
	was, told := s.setCondition(routing.StorageDown, why, errors.Is(err, storage.ErrDenied)), s.told.Swap(true)
	if was == routing.StorageDown && told {
		return
	}
	ms.o.Hooks.Changed(s.name, "down", why)
	ms.o.Log.Warn("storage is down; work that needs it waits", zap.String("cluster", s.name), zap.Error(err))
	ms.o.Hooks.Down(s.name)
}

// probe finds out what the storage offers, once it can.
func (ms *monitors) probe(ctx context.Context, s *Site) {
	s.mu.Lock()
	probed := s.probed
	s.mu.Unlock()
	if probed {
		return
	}
	pctx, cancel := s.Call(ctx)
	defer cancel()
	caps, err := s.reader.Probe(pctx, "")
	if err != nil {
		if ctx.Err() == nil {
			ms.o.Log.Warn("could not probe what a storage offers; trying again with the next ping", zap.String("cluster", s.name), zap.Error(err))
		}
		return
	}
	s.mu.Lock()
	s.caps, s.probed = caps, true
	s.mu.Unlock()
}
