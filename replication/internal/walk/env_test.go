package walk

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is the walks of an instance over storages in memory, with nothing above them: no
// planner, no workers.
type world struct {
	testing.TB
	ctl     *control.Control
	store   state.Store
	fakes   map[string]*fakestorage.Storage
	sites   *site.Sites
	slots   *limit.Slots
	deletes *object.Deletes
	objects *object.Settler
	o       Options
	*Walks

	helpers atomic.Int64

	mu      sync.Mutex
	scans   []string // buckets that a scan was requested of
	missing error    // what the source of a bucket was last found to miss
}

const bkt = "bkt"

type noMetrics struct{}

func (noMetrics) Replicated(string, int64) {}
func (noMetrics) Failed(string, string)    {}
func (noMetrics) Lag(time.Duration)        {}

// newWorld has a bucket written in c1, of a policy that allows the given clusters; without
// any, all. Its copies are to be set with rows.
func newWorld(tb testing.TB, allowed ...string) *world {
	tb.Helper()
	w := &world{TB: tb, fakes: make(map[string]*fakestorage.Storage)}
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
	for _, name := range slices.Sorted(maps.Keys(w.fakes)) {
		w.apply(&catalog.Zone{Name: name})
		w.apply(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{Endpoint: "http://" + name + ".test"}})
	}
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Clusters: allowed, Prefer: allowed})
	w.apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1"})
	return w
}

// build makes the rooms below the walks, and the walks.
func (w *world) build() {
	log, now, router := zap.NewNop(), time.Now, w.ctl.Router()
	w.slots = limit.New(8)
	rows := copies.New(port.Of(w.ctl))
	var writers site.Writers
	w.sites, writers = site.New(site.Options{
		Router: router, Pace: w.slots, Log: log, Now: now, Timing: site.Timing{CallTimeout: 10 * time.Second},
		Open: func(cluster string, _ *catalog.Storage) (storage.Storage, error) { return w.fakes[cluster], nil },
	})
	g := guard.New(guard.Options{Router: router, Now: now, MayWrite: w.ctl.Members.MayWrite, Writers: writers})
	w.deletes = object.NewDeletes(rows, log, now)
	rep := report.New(noMetrics{}, w.ctl.Events(), now)
	w.objects = object.New(object.Options{
		Router: router, Control: port.Of(w.ctl), Copies: rows, Guard: g, Sites: w.sites, Deletes: w.deletes, Report: rep,
		Copy: object.CopyFunc(fakestorage.Copier(func(name string) *fakestorage.Storage { return w.fakes[name] })), Log: log, Now: now,
		Timing: object.Timing{StallTimeout: time.Minute, RetryBase: time.Millisecond, RetryMax: 10 * time.Millisecond},
	})
	w.o = Options{
		Router: router, Control: port.Of(w.ctl), Copies: rows, Sites: w.sites, Guard: g, Pause: guard.NewPause(), Slots: w.slots,
		Objects: w.objects, Deletes: w.deletes, Report: rep, Log: log, Now: now, SaveEvery: time.Hour, Hooks: w.hooks(),
		Buckets: buckets.New(buckets.Options{
			Router: router, Control: w.ctl, Copies: rows, Sites: w.sites, Guard: g, Deletes: w.deletes, Log: log, Now: now, AskSource: w.askSource,
		}),
	}
	w.Walks = New(w.o)
}

func (w *world) hooks() Hooks {
	return Hooks{
		RequestScan: func(bucket string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.scans = append(w.scans, bucket)
		},
		Helpers:  func() int { return int(w.helpers.Load()) },
		Carriers: func(string, string) int { return int(w.helpers.Load()) },
	}
}

func (w *world) askSource(string) func(error) {
	return func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.missing = err
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) apply(r catalog.Resource) {
	w.Helper()
	_, _, err := w.ctl.Resources.Replace(w.Context(), r, control.Precondition{}, nil)
	w.must(err)
}

// primary and copyOf are rows of the bucket.
func primary(cluster string) state.Copy {
	return state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: cluster, Primary: true, State: catalog.CopySynced}}
}

func copyOf(cluster string, s catalog.CopyState) state.Copy {
	return state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: cluster, State: s}}
}

// rows replaces the rows of the bucket's copies.
func (w *world) rows(rows ...state.Copy) {
	w.Helper()
	w.must(w.o.Copies.Update(w.Context(), bkt, func([]state.Copy) ([]state.Copy, error) { return rows, nil }))
}

// row returns the row of the bucket's copy in a cluster.
func (w *world) row(cluster string) state.Copy {
	w.Helper()
	rows, err := w.store.CopiesOf(w.Context(), bkt)
	w.must(err)
	i := copyrows.Index(rows, "", cluster)
	if i < 0 {
		w.Fatalf("no copy in %s", cluster)
	}
	return rows[i]
}

// pending returns the bucket's pending rows, by cluster/key.
func (w *world) pending() map[string]state.Pending {
	w.Helper()
	rows, err := w.store.ListPending(w.Context(), state.PendingFilter{Bucket: bkt}, state.PendingKey{}, 1000)
	w.must(err)
	m := make(map[string]state.Pending)
	for _, r := range rows {
		m[r.Cluster+"/"+r.Key] = r
	}
	return m
}

// settle works off what is pending and not held, as workers do.
func (w *world) settle() {
	w.Helper()
	for _, r := range w.pending() {
		if r.Hold != state.HoldNone {
			continue
		}
		if _, err := w.objects.Settle(w.Context(), object.Task{Object: ids.ObjectIn(bkt, r.Key, r.Cluster), Size: r.Size}); err != nil {
			w.Fatal(err)
		}
		w.must(w.ctl.Pending.Finish(w.Context(), r.RowKey()))
	}
}

// synced brings a bucket of some objects in step in c2.
func (w *world) synced(keys ...string) {
	w.Helper()
	for _, k := range keys {
		w.fakes["c1"].User(bkt, k, "body of "+k)
	}
	w.rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.must(w.Syncer.Sync(w.Context(), at("c2")))
}

func at(cluster string) ids.Copy { return ids.CopyIn(bkt, "", cluster) }

func (w *world) wantKeys(m map[string]state.Pending, keys ...string) {
	w.Helper()
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, keys) {
		w.Fatalf("pending: %q, want %q", got, keys)
	}
}

func (w *world) wantSame(a, b string) {
	w.Helper()
	if x, y := w.fakes[a].Contents(bkt), w.fakes[b].Contents(bkt); !maps.Equal(x, y) {
		w.Fatalf("%s has %q, %s has %q", a, x, b, y)
	}
}

func (w *world) wantErr(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("error %v, want %v", err, want)
	}
}
