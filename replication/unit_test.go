package replication

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func listed(keys []string, fail int) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for i, k := range keys {
			if i == fail {
				yield(storage.Object{}, storage.ErrUnavailable)
				return
			}
			if !yield(storage.Object{Key: k}, nil) {
				return
			}
		}
		if fail >= len(keys) {
			yield(storage.Object{}, storage.ErrUnavailable)
		}
	}
}

// A merge meets every key of both sides once, in order; an error of either side ends it
// before any key that may be missing on that side is taken for absent.
func TestMerge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringMatching(`[ab/]{1,6}`), rapid.ID[string])
		left, right := slices.Sorted(slices.Values(keys.Draw(t, "left"))), slices.Sorted(slices.Values(keys.Draw(t, "right")))
		fail := rapid.IntRange(-1, len(right)).Draw(t, "fail")
		var got []string
		var failed error
		for p, err := range merge(context.Background(), listed(left, -1), listed(right, fail), "l", "r") {
			if err != nil {
				failed = err
				break
			}
			got = append(got, p.key)
			if inLeft := slices.Contains(left, p.key); inLeft != (p.src != nil) {
				t.Fatalf("%q: source %v, want %v", p.key, p.src != nil, inLeft)
			}
			if inRight := slices.Contains(right, p.key); inRight != (p.dst != nil) {
				t.Fatalf("%q: destination %v, want %v", p.key, p.dst != nil, inRight)
			}
		}
		want := slices.Compact(slices.Sorted(slices.Values(slices.Concat(left, right))))
		if fail >= 0 {
			if failed == nil {
				t.Fatal("the error got lost")
			}
			if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
				t.Fatalf("got %q, no beginning of %q", got, want)
			}
			return
		}
		if failed != nil || !slices.Equal(got, want) {
			t.Fatalf("got %q, %v, want %q", got, failed, want)
		}
	})
}

func TestMergeRefusesDisorder(t *testing.T) {
	t.Parallel()
	var last error
	for _, err := range merge(context.Background(), listed([]string{"b", "a"}, -1), listed(nil, -1), "l", "r") {
		last = err
	}
	if !errors.Is(last, errDisorder) {
		t.Fatalf("error %v", last)
	}
}

// The tracker's mark is the last key before the first that is not done, whatever the
// order of ends, and counts exactly what lies up to it.
func TestTracker(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tr := newTracker("", 0, 0)
		type item struct {
			key  string
			done bool
			f    func()
		}
		var items []*item
		check := func() {
			want, n := "", int64(0)
			for _, it := range items {
				if !it.done {
					break
				}
				want, n = it.key, n+1
			}
			if low, objects, _ := tr.mark(); low != want || objects != n {
				t.Fatalf("mark %q with %d objects, want %q with %d", low, objects, want, n)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(*rapid.T) {
				it := &item{key: fmt.Sprintf("%04d", len(items))}
				it.f = tr.begin(it.key, 1, 10)
				items = append(items, it)
			},
			"pass": func(*rapid.T) {
				it := &item{key: fmt.Sprintf("%04d", len(items)), done: true}
				tr.pass(it.key, 1, 10)
				items = append(items, it)
			},
			"end": func(t *rapid.T) {
				var open []*item
				for _, it := range items {
					if !it.done {
						open = append(open, it)
					}
				}
				if len(open) == 0 {
					t.Skip()
				}
				it := rapid.SampledFrom(open).Draw(t, "which")
				it.done = true
				it.f()
			},
			"": func(*rapid.T) { check() },
		})
	})
}

