// Package walktest is a bucket for the tests of what goes over whole copies: three clusters with
// storages in memory, and the rooms below those that are tested, with nothing above them: no
// planner, no workers.
package walktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
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

// Bucket is the bucket's name.
const Bucket = "bkt"

// World is the bucket, and the rooms.
type World struct {
	testing.TB
	Ctl     *control.Control
	Store   state.Store
	Fakes   map[string]*fakestorage.Storage // by cluster
	Copies  *copies.Store
	Sites   *site.Sites
	Slots   *limit.Slots
	Guard   *guard.Guard
	Pause   *guard.Pause
	Report  *report.Report
	Deletes *object.Deletes
	Objects *object.Settler

	mu      sync.Mutex
	scans   []string
	missing error
}

type noMetrics struct{}

func (noMetrics) Replicated(string, int64) {}
func (noMetrics) Failed(string, string)    {}
func (noMetrics) Lag(time.Duration)        {}

// New has the bucket written in c1, of a policy that allows the given clusters; without any, all.
// Its copies are to be set with Rows.
func New(tb testing.TB, allowed ...string) *World {
	tb.Helper()
	w := &World{TB: tb, Fakes: make(map[string]*fakestorage.Storage), Pause: guard.NewPause()}
	for _, name := range []string{"c1", "c2", "c3"} {
		w.Fakes[name] = fakestorage.New(name)
	}
	var err error
	w.Store, err = sqlite.Open(tb.Context(), sqlite.Options{Path: filepath.Join(tb.TempDir(), "fado.db")})
	w.Must(err)
	w.Ctl, err = control.New(control.Options{Store: w.Store, Log: zap.NewNop(), Node: "test"})
	w.Must(err)
	w.Must(w.Ctl.Start(tb.Context()))
	_, err = w.Ctl.Attach(tb.Context(), control.Config{})
	w.Must(err)
	w.build()
	tb.Cleanup(func() {
		w.Sites.Close()
		w.Ctl.Close()
		w.Must(w.Store.Close())
	})
	for _, name := range slices.Sorted(maps.Keys(w.Fakes)) {
		w.Apply(&catalog.Zone{Name: name})
		w.Apply(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{Endpoint: "http://" + name + ".test"}})
	}
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Clusters: allowed, Prefer: allowed})
	w.Apply(&catalog.Bucket{Name: Bucket, Policy: "p", Primary: "c1"})
	return w
}

func (w *World) build() {
	log, now, router := zap.NewNop(), time.Now, w.Ctl.Router()
	w.Slots = limit.New(8)
	w.Copies = copies.New(port.Of(w.Ctl))
	var writers site.Writers
	w.Sites, writers = site.New(site.Options{
		Router: router, Pace: w.Slots, Log: log, Now: now, Timing: site.Timing{CallTimeout: 10 * time.Second},
		Open: func(cluster string, _ *catalog.Storage) (storage.Storage, error) { return w.Fakes[cluster], nil },
	})
	w.Guard = guard.New(guard.Options{Router: router, Now: now, MayWrite: w.Ctl.Members.MayWrite, Writers: writers})
	w.Deletes = object.NewDeletes(w.Copies, log, now)
	w.Report = report.New(noMetrics{}, w.Ctl.Events(), now)
	w.Objects = object.New(object.Options{
		Router: router, Control: port.Of(w.Ctl), Copies: w.Copies, Guard: w.Guard, Sites: w.Sites, Deletes: w.Deletes, Report: w.Report,
		Copy: object.CopyFunc(fakestorage.Copier(func(name string) *fakestorage.Storage { return w.Fakes[name] })), Log: log, Now: now,
		Timing: object.Timing{StallTimeout: time.Minute, RetryBase: time.Millisecond, RetryMax: 10 * time.Millisecond},
	})
}

// KeepTimes has the bucket keep versions with IDs and times in all storages.
func (w *World) KeepTimes() {
	for _, f := range w.Fakes {
		f.KeepTimes()
		f.KeepVersions(Bucket)
	}
}

// RequestScan is a hook of the walks.
func (w *World) RequestScan(bucket string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scans = append(w.scans, bucket)
}

// Scans are the buckets that a scan was requested of.
func (w *World) Scans() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.scans)
}

// AskSource is a hook of the buckets.
func (w *World) AskSource(string) func(error) {
	return func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.missing = err
	}
}

// Missing is what the source of a bucket was last found to miss.
func (w *World) Missing() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.missing
}

// Must fails the test on an error.
func (w *World) Must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// WantErr fails the test unless an error is the one that is wanted.
func (w *World) WantErr(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("error %v, want %v", err, want)
	}
}

// Apply declares a resource.
func (w *World) Apply(r catalog.Resource) {
	w.Helper()
	_, _, err := w.Ctl.Resources.Replace(w.Context(), r, control.Precondition{}, nil)
	w.Must(err)
}

// Site returns a cluster's storage.
func (w *World) Site(cluster string) *site.Site {
	w.Helper()
	s, err := w.Sites.Usable(cluster)
	w.Must(err)
	return s
}

// At names the bucket's copy in a cluster.
func At(cluster string) ids.Copy { return ids.CopyIn(Bucket, "", cluster) }

// Keys are n keys, in order.
func Keys(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("k%03d", i))
	}
	return keys
}

// Refusing is a fault of storages that refuse some calls for good.
func Refusing(why error, ops ...string) func(context.Context, string, string, string) error {
	return func(_ context.Context, op, _, _ string) error {
		if slices.Contains(ops, op) {
			return why
		}
		return nil
	}
}
