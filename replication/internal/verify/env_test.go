package verify

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/replication/internal/walk"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bkt = "bkt"

type noMetrics struct{}

func (noMetrics) Replicated(string, int64) {}
func (noMetrics) Failed(string, string)    {}
func (noMetrics) Lag(time.Duration)        {}

// rotten is a storage in memory whose bytes can be read again, and rot.
type rotten struct {
	*fakestorage.Storage

	mu    sync.Mutex
	bytes map[string]string // of keys, other than were written
	// proofs: the storage tells when bytes are not what it acknowledged.
	proofs bool
	reads  map[string]int
	err    map[string]error // of reading keys
	onRead func(key string)
}

func (f *rotten) rot(key, bytes string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes[key] = bytes
}

// heal ends the rot of a key, as writing it again does.
func (f *rotten) heal(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.bytes, key)
}

func (f *rotten) readings(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads[key]
}

// rottenReader is the reading half of one.
type rottenReader struct {
	storage.Reader
	f *rotten
}

func (f *rotten) Reader() storage.Reader { return rottenReader{f.Storage.Reader(), f} }

func (r rottenReader) Reread(ctx context.Context, bucket string, o storage.Object, limit func(context.Context, int) error) (storage.Reread, error) {
	return r.f.reread(ctx, bucket, o, limit)
}

func (f *rotten) reread(ctx context.Context, bucket string, o storage.Object, limit func(context.Context, int) error) (storage.Reread, error) {
	f.mu.Lock()
	f.reads[o.Key]++
	body, err, during := f.Contents(bucket)[o.Key], f.err[o.Key], f.onRead
	rot, isRotten := f.bytes[o.Key]
	proofs := f.proofs
	f.mu.Unlock()
	if during != nil {
		during(o.Key)
	}
	if err != nil {
		return storage.Reread{}, err
	}
	r := storage.Reread{Size: int64(len(body)), Integrity: storage.Unproven}
	if proofs {
		r.Integrity = storage.Intact
	}
	if isRotten {
		body = rot
		if proofs {
			r.Integrity, r.Why = storage.Damaged, "its bytes are not what was acknowledged"
		}
	}
	sum := md5.Sum([]byte(body))
	r.Size, r.SHA256, r.MD5 = int64(len(body)), sha256.Sum256([]byte(body)), hex.EncodeToString(sum[:])
	return r, limit(ctx, len(body))
}

// world is a verifier over storages in memory, with nothing above it: no workers.
type world struct {
	testing.TB
	ctl     *control.Control
	store   state.Store
	fakes   map[string]*rotten
	sites   *site.Sites
	objects *object.Settler
	pause   *guard.Pause
	o       Options
	*Verifier
}

// newWorld has a bucket written in c1 and copied to c2 and c3, which are in step.
func newWorld(tb testing.TB, keys ...string) *world {
	tb.Helper()
	w := &world{TB: tb, fakes: make(map[string]*rotten), pause: guard.NewPause()}
	for _, name := range []string{"c1", "c2", "c3"} {
		w.fakes[name] = &rotten{
			Storage: fakestorage.New(name), proofs: true,
			bytes: make(map[string]string), reads: make(map[string]int), err: make(map[string]error),
		}
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
		w.apply(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{Endpoint: "http://" + name + ".test"}})
	}
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 3}})
	w.apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1"})
	for _, k := range keys {
		for _, f := range w.fakes {
			f.User(bkt, k, "body of "+k)
		}
	}
	w.rows(true)
	return w
}

// rows sets the rows of the bucket's copies.
func (w *world) rows(owned bool) {
	w.Helper()
	var rows []state.Copy
	for _, c := range []string{"c1", "c2", "c3"} {
		r := state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: c, Primary: c == "c1", State: catalog.CopySynced}}
		if owned {
			r.VerifiedAt, r.OwnedUntil = time.Now().UTC(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		rows = append(rows, r)
	}
	w.must(w.o.Copies.Update(w.Context(), bkt, func([]state.Copy) ([]state.Copy, error) { return rows, nil }))
}

