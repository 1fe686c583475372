package queue

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a storage in memory whose listener a test can replace.
type fake struct {
	*fakestorage.Storage
	mu     sync.Mutex
	listen func(ctx context.Context, ready func(), tell func(storage.Event)) error
}

// fakeReader is the reading half of a fake.
type fakeReader struct {
	storage.Reader
	f *fake
}

func (f *fake) Reader() storage.Reader { return fakeReader{f.Storage.Reader(), f} }

func (r fakeReader) Listen(ctx context.Context, ready func(), tell func(storage.Event)) error {
	r.f.mu.Lock()
	listen := r.f.listen
	r.f.mu.Unlock()
	if listen != nil {
		return listen(ctx, ready, tell)
	}
	return r.Reader.Listen(ctx, ready, tell)
}

func (f *fake) listenAs(listen func(ctx context.Context, ready func(), tell func(storage.Event)) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listen = listen
}

// sink takes events and figures.
type sink struct {
	mu     sync.Mutex
	failed map[string]int // by kind
	lags   int
}

func (s *sink) Emit(control.Event)       {}
func (s *sink) Replicated(string, int64) {}
func (s *sink) Lag(time.Duration)        { s.mu.Lock(); defer s.mu.Unlock(); s.lags++ }

func (s *sink) Failed(_, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[kind]++
}

// world is a queue over storages in memory.
type world struct {
	*Queue
	b      *book
	router *routing.Router
	fakes  map[string]*fake
	sites  *site.Sites
	slots  *limit.Slots
	pause  *guard.Pause
	sink   *sink
	logs   *observer.ObservedLogs
	o      Options

	mu      sync.Mutex
	told    []string // gaps, scans and missing sources
	gaps    map[string]string
	caughtN int
	feedOff bool
}

const (
	lease     = 10 * time.Second
	retryMax  = time.Minute
	fullProbe = 30 * time.Second
)

// newWorld has a bucket that is written in c1 and copied to c2, of a policy that has copies
// in every cluster; below any/ both are written.
func newWorld() *world {
	core, logs := observer.New(zapcore.InfoLevel)
	w := &world{
		router: routing.NewRouter(), fakes: make(map[string]*fake), slots: limit.New(8), pause: guard.NewPause(),
		sink: &sink{failed: make(map[string]int)}, logs: logs,
	}
	w.b = newBook(w.router)
	w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) {
		for _, name := range []string{"c1", "c2", "c3"} {
			w.fakes[name] = &fake{Storage: fakestorage.New(name)}
			c := &catalog.Cluster{Name: name, Storage: &catalog.Storage{Endpoint: "http://" + name}}
			c.Normalize()
			e.PutCluster(c)
		}
		e.PutPolicy(&catalog.Policy{Name: "all", Copies: catalog.Copies{N: 2}})
		e.PutPolicy(&catalog.Policy{Name: "any", Copies: catalog.Copies{N: 2}, Writes: catalog.WritesAnywhere})
		e.PutBucket(&catalog.Bucket{Name: bkt, Policy: "all", Primary: "c1", Prefixes: []catalog.PrefixRule{{Prefix: "any/", Policy: "any"}}})
	}))
	w.rows(
		catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}, catalog.Copy{Cluster: "c2", State: catalog.CopySynced},
		catalog.Copy{Prefix: "any/", Cluster: "c1", Primary: true, State: catalog.CopySynced},
		catalog.Copy{Prefix: "any/", Cluster: "c2", State: catalog.CopySynced, Anywhere: true},
	)
	w.build(zap.New(core))
	return w
}

