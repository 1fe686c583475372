package replication

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

const largeSize = 160 << 20

// putLarge uploads a large object in one piece.
func (w *world) putLarge(cluster, bucket string) {
	w.Helper()
	_, err := w.apis[cluster].PutObject(context.Background(), w.prefix+bucket, "large", io.LimitReader(zeroes{}, largeSize), largeSize,
		minio.PutObjectOptions{DisableMultipart: true, DisableContentSha256: true})
	w.must(err)
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// uploads counts the uploads of "large" that a storage has begun and not ended.
func (w *world) uploads(cluster, bucket string) (n int) {
	w.Helper()
	for u := range w.apis[cluster].ListIncompleteUploads(context.Background(), w.prefix+bucket, "large", true) {
		if minio.ToErrorResponse(u.Err).Code == "NoSuchBucket" {
			return 0
		}
		w.must(u.Err)
		n++
	}
	return n
}

// uploaded sums the parts that a storage has of uploads of "large".
func (w *world) uploaded(cluster, bucket string) (n int64) {
	w.Helper()
	core := minio.Core{Client: w.apis[cluster]}
	for u := range w.apis[cluster].ListIncompleteUploads(context.Background(), w.prefix+bucket, "large", true) {
		w.must(u.Err)
		parts, err := core.ListObjectParts(context.Background(), w.prefix+bucket, u.Key, u.UploadID, 0, 1000)
		w.must(err)
		for _, p := range parts.ObjectParts {
			n += p.Size
		}
	}
	return n
}

// awaitMoved waits until so many bytes went up to a storage.
func awaitMoved(t *testing.T, p *testenv.Proxy, n int64) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for p.Moved(testenv.Up) < n {
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d bytes went up", p.Moved(testenv.Up), n)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Killed in the middle of a large object, FaDO goes on with the parts that are there.
func TestKilledInALargeObject(t *testing.T) {
	if testing.Short() {
		t.Skip("160 MiB")
	}
	t.Parallel()
	servers := map[string]*testenv.Server{"c1": minioA.Server(t), "c2": minioB.Server(t), "c3": minioC.Server(t)}
	w := &world{TB: t, prefix: "large-", servers: servers, apis: map[string]minioClient{}}
	s := crashSetup{Store: filepath.Join(t.TempDir(), "fado.db"), Clusters: map[string]catalog.Storage{}}
	proxy := testenv.StartProxy(t, servers["c2"].Endpoint)
	for name, srv := range servers {
		w.apis[name] = srv.NewClient(t)
		s.Clusters[name] = catalog.Storage{
			Endpoint: srv.Endpoint, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey, BucketPrefix: w.prefix,
		}
	}
	c2 := s.Clusters["c2"]
	c2.Endpoint = proxy.Endpoint()
	s.Clusters["c2"] = c2
	w.makeBucket("c1", "bkt")
	w.putLarge("c1", "bkt")
	declareCrashing(t, s)
	proxy.Slow(testenv.Up, 20<<20)
	killWhen(t, s, func() { awaitMoved(t, proxy, largeSize*5/8) })
	if text := notedUpload(t, s.Store); text == "" {
		t.Fatal("nothing is on record of the upload")
	}
	first, there := proxy.Moved(testenv.Up), w.uploaded("c2", "bkt")
	if there == 0 {
		t.Fatalf("no part is there of the %d MiB that were sent", first>>20)
	}

	proxy.Heal()
	eng, ctl, done := startCrashing(t.Context(), s)
	t.Cleanup(done)
	w.ctl, w.eng, w.store = ctl, eng, ctl.Store().(*sqlite.Store)
	eng.Start(Settings{})
	w.await("synced", func() bool {
		row, _ := w.copyRow("bkt", "", "c2")
		return row.State == catalog.CopySynced
	})
	if again := proxy.Moved(testenv.Up) - first; again > largeSize*3/4 {
		t.Errorf("%d MiB were sent after the restart, though %d of %d MiB were there", again>>20, there>>20, largeSize>>20)
	}
	w.awaitSame("bkt", "c1", "c2")
	if n := w.uploads("c2", "bkt"); n != 0 {
		t.Errorf("%d uploads stayed", n)
	}
}

// killWhen runs FaDO as a process of its own and kills it at a moment.
func killWhen(t *testing.T, s crashSetup, moment func()) {
	t.Helper()
	setup, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FADO_CRASH_CHILD="+string(setup))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // where the tests run out of time
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if bytes.Contains(out.Bytes(), []byte("panic:")) {
			t.Fatalf("the process failed by itself: %s", &out)
		}
	}()
	moment()
}

func notedUpload(t *testing.T, path string) string {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	u, err := store.Uploads().GetUpload(t.Context(), "bkt", "large", "c2")
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		t.Fatal(err)
	}
	return u.Token
}

// A policy that comes to forbid a cluster takes the parts of an upload there away before
// the change is answered.
func TestForbiddenUploadLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("160 MiB")
	}
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	proxy := testenv.StartProxy(t, minioB.Server(t).Endpoint)
	w.cluster("c1", minioA.Server(t))
	w.clusterAt("c2", minioB.Server(t), proxy.Endpoint())
	w.makeBucket("c1", "bkt")
	w.putLarge("c1", "bkt")
	proxy.Slow(testenv.Up, 20<<20)
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	awaitMoved(t, proxy, largeSize/4)
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	if n := w.uploads("c2", "bkt"); n != 0 {
		t.Errorf("%d uploads are at the cluster that may not have the object", n)
	}
	if _, err := w.store.Uploads().GetUpload(t.Context(), "bkt", "large", "c2"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("want no note, got %v", err)
	}
}

// An upload whose copy has gone, or that is a day old, is aborted.
func TestStaleUploadsAreAborted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	core := minio.Core{Client: w.apis["c2"]}
	begin := func(started time.Time) {
		id, err := core.NewMultipartUpload(t.Context(), w.prefix+"bkt", "large", minio.PutObjectOptions{})
		w.must(err)
		token, err := json.Marshal(map[string]any{"id": id})
		w.must(err)
		w.must(w.store.Uploads().PutUpload(t.Context(), state.Upload{
			Bucket: "bkt", Key: "large", Cluster: "c2", Token: string(token), Started: started,
		}))
	}
	run := w.eng.run.Load()
	begin(time.Now())
	(&uploads{run.core}).abortStale(t.Context())
	if n := w.uploads("c2", "bkt"); n != 1 {
		t.Fatalf("an upload under way was aborted: %d are left", n)
	}
	begin(time.Now().Add(-uploadMaxAge - time.Minute)) // in place of the other's note
	(&uploads{run.core}).abortStale(t.Context())
	if n := w.uploads("c2", "bkt"); n != 1 {
		t.Errorf("%d uploads are left, want the one that is not on record", n)
	}
	if _, err := w.store.Uploads().GetUpload(t.Context(), "bkt", "large", "c2"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("want no note, got %v", err)
	}
}
