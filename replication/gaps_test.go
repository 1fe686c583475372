package replication

import (
	"context"
	"fmt"
	"testing"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/storage"
)

// never runs f over and over until done, and reports the first time it is true.
func (w *world) never(what string, f func() bool, done func() bool) {
	w.Helper()
	w.await("the end of: "+what, func() bool {
		if f() {
			w.Errorf("%s", what)
			return true
		}
		return done()
	})
}

// What changed while nobody listened is a gap: copies are hits for it after they were
// compared, and not before, however the listener came to miss it.
func TestGapIsComparedBeforeItIsForgotten(t *testing.T) {
	for name, miss := range map[string]func(w *world, a *fakestorage.Storage, change func()){
		"FaDO was stopped": func(w *world, _ *fakestorage.Storage, change func()) {
			w.eng.Stop()
			change()
			w.eng.Start(Settings{})
		},
		"the listener ended": func(_ *world, a *fakestorage.Storage, change func()) {
			a.Events.Cut()
			change()
		},
		"events were refused": func(w *world, a *fakestorage.Storage, change func()) {
			hear := a.Events.Deafen()
			w.eng.gaps.Lost("c1")
			change()
			hear()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
			a, b := w.fake("c1"), w.fake("c2")
			a.User("bkt", "k", "v1")
			w.policy("p", 2, "c1", "c2")
			w.bucket("bkt", "p", "c1")
			w.awaitOK("bkt", "c1", "c2")
			w.await("a hit, and no gap any more", func() bool {
				return w.ctl.Router().Current("bkt", "k", "c2") && w.eng.gaps.status("c1") == nil
			})
			miss(w, a, func() { a.User("bkt", "k", "v2") })
			st := w.ctl.Router().Snapshot().ClusterState("c1")
			w.await("the gap to be noticed", func() bool {
				at, open := st.Gap()
				return open || !at.IsZero() || b.Contents("bkt")["k"] == "v2"
			})
			w.never("a stale copy is a hit", func() bool {
				return w.ctl.Router().Current("bkt", "k", "c2") && b.Contents("bkt")["k"] != "v2"
			}, func() bool { return w.ctl.Router().Current("bkt", "k", "c2") && w.eng.gaps.status("c1") == nil })
		})
	}
}

// Where no listener comes back, scans are the feed: copies are hits by what they found.
func TestGapEndsWithoutListener(t *testing.T) {
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	a, b := w.fake("c1"), w.fake("c2")
	a.SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "listen" {
			return fmt.Errorf("%s: %w", op, storage.ErrUnavailable)
		}
		return nil
	})
	a.User("bkt", "k", "v1")
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.await("a hit", func() bool { return w.ctl.Router().Current("bkt", "k", "c2") })
	if st := w.ctl.Router().Snapshot().ClusterState("c1"); st.Exact() {
		t.Error("a feed that is not there tells everything")
	}
	a.User("bkt", "k", "v2")
	w.await("the change to be found", func() bool { return b.Contents("bkt")["k"] == "v2" })
}

// The status tells of a gap until everything was compared, with how far that is.
func TestGapIsTold(t *testing.T) {
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	a, b := w.fake("c1"), w.fake("c2")
	w.policy("p", 2, "c1", "c2")
	for _, bucket := range []string{"one", "two"} {
		a.User(bucket, "k", "v")
		w.bucket(bucket, "p", "c1")
		w.awaitOK(bucket, "c1", "c2")
	}
	w.await("no gap", func() bool { return w.eng.gaps.status("c1") == nil })
	b.SetFault(func(_ context.Context, op, bucket, _ string) error {
		if op == "list" && bucket == "two" {
			return fmt.Errorf("%s: %w", op, storage.ErrDenied)
		}
		return nil
	})
	a.Events.Cut()
	w.await("one bucket that can't be compared", func() bool {
		g := w.eng.gaps.status("c1")
		return g != nil && !g.Open && g.Behind == 1 && g.Buckets == 2
	})
	if w.ctl.Router().Current("two", "k", "c2") || !w.ctl.Router().Current("one", "k", "c2") {
		t.Error("the bucket that was compared is a hit, the other is not")
	}
	b.SetFault(nil)
	w.must(w.eng.SyncBucket(context.Background(), "two"))
	w.await("the gap to be forgotten", func() bool { return w.eng.gaps.status("c1") == nil })
}

// A walk that began before a gap proves nothing after it: its keys are hits once they were
// compared again.
func TestSyncAfterAGap(t *testing.T) {
	hold := make(chan struct{})
	w := newWorld(t, Settings{Workers: 1}, func(o *Options) {
		o.Copy = func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, ob storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			if ob.Key == "k9" {
				select {
				case <-hold:
				case <-ctx.Done():
					return storage.Object{}, ctx.Err()
				}
			}
			return fakestorage.Copy(ctx, src, dst, bucket, ob, opts)
		}
	})
	a, b := w.fake("c1"), w.fake("c2")
	for i := range 10 {
		a.User("bkt", fmt.Sprint("k", i), "v1")
	}
	w.policy("p", 2, "c1", "c2")
	w.feedsLive("c1", "c2") // else the walk begins before a gap of its own
	w.bucket("bkt", "p", "c1")
	hit := func() bool { return w.ctl.Router().Current("bkt", "k1", "c2") }
	w.await("a hit while the copy syncs", hit)
	w.eng.Stop()
	a.User("bkt", "k1", "v2")
	w.eng.Start(Settings{Workers: 2})
	w.never("a stale key behind the cursor is a hit", func() bool { return hit() && b.Contents("bkt")["k1"] != "v2" }, hit)
	close(hold)
	w.awaitOK("bkt", "c1", "c2")
}
