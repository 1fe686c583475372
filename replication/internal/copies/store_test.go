package copies

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeControl keeps rows as package control does, and notes how they are read and written.
type fakeControl struct {
	shared bool

	mu       sync.Mutex
	rows     map[string][]state.Copy
	reads    int
	updates  int
	progress [][]state.Copy // rows of each SaveProgress
	err      error          // of every write
}

func newFakeControl(rows ...state.Copy) *fakeControl {
	c := &fakeControl{rows: make(map[string][]state.Copy)}
	for _, r := range rows {
		c.rows[r.Bucket] = append(c.rows[r.Bucket], r)
	}
	return c
}

func (c *fakeControl) Store() state.Store { return fakeStore{c: c} }
func (c *fakeControl) Shared() bool       { return c.shared }

func (c *fakeControl) UpdateCopies(_ context.Context, bucket string, f func([]state.Copy) ([]state.Copy, error)) error {
	c.mu.Lock()
	now := slices.Clone(c.rows[bucket])
	err := c.err
	c.updates++
	c.mu.Unlock()
	if err != nil {
		return err
	}
	next, err := f(now)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows[bucket] = slices.Clone(next)
	return nil
}

func (c *fakeControl) SaveProgress(_ context.Context, rows ...state.Copy) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.progress = append(c.progress, rows)
	for _, r := range rows {
		if i := copyrows.Index(c.rows[r.Bucket], r.Prefix, r.Cluster); i >= 0 {
			c.rows[r.Bucket][i] = r
		}
	}
	return nil
}

func (c *fakeControl) row(cluster string) state.Copy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows["b"][copyrows.Index(c.rows["b"], "", cluster)]
}

func (c *fakeControl) counts() (reads, updates, progress int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads, c.updates, len(c.progress)
}

