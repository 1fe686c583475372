package pull

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	physical "github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/evict"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bkt = "bkt"

var errOff = errors.New("off")

// port is control as rooms below the engine see it.
type port struct{ *control.Control }

func (p port) Shared() bool                      { return p.Members.Shared() }
func (p port) MayWrite() error                   { return p.Members.MayWrite() }
func (p port) Confirm(ctx context.Context) error { return p.Members.Confirm(ctx) }
func (p port) WakeWorkers()                      { p.Pending.Wake() }

func (p port) AddPending(ctx context.Context, rows ...state.Pending) error {
	return p.Pending.Add(ctx, rows...)
}

func (p port) FinishPending(ctx context.Context, keys ...state.PendingKey) error {
	return p.Pending.Finish(ctx, keys...)
}

func (p port) UpdateCopies(ctx context.Context, bucket string, f func([]state.Copy) ([]state.Copy, error)) error {
	return p.Copies.Update(ctx, bucket, f)
}

func (p port) SaveProgress(ctx context.Context, rows ...state.Copy) error {
	return p.Copies.SaveProgress(ctx, rows...)
}

// counts are the results of pulls.
type counts struct {
	mu sync.Mutex
	by map[string]int
}

func (c *counts) Pulled(result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[string]int)
	}
	c.by[result]++
}

func (c *counts) of(result string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[result]
}

type noMetrics struct{}

func (noMetrics) Replicated(string, int64) {}
func (noMetrics) Failed(string, string)    {}
func (noMetrics) Lag(time.Duration)        {}

// world is a Puller over storages in memory, with nothing above it: no workers, no planner,
// and its loops only where a test runs them.
type world struct {
	testing.TB
	ctl     *control.Control
	store   state.Store
	fakes   map[string]*fakestorage.Storage
	sites   *site.Sites
	guard   *guard.Guard
	pause   *guard.Pause
	objects *object.Settler
	counts  counts
	o       Options
	*Puller

	physical *physical.Buckets

	ahead atomic.Int64 // of the clock
	used  atomic.Int64 // bytes that copies take in every cluster
	put   atomic.Int64 // objects written to storages

	unrecorded atomic.Pointer[error] // why nothing can be put on record
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// newWorld has a bucket written in c1, of a policy that pulls to c1 and c2, and lets pulls
// start.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{TB: tb, fakes: make(map[string]*fakestorage.Storage), pause: guard.NewPause()}
	for _, name := range []string{"c1", "c2", "c3"} {
		w.fakes[name] = fakestorage.New(name)
	}
	var err error
	w.store, err = sqlite.Open(tb.Context(), sqlite.Options{Path: filepath.Join(tb.TempDir(), "fado.db")})
	w.must(err)
	w.ctl, err = control.New(control.Options{Store: w.store, Log: zap.NewNop(), Node: "test"})
	w.must(err)
	w.must(w.ctl.Start(tb.Context()))
	_, err = w.ctl.Attach(tb.Context(), control.Config{})
	w.must(err)
	w.build()
	tb.Cleanup(func() {
		w.sites.Close()
		w.ctl.Close()
		w.must(w.store.Close())
	})
	for _, name := range []string{"c1", "c2", "c3"} {
		w.apply(&catalog.Zone{Name: name})
		w.apply(clusterOf(name))
	}
	w.policy("c1", "c2")
	w.apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1"})
	w.rows(state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}})
	w.loop(w.Run)
	w.await("pulls may start", w.starter.isOpen)
	return w
}

func clusterOf(name string) *catalog.Cluster {
	return &catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{Endpoint: "http://" + name + ".test"}}
}

