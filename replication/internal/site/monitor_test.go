package site

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// watch runs the monitors until stop, or the test's end.
func (w *world) watch(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Watch(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	synctest.Wait()
	return stop
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Pings tell whether a storage is up: each change once.
func TestUpAndDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1", "c2")
		defer w.watch(t)()
		w.news() // in any order: both are up
		if !w.Up("c1", "c2") || w.pace.declared() != 2 {
			t.Fatalf("up %v, %d clusters", w.Up("c1", "c2"), w.pace.declared())
		}
		c2 := w.last()
		name := c2.Name()
		c2.fail("ping", errors.New("refused"))
		pass(2 * pingEvery)
		w.wantNews(t, name+" down", "Down "+name)
		if down, why := w.Get(name).Down(); !down || why != "refused" || w.Up(name) {
			t.Errorf("down %v: %q", down, why)
		}
		pass(3 * maxPingGap)
		w.wantNews(t)
		c2.fail("", nil)
		pass(maxPingGap * 2)
		w.wantNews(t, name+" up", "Up "+name)
	})
}

// A storage that refuses FaDO's credentials is down, and known to refuse them until it answers.
func TestRefusesCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		defer w.watch(t)()
		w.news()
		for _, c := range []struct {
			err  error
			want bool
		}{
			{&storage.Error{Status: 403, Kind: storage.ErrDenied}, true},
			{errors.New("no route"), false},
			{&storage.Error{Status: 403, Kind: storage.ErrDenied}, true},
			{nil, false},
		} {
			w.last().fail("ping", c.err)
			pass(3 * maxPingGap)
			if st := w.Get("c1").Status(); st.Refuses != c.want || (st.Condition == routing.StorageDown) != (c.err != nil) {
				t.Errorf("with %v: %+v", c.err, st)
			}
		}
	})
}

// A storage that says it is asked too often is slow, and not down.
func TestThrottledIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		defer w.watch(t)()
		w.news()
		for _, e := range []*storage.Error{{Status: 429, Kind: storage.ErrUnavailable}, {Status: 503, Code: "SlowDown", Kind: storage.ErrUnavailable}} {
			w.last().fail("ping", e)
			pass(3 * pingEvery)
			w.wantNews(t)
		}
		w.last().fail("ping", &storage.Error{Status: 503, Kind: storage.ErrUnavailable})
		pass(3 * pingEvery)
		w.wantNews(t, "c1 down", "Down c1")
	})
}

// One ping that takes too long is not yet a storage that is down, and one that answers
// requests meanwhile is up whatever its pings do.
func TestSlowPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		defer w.watch(t)()
		w.wantNews(t, "c1 up", "Up c1")
		f, s := w.last(), w.Get("c1")
		var slow atomic.Int64
		hang := func(answers bool) func(context.Context, string, string, string) error {
			return func(ctx context.Context, op, _, _ string) error {
				if op != "ping" {
					return nil
				}
				slow.Add(1)
				if answers {
					time.Sleep(time.Millisecond)
					s.Observed(nil)
				}
				<-ctx.Done()
				return ctx.Err()
			}
		}
		f.SetFault(hang(true))
		pass(5 * pingEvery)
		w.wantNews(t)
		if n := slow.Load(); n < 3 {
			t.Fatalf("%d pings, want more", n)
		}
		slow.Store(0)
		f.SetFault(hang(false))
		for slow.Load() == 0 {
			pass(time.Second)
		}
		pass(time.Second)
		if slow.Load() == 1 && len(w.news()) != 0 {
			t.Error("one slow ping is a storage that is down")
		}
		pass(5 * time.Second)
		if w.Up("c1") {
			t.Error("a storage whose pings hang is up")
		}
	})
}

// Requests that fail in a row have the storage pinged at once.
func TestPingOnSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		defer w.watch(t)()
		w.news()
		w.last().fail("ping", errors.New("refused"))
		for range suspicion {
			w.Get("c1").Observed(storage.ErrUnavailable)
		}
		pass(250 * time.Millisecond)
		w.wantNews(t, "c1 down", "Down c1")
	})
}