func (w *world) build(log *zap.Logger) {
	rows := copies.New(w.b)
	var writers site.Writers
	w.sites, writers = site.New(site.Options{
		Router: w.router, Pace: w.slots, Log: zap.NewNop(), Now: time.Now,
		Open:   func(cluster string, _ *catalog.Storage) (storage.Storage, error) { return w.fakes[cluster], nil },
		Timing: site.Timing{PingEvery: time.Second, PingTimeout: time.Second, CallTimeout: time.Second, FullProbe: fullProbe},
		Hooks: site.Hooks{
			Changed: func(string, string, string) {}, Down: func(string) {}, Space: func(string) {},
			Up: func(context.Context, string) {},
		},
	})
	g := guard.New(guard.Options{Router: w.router, Now: time.Now, MayWrite: func() error { return nil }, Writers: writers})
	rep := report.New(w.sink, w.sink, time.Now)
	settler := object.New(object.Options{
		Router: w.router, Control: w.b, Copies: rows, Guard: g, Sites: w.sites, Deletes: object.NewDeletes(rows, zap.NewNop(), time.Now),
		Report: rep, Log: zap.NewNop(), Now: time.Now,
		Copy:   object.CopyFunc(fakestorage.Copier(func(name string) *fakestorage.Storage { return w.fakes[name].Storage })),
		Timing: object.Timing{StallTimeout: time.Minute, RetryBase: time.Second, RetryMax: retryMax},
	})
	w.o = Options{
		Router: w.router, Pending: w.b, Rows: w.b, Sites: w.sites, Slots: w.slots, Pause: w.pause, Settler: settler,
		Report: rep, Log: log, Now: time.Now,
		Timing:   Timing{Lease: lease, RetryMax: retryMax, FullProbe: fullProbe},
		Claimant: func() string { return "me" }, Shared: w.b.Shared,
		CatchUp:     func(context.Context) error { w.mu.Lock(); defer w.mu.Unlock(); w.caughtN++; return nil },
		NoEventFeed: func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.feedOff },
		Leading:     func(ctx context.Context, _ string, f func(context.Context)) { f(ctx) },
		Gaps:        toldGaps{w},
		Scan:        func(bucket string) { w.tell("scan " + bucket) },

		AskSource: func(bucket string) func(error) { return func(error) { w.tell("missing " + bucket) } },
	}
	w.Queue = New(w.o)
}

// rows sets the copies of the bucket, in the store and in the snapshot.
func (w *world) rows(all ...catalog.Copy) {
	var rows []state.Copy
	for i := range all {
		all[i].Verified = true
		c := all[i]
		rows = append(rows, state.Copy{Bucket: bkt, Copy: c, VerifiedAt: time.Unix(1, 0), OwnedUntil: time.Now().Add(1000 * time.Hour)})
	}
	w.b.set(func() { w.b.copies = rows })
	w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) { e.SetCopies(bkt, all) }))
}

func (w *world) tell(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, what)
}

func (w *world) wantTold(tb testing.TB, want ...string) {
	tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.told, want) {
		tb.Errorf("told %q, want %q", w.told, want)
	}
	w.told = nil
}

// run starts loops, which end with stop.
func (w *world) run(ctx context.Context, loops ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, loop := range loops {
		wg.Go(func() { loop(ctx) })
	}
	synctest.Wait()
	return func() { cancel(); wg.Wait() }
}

// fail has every operation of a kind at a cluster return err; nil: none.
func (w *world) fail(cluster, op string, err error) {
	w.fakes[cluster].SetFault(func(_ context.Context, o, _, _ string) error {
		if o == op {
			return err
		}
		return nil
	})
}

// event is what a listener tells of an object.
func (w *world) event(cluster, key string) Event {
	o, err := w.fakes[cluster].Reader().Stat(context.Background(), bkt, key)
	if err != nil {
		return Event{Cluster: cluster, Event: storage.Event{Bucket: bkt, Key: key, Removed: true}}
	}
	return Event{Cluster: cluster, Event: storage.Event{Bucket: bkt, Key: key, Size: o.Size, ETag: o.ETag, Time: o.LastModified}}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// toldGaps tells a world of gaps that are closed, and keeps those that are not.
type toldGaps struct{ w *world }

func (g toldGaps) note(cluster, what string) {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.w.gaps == nil {
		g.w.gaps = make(map[string]string)
	}
	g.w.gaps[cluster] = what
}

func (g toldGaps) Open(cluster string) { g.note(cluster, "open") }
func (g toldGaps) Drop(cluster string) { g.note(cluster, "no feed") }
func (g toldGaps) Lost(cluster string) { g.note(cluster, "lost") }

func (g toldGaps) Close(cluster string) {
	g.note(cluster, "closed")
	g.w.tell("gap " + cluster)
}

// gap says what was told last of a cluster's gap.
func (w *world) gap(cluster string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gaps[cluster]
}

func (w *world) forgetGap(cluster string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.gaps, cluster)
}