func (c *fakeControl) failWith(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

type fakeStore struct {
	state.Store
	c *fakeControl
}

func (s fakeStore) Catalogue() state.Catalogue { return fakeStoreCatalogue{of: s} }

type fakeStoreCatalogue struct {
	state.Catalogue
	of fakeStore
}

func (s fakeStoreCatalogue) CopiesOf(_ context.Context, buckets ...string) ([]state.Copy, error) {
	s.of.c.mu.Lock()
	s.of.c.reads++
	defer s.of.c.mu.Unlock()
	return slices.Clone(s.of.c.rows[buckets[0]]), nil
}

func row(cluster string, s catalog.CopyState, objects int64) state.Copy {
	return state.Copy{
		Bucket: "b", Copy: catalog.Copy{Cluster: cluster, State: s, Primary: cluster == "c1"},
		Objects: objects, Bytes: objects * 10,
	}
}

func in(cluster string) ids.Copy { return ids.CopyIn("b", "", cluster) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Writes of one bucket follow each other: none is made from a stale row, however many ask.
func TestStoreUpdatesInTurn(t *testing.T) {
	t.Parallel()
	c := newFakeControl(row("c1", catalog.CopySynced, 0), row("c2", catalog.CopySyncing, 0))
	s := New(c)
	var wg sync.WaitGroup
	const each = 50
	for range 4 {
		wg.Go(func() {
			for range each {
				_, err := s.Amend(t.Context(), in("c2"), func(r *state.Copy) bool { r.Objects++; return true })
				if err != nil {
					t.Error(err)
				}
				if err := s.Progress(t.Context(), in("c2"), func(r *state.Copy) bool { r.Bytes++; return true }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if r := c.row("c2"); r.Objects != 4*each || r.Bytes != 4*each {
		t.Errorf("%d and %d of %d changes were kept", r.Objects, r.Bytes, 4*each)
	}
	got, ok, err := s.Get(t.Context(), in("c2"))
	if err != nil || !ok || got.Objects != 4*each || got.Bytes != 4*each {
		t.Errorf("read %+v (%v, %v), want what was written", got, ok, err)
	}
}

func TestStoreAmend(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	c := newFakeControl(row("c1", catalog.CopySynced, 1))
	s := New(c)
	for _, tc := range []struct {
		name    string
		cluster string
		change  bool
		err     error
		done    bool
	}{
		{name: "changed", cluster: "c1", change: true, done: true},
		{name: "left", cluster: "c1"},
		{name: "no row", cluster: "c9", change: true},
		{name: "the store fails", cluster: "c1", change: true, err: down},
	} {
		c.failWith(tc.err)
		done, err := s.Amend(t.Context(), in(tc.cluster), func(*state.Copy) bool { return tc.change })
		if done != tc.done || !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, %v; want %v, %v", tc.name, done, err, tc.done, tc.err)
		}
	}
}

// Progress writes one row, and where the store is shared never from what was read before.
func TestStoreProgress(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		c := newFakeControl(row("c1", catalog.CopySynced, 1), row("c2", catalog.CopySyncing, 0))
		c.shared = shared
		s := New(c)
		must(t, s.Progress(t.Context(), in("c2"), func(r *state.Copy) bool { r.Cursor = "k"; return true }))
		must(t, s.Progress(t.Context(), in("c2"), func(r *state.Copy) bool { r.Cursor = "not kept"; return false }))
		must(t, s.Progress(t.Context(), in("c9"), func(*state.Copy) bool { t.Error("called without a row"); return true }))
		_, updates, saves := c.counts()
		if shared && saves != 0 || !shared && (updates != 0 || saves != 1) {
			t.Errorf("shared %v: %d updates, %d saves", shared, updates, saves)
		}
		if got := c.row("c2").Cursor; !shared && got != "k" {
			t.Errorf("the cursor is %q, want k", got)
		}
		rows, err := s.Of(t.Context(), "b")
		must(t, err)
		if i := copyrows.Index(rows, "", "c2"); !shared && rows[i].Cursor != "k" {
			t.Errorf("read back %q, want k", rows[i].Cursor)
		}
	}
}

// A synced copy's size follows what single objects changed, and the primary's with it;
// copies that a walk counts are left to it.
func TestStoreTally(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		c := newFakeControl(row("c1", catalog.CopySynced, 5), row("c2", catalog.CopySynced, 5), row("c3", catalog.CopySyncing, 1))
		c.shared = shared
		s := New(c)
		s.Tally(in("c2"), Delta{Objects: 2, Bytes: 20})
		s.Tally(in("c2"), Delta{Objects: -1, Bytes: -10})
		s.Tally(in("c3"), Delta{Objects: 7, Bytes: 7})
		s.Tally(in("c9"), Delta{Objects: 7, Bytes: 7})
		must(t, s.Flush(t.Context()))
		must(t, s.Flush(t.Context())) // nothing is left to write
		for cluster, want := range map[string]int64{"c1": 6, "c2": 6, "c3": 1} {
			if r := c.row(cluster); r.Objects != want || r.Bytes != 10*want {
				t.Errorf("shared %v: %s has %d objects, %d bytes; want %d, %d", shared, cluster, r.Objects, r.Bytes, want, 10*want)
			}
		}
		s.Tally(in("c2"), Delta{Objects: -100, Bytes: -1000})
		must(t, s.Flush(t.Context()))
		if r := c.row("c2"); r.Objects != 0 || r.Bytes != 0 {
			t.Errorf("shared %v: the size fell below nothing: %d objects, %d bytes", shared, r.Objects, r.Bytes)
		}
	}
}

// What could not be written is written with the next flush, once, unless the copy is
// counted meanwhile.
func TestStoreTallyFails(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	c := newFakeControl(row("c1", catalog.CopySynced, 5), row("c2", catalog.CopySynced, 5))
	s := New(c)
	s.Tally(in("c2"), Delta{Objects: 1, Bytes: 10})
	c.failWith(down)
	if err := s.Flush(t.Context()); !errors.Is(err, down) {
		t.Fatalf("flush: %v, want %v", err, down)
	}
	c.failWith(nil)
	must(t, s.Flush(t.Context()))
	must(t, s.Flush(t.Context()))
	if r := c.row("c2"); r.Objects != 6 {
		t.Errorf("%d objects, want 6", r.Objects)
	}
	s.Tally(in("c2"), Delta{Objects: 1, Bytes: 10})
	s.DropTally(in("c2"))
	must(t, s.Flush(t.Context()))
	if r := c.row("c2"); r.Objects != 6 {
		t.Errorf("%d objects after the tally was dropped, want 6", r.Objects)
	}
}

// A count is not added to by what was tallied before it, though that is on its way to the row
// while the count is written.
func TestFlushWhileCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newFakeControl(row("c1", catalog.CopySynced, 5), row("c2", catalog.CopySynced, 5))
		s := New(c)
		s.Tally(in("c2"), Delta{Objects: 3, Bytes: 30})
		flushed := make(chan error)
		must(t, s.Update(t.Context(), in("c2").Bucket, func(rows []state.Copy) ([]state.Copy, error) {
			go func() { flushed <- s.Flush(context.Background()) }()
			synctest.Wait()
			s.DropTally(in("c2"))
			rows[1].Objects = 8
			return rows, nil
		}))
		must(t, <-flushed)
		if r := c.row("c2"); r.Objects != 8 {
			t.Errorf("%d objects, counted were 8", r.Objects)
		}
	})
}

// However much of a bucket's copies was tallied, it is one write; where a database is shared, one
// transaction.
func TestFlushWritesABucketOnce(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		c := newFakeControl(row("c1", catalog.CopySynced, 5), row("c2", catalog.CopySynced, 5), row("c3", catalog.CopySynced, 5))
		c.shared = shared
		s := New(c)
		for range 100 {
			s.Tally(in("c2"), Delta{Objects: 1, Bytes: 10})
			s.Tally(in("c3"), Delta{Objects: 1, Bytes: 10})
		}
		must(t, s.Flush(t.Context()))
		must(t, s.Flush(t.Context()))
		if _, updates, progress := c.counts(); updates+progress != 1 || (updates == 1) != shared {
			t.Errorf("shared %v: %d transactions, %d writes of progress", shared, updates, progress)
		}
		for _, cluster := range []string{"c1", "c2", "c3"} {
			if r := c.row(cluster); r.Objects != 105 || r.Bytes != 1050 {
				t.Errorf("shared %v: %s has %d objects, %d bytes", shared, cluster, r.Objects, r.Bytes)
			}
		}
	}
}