// A storage that can't be opened is told of once, however often it is tried; once it opens
// its pings tell that it is up.
func TestUnopenedIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		w.refuseToOpen(errors.New("no secret"))
		defer w.watch(t)()
		pass(5 * time.Minute)
		w.wantNews(t, "c1 down", "Down c1")
		w.refuseToOpen(nil)
		pass(3 * maxPingGap)
		w.wantNews(t, "c1 up", "Up c1")
	})
}

// Monitors follow the declarations: another declaration is another site, pinged at once; a
// cluster without a storage is not pinged, and its client is closed.
func TestWatchFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		stop := w.watch(t)
		w.wantNews(t, "c1 up", "Up c1")
		w.declare("b", "c1")
		w.Redeclared()
		w.Redeclared() // never blocks
		synctest.Wait()
		w.wantNews(t, "c1 up", "Up c1")
		w.declare("", "c1")
		w.Redeclared()
		synctest.Wait()
		if w.Known("c1") != nil || !w.last().closed.Load() || w.pace.declared() != 0 {
			t.Error("a storage that is not declared any more is open")
		}
		w.declare("c", "c1")
		pass(lookEvery) // without being told
		w.wantNews(t, "c1 up", "Up c1")
		stop()
		w.last().fail("ping", errors.New("refused"))
		pass(time.Minute)
		w.wantNews(t)
	})
}

// What a storage offers is asked once it answers, again until it tells, and once more with
// a bucket.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.with = func(f *fake) {
			f.caps = storage.Capabilities{Provider: "MinIO", Tags: f.Name() == "c1"}
			f.fail("probe", errors.New("later"))
		}
		w.declare("a", "c1")
		defer w.watch(t)()
		s, f := w.Get("c1"), w.last()
		if _, known := s.capabilities(); known || s.Status().Capabilities != nil || f.probed.Load() != 1 {
			t.Errorf("known %v after %d probes", known, f.probed.Load())
		}
		w.Facts.Learn(t.Context(), s, "b", false, true) // before it is known at all: nothing to refine
		f.fail("", nil)
		pass(2 * pingEvery)
		if caps, known := s.capabilities(); !known || caps.Provider != "MinIO" || *s.Status().Capabilities != caps {
			t.Errorf("known %v: %+v", known, caps)
		}
		n := f.probed.Load()
		pass(3 * pingEvery)
		f.fail("probe", storage.ErrNoBucket)
		w.Facts.Learn(t.Context(), s, "b", false, true)
		f.fail("", nil)
		f.caps.Versioning = true
		for range 3 {
			w.Facts.Learn(t.Context(), s, "b", false, true)
		}
		if got := f.probed.Load() - n; got != 2 {
			t.Errorf("probed %d times with a bucket, want 2: once in vain, once with success", got)
		}
		if caps, _ := s.capabilities(); !caps.Versioning {
			t.Error("what was found with a bucket is not known")
		}
	})
}

// What a copy loses is told by both sides' capabilities and whether the primary's bucket is
// versioned, each once it is known.
func TestLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.with = func(f *fake) {
			f.versioning = storage.VersioningOn
			f.User("b", "k", "body")
			if f.Name() == "c1" {
				f.caps = storage.Capabilities{Tags: true, Versioning: true, PreserveVersion: true}
			}
		}
		w.declare("a", "c1", "c2")
		if got := w.Facts.Losses("b", "c1", "c2"); len(got) != 0 {
			t.Errorf("before anything is known: %q", got)
		}
		defer w.watch(t)()
		want := []string{"tags are not kept in c2", "modification times are not kept in c2"}
		if got := w.Facts.Losses("b", "c1", "c2"); !slices.Equal(got, want) {
			t.Errorf("before the bucket is known: %q, want %q", got, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Facts.Find(ctx) }()
		synctest.Wait()
		want = []string{
			"tags are not kept in c2", "version IDs are not kept in c2",
			"older versions are not kept in c2", "modification times are not kept in c2",
		}
		if got := w.Facts.Losses("b", "c1", "c2"); !slices.Equal(got, want) {
			t.Errorf("of a versioned bucket: %q, want %q", got, want)
		}
		w.Facts.Learn(t.Context(), w.Get("c1"), "b", false, true)
		w.Facts.Learn(t.Context(), w.Get("c1"), "b", true, false) // a copy's versions are not the primary's
		if got := w.Facts.Losses("b", "c1", "c2"); len(got) != 2 {
			t.Errorf("after the bucket was found to be unversioned: %q", got)
		}
		if got := w.Facts.Losses("b", "c1", "c1"); len(got) != 0 {
			t.Errorf("of the primary itself: %q", got)
		}
		cancel()
		<-done
	})
}

