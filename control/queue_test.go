package control_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

func pendingRow(key string) state.Pending {
	return state.Pending{Bucket: "bkt", Key: key, Cluster: "c2"}
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Anyone who waits for an object to be in step is woken by its row's end, and by nothing about
// other buckets.
func TestChangedWakesThoseWhoWait(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	w.create(t, &catalog.Bucket{Name: "other"})
	other := w.Pending.Changed("other")
	gens, err := w.Pending.Note(t.Context(), []state.Pending{pendingRow("k")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	inStep := make(chan struct{})
	go func() {
		defer close(inStep)
		for changed := w.Pending.Changed("bkt"); w.Router().Pending.Has("bkt", "k", "c2"); changed = w.Pending.Changed("bkt") {
			<-changed
		}
	}()
	if err := w.Pending.Finish(t.Context(), state.PendingKey{Bucket: "bkt", Key: "k", Cluster: "c2", Gen: gens[0]}); err != nil {
		t.Fatal(err)
	}
	<-inStep
	if isDone(other) {
		t.Error("another bucket's waiters are woken")
	}
	if w.Pending.Has("c2") || len(w.Pending.Clusters()) != 0 {
		t.Error("a cluster without rows has some")
	}
}

// Which clusters have rows is known from memory, after a restart as well.
func TestClustersWithRows(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	if err := w.Pending.Add(t.Context(), pendingRow("a"), pendingRow("b"), state.Pending{Bucket: "bkt", Key: "a", Cluster: "c3", Hold: state.HoldConflict}); err != nil {
		t.Fatal(err)
	}
	w.close()
	w = open(t, w.path)
	if got := w.Pending.Clusters(); !slices.Equal(got, []string{"c2", "c3"}) || !w.Pending.Has("c3") || w.Pending.Has("c1") {
		t.Errorf("rows are in %v", got)
	}
	if err := w.Resources.Delete(t.Context(), catalog.KindBucket, "bkt", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	if got := w.Pending.Clusters(); len(got) != 0 {
		t.Errorf("with their bucket gone rows are in %v", got)
	}
}

// Rows that failed wait for their next attempt, and are claimed when it is due.
func TestClaimAndFail(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.create(t, &catalog.Bucket{Name: "bkt"})
	if err := w.Pending.Add(ctx, pendingRow("k")); err != nil {
		t.Fatal(err)
	}
	if rows, err := w.Pending.ClaimIn(ctx, "c1", 10, time.Minute); err != nil || rows != nil {
		t.Errorf("claimed in a cluster without rows: %v, %v", rows, err)
	}
	rows, err := w.Pending.ClaimIn(ctx, "c2", 10, time.Minute)
	if err != nil || len(rows) != 1 || rows[0].ClaimedBy != w.Members.Claimant() {
		t.Fatalf("claimed %+v, %v", rows, err)
	}
	rows[0].Attempts, rows[0].Error, rows[0].NextAttempt = 1, "no route", until(time.Hour)
	if err := w.Pending.Fail(ctx, rows...); err != nil {
		t.Fatal(err)
	}
	if rows, err := w.Pending.ClaimIn(ctx, "c2", 10, time.Minute); err != nil || rows != nil {
		t.Errorf("claimed before it is due: %v, %v", rows, err)
	}
	if st, err := w.Status.Bucket(ctx, "bkt"); err != nil || st.State != control.BucketStuck {
		t.Errorf("its bucket is %+v, %v", st, err)
	}
}

// Nothing to do is no work, and a caller that goes is not waited for.
func TestTheQueueAtItsEdges(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	gens, err := w.Pending.Note(ctx, nil, func() bool { t.Error("nothing has begun"); return true })
	if gens != nil || err != nil || w.Pending.Add(ctx) != nil || w.Pending.Finish(ctx) != nil || w.Pending.AddEverywhere(ctx) != nil {
		t.Error("nothing is something")
	}
	w.Pending.Wake()
	w.Pending.Wake() // merged
	if !isDone(w.Pending.Added()) || isDone(w.Pending.Added()) {
		t.Error("a wake is not delivered once")
	}
	w.Close()
	w.Close()
	for what, err := range map[string]error{
		"adding":    w.Pending.Add(ctx, pendingRow("k")),
		"finishing": w.Pending.Finish(ctx, state.PendingKey{Bucket: "bkt", Key: "k", Cluster: "c2"}),
	} {
		if !errors.Is(err, control.ErrClosed) {
			t.Errorf("%s after the end: %v", what, err)
		}
	}
}

// flaky is a store that refuses calls while it is told to.
type flaky struct {
	state.Store
	mu   sync.Mutex
	err  error
	adds int
	slow chan struct{} // AddPending waits for it, if there is one
}

func (f *flaky) refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *flaky) Queue() state.Queue { return flakyQueue{f.Store.Queue(), f} }

type flakyQueue struct {
	state.Queue
	of *flaky
}

func (f flakyQueue) AddPending(ctx context.Context, rows ...state.Pending) ([]int64, error) {
	f.of.mu.Lock()
	f.of.adds++
	err, slow := f.of.err, f.of.slow
	f.of.mu.Unlock()
	if slow != nil {
		<-slow
	}
	if err != nil && (errors.Is(err, state.ErrUnavailable) || slices.ContainsFunc(rows, func(r state.Pending) bool { return r.Key == "bad" })) {
		return nil, err
	}
	return f.Queue.AddPending(ctx, rows...)
}

func (f *flaky) Catalogue() state.Catalogue { return flakyCatalogue{f.Store.Catalogue(), f} }

type flakyCatalogue struct {
	state.Catalogue
	of *flaky
}

func (f flakyCatalogue) Update(ctx context.Context, g func(state.Tx) error) (state.Seq, error) {
	f.of.mu.Lock()
	err := f.of.err
	f.of.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.Catalogue.Update(ctx, g)
}

func onFlaky(t *testing.T) (*control.Control, *flaky) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &flaky{Store: store}
	return startOn(t, f), f
}

// A row that the store did not take is an exception all the same, and is stored once the
// store takes it, by itself.
func TestLostRowsAreStoredLater(t *testing.T) {
	c, f := onFlaky(t)
	f.refuse(fmt.Errorf("disk full: %w", state.ErrUnavailable))
	if err := c.Pending.Add(t.Context(), pendingRow("k")); !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if !c.Router().Pending.Has("bkt", "k", "c2") {
		t.Error("the key is no exception")
	}
	if err := c.Status.StoreTrouble(); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("the store's trouble: %v", err)
	}
	f.refuse(nil)
	eventually(t, "the row", func() bool {
		rows, err := f.Queue().ListPending(t.Context(), state.PendingFilter{}, state.PendingKey{}, 0)
		return err == nil && len(rows) == 1
	})
	eventually(t, "the end of the trouble", func() bool { return c.Status.StoreTrouble() == nil })
}

// One caller's row that the store refuses is not the failure of others in the same batch.
func TestOneBadRowAmongMany(t *testing.T) {
	c, f := onFlaky(t)
	f.mu.Lock()
	f.err, f.slow = errors.New("no such thing"), make(chan struct{})
	f.mu.Unlock()
	var wg sync.WaitGroup
	results := make([]error, 6)
	add := func(n int, key string) {
		wg.Go(func() { results[n] = c.Pending.Add(context.Background(), pendingRow(key)) })
	}
	add(0, "first") // what comes while it is being stored becomes one batch
	eventually(t, "the first row on its way", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.adds == 1
	})
	for n := 1; n < len(results); n++ {
		add(n, []string{"bad", "good"}[min(n-1, 1)])
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Pending.Add(gone, pendingRow("gone")); !errors.Is(err, context.Canceled) {
		t.Errorf("for a caller that has gone: %v", err)
	}
	close(f.slow)
	wg.Wait()
	for n, err := range results {
		if (err != nil) != (n == 1) {
			t.Errorf("row %d: %v", n, err)
		}
	}
}

// A change that the store refuses is told as the store's trouble only if it is unwell.
func TestTheStoresTrouble(t *testing.T) {
	c, f := onFlaky(t)
	for _, step := range []struct {
		err     error
		trouble bool
	}{
		{fmt.Errorf("disk full: %w", state.ErrUnavailable), true},
		{errors.New("a refusal"), true}, // says nothing about the store
		{nil, false},
	} {
		f.refuse(step.err)
		_, _, err := c.Resources.Replace(t.Context(), &catalog.Zone{Name: "zone", Labels: map[string]string{"n": fmt.Sprint(step)}}, control.Precondition{}, nil)
		if !errors.Is(err, step.err) {
			t.Errorf("a change: %v, want %v", err, step.err)
		}
		if got := c.Status.StoreTrouble(); (got != nil) != step.trouble {
			t.Errorf("after %v the trouble is %v", step.err, got)
		}
	}
}
