package replication

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/storage"
)

// The servers are shared by all tests, which keep to physical buckets of their own.
var (
	minioA = testenv.Share(testenv.KindMinIO, testenv.Options{Versioning: true})
	minioB = testenv.Share(testenv.KindMinIO, testenv.Options{Versioning: true})
	minioC = testenv.Share(testenv.KindMinIO, testenv.Options{Versioning: true})
	versA  = testenv.Share(testenv.KindVersityGW, testenv.Options{Versioning: true})
	versB  = testenv.Share(testenv.KindVersityGW, testenv.Options{Versioning: true})
)

func TestMain(m *testing.M) {
	if os.Getenv("FADO_CRASH_CHILD") != "" {
		crashChild()
		return
	}
	if os.Getenv("FADO_STOP_CHILD") != "" {
		stopChild()
		return
	}
	code := testenv.Main(m).Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is one FaDO over some storages: store, control and engine.
type world struct {
	testing.TB
	store  state.Store
	ctl    *control.Control
	eng    *Engine
	prefix string                       // of the physical buckets
	full   atomic.Bool                  // the store takes no pending rows
	slow   atomic.Pointer[sync.RWMutex] // who holds it keeps the store from taking them
	calls  storeCalls

	ahead atomic.Int64 // of the engine's clock, nanoseconds

	mu      sync.Mutex
	servers map[string]*testenv.Server
	apis    map[string]minioClient
	fakes   map[string]*fakestorage.Storage
	wrap    func(cluster string, s storage.Storage) storage.Storage
}

var worlds atomic.Int64

// fastTuning is for tests: what takes seconds in production takes moments.
func fastTuning() Tuning {
	return Tuning{
		PingEvery: time.Second, PingTimeout: 20 * time.Second, CallTimeout: 10 * time.Second,
		SilentScan: 2 * time.Second, DrainGrace: 20 * time.Millisecond, LookTimeout: 3 * time.Second,
		RetryBase: 50 * time.Millisecond, RetryMax: 2 * time.Second, FullProbe: 200 * time.Millisecond, Lease: 10 * time.Second, SaveEvery: 20 * time.Millisecond,
		PullEvery: 100 * time.Millisecond, PullRest: 200 * time.Millisecond,
	}
}

// newWorld makes a world with a running engine; o changes its options before.
func newWorld(tb testing.TB, s Settings, o func(*Options)) *world {
	tb.Helper()
	w := &world{
		TB: tb, prefix: fmt.Sprintf("t%d-", worlds.Add(1)),
		servers: make(map[string]*testenv.Server), apis: make(map[string]minioClient), fakes: make(map[string]*fakestorage.Storage),
	}
	w.open(filepath.Join(tb.TempDir(), "fado.db"), o)
	w.eng.Start(s)
	return w
}

// movable gives a world's engine a clock that [world.later] moves.
func movable(o *Options) { o.Now = nil }

// later moves the engine's clock on, if it is movable.
func (w *world) later(d time.Duration) { w.ahead.Add(int64(d)) }

// open makes store, control and engine over a file.
func (w *world) open(path string, change func(*Options)) {
	w.Helper()
	ctx := context.Background()
	var err error
	w.store, err = sqlite.Open(ctx, sqlite.Options{Path: path})
	w.must(err)
	w.ctl, err = control.New(control.Options{Store: fullStore{w.store, &w.full, &w.slow, &w.calls}, Log: w.log("control"), Node: "test"})
	w.must(err)
	w.ctl.Start(ctx)
	_, err = w.ctl.Attach(ctx, control.Config{})
	w.must(err)
	o := Options{Control: w.ctl, Log: w.log("replication"), Open: w.openStorage, Tune: fastTuning(), Now: time.Now}
	if change != nil {
		change(&o)
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	}
	w.eng = New(o)
	w.Cleanup(w.close)
}

// fullStore is a store whose disk can be full, or slow.
type fullStore struct {
	state.Store
	full *atomic.Bool
	slow *atomic.Pointer[sync.RWMutex]
	*storeCalls
}

// storeCalls is what was asked of a store's queue.
type storeCalls struct {
	mu      sync.Mutex
	failed  map[string]int // rows noted as failed, by cluster
	retried []state.PendingFilter
	updates int // durable transactions

	conflicts map[ids.Object]bool // objects that were ever noted as one
}

// noteConflicts notes which of some rows people are told of as conflicts.
func (c *storeCalls) noteConflicts(rows []state.Pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range rows {
		if r.Hold == state.HoldConflict {
			if c.conflicts == nil {
				c.conflicts = make(map[ids.Object]bool)
			}
			c.conflicts[ids.ObjectIn(r.Bucket, r.Key, r.Cluster)] = true
		}
	}
}

// wasConflict reports whether people were told of an object as a conflict.
func (c *storeCalls) wasConflict(bucket, key, cluster string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conflicts[ids.ObjectIn(bucket, key, cluster)]
}

// reset forgets all calls.
func (c *storeCalls) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed, c.retried, c.updates = make(map[string]int), nil, 0
}

