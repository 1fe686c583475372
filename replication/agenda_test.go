package replication

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
)

// named returns the buckets that an agenda has by name, sorted.
func named(a *agenda) []string { return slices.Sorted(maps.Keys(a.takeNamed())) }

// awaited says after how long an agenda's wait, of a minute at most, ended.
func awaited(t *testing.T, a *agenda) time.Duration {
	t.Helper()
	began := time.Now()
	if !a.await(t.Context(), time.Minute) {
		t.Fatal("the wait ended with its context")
	}
	return time.Since(began)
}

// emptyAgenda has nothing to look at: the first pass over everything is done.
func emptyAgenda() *agenda {
	a := newAgenda(time.Now)
	a.takeAll()
	return a
}

// A bucket is looked at when it was marked, however often, and then no more.
func TestAgendaTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := emptyAgenda()
		for range 3 {
			a.touch("b")
		}
		a.touch("a")
		if d := awaited(t, a); d != 0 {
			t.Errorf("a marked bucket waits for %v", d)
		}
		if got := named(a); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("marked are %q", got)
		}
		if got := named(a); got != nil {
			t.Errorf("marked twice: %q", got)
		}
		if d := awaited(t, a); d != time.Minute {
			t.Errorf("with nothing to look at the wait is %v", d)
		}
	})
}

// A bucket that is to be looked at later is, at the earliest of its times and not before.
func TestAgendaLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := emptyAgenda()
		a.later("b", 20*time.Second)
		a.later("b", 5*time.Second)
		a.later("b", 10*time.Second) // the earliest stays
		a.later("c", 8*time.Second)
		awaited(t, a) // the next moment may be another
		if !a.waits("b") || named(a) != nil {
			t.Error("a bucket is looked at before its time")
		}
		if d := awaited(t, a); d != 5*time.Second {
			t.Errorf("b came after %v", d)
		}
		if got := named(a); !slices.Equal(got, []string{"b"}) || a.waits("b") || !a.waits("c") {
			t.Errorf("after five seconds: %q", got)
		}
		if d := awaited(t, a); d != 3*time.Second {
			t.Errorf("c came %v later", d)
		}
		if got := named(a); !slices.Equal(got, []string{"c"}) {
			t.Errorf("after eight seconds: %q", got)
		}
	})
}

// Forgiving a bucket takes its waiting and its failures away, and no other's.
func TestAgendaForgive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := emptyAgenda()
		b := jobID{ids.CopyIn("b", "", "c1"), jobSync}
		other, elsewhere := jobID{ids.CopyIn("b", "", "c1"), jobScan}, jobID{ids.CopyIn("o", "", "c1"), jobSync}
		for _, id := range []jobID{b, other, elsewhere} {
			a.failed(id)
			if n := a.failed(id); n != 2 {
				t.Errorf("%v failed %d times", id, n)
			}
		}
		a.recovered(other)
		if n := a.failed(other); n != 1 {
			t.Errorf("a job that recovered failed %d times in a row", n)
		}
		a.later("b", time.Minute)
		a.later("o", time.Minute)
		a.forgive("b")
		if got := named(a); !slices.Equal(got, []string{"b"}) || a.waits("b") || !a.waits("o") {
			t.Errorf("forgiven: %q", got)
		}
		if n := a.failed(b); n != 1 {
			t.Errorf("after it was forgiven the job failed %d times", n)
		}
		if n := a.failed(elsewhere); n != 3 {
			t.Errorf("another bucket's job failed %d times", n)
		}
		a.forgiveAll()
		if n := a.failed(elsewhere); n != 1 || a.waits("o") || !a.takeAll() {
			t.Errorf("after all was forgiven: %d failures", n)
		}
	})
}

// Passes over everything begin at once, then not before the rest is over.
func TestAgendaAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgenda(time.Now)
		if !a.takeAll() || a.takeAll() {
			t.Error("the first pass is due at once, and once")
		}
		a.rest(10 * time.Second)
		a.touchAll()
		awaited(t, a) // by the signal
		if a.takeAll() {
			t.Error("a pass begins before the rest is over")
		}
		a.touch("b")
		if awaited(t, a); len(named(a)) != 1 {
			t.Error("a marked bucket waits for the pass")
		}
		if d := awaited(t, a); d != 10*time.Second || !a.takeAll() {
			t.Errorf("the pass came after %v", d)
		}
	})
}

// What touches an agenda while it is waited for ends the wait; so does the context's end.
func TestAgendaWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := emptyAgenda()
		time.AfterFunc(time.Second, func() { a.touch("b") })
		if d := awaited(t, a); d != time.Second {
			t.Errorf("woken after %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if a.await(ctx, time.Minute) {
			t.Error("the wait goes on behind its context")
		}
	})
}
