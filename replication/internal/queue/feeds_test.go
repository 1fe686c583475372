package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// only leaves one cluster with a storage.
func (w *world) only(cluster string) {
	w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) {
		for name := range w.fakes {
			if name != cluster {
				e.PutCluster(&catalog.Cluster{Name: name})
			}
		}
	}))
}

// A listener that begins leaves a gap behind it, which is scanned; what it tells is noted.
func TestListening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.only("c1")
		stop := w.run(t.Context(), w.sites.Watch, w.Feeds.Run, w.Intake.Run)
		pass(time.Second)
		s := w.sites.Get("c1")
		if f := s.Feed.Get(); !f.Live || !s.Feed.Own.Load() {
			t.Errorf("feed %+v, own %v", f, s.Feed.Own.Load())
		}
		w.wantTold(t, "gap c1")
		w.fakes["c1"].User(bkt, "k", "body")
		synctest.Wait()
		if _, ok := w.b.row("k", "c2"); !ok {
			t.Error("what the storage told has no row")
		}
		stop()
		if f := s.Feed.Get(); f.Live || f.Tried() || s.Feed.Own.Load() {
			t.Errorf("after the end: feed %+v, own %v", f, s.Feed.Own.Load())
		}
	})
}

// Each way for a listener to end: what is shown, and when it is tried again.
func TestListenerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			name   string
			err    error
			begins bool
			silent site.Silence
			within time.Duration // tries after the first
			tries  int
			gaps   int
		}{
			{name: "unsupported", err: storage.ErrUnsupported, silent: site.SilentNoFeed, within: 5 * time.Minute, tries: 0},
			{name: "unsupported, later", err: storage.ErrUnsupported, silent: site.SilentNoFeed, within: 15 * time.Minute, tries: 1},
			{name: "silent", err: storage.ErrSilent, begins: true, silent: site.SilentOther, within: 5 * time.Second, tries: 0, gaps: 1},
			{name: "broken at once", err: errors.New("refused"), silent: site.SilentOther, within: time.Minute, tries: 6},
			{name: "broken after it began", err: errors.New("reset"), begins: true, silent: site.SilentOther, within: 5 * time.Second, tries: 9, gaps: 10},
			{name: "ended", begins: true, silent: site.SilentOther, within: 5 * time.Second, tries: 9, gaps: 10},
		} {
			w := newWorld()
			w.only("c1")
			var n atomic.Int64
			w.fakes["c1"].listenAs(func(_ context.Context, ready func(), _ func(storage.Event)) error {
				n.Add(1)
				if tc.begins {
					ready()
				}
				return tc.err
			})
			stop := w.run(t.Context(), w.sites.Watch, w.Feeds.Run)
			for n.Load() == 0 {
				pass(10 * time.Millisecond)
			}
			pass(tc.within)
			if f := w.sites.Get("c1").Feed.Get(); f.Live || f.Silent != tc.silent || f.Why == "" {
				t.Errorf("%s: feed %+v", tc.name, f)
			}
			if tries := int(n.Load()) - 1; tries < tc.tries || tries > tc.tries*2 {
				t.Errorf("%s: tried again %d times within %v, want about %d", tc.name, tries, tc.within, tc.tries)
			}
			if gaps := len(w.told); gaps < tc.gaps || gaps > 2*tc.gaps {
				t.Errorf("%s: %d gaps, want about %d", tc.name, gaps, tc.gaps)
			}
			want := "open"
			if errors.Is(tc.err, storage.ErrUnsupported) {
				want = "no feed"
			}
			if got := w.gap("c1"); got != want {
				t.Errorf("%s: the gap is %q, want %q", tc.name, got, want)
			}
			stop()
			w.sites.Close()
		}
	})
}

// A storage that is down is listened to once it is up; where others share the store its
// lock is given up meanwhile, since another instance may reach it.
func TestListenerOfDownStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, shared := range []bool{false, true} {
			w := newWorld()
			w.only("c1")
			w.b.set(func() { w.b.shared = shared })
			led, ended := 0, 0
			w.Feeds.leading = func(ctx context.Context, _ string, f func(context.Context)) {
				for ctx.Err() == nil {
					led++
					f(ctx)
					ended++
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
				}
			}
			w.fail("c1", "ping", errors.New("refused"))
			stop := w.run(t.Context(), w.sites.Watch, w.Feeds.Run)
			pass(time.Second)
			s := w.sites.Get("c1")
			if f := s.Feed.Get(); f.Silent != site.SilentDown {
				t.Errorf("shared %v: feed %+v", shared, f)
			}
			pass(time.Minute)
			if gaveUp := ended > 0; gaveUp != shared {
				t.Errorf("shared %v: gave its lock up %d times", shared, ended)
			}
			w.fakes["c1"].SetFault(nil)
			pass(30 * time.Second)
			if f := s.Feed.Get(); !f.Live {
				t.Errorf("shared %v: the storage is up, and the feed %+v", shared, f)
			}
			w.wantTold(t, "gap c1")
			stop()
			w.sites.Close()
		}
	})
}

// With event_feed off nobody listens, and it is said why.
func TestNoFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.only("c1")
		w.feedOff = true
		defer w.run(t.Context(), w.sites.Watch, w.Feeds.Run)()
		pass(time.Minute)
		if f := w.sites.Get("c1").Feed.Get(); f.Silent != site.SilentOff {
			t.Errorf("feed %+v", f)
		}
		w.wantTold(t)
	})
}

// Another declaration has a listener of its own; a cluster without a storage has none.
func TestListenersFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.only("c1")
		defer w.run(t.Context(), w.sites.Watch, w.Feeds.Run)()
		pass(time.Second)
		old := w.sites.Get("c1")
		w.wantTold(t, "gap c1")
		w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) {
			c := &catalog.Cluster{Name: "c1", Storage: &catalog.Storage{Endpoint: "http://another"}}
			c.Normalize()
			e.PutCluster(c)
		}))
		w.sites.Redeclared()
		pass(time.Second)
		s := w.sites.Get("c1")
		if s == old || old.Feed.Get().Live || old.Feed.Own.Load() || !s.Feed.Get().Live {
			t.Errorf("another site %v, feeds: old %+v, new %+v", s != old, old.Feed.Get(), s.Feed.Get())
		}
		w.wantTold(t, "gap c1")
		w.only("none")
		w.sites.Redeclared()
		pass(time.Second)
		if s.Feed.Get().Live || s.Feed.Own.Load() {
			t.Errorf("feed of a storage that is not declared any more: %+v", s.Feed.Get())
		}
	})
}