// Slots never exceed their bounds, live objects find one beside a bulk sync, and a cluster
// beside a slow one's.
func TestSlots(t *testing.T) {
	t.Parallel()
	s := newSlots(8)
	s.setClusters(3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var releases []func()
	take := func(c class, cluster string) bool {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		r, err := s.acquire(ctx, c, cluster)
		if err == nil {
			releases = append(releases, r)
		}
		return err == nil
	}
	n := 0
	for take(classBulk, "slow") {
		n++
	}
	if n != 6 {
		t.Errorf("one cluster took %d of 8 slots, want 6", n)
	}
	if !take(classLive, "other") {
		t.Error("no slot left for another cluster")
	}
	bulk := 0
	for take(classBulk, "other") {
		bulk++
	}
	if bulk > 1 {
		t.Error("bulk took the slot kept for live objects")
	}
	for _, r := range releases {
		r()
	}
	s.setSuspect("slow", true)
	releases, n = nil, 0
	for take(classLive, "slow") {
		n++
	}
	if n != suspectSlots {
		t.Errorf("a suspect cluster took %d slots", n)
	}
	for _, r := range releases {
		r()
	}
	if s.used != 0 || len(s.to) != 0 || len(s.waiters) != 0 || s.bulk != 0 {
		t.Errorf("not all came back: %+v", s)
	}
}

func TestKeyLocksExclude(t *testing.T) {
	t.Parallel()
	l := newKeyLocks[string]()
	var in, most atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			unlock, err := l.lock(t.Context(), "k")
			if err != nil {
				t.Error(err)
				return
			}
			if n := in.Add(1); n > 1 {
				most.Store(n)
			}
			time.Sleep(time.Microsecond)
			in.Add(-1)
			unlock()
		}()
	}
	wg.Wait()
	if most.Load() > 1 || len(l.held) != 0 {
		t.Errorf("%d at a time, %d left", most.Load(), len(l.held))
	}
	unlock, _ := l.lock(t.Context(), "k")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.lock(ctx, "k"); err == nil {
		t.Error("locked twice")
	}
	unlock()
	if len(l.held) != 0 {
		t.Errorf("%d left", len(l.held))
	}
}

// After a change's hook has run, no operation that the change forbids is on its way,
// however the two interleave.
func TestGateLeavesNothingForbidden(t *testing.T) {
	t.Parallel()
	router := routing.NewRouter()
	g := newGate(router, time.Now, func() error { return nil })
	var allowed, forbiddenInside atomic.Bool
	allowed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var entered atomic.Int64
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				o := &operation{bucket: "b", key: "k", to: "c", allowed: func(*routing.Snapshot) bool { return allowed.Load() }}
				opCtx, leave, err := g.enter(ctx, o)
				if err != nil {
					continue
				}
				entered.Add(1)
				select {
				case <-opCtx.Done():
				case <-time.After(50 * time.Microsecond):
				}
				leave()
			}
		}()
	}
	for i := 0; i < 300; i++ {
		allowed.Store(false)
		g.afterChange(ctx)
		for range 3 {
			if len(g.list(func(o *operation) bool { return true })) > 0 {
				// One may have registered and not asked yet; it will be refused.
				before := entered.Load()
				time.Sleep(100 * time.Microsecond)
				if entered.Load() != before {
					forbiddenInside.Store(true)
				}
			}
		}
		allowed.Store(true)
		time.Sleep(50 * time.Microsecond)
	}
	cancel()
	wg.Wait()
	if forbiddenInside.Load() {
		t.Error("an operation entered after the change that forbids it was answered")
	}
	if entered.Load() == 0 {
		t.Error("nothing ever entered: the test shows nothing")
	}
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
			b := newBreakers(func() time.Time { return now })
			row, id, n := state.Copy{Objects: c.objects}, copyID{"b", "", "c"}, 0
			for n < 5000 && b.take(id, row, c.m) {
				n++
				row.Objects = max(0, row.Objects-1)
			}
			if n != c.want {
				t.Errorf("%d deletes passed, want %d", n, c.want)
			}
			if b.wouldTrip(id, row, c.m, 0) {
				t.Error("no further delete would trip it")
			}
			b.allow(id, 3)
			for range 3 {
				if !b.take(id, row, c.m) {
					t.Error("a confirmed delete did not pass")
				}
			}
			now = now.Add(breakerWindow + time.Minute)
			if c.want > 0 && row.Objects > 1 && !b.take(id, row, c.m) {
				t.Error("the window does not slide")
			}
		})
	}
}

func TestBreakerAllowanceExpires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newBreakers(func() time.Time { return now })
	row, id, m := state.Copy{Objects: 100}, copyID{"b", "", "c"}, MaxDeletes{Objects: 1}
	row.HeldDeletes = true
	b.allow(id, 5)
	for range 3 { // slowly, but one after the other
		now = now.Add(breakerWindow / 2)
		if !b.take(id, row, m) {
			t.Fatal("a confirmed delete did not pass")
		}
	}
	now = now.Add(breakerWindow)
	if b.take(id, row, m) {
		t.Error("an allowance that nobody used for a window still lets deletes pass")
	}
	b.allow(id, 1)
	if !b.take(id, row, m) || b.take(id, row, m) {
		t.Error("a new allowance takes the old one along")
	}
}

func TestJustBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.StringN(1, 8, 40).Draw(t, "prefix")
		got := justBefore(prefix)
		if got >= prefix {
			t.Fatalf("%q is not before %q", got, prefix)
		}
		if strings.ToValidUTF8(got, "") != got {
			t.Fatalf("%q is no UTF-8", got)
		}
	})
}
