package peers

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"
)

// Every bucket belongs to one part, no matter who asks, and parts have about as many each.
func TestShardOf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bucket := rapid.String().Draw(t, "bucket")
		if s := ShardOf(bucket); s < 0 || s >= ShardCount || s != ShardOf(bucket) {
			t.Fatalf("part %d", s)
		}
	})
	var n [ShardCount]int
	for i := range 100 * ShardCount {
		n[ShardOf(fmt.Sprintf("bucket-%d", i))]++
	}
	for i, has := range n {
		if has < 50 || has > 200 {
			t.Errorf("part %d has %d buckets of %d", i, has, 100*ShardCount)
		}
	}
}

// An instance alone takes everything at once.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newBoard().join("a")
		i.shared = false
		i.run(t.Context())
		synctest.Wait()
		wantParts(t, "32", i)
		if !i.Shards.Owns("any bucket") || i.Others() != 0 {
			t.Errorf("owns %v, %d others", i.Shards.Owns("any bucket"), i.Others())
		}
		i.stop()
		if i.Shards.Count() != 0 || i.Shards.Owns("any bucket") || i.b.holders("") != 0 {
			t.Errorf("after its end it has %d parts, %d locks are held", i.Shards.Count(), i.b.holders(""))
		}
	})
}

// Instances share alike, give up for one that comes, and take over from one that ends or
// dies.
func TestFairShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		one := b.start(t, "a")
		pass(10 * time.Second)
		wantParts(t, "32", one)
		two := b.start(t, "b")
		pass(time.Minute)
		wantParts(t, "16 16", one, two)
		three, four := b.start(t, "c"), b.start(t, "d")
		pass(time.Minute)
		wantParts(t, "8 8 8 8", one, two, three, four)
		four.stop()
		b.set(func() { delete(b.members, "d") })
		pass(time.Minute)
		wantParts(t, "", one, two, three)
		for _, i := range []*instance{one, two, three} {
			if n := i.Shards.Count(); n > 11+1 {
				t.Errorf("%s has %d parts of %d, and they are three", i.name, n, ShardCount)
			}
		}
		one.die()
		pass(time.Minute)
		wantParts(t, "", two, three)
		two.stop()
		b.set(func() { delete(b.members, "b") })
		pass(time.Minute)
		wantParts(t, "32", three)
		three.stop()
	})
}

// A part that is yielded goes to another instance, and comes back where there is none that takes
// it; it is yielded again only after a while.
func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		one := b.start(t, "a")
		pass(10 * time.Second)
		one.Shards.Yield("bkt")
		pass(5 * time.Second)
		if one.Shards.Owns("bkt") || one.Shards.Count() != ShardCount-1 {
			t.Errorf("it has %d parts, and %t the one that it yielded", one.Shards.Count(), one.Shards.Owns("bkt"))
		}
		pass(30 * time.Second)
		wantParts(t, "32", one)
		one.Shards.Yield("bkt") // too soon
		pass(5 * time.Second)
		wantParts(t, "32", one)
		two := b.start(t, "b")
		pass(2 * time.Minute)
		wantParts(t, "16 16", one, two)
		from, to := one, two
		if two.Shards.Owns("bkt") {
			from, to = two, one
		}
		from.Shards.Yield("bkt")
		pass(14 * time.Second)
		if from.Shards.Owns("bkt") || !to.Shards.Owns("bkt") {
			t.Errorf("the other instance did not take it")
		}
		one.stop()
		two.stop()
	})
}

// An instance that does not replicate takes parts only when nobody else does: someone has
// to plan.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		idle, busy := b.join("a"), b.join("b")
		idle.setIdle(true)
		idle.run(t.Context())
		busy.run(t.Context())
		pass(time.Minute)
		wantParts(t, "0 32", idle, busy)
		busy.die()
		pass(10 * time.Second)
		if n := idle.Shards.Count(); n != 0 {
			t.Errorf("one that does not replicate took %d parts before others could", n)
		}
		pass(time.Minute)
		wantParts(t, "32", idle)
		busy = b.start(t, "c")
		pass(time.Minute)
		wantParts(t, "0 32", idle, busy)
		// It does not replicate any more, and lives on.
		busy.stop()
		busy.setIdle(true)
		busy.run(t.Context())
		pass(time.Minute)
		wantParts(t, "", idle, busy)
		again := b.start(t, "d")
		pass(time.Minute)
		wantParts(t, "0 0 32", idle, busy, again)
		again.stop()
		busy.stop()
		idle.stop()
	})
}

// What nobody holds is taken after a few looks though the share is full.
func TestOrphaned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		i := b.join("a")
		b.set(func() { b.members["silent"] = true })
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); i.Shards.Run(ctx) }() // it never reads who shares
		synctest.Wait()
		if n := i.Shards.Count(); n != ShardCount/2 {
			t.Errorf("%d parts at first, want half of them: there are two members", n)
		}
		pass(10 * time.Second)
		wantParts(t, "32", i)
		cancel()
		<-over
	})
}

