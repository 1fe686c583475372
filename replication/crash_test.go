package replication

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
	"github.com/fado-project/fado/storage"
)

// crashSetup is what the killed process is told.
type crashSetup struct {
	Store    string
	Clusters map[string]catalog.Storage
}

// crashChild is the process that the crash test kills: FaDO over a store file.
func crashChild() {
	var s crashSetup
	if err := json.Unmarshal([]byte(os.Getenv("FADO_CRASH_CHILD")), &s); err != nil {
		panic(err)
	}
	ctx := context.Background()
	eng, _, done := startCrashing(ctx, s)
	defer done()
	eng.Start(Settings{Workers: 3})
	fmt.Println("running")
	select {}
}

// startCrashing opens store, control and engine of a crash test.
func startCrashing(ctx context.Context, s crashSetup) (*Engine, *control.Control, func()) {
	store, err := sqlite.Open(ctx, sqlite.Options{Path: s.Store})
	if err != nil {
		panic(err)
	}
	ctl, err := control.New(control.Options{Store: store, Node: "crash"})
	if err != nil {
		panic(err)
	}
	if err := ctl.Start(ctx); err != nil {
		panic(err)
	}
	if _, err := ctl.Attach(ctx, control.Config{}); err != nil {
		panic(err)
	}
	eng := New(Options{Control: ctl, Tune: fastTuning(), Open: func(cluster string, d *catalog.Storage) (storage.Storage, error) {
		return storage.Open(storage.Config{
			Name: cluster, Endpoint: d.Endpoint, AccessKey: d.AccessKey, SecretKey: d.SecretKey, BucketPrefix: d.BucketPrefix,
		})
	}})
	return eng, ctl, func() {
		eng.Stop()
		ctl.Close()
		_ = store.Close()
	}
}

// Killed at random moments during the bulk sync and live writes, overwrites and deletes,
// FaDO goes on where it was: in the end all storages are equal and nothing is where it
// must not be.
func TestKilledAnywhereContinues(t *testing.T) {
	t.Parallel()
	runs := 8
	if testing.Short() {
		runs = 3
	}
	servers := map[string]*testenv.Server{"c1": minioA.Server(t), "c2": minioB.Server(t), "c3": minioC.Server(t)}
	w := &world{TB: t, prefix: fmt.Sprintf("t%d-", worlds.Add(1)), servers: servers, apis: map[string]minioClient{}}
	s := crashSetup{Store: filepath.Join(t.TempDir(), "fado.db"), Clusters: map[string]catalog.Storage{}}
	for name, srv := range servers {
		w.apis[name] = srv.NewClient(t)
		s.Clusters[name] = catalog.Storage{
			Endpoint: srv.Endpoint, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey, BucketPrefix: w.prefix,
		}
	}
	w.makeBucket("c1", "bkt")
	w.fill("c1", "bkt", 300)
	for i := range 300 {
		w.put("c1", "bkt", fmt.Sprintf("s%04d", i), "still")
	}
	declareCrashing(t, s)

	live := w.crashWrites()
	for run := range runs {
		killAfter(t, s, time.Duration(100+rand.IntN(400))*time.Millisecond, run)
		w.checkCursor(s)
	}
	want := live.stop()

	eng, ctl, done := startCrashing(t.Context(), s)
	t.Cleanup(done)
	w.ctl, w.eng = ctl, eng
	w.store = ctl.Store().(*sqlite.Store)
	eng.Start(Settings{})
	w.awaitOK("bkt", "c1", "c2")
	w.awaitSame("bkt", "c1", "c2")
	for k, v := range want {
		if got, ok := w.get("c2", "bkt", k); got != v || ok != (v != "") {
			t.Errorf("c2 has %s = %q (%v), want %q", k, got, ok, v)
		}
	}
	if got := w.contents("c3", "bkt"); got != nil {
		t.Errorf("the forbidden c3 has %v", got)
	}
}

// checkCursor holds the store that a killed process left to its word: what routing would
// take for current is there. Only objects that nobody writes to are looked at.
func (w *world) checkCursor(s crashSetup) {
	w.Helper()
	store, err := sqlite.Open(context.Background(), sqlite.Options{Path: s.Store})
	w.must(err)
	defer store.Close()
	rows, err := store.Catalogue().CopiesOf(context.Background(), "bkt")
	w.must(err)
	i := copyrows.Index(rows, "", "c2")
	if i < 0 {
		return
	}
	pending, err := store.Queue().ListPending(context.Background(), state.PendingFilter{Cluster: "c2"}, state.PendingKey{}, 0)
	w.must(err)
	there := w.contents("c2", "bkt")
	w.Logf("killed with the copy %s at %q, %d of its objects there, %d pending", rows[i].State, rows[i].Cursor, len(there), len(pending))
	for n := range 300 {
		key := fmt.Sprintf("s%04d", n)
		current := rows[i].State == catalog.CopySynced || rows[i].State == catalog.CopySyncing && key <= rows[i].Cursor
		known := slices.ContainsFunc(pending, func(p state.Pending) bool { return p.Key == key })
		if current && !known && there[key] == "" {
			w.Errorf("%s counts as current at c2 (%s, cursor %q) and is not there", key, rows[i].State, rows[i].Cursor)
		}
	}
}

// declareCrashing makes the catalogue of the crash test: two copies, c3 forbidden.
func declareCrashing(t *testing.T, s crashSetup) {
	t.Helper()
	_, ctl, done := startCrashing(t.Context(), s)
	defer done()
	resources := []catalog.Resource{}
	for name, d := range s.Clusters {
		resources = append(resources, &catalog.Zone{Name: name}, &catalog.Cluster{Name: name, Zones: []string{name}, Storage: &d})
	}
	resources = append(resources,
		&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, ExcludeZones: []string{"c3"}},
		&catalog.Bucket{Name: "bkt", Policy: "p", Primary: "c1"})
	for _, r := range resources {
		if _, _, err := ctl.Resources.Replace(t.Context(), r, control.Precondition{}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs FaDO in a process and kills it after a while.
func killAfter(t *testing.T, s crashSetup, d time.Duration, run int) {
	t.Helper()
	setup, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FADO_CRASH_CHILD="+string(setup))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 8)
	if _, err := out.Read(line); err != nil || string(line) != "running\n" {
		t.Fatalf("run %d: the process said %q, %v", run, line, err)
	}
	time.Sleep(d)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed: that is the point
}

// crashWrites keeps writing, overwriting and deleting at the primary.
func (w *world) crashWrites() writer {
	ctx, cancel := context.WithCancel(context.Background())
	want := make(map[string]string)
	done := make(chan struct{})
	go func() {
		defer close(done)
		rng := rand.New(rand.NewPCG(1, 2))
		for i := 0; ctx.Err() == nil; i++ {
			key := fmt.Sprintf("k%04d", rng.IntN(500))
			if rng.IntN(5) == 0 {
				w.del("c1", "bkt", key)
				want[key] = ""
			} else {
				body := fmt.Sprintf("live %d", i)
				w.put("c1", "bkt", key, body)
				want[key] = body
			}
			delay.Sleep(ctx, 10*time.Millisecond)
		}
	}()
	return writer{stop: func() map[string]string { cancel(); <-done; return want }}
}
