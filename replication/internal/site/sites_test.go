package site

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

func isUp(s *Site) bool { return s.setCondition(routing.StorageUp, "", false) != routing.StorageDown }

// A site belongs to one declaration: with another one there is another site, and nothing
// that was learned at the old one counts.
func TestRedeclared(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.Close()
	w.declare("a", "c1")
	old := w.Get("c1")
	if w.Get("c1") != old || w.Known("c1") != old {
		t.Fatal("the same declaration got another site")
	}
	was := w.last()
	isUp(old)
	old.Feed.Set()
	if !old.Up() || !w.Up("c1") {
		t.Fatal("it is not up")
	}
	w.declare("b", "c1")
	s := w.Get("c1")
	if s == old {
		t.Fatal("another declaration has the same site")
	}
	if !was.closed.Load() {
		t.Error("the old client is open")
	}
	if old.Up() || s.Up() {
		t.Errorf("up: the old one %v, the new one %v", old.Up(), s.Up())
	}
	if old.Feed.Get().Live {
		t.Error("the old one's feed is live")
	}
	// What comes late from the old one changes nothing.
	w.pings().up(t.Context(), old)
	w.pings().down(old, errors.New("closed"))
	if c := s.Status().Condition; c != routing.StorageUnknown {
		t.Errorf("the new one is %v by what the old one told", c)
	}
	w.wantNews(t)
	w.declare("", "c1")
	if w.Get("c1") != nil || w.Known("c1") != nil || w.Up("c1") || !w.last().closed.Load() {
		t.Error("a cluster without a storage has a site")
	}
	if _, err := w.Usable("c1"); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("usable: %v", err)
	}
}

// A storage that can't be opened is down, and asked again after a second, as the same site
// until it opens.
func TestUnopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		w.refuseToOpen(errors.New("no secret"))
		s := w.Get("c1")
		if down, why := s.Down(); s.Opened() || s.Up() || !down || why != "no secret" {
			t.Errorf("opened %v, up %v, down %v: %q", s.Opened(), s.Up(), down, why)
		}
		if st := s.Status(); st.Condition != routing.StorageDown || st.Error != "no secret" {
			t.Errorf("status %+v", st)
		}
		if _, err := w.writers(s); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("its writer: %v", err)
		}
		if _, err := w.Usable("c1"); !errors.Is(err, ErrDown) {
			t.Errorf("usable: %v", err)
		}
		w.refuseToOpen(errors.New("another reason"))
		time.Sleep(time.Second)
		if w.Get("c1") != s {
			t.Error("what still can't be opened is another site")
		}
		if _, why := s.Down(); why != "another reason" {
			t.Errorf("down: %s", why)
		}
		w.refuseToOpen(nil)
		if w.Get("c1") != s {
			t.Error("it was tried again at once")
		}
		time.Sleep(time.Second)
		now := w.Get("c1")
		if now == s || !now.Opened() {
			t.Error("it was not opened")
		}
		if down, _ := now.Down(); down {
			t.Error("what opened is down")
		}
	})
}

