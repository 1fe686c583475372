package limit

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// In any order of calls no bound is exceeded, a storage that flows again gets all slots
// back, and every waiter gets a slot in the end.
func TestSlotsProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := New(rapid.IntRange(1, 12).Draw(t, "slots"))
		s.SetClusters(3)
		now := time.Unix(0, 0)
		var waiting []*waiter
		var held []*waiter
		settle := func() {
			rest := waiting[:0]
			for _, w := range waiting {
				select {
				case <-w.granted:
					held = append(held, w)
				default:
					rest = append(rest, w)
				}
			}
			waiting = rest
			if s.used != len(held) || s.used > s.total {
				t.Fatalf("%d used, %d held, of %d", s.used, len(held), s.total)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Second)
			cluster := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "cluster")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				w := &waiter{granted: make(chan struct{}), Want: Want{
					Class: rapid.SampledFrom([]Class{Live, Bulk}).Draw(t, "class"), From: "s", To: cluster,
					Bucket: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "bucket"), Size: rapid.Int64Range(0, 2*SmallObject).Draw(t, "size"),
					Awaited: rapid.IntRange(0, 4).Draw(t, "awaited") == 0,
				}}
				waiting = append(waiting, w)
				s.enqueue(w)
			case 2:
				if len(held) > 0 {
					i := rapid.IntRange(0, len(held)-1).Draw(t, "held")
					s.release(held[i])
					held = append(held[:i], held[i+1:]...)
				}
			case 3:
				before := s.paceOf(cluster)
				s.Congested(cluster, now)
				if after := s.paceOf(cluster); after > before || after < 1 {
					t.Fatalf("congestion took the pace from %d to %d", before, after)
				}
			case 4:
				s.Flowing(cluster, now)
			}
			settle()
		}
		for _, c := range []string{"a", "b", "c"} {
			for range s.total * s.total {
				now = now.Add(time.Second)
				s.Flowing(c, now)
			}
			if s.paceOf(c) != s.total {
				t.Fatalf("%s got %d slots back of %d", c, s.paceOf(c), s.total)
			}
		}
		for len(held) > 0 {
			s.release(held[0])
			held = held[1:]
			settle()
		}
		if len(waiting) > 0 || s.used != 0 || len(s.to)+len(s.from)+len(s.buckets) != 0 {
			t.Fatalf("%d wait in vain, %+v", len(waiting), s)
		}
	})
}

