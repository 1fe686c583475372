package replication

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/storage"
)

// Whatever comes in whatever order, no bound is exceeded, a storage that flows again gets
// all slots back, and who waits gets one in the end.
func TestSlotsProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSlots(rapid.IntRange(1, 12).Draw(t, "slots"))
		s.setClusters(3)
		now := time.Unix(0, 0)
		var waiting []*slotWaiter
		var held []*slotWaiter
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
				w := &slotWaiter{granted: make(chan struct{}), want: want{
					class: rapid.SampledFrom([]class{classLive, classBulk}).Draw(t, "class"), from: "s", to: cluster,
					bucket: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "bucket"), size: rapid.Int64Range(0, 2*smallObject).Draw(t, "size"),
				}}
				waiting = append(waiting, w)
				s.mu.Lock()
				s.waiters = append(s.waiters, w)
				s.grant()
				s.mu.Unlock()
			case 2:
				if len(held) > 0 {
					i := rapid.IntRange(0, len(held)-1).Draw(t, "held")
					s.release(held[i])
					held = append(held[:i], held[i+1:]...)
				}
			case 3:
				before := s.paceOf(cluster)
				s.congested(cluster, now)
				if after := s.paceOf(cluster); after > before || after < 1 {
					t.Fatalf("congestion took the pace from %d to %d", before, after)
				}
			case 4:
				s.flowing(cluster, now)
			}
			settle()
		}
		for _, c := range []string{"a", "b", "c"} {
			for range s.total * s.total {
				now = now.Add(time.Second)
				s.flowing(c, now)
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

// Small live objects go before large ones and bulk, and buckets take turns.
func TestSlotsOrder(t *testing.T) {
	t.Parallel()
	s := newSlots(1)
	release, err := s.acquireFor(t.Context(), want{class: classBulk, bucket: "a", to: "c"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(w want) *slotWaiter {
		sw := &slotWaiter{want: w, granted: make(chan struct{})}
		s.waiters = append(s.waiters, sw)
		return sw
	}
	bulk := ask(want{class: classBulk, bucket: "b", to: "c"})
	large := ask(want{class: classLive, bucket: "b", to: "c", size: 1 << 30})
	small := ask(want{class: classLive, bucket: "b", to: "c", size: 4 << 10})
	release()
	for _, w := range []*slotWaiter{small, large, bulk} {
		select {
		case <-w.granted:
		default:
			t.Fatalf("not the turn of %+v", w.want)
		}
		s.release(w)
	}

	s = newSlots(5) // one is kept for small live objects
	var as []*slotWaiter
	for range 8 {
		as = append(as, ask(want{class: classBulk, bucket: "a", to: "c"}))
	}
	s.resize(5)
	b := ask(want{class: classBulk, bucket: "b", to: "c"})
	s.release(as[0])
	select {
	case <-b.granted:
	default:
		t.Error("a bucket that has a slot already got the next one, too")
	}
}

// A storage that answers SlowDown to more than it bears is asked for less, until
// everything is there; another is not held back by that.
func TestPaceFollowsTheStorage(t *testing.T) {
	t.Parallel()
	const bears, objects = 4, 600
	var inFlight, refused, most, fast atomic.Int64
	w := newWorld(t, Settings{Workers: 32}, func(o *Options) {
		o.Copy = func(ctx context.Context, src, dst storage.Storage, bucket string, obj storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			if dst.Name() != "c2" {
				most.Store(max(most.Load(), fast.Add(1)))
				defer fast.Add(-1)
				time.Sleep(time.Millisecond)
				return fakeCopy(ctx, src, dst, bucket, obj, opts)
			}
			defer inFlight.Add(-1)
			if inFlight.Add(1) > bears {
				refused.Add(1)
				return storage.Object{}, fmt.Errorf("SlowDown: %w", storage.ErrUnavailable)
			}
			time.Sleep(2 * time.Millisecond)
			return fakeCopy(ctx, src, dst, bucket, obj, opts)
		}
	})
	c1, c2, c3 := w.fake("c1"), w.fake("c2"), w.fake("c3")
	w.policy("p", 3)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.feedsLive("c1", "c2", "c3")
	for i := range objects {
		c1.user("bkt", fmt.Sprintf("%04d", i), "x")
	}
	w.awaitFor(2*time.Minute, "all is there", func() bool { return len(c2.contents("bkt")) == objects && len(c3.contents("bkt")) == objects })
	// Unpaced, 24 at a time would ask for 600 objects, and 20 of 24 be refused each time.
	if n := refused.Load(); n == 0 || n > objects {
		t.Errorf("%d requests were refused for %d objects", n, objects)
	}
	t.Logf("%d refused; up to %d at a time at c3", refused.Load(), most.Load())
}

// A limit is kept, whichever it is: the time that the bytes take is not less than it
// allows, and there is enough of it.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	const rate, size, objects = 4 << 20, 512 << 10, 24 // 12 MiB: three seconds
	for _, c := range []struct {
		name             string
		global, src, dst int64
	}{
		{name: "global", global: rate},
		{name: "where it is read", src: rate},
		{name: "where it is written", dst: rate},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Settings{Bandwidth: c.global}, func(o *Options) { o.Copy = inChunks })
			c1 := w.fakeWith("c1", catalog.Size(c.src))
			w.fakeWith("c2", catalog.Size(c.dst))
			for i := range objects {
				c1.user("bkt", fmt.Sprintf("%02d", i), string(make([]byte, size)))
			}
			began := time.Now()
			w.policy("p", 2)
			w.bucket("bkt", "p", "c1")
			w.awaitFor(2*time.Minute, "synced", func() bool {
				row, _ := w.copyRow("bkt", "", "c2")
				return row.State == catalog.CopySynced
			})
			took := time.Since(began).Seconds()
			// The burst of a tenth of a second is free; a slow machine may take longer.
			if allowed := objects * size / float64(rate); took < allowed*0.9 {
				t.Errorf("%.2f s for what %d bytes/s allow in %.2f s", took, rate, allowed)
			}
		})
	}
}