func (w *world) build() {
	log, now, router := zap.NewNop(), time.Now, w.ctl.Router()
	slots, rows := limit.New(8), copies.New(port.Of(w.ctl))
	var writers site.Writers
	w.sites, writers = site.New(site.Options{
		Router: router, Pace: slots, Log: log, Now: now, Timing: site.Timing{CallTimeout: 10 * time.Second},
		Open: func(cluster string, _ *catalog.Storage) (storage.Storage, error) { return w.fakes[cluster], nil },
	})
	g := guard.New(guard.Options{Router: router, Now: now, MayWrite: w.ctl.Members.MayWrite, Writers: writers})
	deletes := object.NewDeletes(rows, log, now)
	rep := report.New(noMetrics{}, w.ctl.Events(), now)
	copyOne := fakestorage.Copier(func(name string) *fakestorage.Storage { return w.fakes[name].Storage })
	w.objects = object.New(object.Options{
		Router: router, Control: port.Of(w.ctl), Copies: rows, Guard: g, Sites: w.sites, Deletes: deletes, Report: rep, Log: log, Now: now,
		Copy: func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			got, err := copyOne(ctx, src, dst, bucket, o, opts)
			if err == nil {
				w.fakes[dst.Name()].heal(o.Key)
			}
			return got, err
		},
		Timing: object.Timing{StallTimeout: time.Minute, RetryBase: time.Millisecond, RetryMax: 10 * time.Millisecond},
	})
	made := buckets.New(buckets.Options{
		Router: router, Control: port.Of(w.ctl), Copies: rows, Sites: w.sites, Guard: g, Deletes: deletes, Log: log, Now: now,
		AskSource: func(string) func(error) { return func(error) {} },
	})
	walks := walk.New(walk.Options{
		Router: router, Control: port.Of(w.ctl), Copies: rows, Sites: w.sites, Guard: g, Pause: w.pause, Slots: slots,
		Objects: w.objects, Deletes: deletes, Buckets: made, Report: rep, Log: log, Now: now, SaveEvery: time.Hour,
		Hooks: walk.Hooks{
			RequestScan: func(string) {}, Carriers: func(string, string) int { return 0 }, Helpers: func() int { return 0 },
		},
	})
	w.o = Options{
		Delegate: func(context.Context, string) (bool, error) { return false, nil },
		Router:   router, Pending: w.ctl.Pending, Issues: w.ctl.Issues, Records: w.ctl.Store().Verifications(), Copies: rows, Sites: w.sites, Guard: g,
		Pause: w.pause, Slots: slots, Objects: w.objects, Buckets: made, Walks: walks, Events: w.ctl.Events(), Log: log, Now: now, Node: "test",
		Interval: func() time.Duration { return 0 }, Deep: func() bool { return false }, PingTimeout: time.Second,
	}
	w.Verifier = New(w.o)
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

// run starts loops, which end with stop.
func (w *world) run(loops ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, loop := range loops {
		wg.Go(func() { loop(ctx) })
	}
	stop = func() { cancel(); wg.Wait() }
	w.Cleanup(stop)
	return stop
}

// work settles pending rows as workers do, until ctx ends.
func (w *world) work(ctx context.Context) {
	for ctx.Err() == nil {
		rows, err := w.store.Queue().ListPending(ctx, state.PendingFilter{Bucket: bkt}, state.PendingKey{}, 100)
		for _, r := range rows {
			t := object.Task{Object: ids.ObjectIn(bkt, r.Key, r.Cluster), Size: r.Size, Damaged: r.Damaged}
			if _, err = w.objects.Settle(ctx, t); err == nil {
				err = w.ctl.Pending.Finish(ctx, state.PendingKey{Bucket: bkt, Key: r.Key, Cluster: r.Cluster, Gen: r.Gen})
			}
		}
		if err != nil && ctx.Err() == nil {
			w.Errorf("settling: %v", err)
			return
		}
		select {
		case <-w.ctl.Pending.Changed(bkt):
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// ended asks for a verification and returns its end.
func (w *world) ended(deep bool) Verification {
	w.Helper()
	_, err := w.Request(w.Context(), bkt, deep)
	w.must(err)
	return w.awaitEnd()
}

func (w *world) awaitEnd() Verification {
	w.Helper()
	for c := w.find(bkt); c != nil; c = w.find(bkt) {
		select {
		case <-c.gone:
		case <-time.After(time.Minute):
			w.Fatalf("the verification does not end: %+v", c.view(time.Now()))
		}
	}
	v, err := w.Get(w.Context(), bkt)
	w.must(err)
	return v
}

// awaitDone returns the bucket's verification once it has come to its end.
func (w *world) awaitDone() Verification {
	w.Helper()
	for range 6000 {
		v, err := w.Get(w.Context(), bkt)
		w.must(err)
		if v.Finished != nil {
			return v
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatal("the verification does not end")
	return Verification{}
}

// count checks what a verification found.
func (w *world) count(v Verification, state string, mismatches, repaired, unrepairable int64) {
	w.Helper()
	if v.State != state || v.Mismatches != mismatches || v.Repaired != repaired || v.Unrepairable != unrepairable || int64(len(v.Keys)) != mismatches {
		w.Errorf("verification %+v, want it %s with %d mismatches, %d repaired, %d unrepairable", v, state, mismatches, repaired, unrepairable)
	}
}

func (w *world) wantSame() {
	w.Helper()
	for _, c := range []string{"c2", "c3"} {
		if a, b := w.fakes["c1"].Contents(bkt), w.fakes[c].Contents(bkt); !maps.Equal(a, b) {
			w.Errorf("c1 has %q, %s has %q", a, c, b)
		}
	}
}