// build makes the rooms below the puller, and the puller.
func (w *world) build() {
	log, router, slots := zap.NewNop(), w.ctl.Router(), limit.New(8)
	rows := copies.New(port{w.ctl})
	var writers site.Writers
	w.sites, writers = site.New(site.Options{
		Router: router, Pace: slots, Log: log, Now: w.now, Timing: site.Timing{CallTimeout: 10 * time.Second},
		Open: func(cluster string, _ *catalog.Storage) (storage.Storage, error) { return w.fakes[cluster], nil },
	})
	w.guard = guard.New(guard.Options{Router: router, Now: w.now, MayWrite: port{w.ctl}.MayWrite, Writers: writers})
	rep := report.New(noMetrics{}, w.ctl.Events(), w.now)
	copyOne := fakestorage.Copier(func(name string) *fakestorage.Storage { return w.fakes[name] })
	w.objects = object.New(object.Options{
		Router: router, Control: port{w.ctl}, Copies: rows, Guard: w.guard, Sites: w.sites, Deletes: object.NewDeletes(rows, log, w.now), Report: rep,
		Copy: func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			w.put.Add(1)
			return copyOne(ctx, src, dst, bucket, o, opts)
		},
		Log: log, Now: w.now, Timing: object.Timing{StallTimeout: time.Minute, RetryBase: time.Millisecond, RetryMax: 10 * time.Millisecond},
	})
	made := physical.New(physical.Options{
		Router: router, Control: port{w.ctl}, Copies: rows, Sites: w.sites, Guard: w.guard, Log: log, Now: w.now,
		AskSource: func(string) func(error) { return func(error) {} },
	})
	w.physical = made
	evictor := evict.New(evict.Options{
		Router: router, Members: port{w.ctl}, Now: w.now,
		Hooks:  evict.Hooks{Alone: func(context.Context) bool { return true }},
		Timing: evict.Timing{Drain: func() time.Duration { return time.Minute }},
	})
	w.o = Options{
		Router: router, Store: w.ctl.Store, Pending: w.ctl.Pending, Rows: w.ctl.Pulled, Copies: rows, Sites: w.sites, Guard: w.guard,
		Pause: w.pause, Slots: slots, Objects: w.objects, Report: rep, Buckets: made, Apart: made.Apart, Drain: evictor, Metrics: &w.counts,
		Log: log, Now: w.now, Timing: Timing{CallTimeout: 10 * time.Second, Every: time.Hour, Backoff: time.Minute},
		UsedBytes: func() map[string]int64 { return map[string]int64{"c2": w.used.Load(), "c3": w.used.Load()} },
		Record: func(ctx context.Context, o ids.Object, from string, bytes int64) error {
			if err := w.unrecorded.Load(); err != nil {
				return *err
			}
			return w.ctl.Audits.Pulling(ctx, o.Bucket, o.Key, from, o.Cluster, bytes)
		},
		Owns: func(string) bool { return true }, ErrOff: errOff,
	}
	w.Puller = New(w.o)
	w.objects.OnDemand = w.Settle
	w.ctl.Hooks.BeforeAnswer(w.guard.AfterChange)
}

// loop runs one of the puller's loops to the test's end.
func (w *world) loop(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	stop = func() { cancel(); wg.Wait() }
	w.Cleanup(stop)
	return stop
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) await(what string, f func() bool) {
	w.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("waited in vain: %s", what)
		}
	}
}

func (w *world) apply(r catalog.Resource) {
	w.Helper()
	_, _, err := w.ctl.Resources.Replace(w.Context(), r, control.Precondition{}, nil)
	w.must(err)
}

func (w *world) policy(clusters ...string) {
	w.Helper()
	w.apply(&catalog.Policy{
		Name: "p", Copies: catalog.Copies{N: 1}, Clusters: clusters, Prefer: []string{"c1"}, OnMiss: catalog.OnMissPull,
		PullTTL: catalog.Duration(time.Hour),
	})
}

// rows replaces the rows of the bucket's copies.
func (w *world) rows(rows ...state.Copy) {
	w.Helper()
	w.must(w.o.Copies.Update(w.Context(), bkt, func([]state.Copy) ([]state.Copy, error) { return rows, nil }))
}

// addCopy adds a row of a copy of the bucket.
func (w *world) addCopy(cluster string, s catalog.CopyState) {
	w.Helper()
	w.must(w.o.Copies.Update(w.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		return append(rows, state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: cluster, State: s}}), nil
	}))
}

func planFor(key string, clusters ...string) routing.PullPlan {
	return routing.PullPlan{Objects: []catalog.ObjectName{{Bucket: bkt, Key: key}}, Clusters: clusters, Timeout: 30 * time.Second}
}

func (w *world) pull(key string, clusters ...string) {
	w.Helper()
	w.must(w.Pull(w.Context(), planFor(key, clusters...)))
}

// has puts objects at the primary and pulls them to c2.
func (w *world) has(keys ...string) {
	w.Helper()
	for _, k := range keys {
		w.fakes["c1"].User(bkt, k, "body of "+k)
		w.pull(k, "c2")
	}
}

func in(cluster, key string) ids.Object { return ids.ObjectIn(bkt, key, cluster) }

func (w *world) settle(key string) (object.Outcome, error) {
	unlock, err := w.guard.Lock(w.Context(), in("c2", key))
	w.must(err)
	defer unlock()
	return w.Settle(w.Context(), object.Task{Object: in("c2", key), Size: -1})
}

// pulledRows returns the keys of the rows in a cluster; "" is that of the bucket.
func (w *world) pulledRows(cluster string) map[string]state.Pulled {
	w.Helper()
	rows, err := w.store.Pulls().ListPulled(w.Context(), state.PulledFilter{Cluster: cluster}, 0)
	w.must(err)
	m := make(map[string]state.Pulled)
	for _, r := range rows {
		m[r.Key] = r
	}
	return m
}

// wantNothing checks that no row and no object is left in a cluster, nor the bucket.
func (w *world) wantNothing(cluster string) {
	w.Helper()
	if rows, there := w.pulledRows(cluster), w.fakes[cluster].Contents(bkt); len(rows) != 0 || there != nil {
		w.Errorf("in %s there are rows %v, objects %v", cluster, rows, there)
	}
}

// fail has a storage refuse operations of a kind.
func (w *world) fail(cluster, op string, err error) {
	w.fakes[cluster].SetFault(func(_ context.Context, o, _, _ string) error {
		if o == op {
			return err
		}
		return nil
	})
}

func wantErr(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error %v, want %v", err, want)
	}
}