func TestUsable(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.Close()
	w.declare("a", "c1", "c2")
	w.declare("", "none")
	if got := w.Declared(); !slices.Equal(got, []string{"c1", "c2"}) {
		t.Errorf("declared %q", got)
	}
	s, err := w.Usable("c1")
	if err != nil || s.Reader() == nil || s.Capacity() != 1<<30 || s.Name() != "c1" {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := w.writers(s); err != nil {
		t.Errorf("its writer: %v", err)
	}
	if _, ok := s.Reader().(storage.Writer); ok {
		t.Error("the reader writes")
	}
	s.setCondition(routing.StorageDown, "refused", false)
	if _, err := w.Usable("c1"); !errors.Is(err, ErrDown) {
		t.Errorf("down: %v, want %v", err, ErrDown)
	} else if err.Error() != "the storage of c1 is down: refused" {
		t.Errorf("down: %v", err)
	}
	if w.Up() != true || w.Up("c1", "c2") || w.Up("nowhere") {
		t.Error("up is not told by all of them")
	}
	if a := Absent("gone"); a.Name() != "gone" || a.Up() || a.Opened() {
		t.Errorf("absent: %+v", a)
	}
	w.Close()
	if w.Known("c1") != nil || w.Get("c1") == nil {
		t.Error("sites can't be got again")
	}
}

// Requests in a row that find a storage unavailable make it suspect; any answer clears
// that, and a ping's does not.
func TestSuspicion(t *testing.T) {
	t.Parallel()
	unavailable := &storage.Error{Storage: "c1", Kind: storage.ErrUnavailable}
	for _, tc := range []struct {
		name string
		then func(w *world, s *Site)
		want bool
	}{
		{"nothing", func(*world, *Site) {}, true},
		{"success", func(_ *world, s *Site) { s.Observed(nil) }, false},
		{"an answer", func(_ *world, s *Site) { s.Observed(storage.ErrNotFound) }, false},
		{"refused", func(_ *world, s *Site) { s.Observed(storage.ErrDenied) }, true},
		{"cancelled", func(_ *world, s *Site) { s.Observed(context.Canceled) }, true},
		{"our own fault", func(_ *world, s *Site) { s.Observed(errOwn) }, true},
		{"a ping", func(w *world, s *Site) { _ = w.pings().ping(context.Background(), s) }, true},
		{"a ping, then success", func(w *world, s *Site) { _ = w.pings().ping(context.Background(), s); s.Observed(nil) }, false},
		{"it comes up", func(w *world, s *Site) { w.pings().up(context.Background(), s) }, false},
	} {
		w := newWorld()
		w.declare("a", "c1")
		s := w.Get("c1")
		for i, err := range []error{unavailable, context.DeadlineExceeded, unavailable} {
			if w.pace.suspects("c1") {
				t.Errorf("%s: suspect after %d failures", tc.name, i)
			}
			s.Observed(err)
		}
		if !w.pace.suspects("c1") || len(s.kick) != 1 {
			t.Errorf("%s: suspect %v, pings asked for: %d", tc.name, w.pace.suspects("c1"), len(s.kick))
		}
		tc.then(w, s)
		if got := w.pace.suspects("c1"); got != tc.want {
			t.Errorf("%s: suspect %v, want %v", tc.name, got, tc.want)
		}
		w.Close()
	}
}

// Failures with answers between them are no suspicion, and tell of congestion all the same.
func TestNoSuspicion(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.Close()
	w.declare("a", "c1")
	s := w.Get("c1")
	for range suspicion {
		s.Observed(storage.ErrUnavailable)
		s.Observed(storage.ErrNotFound)
	}
	s.Flowing()
	s.Congested()
	if w.pace.suspects("c1") || len(s.kick) != 0 || w.pace.congested != suspicion+1 || w.pace.flowing != 1 {
		t.Errorf("suspect %v, asked %d, pace %+v", w.pace.suspects("c1"), len(s.kick), w.pace)
	}
}

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		s := w.Get("c1")
		f := w.last()
		if _, err := s.Stat(t.Context(), "b", "k"); !errors.Is(err, storage.ErrNoBucket) {
			t.Errorf("no bucket: %v", err)
		}
		f.User("b", "k", "body")
		if o, err := s.Stat(t.Context(), "b", "k"); err != nil || o == nil || o.Size != 4 {
			t.Errorf("an object: %+v, %v", o, err)
		}
		if o, err := s.Stat(t.Context(), "b", "gone"); err != nil || o != nil {
			t.Errorf("no object: %+v, %v", o, err)
		}
		if _, err := s.Clock(t.Context()); err != nil {
			t.Errorf("clock: %v", err)
		}
		if on, err := s.KeepsVersions(t.Context(), "none"); on || err != nil {
			t.Errorf("versions of a bucket that is not there: %v, %v", on, err)
		}
		if err := s.AskVersioned(t.Context(), "b"); !errors.Is(err, ErrUnversioned) {
			t.Errorf("unversioned: %v", err)
		}
		f.versioning = storage.VersioningOn
		if err := errors.Join(s.AskVersioned(t.Context(), "b"), s.KnownVersioned(t.Context(), "b")); err != nil {
			t.Errorf("versioned: %v", err)
		}
		f.SetFault(func(ctx context.Context, _, _, _ string) error { <-ctx.Done(); return ctx.Err() })
		began := time.Now()
		if _, err := s.Clock(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("a storage that hangs: %v after %v", err, time.Since(began))
		}
	})
}
