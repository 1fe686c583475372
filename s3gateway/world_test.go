package s3gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/internal/traffic"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/urls"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/storage"
)

// The servers are shared by all tests, which keep to physical buckets of their own.
var (
	minioA = testenv.Share(testenv.KindMinIO, testenv.Options{Versioning: true})
	minioB = testenv.Share(testenv.KindMinIO, testenv.Options{Versioning: true})
	versA  = testenv.Share(testenv.KindVersityGW, testenv.Options{Versioning: true})
)

func TestMain(m *testing.M) {
	code := testenv.Main(m).Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// instance is one FaDO: control, engine and an S3 endpoint before them.
type instance struct {
	testing.TB
	store state.Store
	ctl   *control.Control
	eng   *replication.Engine
	ready chan struct{}
	full  atomic.Bool  // the store takes no pending rows
	room  atomic.Int64 // but so many more times

	handler *Handler
	server  *httptest.Server
	api     *minio.Client
	core    *minio.Core

	mu     sync.Mutex
	counts map[string]int // of requests, by "operation code"; of failovers, and of what the cache did

	saved   atomic.Int64 // bytes by the cache
	open    atomic.Int64 // requests
	in, out atomic.Int64 // bytes of objects
	brought atomic.Int64 // objects that the engine says it copied
}

// Control, Replication and Ready make it an App.
func (i *instance) Control() *control.Control        { return i.ctl }
func (i *instance) Replication() *replication.Engine { return i.eng }
func (i *instance) Ready() <-chan struct{}           { return i.ready }
func (i *instance) CountS3(op, code string, _ time.Duration) {
	i.count(op + " " + code)
}
func (i *instance) CountS3Open(delta int) { i.open.Add(int64(delta)) }
func (i *instance) CountS3Bytes(direction string, n int64) {
	map[string]*atomic.Int64{"in": &i.in, "out": &i.out}[direction].Add(n)
}

func (i *instance) Router() *routing.Router           { return i.ctl.Router() }
func (i *instance) DeclareKeys(...*catalog.Key) error { return nil }
func (i *instance) Endpoints() *urls.Endpoints        { return new(urls.Endpoints) }
func (i *instance) S3() traffic.S3                    { return i }
func (i *instance) CountS3Failover()                  { i.count("failover") }
func (i *instance) CountS3Cache(hit bool, saved int64) {
	i.count(fmt.Sprint("cache hit ", hit))
	i.saved.Add(saved)
}

func (i *instance) count(what string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.counts[what]++
}

func (i *instance) counted(what string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.counts[what]
}

const (
	testKey    = "fado-test-key"
	testSecret = "fado-test-secret"
)

var worlds atomic.Int64

// world is one instance or several over some storages.
type world struct {
	*instance
	prefix string // of the physical buckets
	all    []*instance
}

// engineCounts is what an instance's engine counts by.
type engineCounts struct{ i *instance }

func (c engineCounts) Replicated(string, int64) { c.i.brought.Add(1) }
func (engineCounts) Failed(string, string)      {}
func (engineCounts) Lag(time.Duration)          {}

// newWorld makes a world of one instance on SQLite. change edits its handler.
func newWorld(tb testing.TB, change func(*Handler)) *world {
	tb.Helper()
	w := &world{prefix: fmt.Sprintf("s3g%d-%d-", os.Getpid(), worlds.Add(1))}
	store, err := sqlite.Open(context.Background(), sqlite.Options{Path: filepath.Join(tb.TempDir(), "fado.db")})
	if err != nil {
		tb.Fatal(err)
	}
	w.join(tb, store, change)
	return w
}

// fullStore is a store whose disk can be full.
type fullStore struct {
	state.Store
	of *instance
}

func (s fullStore) Queue() state.Queue { return fullStoreQueue{s.Store.Queue(), s} }

type fullStoreQueue struct {
	state.Queue
	of fullStore
}

func (s fullStoreQueue) AddPending(ctx context.Context, rows ...state.Pending) ([]int64, error) {
	if s.of.of.full.Load() && s.of.of.room.Add(-1) < 0 {
		return nil, fmt.Errorf("the disk is full: %w", state.ErrUnavailable)
	}
	return s.Queue.AddPending(ctx, rows...)
}

func testLog(tb testing.TB, name string) *zap.Logger {
	tb.Helper()
	if os.Getenv("FADO_TEST_LOG") == "" {
		return zap.NewNop()
	}
	return zaptest.NewLogger(tb).Named(name)
}

// join adds an instance over a store.
func (w *world) join(tb testing.TB, store state.Store, change func(*Handler)) *instance {
	tb.Helper()
	i := &instance{TB: tb, store: store, ready: make(chan struct{}), counts: make(map[string]int)}
	close(i.ready)
	if w.instance == nil {
		w.instance = i
	}
	w.all = append(w.all, i)
	kept := store
	if _, shared := store.(state.Shared); !shared {
		kept = fullStore{store, i}
	}
	var err error
	i.ctl, err = control.New(control.Options{Store: kept, Log: testLog(tb, "control"), Node: fmt.Sprint("node", len(w.all))})
	i.must(err)
	i.must(i.ctl.Start(context.Background()))
	_, err = i.ctl.Attach(context.Background(), control.Config{})
	i.must(err)
	i.eng = replication.New(replication.Options{Control: i.ctl, Log: testLog(tb, "replication"), Open: openStorage, Metrics: engineCounts{i}, Tune: replication.Tuning{
		PingEvery: time.Second, PingTimeout: 2 * time.Second, SilentScan: 2 * time.Second, DrainGrace: 20 * time.Millisecond,
		RetryBase: 50 * time.Millisecond, RetryMax: 2 * time.Second, Lease: 10 * time.Second, SaveEvery: 20 * time.Millisecond,
	}})
	i.eng.Start(replication.Settings{Workers: 8})
	tb.Cleanup(func() {
		i.eng.Stop()
		i.ctl.Close()
		_ = store.Close()
	})
	i.serve(change)
	return i
}

// serve starts the endpoint.
func (i *instance) serve(change func(*Handler)) {
	i.Helper()
	i.handler = &Handler{
		Region: defaultRegion, WriteAck: ackOne, MaxClockSkew: caddy.Duration(defaultSkew),
		app: i, log: testLog(i, "s3"), now: time.Now, forms: formRoom, keys: map[string]*catalog.Key{testKey: {Name: testKey, Secret: testSecret}},
	}
	if change != nil {
		change(i.handler)
	}
	i.handler.makeCache()
	i.Cleanup(func() { i.must(i.handler.Cleanup()) })
	i.server = httptest.NewServer(http.HandlerFunc(i.handler.serve))
	i.Cleanup(i.server.Close)
	i.api = i.as(testKey, testSecret)
	i.core = &minio.Core{Client: i.api}
}

// as returns a client with a key.
func (i *instance) as(id, secret string) *minio.Client {
	i.Helper()
	c, err := minio.New(strings.TrimPrefix(i.server.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(id, secret, ""), Region: defaultRegion, MaxRetries: 1, BucketLookup: minio.BucketLookupPath,
		Transport: i.server.Client().Transport, TrailingHeaders: true,
	})
	i.must(err)
	return c
}

func openStorage(cluster string, s *catalog.Storage) (storage.Storage, error) {
	return storage.Open(storage.Config{
		Name: cluster, Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Region: s.Region,
		BucketPrefix: s.BucketPrefix,
	})
}

func (i *instance) must(err error) {
	i.Helper()
	if err != nil {
		i.Fatal(err)
	}
}

// cluster declares a cluster over a server, in a zone of the same name.
func (w *world) cluster(name string, srv *testenv.Server) { w.clusterAt(name, srv, srv.Endpoint) }

func (w *world) clusterAt(name string, srv *testenv.Server, endpoint string) {
	w.Helper()
	w.apply(&catalog.Zone{Name: name})
	w.apply(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{
		Endpoint: endpoint, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey, BucketPrefix: w.prefix,
	}})
}

