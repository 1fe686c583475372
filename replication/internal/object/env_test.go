package object

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bkt = "bkt"

// book is package control and its store in memory, as far as a settler needs them.
type book struct {
	router *routing.Router

	mu      sync.Mutex
	copies  []state.Copy
	pending map[ids.Object]state.Pending
	err     error // of reading pending rows
}

func (b *book) Store() state.Store { return bookStore{b: b} }
func (b *book) Shared() bool       { return false }

func (b *book) UpdateCopies(_ context.Context, _ string, f func([]state.Copy) ([]state.Copy, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next, err := f(slices.Clone(b.copies))
	if err == nil {
		b.copies = next
	}
	return err
}

func (b *book) SaveProgress(ctx context.Context, rows ...state.Copy) error {
	return b.UpdateCopies(ctx, bkt, func(now []state.Copy) ([]state.Copy, error) {
		for _, r := range rows {
			now[copyrows.Index(now, r.Prefix, r.Cluster)] = r
		}
		return now, nil
	})
}

func (b *book) AddPending(_ context.Context, rows ...state.Pending) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range rows {
		b.router.Pending.Add(r.Bucket, r.Key, r.Cluster)
		b.pending[ids.ObjectIn(r.Bucket, r.Key, r.Cluster)] = r
	}
	return nil
}

type bookStore struct {
	state.Store
	b *book
}

func (s bookStore) Catalogue() state.Catalogue { return bookStoreCatalogue{of: s} }

type bookStoreCatalogue struct {
	state.Catalogue
	of bookStore
}

func (s bookStoreCatalogue) CopiesOf(context.Context, ...string) ([]state.Copy, error) {
	s.of.b.mu.Lock()
	defer s.of.b.mu.Unlock()
	return slices.Clone(s.of.b.copies), nil
}

func (s bookStore) Queue() state.Queue { return bookStoreQueue{of: s} }

type bookStoreQueue struct {
	state.Queue
	of bookStore
}

func (s bookStoreQueue) ListPending(_ context.Context, f state.PendingFilter, after state.PendingKey, _ int) ([]state.Pending, error) {
	s.of.b.mu.Lock()
	defer s.of.b.mu.Unlock()
	if r, ok := s.of.b.pending[ids.ObjectIn(f.Bucket, after.Key, f.Cluster)]; ok {
		return []state.Pending{r}, s.of.b.err
	}
	return nil, s.of.b.err
}

type sink struct{}

func (sink) Emit(control.Event)       {}
func (sink) Replicated(string, int64) {}
func (sink) Failed(string, string)    {}
func (sink) Lag(time.Duration)        {}

// world is a settler over storages in memory: a bucket written in c1 and copied to c2.
type world struct {
	testing.TB
	*Settler
	b       *book
	router  *routing.Router
	fakes   map[string]*fakestorage.Storage
	deletes *Deletes
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{TB: tb, router: routing.NewRouter(), fakes: make(map[string]*fakestorage.Storage)}
	w.b = &book{router: w.router, pending: make(map[ids.Object]state.Pending)}
	w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) {
		for _, name := range []string{"c1", "c2", "c3"} {
			w.fakes[name] = fakestorage.New(name)
			w.fakes[name].User(bkt, "other", "")
			c := &catalog.Cluster{Name: name, Storage: &catalog.Storage{Endpoint: "http://" + name}}
			c.Normalize()
			e.PutCluster(c)
		}
		e.PutPolicy(&catalog.Policy{Name: "all", Copies: catalog.Copies{N: 2}})
		e.PutBucket(&catalog.Bucket{Name: bkt, Policy: "all", Primary: "c1"})
	}))
	rows, log := copies.New(w.b), zap.NewNop()
	sites, writers := site.New(site.Options{
		Router: w.router, Pace: limit.New(4), Log: log, Now: time.Now,
		Open:   func(cluster string, _ *catalog.Storage) (storage.Storage, error) { return w.fakes[cluster], nil },
		Timing: site.Timing{CallTimeout: 10 * time.Second, FullProbe: time.Hour},
		Hooks:  site.Hooks{Changed: func(string, string, string) {}, Space: func(string) {}},
	})
	tb.Cleanup(sites.Close)
	w.deletes = NewDeletes(rows, log, time.Now)
	w.Settler = New(Options{
		Router: w.router, Control: w.b, Copies: rows, Sites: sites, Deletes: w.deletes, Log: log, Now: time.Now,
		Guard:  guard.New(guard.Options{Router: w.router, Now: time.Now, MayWrite: func() error { return nil }, Writers: writers}),
		Report: report.New(sink{}, sink{}, time.Now),
		Copy:   CopyFunc(fakestorage.Copier(func(name string) *fakestorage.Storage { return w.fakes[name] })),
		Timing: Timing{StallTimeout: time.Minute, RetryBase: time.Second, RetryMax: time.Minute},
	})
	w.rows(func(*state.Copy) {})
	return w
}

// rows sets the rows of the bucket's copies, that in c2 changed by f.
func (w *world) rows(f func(c2 *state.Copy)) {
	all := []state.Copy{
		{Bucket: bkt, Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}},
		{Bucket: bkt, Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}, VerifiedAt: time.Unix(1, 0), OwnedUntil: time.Unix(1<<40, 0)},
	}
	f(&all[1])
	w.b.mu.Lock()
	w.b.copies = all
	w.b.mu.Unlock()
	routed := []catalog.Copy{all[0].Routed(), all[1].Routed()}
	w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) { e.SetCopies(bkt, routed) }))
}

// fail has every operation of a kind at a cluster return err.
func (w *world) fail(cluster, op string, err error) {
	w.fakes[cluster].SetFault(func(_ context.Context, o, _, _ string) error {
		if o == op {
			return err
		}
		return nil
	})
}

func (w *world) stat(cluster string) storage.Object {
	w.Helper()
	o, err := w.fakes[cluster].Reader().Stat(w.Context(), bkt, "k")
	if err != nil {
		w.Fatal(err)
	}
	return o
}

var inC2 = ids.ObjectIn(bkt, "k", "c2")

func wantErr(tb testing.TB, what string, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("%s: error %v, want %v", what, err, want)
	}
}
