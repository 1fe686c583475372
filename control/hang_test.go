package control_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

// hangs makes calls of a store wait until they are released.
type hangs struct {
	mu   sync.Mutex
	next map[string]*hang
}

// hang holds one call, which is announced before it waits.
type hang struct {
	begun    chan struct{}
	released chan struct{}
}

func (w *hang) release() { close(w.released) }

// hold makes the next call of a kind wait.
func (h *hangs) hold(call string) *hang {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == nil {
		h.next = make(map[string]*hang)
	}
	w := &hang{begun: make(chan struct{}), released: make(chan struct{})}
	h.next[call] = w
	return w
}

func (h *hangs) wait(ctx context.Context, call string) error {
	h.mu.Lock()
	w := h.next[call]
	delete(h.next, call)
	h.mu.Unlock()
	if w == nil {
		return nil
	}
	close(w.begun)
	select {
	case <-w.released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The calls that can be held.
const (
	beforeCommit = "a write before its commit"
	afterCommit  = "a write after its commit, before it is answered"
	readCopies   = "reads of a bucket's copies"
	writePulled  = "writes of pulled rows"
)

// hangingStore is a store whose calls may hang; hangingShared the same of a shared one.
type hangingStore struct {
	state.Store
	*hangs
}

type hangingShared struct {
	state.Shared
	*hangs
}

func (s hangingStore) Catalogue() state.Catalogue {
	return hangingCatalogue{s.Store.Catalogue(), s.hangs}
}

func (s hangingShared) Catalogue() state.Catalogue {
	return hangingCatalogue{s.Shared.Catalogue(), s.hangs}
}

func (s hangingStore) Pulls() state.Pulls { return hangingPulls{s.Store.Pulls(), s.hangs} }

func (s hangingShared) Pulls() state.Pulls { return hangingPulls{s.Shared.Pulls(), s.hangs} }

type hangingCatalogue struct {
	state.Catalogue
	*hangs
}

func (c hangingCatalogue) Update(ctx context.Context, f func(state.Tx) error) (state.Seq, error) {
	if err := c.wait(ctx, beforeCommit); err != nil {
		return 0, err
	}
	seq, err := c.Catalogue.Update(ctx, f)
	if werr := c.wait(context.Background(), afterCommit); werr != nil {
		return 0, werr
	}
	return seq, err
}

func (c hangingCatalogue) CopiesOf(ctx context.Context, buckets ...string) ([]state.Copy, error) {
	if err := c.wait(ctx, readCopies); err != nil {
		return nil, err
	}
	return c.Catalogue.CopiesOf(ctx, buckets...)
}

type hangingPulls struct {
	state.Pulls
	*hangs
}

func (p hangingPulls) PutPulled(ctx context.Context, rows ...state.Pulled) error {
	if err := p.wait(ctx, writePulled); err != nil {
		return err
	}
	return p.Pulls.PutPulled(ctx, rows...)
}

// onBoth runs a test on a Control over either store, whose calls can be made to hang.
func onBoth(t *testing.T, f func(t *testing.T, c *control.Control, h *hangs)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		h := new(hangs)
		f(t, startOn(t, hangingStore{store, h}), h)
	})
	t.Run("postgres", func(t *testing.T) {
		h := new(hangs)
		f(t, startOn(t, hangingShared{openPostgres(t, testenv.PostgresDatabase(t)), h}), h)
	})
}