// Without the store, or without a lease, nothing is taken, and what is held stays.
func TestNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		i := b.join("a")
		i.mayWrite = errStore
		i.run(t.Context())
		pass(time.Minute)
		if n := i.Shards.Count(); n != 0 || b.holders("") != 0 {
			t.Errorf("without a lease it took %d parts, %d locks", n, b.holders(""))
		}
		i.mu.Lock()
		i.mayWrite = nil
		i.mu.Unlock()
		pass(10 * time.Second)
		wantParts(t, "32", i)
		b.set(func() { b.err = errStore })
		pass(time.Minute)
		wantParts(t, "32", i)
		b.set(func() { b.err = nil })
		i.stop()
	})
}

// A part whose lock is lost is not this instance's from that moment, and is not taken again
// until the work on it has ended.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		i := b.join("a")
		bucket := "bkt"
		part, over := ShardOf(bucket), make(chan struct{})
		i.onLost = func(p int) {
			if p == part {
				<-over
			}
		}
		i.run(t.Context())
		pass(10 * time.Second)
		wantParts(t, "32", i)
		b.lose("a", shardLock(part))
		synctest.Wait()
		if i.Shards.Owns(bucket) || i.Shards.Count() != ShardCount-1 {
			t.Errorf("owns %v, %d parts: a part without a lock is its own", i.Shards.Owns(bucket), i.Shards.Count())
		}
		pass(time.Minute)
		if i.Shards.Owns(bucket) {
			t.Error("the part was taken again while work on it was ending")
		}
		close(over)
		pass(10 * time.Second)
		wantParts(t, "32", i)
		i.stop()
	})
}

// A part that is given up is free for others only once the work on it has ended.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		i := b.join("a")
		over := make(chan struct{})
		i.onLost = func(int) { <-over }
		i.run(t.Context())
		pass(10 * time.Second)
		stopped := make(chan struct{})
		go func() { defer close(stopped); i.stop() }()
		pass(time.Minute)
		if n := b.holders("replication/shard/"); n != ShardCount {
			t.Errorf("%d of %d locks are held while work is ending", n, ShardCount)
		}
		if i.Shards.Count() != 0 {
			t.Errorf("%d parts are its own while they are given up", i.Shards.Count())
		}
		close(over)
		<-stopped
		if n := b.holders(""); n != 0 {
			t.Errorf("%d locks are left", n)
		}
	})
}

// One instance leads at a time; when its lock is lost it ends, and another takes over.
func TestLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		leader := make(chan string, 10)
		ctx, cancel := context.WithCancel(t.Context())
		leading := 0
		for _, name := range []string{"a", "b"} {
			i := b.join(name)
			go (&Leader{Locks: i, News: i.News, Log: zap.NewNop(), Every: time.Second}).Leading(ctx, "lock", func(ctx context.Context) {
				leader <- name
				b.set(func() { leading++ })
				<-ctx.Done()
				b.set(func() { leading-- })
			})
		}
		pass(time.Minute)
		first := <-leader
		if leading != 1 || len(leader) != 0 {
			t.Fatalf("%d lead", leading)
		}
		b.set(func() { b.err = errStore })
		b.lose(first, "lock")
		pass(time.Minute)
		if leading != 0 {
			t.Errorf("%d lead without a lock", leading)
		}
		b.set(func() { b.err = nil })
		pass(time.Minute)
		if leading != 1 {
			t.Errorf("%d lead", leading)
		}
		cancel()
		synctest.Wait()
		if leading != 0 || b.holders("") != 0 {
			t.Errorf("%d lead after the end, %d locks are held", leading, b.holders(""))
		}
	})
}

// Where nothing happens, nobody asks the store for parts, locks or reports; what happens is
// followed as soon as ever.
func TestNothingIsPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		one, two := b.start(t, "one"), b.start(t, "two")
		led := make(chan string, 2)
		for _, i := range []*instance{one, two} {
			go (&Leader{Locks: i, News: i.News, Log: zap.NewNop(), Every: time.Second}).Leading(t.Context(), "lock", func(ctx context.Context) {
				led <- i.name
				<-ctx.Done()
			})
		}
		first := <-led
		pass(2 * time.Minute)
		wantParts(t, "16 16", one, two)
		b.taken()
		pass(2 * time.Minute)
		asked := b.taken()
		// Reports are read every half minute, with the members.
		if most := 2 * 2 * 4; asked > most+2 {
			t.Errorf("the store was asked %d times in two minutes, want %d", asked, most)
		}
		before := time.Now()
		b.lose(first, "lock")
		if second := <-led; time.Since(before) > 3*time.Second {
			t.Errorf("%s led after %v", second, time.Since(before))
		}
		one.die()
		pass(10 * time.Second)
		wantParts(t, "32", two)
		two.stop()
	})
}