// What a user waits for goes first, small live objects go before large ones and bulk, and buckets take turns.
func TestSlotsOrder(t *testing.T) {
	t.Parallel()
	s := New(1)
	release, err := s.Acquire(t.Context(), Want{Class: Bulk, Bucket: "a", To: "c"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(w Want) *waiter {
		sw := &waiter{Want: w, granted: make(chan struct{})}
		s.waiters = append(s.waiters, sw)
		return sw
	}
	bulk := ask(Want{Class: Bulk, Bucket: "b", To: "c"})
	large := ask(Want{Class: Live, Bucket: "b", To: "c", Size: 1 << 30})
	small := ask(Want{Class: Live, Bucket: "b", To: "c", Size: 4 << 10})
	awaited := ask(Want{Class: Live, Bucket: "b", To: "c", Size: 1 << 30, Awaited: true})
	release()
	for _, w := range []*waiter{awaited, small, large, bulk} {
		select {
		case <-w.granted:
		default:
			t.Fatalf("not the turn of %+v", w.Want)
		}
		s.release(w)
	}

	s = New(5) // one is kept for small live objects
	var as []*waiter
	for range 8 {
		as = append(as, ask(Want{Class: Bulk, Bucket: "a", To: "c"}))
	}
	s.Resize(5)
	b := ask(Want{Class: Bulk, Bucket: "b", To: "c"})
	s.release(as[0])
	select {
	case <-b.granted:
	default:
		t.Error("a bucket that has a slot already got the next one, too")
	}
}

// take takes a slot if one is granted at once; otherwise it leaves no trace.
func take(s *Slots, c Class, to string) (release func(), ok bool) {
	w := &waiter{Want: Want{Class: c, To: to}, granted: make(chan struct{})}
	s.enqueue(w)
	select {
	case <-w.granted:
		return func() { s.release(w) }, true
	default:
		s.withdraw(w)
		return nil, false
	}
}

// takeAll takes slots until none is granted.
func takeAll(s *Slots, c Class, to string) (releases []func()) {
	for {
		release, ok := take(s, c, to)
		if !ok {
			return releases
		}
		releases = append(releases, release)
	}
}

// Slots never exceed their bounds, live objects find one beside a bulk sync, and a cluster
// beside a slow one's.
func TestSlots(t *testing.T) {
	t.Parallel()
	s := New(8)
	s.SetClusters(3)
	releases := takeAll(s, Bulk, "slow")
	if len(releases) != 6 {
		t.Errorf("one cluster took %d of 8 slots, want 6", len(releases))
	}
	release, ok := take(s, Live, "other")
	if !ok {
		t.Fatal("no slot left for another cluster")
	}
	releases = append(releases, release)
	bulk := takeAll(s, Bulk, "other")
	if len(bulk) > 1 {
		t.Error("bulk took the slot reserved for live objects")
	}
	for _, release := range append(releases, bulk...) {
		release()
	}
	s.SetSuspect("slow", true)
	releases = takeAll(s, Live, "slow")
	if len(releases) != suspectSlots {
		t.Errorf("a suspect cluster took %d slots, want %d", len(releases), suspectSlots)
	}
	for _, release := range releases {
		release()
	}
	assertFree(t, s)
}

func assertFree(t *testing.T, s *Slots) {
	t.Helper()
	if s.used != 0 || s.bulk != 0 || len(s.waiters) != 0 || len(s.to)+len(s.from)+len(s.buckets) != 0 {
		t.Errorf("not all slots were returned: %+v", s)
	}
}

// Acquire waits until a slot is released, and withdraws when its context ends.
func TestAcquireWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(1)
		release, err := s.Acquire(t.Context(), Want{To: "c"})
		if err != nil {
			t.Fatal(err)
		}
		if s.Available(Want{To: "c"}) {
			t.Error("a slot is available, although all are in use")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var granted, canceled atomic.Bool
		go func() {
			_, err := s.Acquire(ctx, Want{To: "c"})
			canceled.Store(errors.Is(err, context.Canceled))
		}()
		synctest.Wait()
		go func() {
			release, err := s.Acquire(t.Context(), Want{To: "c"})
			if err != nil {
				t.Error(err)
				return
			}
			granted.Store(true)
			release()
		}()
		synctest.Wait()
		if granted.Load() || len(s.waiters) != 2 {
			t.Fatalf("granted %v, %d waiters, want two that wait", granted.Load(), len(s.waiters))
		}
		cancel()
		synctest.Wait()
		if !canceled.Load() || len(s.waiters) != 1 {
			t.Fatalf("canceled %v, %d waiters, want one that waits", canceled.Load(), len(s.waiters))
		}
		release()
		synctest.Wait()
		if !granted.Load() {
			t.Error("the waiter did not get the slot that was released")
		}
		assertFree(t, s)
	})
}

// A slot that is granted while its waiter gives up is returned.
func TestAcquireReturnsALateSlot(t *testing.T) {
	t.Parallel()
	s := New(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // either branch of the select
		if release, err := s.Acquire(ctx, Want{To: "c"}); err == nil {
			release()
		}
	}
	assertFree(t, s)
}

// All slots in use is not available, even to a class whose share is not used up.
func TestAvailable(t *testing.T) {
	t.Parallel()
	s := New(4)
	if !s.Available(Want{Class: Bulk, To: "c"}) {
		t.Error("no slot is available, although none is in use")
	}
	takeAll(s, Live, "c")
	if s.Available(Want{Class: Bulk, To: "other"}) {
		t.Error("a slot is available, although live objects use all")
	}
}

// Bulk and large live objects leave a slot to small live ones.
func TestSlotsReserveForSmall(t *testing.T) {
	t.Parallel()
	s := New(8)
	if n := len(takeAll(s, Bulk, "c")); n != 7 {
		t.Errorf("bulk took %d of 8 slots, want 7", n)
	}
	if _, ok := take(s, Live, "c"); !ok {
		t.Error("no slot left for a small live object")
	}
}

// Only the slow transfer of a small object is a sign of congestion.
func TestSlow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size int64
		took time.Duration
		want bool
	}{
		{SmallObject, slowAnswer + 1, true},
		{SmallObject, slowAnswer, false},
		{SmallObject + 1, time.Hour, false},
	} {
		if got := Slow(c.size, c.took); got != c.want {
			t.Errorf("%d bytes in %v: slow is %v, want %v", c.size, c.took, got, c.want)
		}
	}
}
