package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

func copyIn(cluster string, s catalog.CopyState) state.Copy {
	return state.Copy{Copy: catalog.Copy{Cluster: cluster, State: s}}
}

func TestCopiesOfAnUnknownBucketAreNotMade(t *testing.T) {
	w := newWorld(t)
	err := w.Copies.Update(t.Context(), "unknown", func([]state.Copy) ([]state.Copy, error) {
		t.Error("its copies are asked for")
		return nil, nil
	})
	if !errors.Is(err, control.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	w.create(t, &catalog.Bucket{Name: "bkt"})
	w.setCopies(t, "bkt", copyIn("c1", catalog.CopySynced))
	refused := errors.New("refused")
	err = w.Copies.Update(t.Context(), "bkt", func(rows []state.Copy) ([]state.Copy, error) {
		rows[0].State = catalog.CopyFailed
		return nil, refused
	})
	if !errors.Is(err, refused) || w.Router().Snapshot().Of("bkt").Copies()[0].State != catalog.CopySynced {
		t.Errorf("a change that was refused: %v, %v", err, w.Router().Snapshot().Of("bkt").Copies())
	}
}

// Whatever is committed at once, each change of copies finds in the snapshot exactly what
// its transaction finds in the store.
func TestATransactionFindsTheSnapshotInStep(t *testing.T) {
	onBoth(t, func(t *testing.T, c *control.Control, _ *hangs) {
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				for i := range 10 {
					err := c.Copies.Update(context.Background(), "bkt", func(rows []state.Copy) ([]state.Copy, error) {
						known := c.Router().Snapshot().Of("bkt").Copies()
						stored := make([]catalog.Copy, len(rows))
						for i := range rows {
							stored[i] = rows[i].Routed()
						}
						if !slices.Equal(known, stored) {
							t.Errorf("the snapshot has %v, the store %v", known, stored)
						}
						rows[1].Cursor = fmt.Sprint(n, "/", i)
						rows[1].State = catalog.CopySyncing
						return rows, nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// The exceptions of a copy go with it, those of others stay.
func TestExceptionsGoWithTheirCopy(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	w.setCopies(t, "bkt", copyIn("c1", catalog.CopySynced), copyIn("c2", catalog.CopySynced))
	for _, c := range []string{"c1", "c2"} {
		if err := w.Pending.Add(t.Context(), state.Pending{Bucket: "bkt", Key: "k", Cluster: c}); err != nil {
			t.Fatal(err)
		}
	}
	w.setCopies(t, "bkt", copyIn("c1", catalog.CopySynced))
	if !w.Router().Pending.Has("bkt", "k", "c1") || w.Router().Pending.Has("bkt", "k", "c2") {
		t.Error("the exceptions are not those of the copies that are left")
	}
	if got := w.Pending.Clusters(); !slices.Equal(got, []string{"c1"}) {
		t.Errorf("rows are in %v", got)
	}
}

// Progress of many copies is one change; what is not there is left out, and what was saved
// is there after a restart.
func TestProgress(t *testing.T) {
	w := newWorld(t)
	for _, b := range []string{"one", "two"} {
		w.create(t, &catalog.Bucket{Name: b})
		w.setCopies(t, b, copyIn("c1", catalog.CopySyncing), copyIn("c2", catalog.CopySyncing))
	}
	progress := func(bucket, cluster, cursor string) state.Copy {
		c := copyIn(cluster, catalog.CopySyncing)
		c.Bucket, c.Cursor = bucket, cursor
		return c
	}
	if err := w.Copies.SaveProgress(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := w.Copies.SaveProgress(t.Context(), progress("one", "c1", "k1"), progress("two", "c2", "k2"),
		progress("two", "c3", "nowhere"), progress("gone", "c1", "nowhere"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Copies.SaveProgress(t.Context(), progress("gone", "c1", "nowhere")); err != nil {
		t.Errorf("progress of nothing that is there: %v", err)
	}
	check := func(when string, w *world) {
		t.Helper()
		one, two := w.Router().Snapshot().Of("one").Copies(), w.Router().Snapshot().Of("two").Copies()
		if len(one) != 2 || len(two) != 2 || one[0].Cursor != "k1" || one[1].Cursor != "" || two[1].Cursor != "k2" {
			t.Errorf("%s: %v, %v", when, one, two)
		}
	}
	check("when saved", w)
	w.close()
	check("after a restart", open(t, w.path))
}

// Whatever progress is saved while copies change state, what routing reads is what the
// store has, and no change of state is taken back.
func TestProgressBesideChanges(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	w.setCopies(t, "bkt", copyIn("c1", catalog.CopySyncing))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			c := copyIn("c1", catalog.CopySyncing)
			c.Bucket, c.Cursor = "bkt", fmt.Sprintf("k%06d", n)
			if err := w.Copies.SaveProgress(context.Background(), c); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 40 {
		want := []catalog.CopyState{catalog.CopySynced, catalog.CopySyncing}[n%2]
		w.setCopies(t, "bkt", copyIn("c1", want))
		if got := w.Router().Snapshot().Of("bkt").Copies()[0].State; got != want {
			t.Fatalf("set to %s, is %s", want, got)
		}
	}
	close(stop)
	wg.Wait()
	rows, err := w.store.Catalogue().CopiesOf(t.Context(), "bkt")
	if err != nil || rows[0].Routed() != w.Router().Snapshot().Of("bkt").Copies()[0] {
		t.Errorf("the store has %v, routing reads %v, %v", rows, w.Router().Snapshot().Of("bkt").Copies(), err)
	}
}

// A primary that moves is an event, once.
func TestAPrimaryThatMovesIsAnEvent(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	sub := w.Events().Subscribe(10, control.EventPrimaryMoved)
	defer sub.Close()
	first, second := copyIn("c1", catalog.CopySynced), copyIn("c2", catalog.CopySynced)
	w.setCopies(t, "bkt", first, second)
	first.Primary = true
	w.setCopies(t, "bkt", first, second) // the first one is no move
	first.Primary, second.Primary = false, true
	w.setCopies(t, "bkt", first, second)
	w.setCopies(t, "bkt", second)
	if len(sub.C) != 1 {
		t.Fatalf("%d events, want 1", len(sub.C))
	}
	if e := <-sub.C; e.Bucket != "bkt" || e.From != "c1" || e.Cluster != "c2" {
		t.Errorf("%+v", e)
	}
}

// A bucket that left the configuration and comes back has its copies compared first, those
// that were being made from their beginning.
func TestCopiesBeingMadeBeginAgainAfterTheirBucketWasAway(t *testing.T) {
	w := newWorld(t)
	with := control.Config{Zones: []*catalog.Zone{{Name: "declared"}}, Buckets: []*catalog.Bucket{{Name: "bkt"}}}
	first, err := w.Attach(t.Context(), with)
	if err != nil {
		t.Fatal(err)
	}
	syncing := copyIn("c2", catalog.CopySyncing)
	syncing.Cursor, syncing.ScanCursor = "half", "way"
	primary := copyIn("c1", catalog.CopySynced)
	primary.Primary = true
	w.setCopies(t, "bkt", primary, syncing, copyIn("c3", catalog.CopyDraining))
	w.Issues.Set("bkt", planner, control.Issue{Reason: "r"})
	if _, err := w.Attach(t.Context(), control.Config{}); err != nil {
		t.Fatal(err)
	}
	first.Detach()
	if stuck, _ := w.Status.Troubles(t.Context()); stuck.Buckets != 0 {
		t.Error("a bucket that is not declared is stuck")
	}
	if _, err := w.Attach(t.Context(), with); err != nil {
		t.Fatal(err)
	}
	got := w.Router().Snapshot().Of("bkt").Copies()
	if len(got) != 3 || got[0].State != catalog.CopySynced || got[1].State != catalog.CopyWaiting || got[1].Cursor != "" || got[2].State != catalog.CopyDraining {
		t.Errorf("its copies are %v", got)
	}
}

// A configuration that did not come to run leaves nothing that counts as compared.
func TestAReloadThatFailedIsForgotten(t *testing.T) {
	w := newWorld(t)
	failed, err := w.Attach(t.Context(), control.Config{Buckets: []*catalog.Bucket{{Name: "bkt"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.setCopies(t, "bkt", copyIn("c2", catalog.CopySynced))
	failed.Detach()
	rows, err := w.store.Catalogue().CopiesOf(t.Context(), "bkt")
	if err != nil || len(rows) != 1 || rows[0].State != catalog.CopyWaiting || w.Router().Snapshot().Bucket("bkt") != nil {
		t.Errorf("left are %v, %v", rows, err)
	}
}

// What is stored with a removal is stored with it or not at all.
func TestDeleteWith(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	ctx := t.Context()
	refused := errors.New("refused")
	err := w.Resources.DeleteWith(ctx, catalog.KindBucket, "bkt", control.Precondition{}, func(state.Tx) error { return refused })
	if !errors.Is(err, refused) || w.Router().Snapshot().Bucket("bkt") == nil {
		t.Errorf("a removal that was refused: %v", err)
	}
	err = w.Resources.DeleteWith(ctx, catalog.KindBucket, "bkt", control.Precondition{}, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindZone, Name: "mark", Body: []byte(`{"name":"mark"}`)})
	})
	if err != nil || w.Router().Snapshot().Bucket("bkt") != nil {
		t.Errorf("a removal: %v", err)
	}
	if _, err := w.Resources.Get(ctx, catalog.KindZone, "mark"); err != nil {
		t.Errorf("what was stored with it: %v", err)
	}
}

func until(d time.Duration) time.Time { return time.Now().Add(d).Truncate(time.Millisecond) }
