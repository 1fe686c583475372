package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"

	_ "github.com/fado-project/fado"
	"github.com/fado-project/fado/internal/testenv"
)

// childEnv has the test binary be FaDO: Caddy with all modules, run with that file.
const childEnv = "FADO_CHAOS_CADDYFILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(childEnv); file != "" {
		os.Args = []string{"caddy", "run", "--config", file, "--adapter", "caddyfile"}
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

const bucket = "chaos"

// place is one cluster: a storage, and the proxy through which FaDO knows it.
type place struct {
	name   string
	server *testenv.Server
	proxy  *testenv.HTTPProxy
	api    *minio.Client
	loose  bool // headers are not compared
	// keepsTimes: copies here keep the time of their originals.
	keepsTimes bool
	ahead      time.Duration // of the clock
}

// world is FaDO, its storages and what is known of them.
type world struct {
	*testing.T
	places []*place
	fados  []*instance
	// The database that several instances share, and each one's link to it; nil and
	// none where the only instance has a store of its own.
	db     *testenv.Postgres
	dbName string // of the instances, at db
	links  []*testenv.Proxy
	later  []func() // what a round ends with, once its faults are healed
}

// afterwards has f done once all faults of the round are healed.
func (w *world) afterwards(f func()) { w.later = append(w.later, f) }

// instance is one FaDO, running or not.
type instance struct {
	*world
	admin, config string
	s3            string    // host and port of its S3 endpoint, "" for none
	cmd           *exec.Cmd // nil while it does not run
	paused        bool      // it is stopped by a signal: connections are taken, nothing is answered
	exited        chan struct{}
}

// newWorld starts four storages: c1 is the primary's, c2 and c3 (of another make) hold
// copies, c4 is forbidden.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	for i, start := range []func(testing.TB, ...testenv.Options) *testenv.Server{testenv.MinIO, testenv.MinIO, testenv.VersityGW, testenv.MinIO} {
		p := &place{name: fmt.Sprintf("c%d", i+1), server: start(t), loose: i == 2, keepsTimes: i == 1}
		var err error
		p.proxy, err = testenv.NewHTTPProxy(p.server.Endpoint)
		w.must(err)
		t.Cleanup(p.proxy.Close)
		p.api = p.server.NewClient(t)
		w.places = append(w.places, p)
	}
	w.must(w.places[0].api.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	return w
}

// add makes an instance that keeps its state in a store, as the Caddyfile names it.
func (w *world) add(store string) { w.addWith(store, "", "") }

// addWith makes an instance that has, besides, a site, and at it an S3 endpoint.
func (w *world) addWith(store, site, s3 string) {
	port, err := testenv.FreePort()
	w.must(err)
	i := &instance{world: w, admin: fmt.Sprintf("http://127.0.0.1:%d", port), config: filepath.Join(w.TempDir(), "Caddyfile"), s3: s3}
	w.must(os.WriteFile(i.config, []byte(w.caddyfile(port, store)+site), 0o600))
	w.fados = append(w.fados, i)
	i.start()
	w.Cleanup(i.kill)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) caddyfile(port int, store string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n\tadmin 127.0.0.1:%d\n\tpersist_config off\n\tlog {\n\t\tlevel WARN\n\t}\n\tfado {\n\t\tstore %s\n\t\tencryption_key chaos-encryption-key-of-32-bytes-\n", port, store)
	for _, p := range w.places {
		fmt.Fprintf(&b, "\t\tzone z%[1]s\n\t\tcluster %[1]s {\n\t\t\tzones z%[1]s\n\t\t\tstorage %[2]s {\n\t\t\t\taccess_key %[3]s\n\t\t\t\tsecret_key %[4]s\n\t\t\t}\n\t\t}\n",
			p.name, p.proxy.Endpoint(), p.server.AccessKey, p.server.SecretKey)
	}
	b.WriteString("\t\treplication {\n\t\t\tscan_interval 20s\n\t\t}\n\t}\n}\n")
	return b.String()
}

// start starts FaDO, unless it runs, and waits until its API answers.
func (i *instance) start() {
	i.Helper()
	if i.cmd != nil {
		return
	}
	cmd := exec.Command(os.Args[0])
	home := filepath.Dir(i.config)
	cmd.Env = append(os.Environ(), childEnv+"="+i.config, "HOME="+home, "XDG_DATA_HOME="+home)
	log, err := os.OpenFile(i.config+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	i.must(err)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	i.must(cmd.Start())
	log.Close()
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	i.cmd, i.exited = cmd, exited
	i.await("FaDO's API", func() error {
		_, err := i.call(http.MethodGet, "/fado/", nil)
		return err
	})
}

// kill ends FaDO as a power switch would.
func (i *instance) kill() {
	if i.cmd == nil {
		return
	}
	_ = i.cmd.Process.Kill()
	<-i.exited
	i.cmd, i.paused = nil, false
}

// running is an instance that runs and answers; one is started if none does.
func (w *world) running() *instance {
	for _, i := range w.fados {
		if i.cmd != nil && !i.paused {
			return i
		}
	}
	stopped := slices.IndexFunc(w.fados, func(i *instance) bool { return i.cmd == nil })
	if stopped < 0 {
		w.Fatal("all instances are paused")
	}
	w.fados[stopped].start()
	return w.fados[stopped]
}

// call makes a request to the admin API.
func (i *instance) call(method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, i.admin+path, in)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, out)
	}
	return out, err
}

