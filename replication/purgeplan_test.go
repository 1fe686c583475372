package replication

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
)

// A purge knows of every cluster what was known of all copies there: what one of them lacks
// counts for none.
func TestNewPurge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	early, late := now.Add(-2*time.Hour), now.Add(-time.Hour)
	rows := []state.Copy{rowIn("b", "", "c1"), rowIn("b", "", "c2"), rowIn("b", "a/", "c2"), rowIn("b", "a/", "c3")}
	rows[0].Primary, rows[0].VerifiedAt = true, now
	rows[1].VerifiedAt, rows[1].OwnedUntil = now, late
	rows[2].VerifiedAt, rows[2].OwnedUntil, rows[2].MadeBucket = now, early, true
	pulled := []state.Pulled{{Bucket: "b", Key: "k", Cluster: "c2"}, {Bucket: "b", Key: "k", Cluster: "c4"}}
	got := newPurge("b", PurgeCopies, rows, pulled, now, func(string) int64 { return 0 })
	want := state.Purge{Bucket: "b", Mode: PurgeCopies, Primary: "c1", Since: now, Targets: []state.PurgeTarget{
		{Cluster: "c1", Primary: true, Verified: true},
		{Cluster: "c2", Verified: true, MadeBucket: true, OwnedUntil: early},
		{Cluster: "c3"},
		{Cluster: "c4", Verified: true, PulledOnly: true},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the purge is\n%+v, want\n%+v", got, want)
	}
}

// Of objects copied on demand the whole bucket goes where FaDO made it for them, else these
// objects alone; where there is a copy they go with it.
func TestPulledTargets(t *testing.T) {
	t.Parallel()
	got := pulledTargets([]state.PurgeTarget{{Cluster: "copy"}}, []state.Pulled{
		{Cluster: "theirs", Key: "a"}, {Cluster: "made", Key: "a"}, {Cluster: "made"}, {Cluster: "copy", Key: "a"}, {Cluster: "copy"}, {Cluster: "made", Key: "b"},
	})
	want := []state.PurgeTarget{{Cluster: "made", Verified: true, MadeBucket: true}, {Cluster: "theirs", Verified: true, PulledOnly: true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("targets are %+v, want %+v", got, want)
	}
	if got := pulledTargets(nil, nil); got != nil {
		t.Errorf("without any: %+v", got)
	}
}

// Purges that instances decide at the same moment are all there, and all carried out.
func TestPurgesOfTwoInstancesStay(t *testing.T) {
	t.Parallel()
	const each = 8
	f := newFleet(t, 2, Settings{Workers: 4})
	src, dst := f.fake("c1"), f.fake("c2")
	f.policy("p", 2, "c1", "c2")
	name := func(i, n int) string { return fmt.Sprintf("bkt%d-%d", i, n) }
	all := func(do func(i int, bucket string)) {
		for i := range f.members {
			for n := range each {
				do(i, name(i, n))
			}
		}
	}
	all(func(_ int, b string) {
		src.User(b, "k", "content")
		f.bucket(b, "p", "c1")
	})
	all(func(_ int, b string) {
		f.await("a copy of "+b, func() bool { return dst.Contents(b)["k"] == "content" })
	})
	f.must(f.eng.Pause(t.Context())) // nothing is removed yet: what is noted can be counted
	f.await("every instance pausing", func() bool {
		return f.members[0].eng.core.pause.On() && f.members[1].eng.core.pause.On()
	})
	var wg sync.WaitGroup
	all(func(i int, b string) {
		wg.Go(func() {
			if err := f.members[i].eng.Purge(context.Background(), b, PurgeAll, control.Precondition{}); err != nil {
				t.Errorf("%s: %v", b, err)
			}
		})
	})
	wg.Wait()
	noted, err := f.store.Purges(t.Context())
	f.must(err)
	if len(noted) != 2*each {
		t.Errorf("%d purges are noted, %d were decided", len(noted), 2*each)
	}
	f.must(f.eng.Resume(t.Context()))
	f.await("the purges", func() bool {
		left, err := f.store.Purges(context.Background())
		return err == nil && len(left) == 0
	})
	all(func(_ int, b string) {
		if a, c := src.Contents(b), dst.Contents(b); len(a)+len(c) != 0 {
			t.Errorf("%s is still there: %v, %v", b, a, c)
		}
	})
}

// tornStore loses its transactions: what one of them did is rolled back, as it is when a
// process is killed before the commit.
type tornStore struct {
	state.Store
	torn func() error
}

func (s tornStore) Update(ctx context.Context, f func(state.Tx) error) (state.Seq, error) {
	return s.Store.Update(ctx, func(tx state.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return s.torn()
	})
}

// A bucket is forgotten and its purge noted together or not at all, wherever the process is
// killed; what was noted is carried out by the next one.
func TestPurgeIsNotedWithTheRemoval(t *testing.T) {
	t.Parallel()
	onBothStores(t, Settings{}, func(w gatedWorld) {
		c1, c2 := w.fake("c1"), w.fake("c2")
		c1.User("bkt", "k", "x")
		w.policy("p", 2, "c1", "c2")
		w.bucket("bkt", "p", "c1")
		w.awaitOK("bkt", "c1", "c2")
		w.eng.Stop() // as a killed one does nothing more
		torn := fmt.Errorf("killed: %w", state.ErrUnavailable)
		second, err := control.New(control.Options{Store: tornStore{w.store, func() error { return torn }}, Node: "second"})
		w.must(err)
		defer second.Close()
		w.must(second.Start(context.Background()))
		_, err = second.Attach(context.Background(), control.Config{})
		w.must(err)
		eng := New(Options{Control: second, Open: w.openStorage, Tune: fastTuning(), Copy: fakestorage.Copy})
		if err := eng.Purge(context.Background(), "bkt", PurgeAll, control.Precondition{}); err == nil {
			w.Fatal("a purge whose transaction is lost succeeds")
		}
		purges, err := w.store.Purges(context.Background())
		w.must(err)
		if _, err := w.store.Get(context.Background(), catalog.KindBucket, "bkt"); err != nil || len(purges) != 0 {
			w.Fatalf("half of it is stored: the bucket %v, purges %v", err, purges)
		}
		w.must(w.eng.Purge(context.Background(), "bkt", PurgeAll, control.Precondition{})) // at rest: noted only
		if purges, err = w.store.Purges(context.Background()); err != nil || len(purges) != 1 || len(c2.Contents("bkt")) != 1 {
			w.Fatalf("after the transaction: purges %v, %v, data %v", purges, err, c2.Contents("bkt"))
		}
		w.eng.Start(Settings{})
		w.awaitPurged()
		if a, b := c1.Contents("bkt"), c2.Contents("bkt"); len(a)+len(b) != 0 {
			w.Errorf("still there: %v, %v", a, b)
		}
	})
}
