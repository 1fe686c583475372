package replication

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
)

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
	noted, err := f.store.Purges().Purges(t.Context())
	f.must(err)
	if len(noted) != 2*each {
		t.Errorf("%d purges are noted, %d were decided", len(noted), 2*each)
	}
	f.must(f.eng.Resume(t.Context()))
	f.await("the purges", func() bool {
		left, err := f.store.Purges().Purges(context.Background())
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

func (s tornStore) Catalogue() state.Catalogue { return tornStoreCatalogue{s.Store.Catalogue(), s} }

type tornStoreCatalogue struct {
	state.Catalogue
	of tornStore
}

func (s tornStoreCatalogue) Update(ctx context.Context, f func(state.Tx) error) (state.Seq, error) {
	return s.Catalogue.Update(ctx, func(tx state.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return s.of.torn()
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
		purges, err := w.store.Purges().Purges(context.Background())
		w.must(err)
		if _, err := w.store.Catalogue().Get(context.Background(), catalog.KindBucket, "bkt"); err != nil || len(purges) != 0 {
			w.Fatalf("half of it is stored: the bucket %v, purges %v", err, purges)
		}
		w.must(w.eng.Purge(context.Background(), "bkt", PurgeAll, control.Precondition{})) // at rest: noted only
		if purges, err = w.store.Purges().Purges(context.Background()); err != nil || len(purges) != 1 || len(c2.Contents("bkt")) != 1 {
			w.Fatalf("after the transaction: purges %v, %v, data %v", purges, err, c2.Contents("bkt"))
		}
		w.eng.Start(Settings{})
		w.awaitPurged()
		if a, b := c1.Contents("bkt"), c2.Contents("bkt"); len(a)+len(b) != 0 {
			w.Errorf("still there: %v, %v", a, b)
		}
	})
}