func (s fullStore) Catalogue() state.Catalogue { return fullStoreCatalogue{s.Store.Catalogue(), s} }

type fullStoreCatalogue struct {
	state.Catalogue
	of fullStore
}

func (s fullStoreCatalogue) Update(ctx context.Context, f func(state.Tx) error) (state.Seq, error) {
	s.of.mu.Lock()
	s.of.updates++
	s.of.mu.Unlock()
	return s.Catalogue.Update(ctx, f)
}

// UpdateProgress is what control asks a store for that tells progress from the rest.
func (s fullStoreCatalogue) UpdateProgress(ctx context.Context, f func(state.Tx) error) (state.Seq, error) {
	p, ok := s.Catalogue.(interface {
		UpdateProgress(ctx context.Context, f func(state.Tx) error) (state.Seq, error)
	})
	if !ok {
		return s.Catalogue.Update(ctx, f)
	}
	return p.UpdateProgress(ctx, f)
}

func (s fullStore) Queue() state.Queue { return fullStoreQueue{s.Store.Queue(), s} }

type fullStoreQueue struct {
	state.Queue
	of fullStore
}

func (s fullStoreQueue) FailPending(ctx context.Context, rows ...state.Pending) error {
	s.of.mu.Lock()
	for _, r := range rows {
		if s.of.failed != nil {
			s.of.failed[r.Cluster]++
		}
	}
	s.of.mu.Unlock()
	s.of.noteConflicts(rows)
	return s.Queue.FailPending(ctx, rows...)
}

func (s fullStoreQueue) RetryPending(ctx context.Context, f state.PendingFilter, now time.Time) (int, error) {
	s.of.mu.Lock()
	s.of.retried = append(s.of.retried, f)
	s.of.mu.Unlock()
	return s.Queue.RetryPending(ctx, f, now)
}

func (s fullStoreQueue) AddPending(ctx context.Context, rows ...state.Pending) ([]int64, error) {
	if slow := s.of.slow.Load(); slow != nil {
		slow.RLock()
		defer slow.RUnlock()
	}
	if s.of.full.Load() {
		return nil, fmt.Errorf("the disk is full: %w", state.ErrUnavailable)
	}
	s.of.noteConflicts(rows)
	return s.Queue.AddPending(ctx, rows...)
}

func (w *world) close() {
	w.eng.Stop()
	w.ctl.Close()
	if err := w.store.Close(); err != nil {
		w.Error(err)
	}
}

func (w *world) log(name string) *zap.Logger {
	if os.Getenv("FADO_TEST_LOG") == "" {
		return zap.NewNop()
	}
	return zaptest.NewLogger(w).Named(name)
}