func (w *world) apply(r catalog.Resource) {
	w.Helper()
	_, _, err := w.ctl.Resources.Replace(context.Background(), r, control.Precondition{}, nil)
	w.must(err)
}

// policy declares a policy of copies in clusters.
func (w *world) policy(name string, copies int, clusters ...string) {
	w.Helper()
	w.apply(&catalog.Policy{Name: name, Copies: catalog.Copies{N: copies}, Clusters: clusters, Prefer: clusters})
}

// bucket makes a bucket and waits until its copies are there.
func (w *world) bucket(name, policy, primary string) {
	w.Helper()
	w.apply(&catalog.Bucket{Name: name, Policy: policy, Primary: primary})
	w.awaitOK(name)
	w.await("the physical bucket of "+name, func() bool {
		_, err := w.core.ListObjectsV2(name, "", "", "", "", 1)
		return err == nil
	})
}

// awaitOK waits until a bucket is as its policy wants it.
func (w *world) awaitOK(bucket string) {
	w.Helper()
	w.await(bucket+" is ok", func() bool {
		st, err := w.ctl.Status.Bucket(context.Background(), bucket)
		return err == nil && st.State == "ok"
	})
}

// testPatience is how long a test waits for what is to come true: only a test that fails waits for
// so long, however busy the machine is.
const testPatience = 4 * time.Minute

