package replication

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/queue"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// A burst of 100,000 events, through the webhook's way in and the listeners' at once,
// loses none: every key becomes a row, whatever comes doubled. What waits in memory is
// bounded by the feed's room.
func TestEventFlood(t *testing.T) {
	events := 100_000
	if testing.Short() {
		events = 10_000
	}
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1 := w.fake("c1")
	w.fake("c2")
	c1.User("bkt", "first", "x")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	ctx := context.Background()
	w.must(w.eng.Pause(ctx)) // the rows stay, to be counted
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	done := make(chan error, 2)
	go func() { // the listeners' way: each blocks while there is no room
		for i := range events {
			w.eng.queue.Intake.Take(ctx, queue.Event{Cluster: "c1", Event: storage.Event{Bucket: "bkt", Key: fmt.Sprintf("k%06d", i), Size: 1}})
		}
		done <- nil
	}()
	go func() { // the webhook's way, the same events in batches, from the other end
		const batch = 500
		for at := events; at > 0; at -= batch {
			hints := make([]Hint, 0, batch)
			for i := at - batch; i < at; i++ {
				hints = append(hints, Hint{Cluster: "c1", Physical: w.prefix + "bkt", Key: fmt.Sprintf("k%06d", i), Size: 1})
			}
			if err := w.eng.Hints(ctx, hints...); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 2 {
		w.must(<-done)
	}
	count := func() int64 {
		logs, err := w.store.Queue().Backlogs(ctx, "bkt")
		w.must(err)
		if len(logs) != 1 {
			return 0
		}
		return logs[0].Objects
	}
	w.await("every event is a row", func() bool { return w.eng.queue.Intake.Waiting() == 0 && count() == int64(events) })
	runtime.GC()
	runtime.ReadMemStats(&after)
	// The keys themselves are exceptions in memory; the bound is far above them, and far
	// below what a copy of every event would take.
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > int64(events)*2048 {
		t.Errorf("%d events left %d MiB in memory", events, grown>>20)
	}
}

// Events that come out of order, doubled, late, or not at all change nothing in the end:
// once a scan has come by, the copy has what the primary has.
func TestEventOrderChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "first", "x")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	keys := []string{"a", "b", "c"}
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		var told []queue.Event
		for range rapid.IntRange(1, 6).Draw(rt, "writes") {
			key := rapid.SampledFrom(keys).Draw(rt, "key")
			ev := storage.Event{Bucket: "bkt", Key: key, Removed: rapid.Bool().Draw(rt, "removed")}
			if ev.Removed {
				c1.UserDelete("bkt", key)
			} else {
				body := rapid.StringN(1, 8, 16).Draw(rt, "body")
				c1.User("bkt", key, body)
				ev.ETag, ev.Size = fakestorage.ETag(body), int64(len(body))
			}
			for range rapid.IntRange(0, 2).Draw(rt, "times told") {
				told = append(told, queue.Event{Cluster: "c1", Event: ev})
			}
		}
		for _, ev := range rapid.Permutation(told).Draw(rt, "order") {
			if err := w.eng.queue.Intake.Note(ctx, ev); err != nil {
				rt.Fatal(err)
			}
		}
		w.must(w.eng.SyncBucket(ctx, "bkt"))
		w.await("the copy has what the primary has", func() bool {
			return maps.Equal(c1.Contents("bkt"), c2.Contents("bkt")) && len(w.pending(state.PendingFilter{})) == 0
		})
	})
}