func (w *world) openStorage(cluster string, s *catalog.Storage) (storage.Storage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.fakes[cluster]; f != nil {
		return f, nil
	}
	c, err := storage.Open(storage.Config{
		Name: cluster, Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Region: s.Region,
		BucketPrefix: s.BucketPrefix,
	})
	if err != nil {
		return nil, err
	}
	if w.wrap != nil {
		return w.wrap(cluster, c), nil
	}
	return c, nil
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// cluster declares a cluster over a server, in a zone of the same name.
func (w *world) cluster(name string, srv *testenv.Server) { w.clusterAt(name, srv, srv.Endpoint) }

func (w *world) clusterAt(name string, srv *testenv.Server, endpoint string) {
	w.Helper()
	w.mu.Lock()
	w.servers[name], w.apis[name] = srv, srv.NewClient(w)
	w.mu.Unlock()
	w.zone(name)
	w.apply(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{
		Endpoint: endpoint, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey, BucketPrefix: w.prefix,
	}})
}

// fake declares a cluster over a storage in memory.
func (w *world) fake(name string) *fakestorage.Storage {
	w.Helper()
	f := fakestorage.New(name)
	w.mu.Lock()
	w.fakes[name] = f
	w.mu.Unlock()
	w.zone(name)
	w.apply(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{
		Endpoint: "http://" + name + ".test", BucketPrefix: w.prefix,
	}})
	return f
}

func (w *world) zone(name string) { w.apply(&catalog.Zone{Name: name}) }

// apply creates or replaces a resource.
func (w *world) apply(r catalog.Resource) {
	w.Helper()
	_, _, err := w.ctl.Resources.Replace(context.Background(), r, control.Precondition{}, nil)
	w.must(err)
}

// policy declares a policy named after its content.
func (w *world) policy(name string, copies int, clusters ...string) {
	w.Helper()
	w.apply(&catalog.Policy{Name: name, Copies: catalog.Copies{N: copies}, Clusters: clusters, Prefer: clusters})
}

// bucket declares a bucket.
func (w *world) bucket(name, policy, primary string, rules ...catalog.PrefixRule) {
	w.Helper()
	w.apply(&catalog.Bucket{Name: name, Policy: policy, Primary: primary, Prefixes: rules})
}

func (w *world) makeBucket(cluster, bucket string) {
	w.Helper()
	w.must(w.apis[cluster].MakeBucket(context.Background(), w.prefix+bucket, minio.MakeBucketOptions{}))
}

func (w *world) put(cluster, bucket, key, body string) {
	w.Helper()
	w.must(w.tryPut(cluster, bucket, key, body))
}

func (w *world) tryPut(cluster, bucket, key, body string) error {
	_, err := w.apis[cluster].PutObject(context.Background(), w.prefix+bucket, key, strings.NewReader(body), int64(len(body)),
		minio.PutObjectOptions{ContentType: "text/plain", UserMetadata: map[string]string{"Colour": "blue"}, DisableMultipart: true})
	return err
}

func (w *world) del(cluster, bucket, key string) {
	w.Helper()
	w.must(w.apis[cluster].RemoveObject(context.Background(), w.prefix+bucket, key, minio.RemoveObjectOptions{}))
}

// get returns an object's content, and false if there is none.
func (w *world) get(cluster, bucket, key string) (string, bool) {
	w.Helper()
	o, err := w.apis[cluster].GetObject(context.Background(), w.prefix+bucket, key, minio.GetObjectOptions{})
	w.must(err)
	defer o.Close()
	b, err := io.ReadAll(o)
	switch minio.ToErrorResponse(err).Code {
	case "NoSuchKey", "NoSuchBucket":
		return "", false
	}
	w.must(err)
	return string(b), true
}

// contents returns every object of a bucket with its content's ETag and size; nil if
// there is no such bucket.
func (w *world) contents(cluster, bucket string) map[string]string {
	w.Helper()
	if f := w.fakes[cluster]; f != nil {
		return f.Contents(bucket)
	}
	m := make(map[string]string)
	for o := range w.apis[cluster].ListObjects(context.Background(), w.prefix+bucket, minio.ListObjectsOptions{Recursive: true}) {
		if minio.ToErrorResponse(o.Err).Code == "NoSuchBucket" {
			return nil
		}
		w.must(o.Err)
		m[o.Key] = fmt.Sprintf("%s %d", o.ETag, o.Size)
	}
	return m
}

// patience is how long a test waits for what is to come true: long enough for a machine that is
// busy with other work, since only a test that fails waits for so long.
const patience = 4 * time.Minute