// await waits until a condition holds.
func (w *world) await(what string, cond func() bool) {
	w.Helper()
	sub := w.ctl.Events().Subscribe(16)
	defer sub.Close()
	deadline := time.After(testPatience)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-sub.C:
		case <-tick.C:
		case <-deadline:
			w.Fatalf("waited in vain: %s", what)
		}
	}
}

// direct is a client of a server beside FaDO.
func (w *world) direct(srv *testenv.Server) *minio.Core {
	w.Helper()
	return &minio.Core{Client: srv.NewClient(w)}
}

func (i *instance) put(bucket, key, body string) minio.UploadInfo {
	i.Helper()
	info, err := i.api.PutObject(context.Background(), bucket, key, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{DisableMultipart: true})
	i.must(err)
	return info
}

// get returns an object's content, or the code of the error.
func (i *instance) get(bucket, key string) string {
	i.Helper()
	o, _, _, err := i.core.GetObject(context.Background(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return code(err)
	}
	defer o.Close()
	b, err := io.ReadAll(o)
	i.must(err)
	return string(b)
}

// code is the S3 code of an error, "" for none.
func code(err error) string {
	if err == nil {
		return ""
	}
	return minio.ToErrorResponse(err).Code
}

// two is a world of two MinIOs with a bucket in both.
func two(tb testing.TB, change func(*Handler)) *world {
	tb.Helper()
	w := newWorld(tb, change)
	w.cluster("c1", minioA.Server(tb))
	w.cluster("c2", minioB.Server(tb))
	w.policy("both", 2, "c1", "c2")
	w.feedsLive("c1", "c2")
	w.bucket("bkt", "both", "c1")
	return w
}

// feedsLive waits until changes made beside FaDO are listened to. Before that, and for a while
// after, a copy may be no hit.
func (w *world) feedsLive(clusters ...string) {
	w.Helper()
	w.await("listeners", func() bool {
		return !slices.ContainsFunc(clusters, func(c string) bool { return w.eng.Reports().Storage(c).Feed != "listening" })
	})
}

// do makes a signed request and returns its status, headers and body.
func (i *instance) do(method, path string, header http.Header, body string) (int, http.Header, string) {
	i.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, i.server.URL+path, strings.NewReader(body))
	i.must(err)
	maps.Copy(req.Header, header)
	sum := sha256.Sum256([]byte(body))
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	req = signer.SignV4(*req, testKey, testSecret, "", defaultRegion)
	resp, err := i.server.Client().Do(req)
	i.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	i.must(err)
	return resp.StatusCode, resp.Header, string(b)
}