// What a primary's bucket is configured with, and what its objects were seen to have, is a loss
// where the copy has it not; an object's lock always is.
func TestLostSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.with = func(f *fake) {
			f.User("b", "k", "body")
			f.caps = storage.Capabilities{PreserveVersion: f.Name() != "c3"}
			switch f.Name() {
			case "c1":
				f.Configure("b", storage.Settings{Lock: true, Encryption: true, Lifecycle: true, Policy: true, CORS: true})
			case "c3", "c4": // locks between storages that preserve no versions are lost, or where there are none
				f.Configure("b", storage.Settings{Lock: f.Name() == "c3", Encryption: true, Lifecycle: true, Policy: true, CORS: true})
			default:
				f.Configure("b", storage.Settings{Lock: true, Policy: true})
			}
		}
		w.declare("a", "c1", "c2", "c3", "c4")
		defer w.watch(t)()
		for _, c := range []string{"c2", "c3", "c4"} {
			w.Facts.Losses("b", "c1", c) // asks
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Facts.Find(ctx) }()
		synctest.Wait()
		w.Facts.NoteLoss("b", "c2", "website redirects")
		w.Facts.NoteLoss("b", "c2", "encryption settings") // said once
		w.Facts.NoteLoss("b", "c3", "other things")
		want := []string{
			"encryption settings are not kept in c2",
			"lifecycle rules are not kept in c2", "CORS rules are not kept in c2", "website redirects are not kept in c2",
		}
		if got := w.Facts.Losses("b", "c1", "c2"); !slices.Equal(got, want) {
			t.Errorf("losses %q, want %q", got, want)
		}
		for _, c := range []string{"c3", "c4"} {
			if want, got := "retention periods and legal holds are not kept in "+c, w.Facts.Losses("b", "c1", c); !slices.Contains(got, want) {
				t.Errorf("losses %q, want %q", got, want)
			}
		}
		cancel()
		<-done
	})
}

// A monitor that is stopped while its ping is on its way tells nothing any more.
func TestStopDuringPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.with = func(f *fake) {
			f.SetFault(func(ctx context.Context, _, _, _ string) error { <-ctx.Done(); return ctx.Err() })
		}
		w.declare("a", "c1")
		stop := w.watch(t)
		stop()
		w.wantNews(t)
		if c := w.Get("c1").Status().Condition; c != routing.StorageUnknown {
			t.Errorf("its condition is %v", c)
		}
	})
}

// TestClocksAreCompared: how far a storage's clock is ahead is known while it answers, and not after it no longer tells.
func TestClocksAreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		defer w.watch(t)()
		there, err := w.last().Reader().Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ahead := time.Until(there)
		if skew := w.Get("c1").Status().Skew; skew == nil || (*skew-ahead).Abs() > time.Minute {
			t.Fatalf("skew %v, want about %s", skew, ahead)
		}
		w.last().fail("now", errors.New("answers have no Date"))
		pass(2 * pingEvery)
		if skew := w.Get("c1").Status().Skew; skew != nil {
			t.Errorf("skew %s of a storage that does not tell", *skew)
		}
	})
}