// Every byte counts once against each limit, however it is cut.
func TestLimitCountsOnce(t *testing.T) {
	t.Parallel()
	const rate, n = 1 << 20, 100 << 10
	e := new(Engine)
	src, dst := &site{limiter: newLimiter(rate)}, &site{limiter: newLimiter(rate)}
	e.limiter.Store(newLimiter(rate))
	now := time.Now()
	for _, step := range []int{n / 2, n / 4, n / 4} {
		if err := e.limit(t.Context(), src, dst, step); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Since(now).Seconds() * rate // refilled meanwhile, at most
	for name, l := range map[string]interface{ Tokens() float64 }{"source": src.limiter, "destination": dst.limiter, "global": e.limiter.Load()} {
		if got := float64(src.limiter.Burst()) - l.Tokens(); got > n+1 || got < n-later-1 {
			t.Errorf("%s: %.0f of %d bytes were counted", name, got, n)
		}
	}
	if newLimiter(0) != nil {
		t.Error("no limit is a limit")
	}
}

// inChunks copies as storages do: asking for bandwidth a buffer at a time.
func inChunks(ctx context.Context, src, dst storage.Storage, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
	const chunk = 64 << 10
	for left := o.Size; left > 0; left -= chunk {
		if err := opts.Limit(ctx, int(min(left, chunk))); err != nil {
			return storage.Object{}, err
		}
	}
	opts.Limit = nil
	return fakeCopy(ctx, src, dst, bucket, o, opts)
}

// fakeWith declares a cluster over a storage in memory with a bandwidth.
func (w *world) fakeWith(name string, bandwidth catalog.Size) *fakeStorage {
	f := w.fake(name)
	w.apply(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{
		Endpoint: "http://" + name + ".test", BucketPrefix: w.prefix, Bandwidth: bandwidth,
	}})
	return f
}