func startOn(t *testing.T, store state.Store) *control.Control {
	t.Helper()
	c, err := control.New(control.Options{Store: store, Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Attach(context.Background(), control.Config{}); err != nil {
		t.Fatal(err)
	}
	(&instance{Control: c}).seed(t)
	return c
}

// within bounds a call that must not wait for what hangs: only one that does waits for so long.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// mustAnswer reads in every way there is; each must be answered whatever hangs.
func mustAnswer(t *testing.T, c *control.Control) {
	t.Helper()
	ctx := within(t)
	if _, err := c.Resources.Get(ctx, catalog.KindBucket, "bkt"); err != nil {
		t.Errorf("reading a bucket: %v", err)
	}
	if items, err := c.Resources.List(ctx, catalog.KindCluster, "", 0); err != nil || len(items) != 2 {
		t.Errorf("listing clusters: %d, %v", len(items), err)
	}
	if err := c.Status.StoreTrouble(); err != nil {
		t.Errorf("the store's trouble: %v", err)
	}
	if stuck, _ := c.Status.Troubles(ctx); stuck.Buckets != 0 || ctx.Err() != nil {
		t.Errorf("%d buckets are stuck", stuck.Buckets)
	}
	if c.Router().Snapshot().Bucket("bkt") == nil {
		t.Error("the snapshot lost a bucket")
	}
}

// While one resource's write hangs, every read is answered within its own time, and another
// write waits no longer than its context lasts.
func TestReadsDoNotWaitForAWriteThatHangs(t *testing.T) {
	for _, where := range []string{beforeCommit, afterCommit} {
		t.Run(where, func(t *testing.T) {
			onBoth(t, func(t *testing.T, c *control.Control, h *hangs) {
				held := h.hold(where)
				answered := make(chan error, 1)
				go func() {
					_, _, err := c.Resources.Replace(context.Background(), &catalog.Bucket{Name: "slow", Policy: "p"}, control.Precondition{}, nil)
					answered <- err
				}()
				<-held.begun
				mustAnswer(t, c)
				if st, err := c.Status.Bucket(within(t), "bkt"); err != nil || st.Primary != "c1" {
					t.Errorf("the status of a bucket: %+v, %v", st, err)
				}
				if where == afterCommit { // another comes after, and can't know
					short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
					defer cancel()
					if _, err := c.Resources.Create(short, &catalog.Zone{Name: "other"}); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("a write behind one whose outcome is not known: %v", err)
					}
				} else if _, err := c.Resources.Create(within(t), &catalog.Zone{Name: "other"}); err != nil {
					t.Errorf("another write: %v", err)
				}
				if err := c.Pending.Add(within(t), state.Pending{Bucket: "bkt", Key: "k", Cluster: "c2"}); err != nil {
					t.Errorf("an exception: %v", err)
				}
				held.release()
				if err := <-answered; err != nil {
					t.Fatal(err)
				}
				if c.Router().Snapshot().Bucket("slow") == nil {
					t.Error("the write was answered and is not routed by")
				}
			})
		})
	}
}

// Configurations come and go by themselves: what they wait for keeps nobody else waiting.
func TestReadsDoNotWaitForAConfigurationThatHangs(t *testing.T) {
	onBoth(t, func(t *testing.T, c *control.Control, h *hangs) {
		held := h.hold(readCopies)
		attached := make(chan error, 1)
		go func() {
			_, err := c.Attach(context.Background(), control.Config{Buckets: []*catalog.Bucket{{Name: "declared"}}})
			attached <- err
		}()
		<-held.begun
		mustAnswer(t, c)
		if _, err := c.Resources.Create(within(t), &catalog.Zone{Name: "other"}); err != nil {
			t.Errorf("a change: %v", err)
		}
		short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Attach(short, control.Config{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("another configuration with a short deadline: %v", err)
		}
		held.release()
		if err := <-attached; err != nil {
			t.Fatal(err)
		}
		if snap := c.Router().Snapshot(); snap.Bucket("declared") == nil || snap.Zone("other") == nil {
			t.Error("the configuration or the change made meanwhile is not in force")
		}
	})
}

// What instances tell each other: while the values of another instance's change can't be
// read, this one answers reads and routes by its own changes.
func TestReadsDoNotWaitForOthersChangesThatHang(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	h := new(hangs)
	c := startOn(t, hangingShared{openPostgres(t, dsn), h})
	other := openPostgres(t, dsn)
	held := h.hold(readCopies)
	_, err := other.Catalogue().Update(t.Context(), func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindBucket, Name: "theirs", Body: []byte(`{"name":"theirs"}`)})
	})
	if err != nil {
		t.Fatal(err)
	}
	<-held.begun
	mustAnswer(t, c)
	err = c.Copies.Update(within(t), "bkt", func(rows []state.Copy) ([]state.Copy, error) {
		rows[1].State = catalog.CopyDraining
		return rows, nil
	})
	if err != nil {
		t.Errorf("a change of copies: %v", err)
	}
	if cs := c.Router().Snapshot().Of("bkt").Copies(); cs[1].State != catalog.CopyDraining {
		t.Errorf("the own change is not routed by: %v", cs)
	}
	held.release()
	eventually(t, "the other instance's bucket", func() bool { return c.Router().Snapshot().Bucket("theirs") != nil })
	if cs := c.Router().Snapshot().Of("bkt").Copies(); cs[1].State != catalog.CopyDraining {
		t.Errorf("the own change was taken back: %v", cs)
	}
}

// A write of pulled rows that hangs keeps no other waiting, nor what is followed.
func TestPulledRowsDoNotWaitForEachOther(t *testing.T) {
	onBoth(t, func(t *testing.T, c *control.Control, h *hangs) {
		until := time.Now().Add(time.Hour)
		held := h.hold(writePulled)
		slow := make(chan error, 1)
		go func() {
			slow <- c.Pulled.Put(context.Background(), state.Pulled{Bucket: "bkt", Key: "slow", Cluster: "c2", ETag: "e", Until: until})
		}()
		<-held.begun
		if err := c.Pulled.Put(within(t), state.Pulled{Bucket: "bkt", Key: "quick", Cluster: "c2", ETag: "e", Until: until}); err != nil {
			t.Errorf("another row: %v", err)
		}
		if err := c.Pulled.Follow(within(t), state.ObjectChange{Kind: state.ObjectPulled, Bucket: "bkt", Key: "quick", Cluster: "c2"}); err != nil {
			t.Errorf("following another row: %v", err)
		}
		if _, ok := c.Router().Pulled.Get("bkt", "quick", "c2"); !ok {
			t.Error("the other row is not known")
		}
		short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		err := c.Pulled.Follow(short, state.ObjectChange{Kind: state.ObjectPulled, Bucket: "bkt", Key: "slow", Cluster: "c2"})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("following the row that is being written: %v", err)
		}
		held.release()
		if err := <-slow; err != nil {
			t.Fatal(err)
		}
		if o, ok := c.Router().Pulled.Get("bkt", "slow", "c2"); !ok || !o.Current {
			t.Error("the row that was slow is not known")
		}
	})
}
