package object

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

func newTestDeletes(m *MaxDeletes, now *time.Time) *Deletes {
	d := NewDeletes(nil, zap.NewNop(), func() time.Time { return *now })
	d.Bounds = func() MaxDeletes { return *m }
	return d
}

func TestBreakerBounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		m       MaxDeletes
		objects int64
		want    int // deletes that pass
	}{
		{"both bounds, small copy", MaxDeletes{1000, 10}, 100, 1000},
		{"both bounds, large copy", MaxDeletes{10, 10}, 1000, 100},
		{"number only", MaxDeletes{Objects: 5}, 1000, 5},
		{"percent only", MaxDeletes{Percent: 50}, 10, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTestDeletes(&c.m, &now)
			row, id, n := state.Copy{Objects: c.objects}, ids.CopyIn("b", "", "c"), 0
			for n < 5000 && b.Take(t.Context(), id, row) {
				n++
				row.Objects = max(0, row.Objects-1)
			}
			if n != c.want {
				t.Errorf("%d deletes passed, want %d", n, c.want)
			}
			if b.WouldTrip(id, row, 0) {
				t.Error("no further delete would trip it")
			}
			b.Allow(id, 3)
			for range 3 {
				if !b.Take(t.Context(), id, row) {
					t.Error("a confirmed delete did not pass")
				}
			}
			now = now.Add(breakerWindow + time.Minute)
			if c.want > 0 && row.Objects > 1 && !b.Take(t.Context(), id, row) {
				t.Error("the window does not slide")
			}
		})
	}
}

func TestBreakerAllowanceExpires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := MaxDeletes{Objects: 1}
	b := newTestDeletes(&m, &now)
	row, id := state.Copy{Objects: 100}, ids.CopyIn("b", "", "c")
	row.HeldDeletes = true
	b.Allow(id, 5)
	for range 3 { // slowly, but one after the other
		now = now.Add(breakerWindow / 2)
		if !b.Take(t.Context(), id, row) {
			t.Fatal("a confirmed delete did not pass")
		}
	}
	now = now.Add(breakerWindow)
	if b.Take(t.Context(), id, row) {
		t.Error("an allowance that nobody used for a window still lets deletes pass")
	}
	b.Allow(id, 1)
	if !b.Take(t.Context(), id, row) || b.Take(t.Context(), id, row) {
		t.Error("a new allowance takes the old one along")
	}
}

// What is left of deletes that were confirmed does not let those pass that people reject.
func TestBreakerDisallow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := MaxDeletes{Objects: 1}
	b := newTestDeletes(&m, &now)
	row, id := state.Copy{Objects: 100}, ids.CopyIn("b", "", "c")
	row.HeldDeletes = true
	b.Allow(id, 5)
	if !b.Take(t.Context(), id, row) {
		t.Fatal("a confirmed delete did not pass")
	}
	b.Disallow(id)
	if b.Take(t.Context(), id, row) {
		t.Error("a delete passed that nobody confirmed")
	}
}

// The copies of a bucket's prefix rules are counted apart: a storm below one prefix holds nothing of the
// others, and what people confirm of one lets nothing of another through.
func TestRulesAreCountedApart(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newTestDeletes(&MaxDeletes{Objects: 3, Percent: 50}, &now)
	row := func(prefix string) state.Copy {
		return state.Copy{Bucket: "b", Objects: 4, Copy: catalog.Copy{Prefix: prefix, Cluster: "c"}}
	}
	take := func(prefix string) (n int) {
		r := row(prefix)
		for n < 10 && b.Take(t.Context(), ids.CopyIn("b", prefix, "c"), r) {
			n++
			r.Objects--
		}
		return n
	}
	for _, prefix := range []string{"", "logs/", "logs/old/"} {
		if n := take(prefix); n != 3 {
			t.Errorf("%q: %d deletes passed, want 3", prefix, n)
		}
	}
	b.Allow(ids.CopyIn("b", "logs/", "c"), 2)
	if a, l := take(""), take("logs/"); a != 0 || l != 2 {
		t.Errorf("confirmed below logs/: %d passed elsewhere, %d there", a, l)
	}
	if b.WouldTrip(ids.CopyIn("b", "new/", "c"), row("new/"), 3) || !b.WouldTrip(ids.CopyIn("b", "new/", "c"), row("new/"), 4) {
		t.Error("a rule without deletes is not bound by its own count")
	}
}
