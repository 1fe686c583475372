package site

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a storage in memory that knows whether it was closed.
type fake struct {
	*fakestorage.Storage
	closed     atomic.Bool
	caps       storage.Capabilities
	versioning storage.Versioning
	probed     atomic.Int32
}

func (f *fake) Close() { f.closed.Store(true) }

// fakeReader is the reading half of a fake.
type fakeReader struct {
	storage.Reader
	f *fake
}

func (f *fake) Reader() storage.Reader { return fakeReader{f.Storage.Reader(), f} }

func (r fakeReader) Probe(ctx context.Context, bucket string) (storage.Capabilities, error) {
	r.f.probed.Add(1)
	_, err := r.Reader.Probe(ctx, bucket)
	return r.f.caps, err
}

func (r fakeReader) Versioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	_, err := r.Reader.Versioning(ctx, bucket)
	return r.f.versioning, err
}

func (r fakeReader) KnownVersioning(ctx context.Context, bucket string) (storage.Versioning, error) {
	return r.Versioning(ctx, bucket)
}

// fail has every operation of a kind return err; nil: none.
func (f *fake) fail(op string, err error) {
	f.SetFault(func(_ context.Context, o, _, _ string) error {
		if o == op {
			return err
		}
		return nil
	})
}

// pace is what sites tell package limit.
type pace struct {
	mu                 sync.Mutex
	suspect            map[string]bool
	flowing, congested int
	clusters           int
}

func (p *pace) Flowing(string, time.Time)   { p.mu.Lock(); defer p.mu.Unlock(); p.flowing++ }
func (p *pace) Congested(string, time.Time) { p.mu.Lock(); defer p.mu.Unlock(); p.congested++ }
func (p *pace) SetClusters(n int)           { p.mu.Lock(); defer p.mu.Unlock(); p.clusters = n }

func (p *pace) declared() int { p.mu.Lock(); defer p.mu.Unlock(); return p.clusters }

func (p *pace) SetSuspect(cluster string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspect[cluster] = on
}

func (p *pace) suspects(cluster string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.suspect[cluster]
}

// world is the sites of a catalogue whose storages are fakes.
type world struct {
	*Sites
	router  *routing.Router
	pace    *pace
	writers Writers

	mu     sync.Mutex
	opened []*fake
	refuse error         // of opening a storage
	with   func(f *fake) // called with each that is opened
	told   []string      // what the hooks were told, in order
}

var errOwn = errors.New("no lease")

const (
	pingEvery = 10 * time.Second
	fullProbe = 30 * time.Second
)

func newWorld() *world {
	w := &world{router: routing.NewRouter(), pace: &pace{suspect: make(map[string]bool)}}
	w.Sites, w.writers = New(Options{
		Router: w.router, Pace: w.pace, Log: zap.NewNop(), Now: time.Now, OwnFault: errOwn,
		Timing: Timing{PingEvery: pingEvery, PingTimeout: time.Second, CallTimeout: time.Second, FullProbe: fullProbe},
		Open:   w.open,
		Hooks: Hooks{
			Changed: func(cluster, state, _ string) { w.tell(cluster + " " + state) },
			Up:      func(_ context.Context, cluster string) { w.tell("Up " + cluster) },
			Down:    func(cluster string) { w.tell("Down " + cluster) },
			Space:   func(cluster string) { w.tell("Space " + cluster) },
		},
	})
	return w
}

// pings are what notes the answers of storages.
func (w *world) pings() *monitors { return &monitors{sites: w.Sites, o: w.o} }

func (w *world) open(cluster string, _ *catalog.Storage) (storage.Storage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return nil, w.refuse
	}
	f := &fake{Storage: fakestorage.New(cluster)}
	if w.with != nil {
		w.with(f)
	}
	w.opened = append(w.opened, f)
	return f, nil
}

func (w *world) tell(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, what)
}

// news returns what the hooks were told since the last call.
func (w *world) news() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = nil
	return told
}

func (w *world) wantNews(tb testing.TB, want ...string) {
	tb.Helper()
	if got := w.news(); !slices.Equal(got, want) {
		tb.Errorf("hooks were told %q, want %q", got, want)
	}
}

// last returns the storage that was opened last.
func (w *world) last() *fake {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opened[len(w.opened)-1]
}

func (w *world) refuseToOpen(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = err
}

// declare makes clusters with a storage at an endpoint; "" for none.
func (w *world) declare(endpoint string, clusters ...string) {
	w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) {
		for _, name := range clusters {
			c := &catalog.Cluster{Name: name}
			if endpoint != "" {
				c.Storage = &catalog.Storage{Endpoint: "http://" + endpoint + "." + name, Capacity: 1 << 30}
			}
			c.Normalize()
			e.PutCluster(c)
		}
	}))
}