// await waits until f returns nil.
func (w *world) await(what string, f func() error) {
	w.Helper()
	var err error
	for until := time.Now().Add(5 * time.Minute); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	for _, i := range w.fados {
		log, _ := os.ReadFile(i.config + ".log")
		conflicts, _ := i.call(http.MethodGet, "/fado/buckets/"+bucket+"/conflicts", nil)
		w.Logf("%s: conflicts %s\n%s", i.admin, conflicts, log[max(0, len(log)-6000):])
		w.evidence(i, "goroutines", "/debug/pprof/goroutine?debug=2")
		w.evidence(i, "transfers", "/fado/replication")
	}
	w.rows()
	w.Fatalf("%s: %v", what, err)
}

// evidence keeps what an instance says of itself.
func (w *world) evidence(i *instance, what, path string) {
	body, err := i.call(http.MethodGet, path, nil)
	if err != nil {
		body = []byte(err.Error())
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("chaos-%d-%s", i.cmd.Process.Pid, what))
	w.Logf("%s of %s: %s (%v)", what, i.admin, file, os.WriteFile(file, body, 0o600))
}

// rows logs the pending rows of the database, and what its connections do.
func (w *world) rows() {
	if w.db == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.db.DSN(w.dbName))
	if err != nil {
		w.Logf("looking at the database: %v", err)
		return
	}
	defer conn.Close(ctx)
	for _, q := range []string{
		"SELECT row_to_json(p)::text FROM fado.pending p LIMIT 20",
		"SELECT row_to_json(a)::text FROM (SELECT now(), pid, state, xact_start, state_change, wait_event_type, wait_event, left(query, 200) AS query FROM pg_stat_activity WHERE datname = current_database()) a",
		"SELECT row_to_json(l)::text FROM pg_locks l WHERE NOT granted OR locktype IN ('advisory', 'transactionid')",
	} {
		found, err := conn.Query(ctx, q)
		if err != nil {
			w.Logf("looking at the database: %v", err)
			return
		}
		all, err := pgx.CollectRows(found, pgx.RowTo[string])
		w.Logf("%s (%v):\n%s", q, err, strings.Join(all, "\n"))
	}
}

// declare makes the policy and the bucket by the API.
func (w *world) declare() {
	w.Helper()
	_, err := w.fados[0].call(http.MethodPost, "/fado/policies", map[string]any{"name": "p", "copies": 3, "exclude_zones": []string{"zc4"}})
	w.must(err)
	_, err = w.fados[0].call(http.MethodPost, "/fado/buckets", map[string]any{"name": bucket, "policy": "p", "primary": "c1"})
	w.must(err)
}

// contents describes everything a storage has but marks; nil where there is no bucket.
func (p *place) contents(ctx context.Context) (map[string]string, error) {
	there, err := p.api.BucketExists(ctx, bucket)
	if err != nil || !there {
		return nil, err
	}
	all := make(map[string]string)
	for o := range p.api.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		if strings.HasPrefix(o.Key, marksDir) {
			continue
		}
		if all[o.Key], err = p.object(ctx, o.Key); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// object describes an object; "" if there is none.
func (p *place) object(ctx context.Context, key string) (string, error) {
	r, err := p.api.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := sha256.New()
	_, err = io.Copy(h, r)
	if minio.ToErrorResponse(err).Code == "NoSuchKey" {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	info, err := r.Stat()
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return describe(hex.EncodeToString(h.Sum(nil)), info.UserMetadata["Note"]), nil
}

// same reports whether a place has what it should.
func (p *place) same(got, want string) bool {
	if p.loose {
		got, _, _ = strings.Cut(got, " ")
		want, _, _ = strings.Cut(want, " ")
	}
	return got == want
}