// await waits until a condition holds, looking whenever something happens.
func (w *world) await(what string, cond func() bool) {
	w.Helper()
	sub := w.ctl.Events().Subscribe(16)
	defer sub.Close()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-sub.C:
		case <-tick.C:
		case <-deadline:
			if os.Getenv("FADO_TEST_LOG") != "" {
				stacks := make([]byte, 1<<20)
				w.Logf("%s", stacks[:runtime.Stack(stacks, true)])
			}
			w.Fatalf("waited in vain: %s\n%s", what, w.dump())
		}
	}
}

// dump describes where everything stands.
func (w *world) dump() string {
	var b bytes.Buffer
	_ = w.store.Catalogue().EachCopy(context.Background(), func(c state.Copy) error {
		fmt.Fprintf(&b, "copy %+v\n", c)
		return nil
	})
	n := 0
	_ = w.store.Queue().EachPending(context.Background(), func(p state.Pending) error {
		if n++; n < 20 {
			fmt.Fprintf(&b, "pending %+v\n", p)
		}
		return nil
	})
	w.ctl.Router().Snapshot().Buckets(func(name string) bool {
		st, err := w.ctl.Status.Bucket(context.Background(), name)
		fmt.Fprintf(&b, "bucket %s: %s %s %v\n", name, st.State, st.Reason, err)
		return true
	})
	w.ctl.Router().Snapshot().Clusters(func(c *catalog.Cluster) bool {
		fmt.Fprintf(&b, "cluster %s: %+v\n", c.Name, w.eng.Reports().Storage(c.Name))
		return true
	})
	return b.String()
}

func (w *world) status(bucket string) control.BucketStatus {
	w.Helper()
	st, err := w.ctl.Status.Bucket(context.Background(), bucket)
	w.must(err)
	return st
}

// awaitOK waits until a bucket is where it should be, with synced copies in exactly
// these clusters, the first being the primary.
func (w *world) awaitOK(bucket string, clusters ...string) {
	w.Helper()
	w.await(fmt.Sprintf("bucket %s ok in %v", bucket, clusters), func() bool {
		st := w.status(bucket)
		var in []string
		for _, c := range st.Copies {
			in = append(in, c.Cluster)
		}
		slices.Sort(in)
		want := slices.Sorted(slices.Values(clusters))
		return st.State == control.BucketOK && st.Primary == clusters[0] && slices.Equal(in, want)
	})
}

// awaitSame waits until all clusters have the same content.
func (w *world) awaitSame(bucket string, clusters ...string) {
	w.Helper()
	w.await(fmt.Sprintf("bucket %s the same in %v", bucket, clusters), func() bool {
		first := w.contents(clusters[0], bucket)
		for _, c := range clusters[1:] {
			if !mapsEqual(first, w.contents(c, bucket)) {
				return false
			}
		}
		return true
	})
}

func mapsEqual(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

func (w *world) pending(f state.PendingFilter) []state.Pending {
	w.Helper()
	rows, err := w.store.Queue().ListPending(context.Background(), f, state.PendingKey{}, 0)
	w.must(err)
	return rows
}

func (w *world) copyRow(bucket, prefix, cluster string) (state.Copy, bool) {
	w.Helper()
	rows, err := w.store.Catalogue().CopiesOf(context.Background(), bucket)
	w.must(err)
	i := copyrows.Index(rows, prefix, cluster)
	if i < 0 {
		return state.Copy{}, false
	}
	return rows[i], true
}

// feedsLive waits until changes made directly at the storages are listened to.
func (w *world) feedsLive(clusters ...string) {
	w.Helper()
	w.await("listeners", func() bool {
		for _, c := range clusters {
			if w.eng.Reports().Storage(c).Feed != "listening" {
				return false
			}
		}
		return true
	})
}

// awaitNextSeconds lets a storage's clock, which is told in whole seconds, move on: what
// was written before is older then for everybody.
func awaitNextSeconds(n int) {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Duration(n+1) * time.Second)))
}

type minioClient = *minio.Client
