package replication

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/storage"
)

// fleet is a world whose store is a PostgreSQL that several engines share. The world's own
// engine and control are those of the first of them.
type fleet struct {
	*world
	dsn     string
	members []*fleetMember
}

type fleetMember struct {
	name  string
	store *postgres.Store
	ctl   *control.Control
	eng   *Engine
	once  sync.Once
	mu    sync.Mutex
	did   int // objects copied
}

const fleetLease = 3 * time.Second

func newFleet(tb testing.TB, n int, s Settings) *fleet {
	tb.Helper()
	f := &fleet{dsn: testenv.PostgresDatabase(tb), world: &world{
		TB: tb, prefix: fmt.Sprintf("t%d-%d-", os.Getpid(), worlds.Add(1)),
		servers: make(map[string]*testenv.Server), apis: make(map[string]minioClient), fakes: make(map[string]*fakestorage.Storage),
	}}
	for range n {
		f.join(f.dsn, s)
	}
	return f
}

// join starts one more instance.
func (f *fleet) join(dsn string, s Settings) *fleetMember {
	f.Helper()
	m := &fleetMember{name: fmt.Sprint("m", len(f.members))}
	var err error
	o := postgres.Options{DSN: dsn, Key: []byte("a passphrase"), Lease: fleetLease, MaxConns: 8}
	if dsn == f.dsn { // no link that fails: a busy machine is not taken for a fault
		o.ConnectTimeout, o.StatementTimeout = time.Minute, time.Minute
	}
	m.store, err = postgres.Open(context.Background(), o)
	f.must(err)
	m.ctl, err = control.New(control.Options{Store: m.store, Node: "same", Log: f.log(m.name)})
	f.must(err)
	f.Cleanup(m.leave)
	m.ctl.Start(context.Background())
	_, err = m.ctl.Attach(context.Background(), control.Config{})
	f.must(err)
	tune := fastTuning()
	tune.ShardEvery = 300 * time.Millisecond
	m.eng = New(Options{Control: m.ctl, Log: f.log(m.name), Open: f.openStorage, Tune: tune, Copy: m.copy})
	m.eng.Start(s)
	if f.ctl == nil {
		f.ctl, f.eng, f.store = m.ctl, m.eng, m.ctl.Store()
	}
	f.members = append(f.members, m)
	return m
}

// through returns the connection string with a proxy in between.
func (f *fleet) through() (string, *testenv.Proxy) {
	f.Helper()
	at := strings.LastIndex(f.dsn, "@") + 1
	host := f.dsn[at : at+strings.Index(f.dsn[at:], "/")]
	proxy, err := testenv.NewProxy(host)
	f.must(err)
	f.Cleanup(proxy.Close)
	return strings.Replace(f.dsn, host, proxy.Addr(), 1), proxy
}

func (m *fleetMember) leave() {
	m.once.Do(func() {
		if m.eng != nil {
			m.eng.Stop()
		}
		m.ctl.Close()
		_ = m.store.Close()
	})
}

// copy copies by real or by fake storages, and counts.
func (m *fleetMember) copy(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
	do := CopyFunc(storage.Copy)
	if fakestorage.Is(dst) {
		do = fakestorage.Copy
	}
	got, err := do(ctx, src, dst, bucket, o, opts)
	if err == nil {
		m.mu.Lock()
		m.did++
		m.mu.Unlock()
	}
	return got, err
}

func (m *fleetMember) copies() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.did
}

func (m *fleetMember) parts() int { return m.eng.run.Load().peers.Shards.Count() }

// awaitDealt waits until the parts of the work are dealt evenly over some members.
func (f *fleet) awaitDealt(members ...*fleetMember) {
	f.Helper()
	f.await(fmt.Sprintf("%d parts over %d instances", peers.ShardCount, len(members)), func() bool {
		sum, fair := 0, (peers.ShardCount+len(members)-1)/len(members)
		for _, m := range members {
			n := m.parts()
			if n > fair || n == 0 {
				return false
			}
			sum += n
		}
		return sum == peers.ShardCount
	})
}

// The parts of the work are dealt evenly, and again when an instance comes, leaves, or is
// cut off from the database; what an instance did not get done another one does.
func TestWorkIsShared(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, Settings{Workers: 8})
	a, b := f.members[0], f.members[1]
	src := f.fake("c1")
	f.fake("c2")
	f.policy("p", 2)
	f.awaitDealt(a, b)
	c := f.join(f.dsn, Settings{Workers: 8})
	f.awaitDealt(a, b, c)
	for i := range 12 {
		name := fmt.Sprint("bkt", i)
		f.bucket(name, "p", "c1")
		f.await("the bucket", func() bool { return src.Contents(name) != nil })
		for k := range 40 {
			src.User(name, fmt.Sprintf("k%02d", k), name)
		}
	}
	for i := range 12 {
		f.awaitSame(fmt.Sprint("bkt", i), "c1", "c2")
	}
	for _, m := range f.members {
		if m.copies() == 0 {
			t.Errorf("%s copied nothing", m.name)
		}
	}
	c.leave()
	f.awaitDealt(a, b)
	for i := range 12 {
		src.User(fmt.Sprint("bkt", i), "late", "late")
	}
	for i := range 12 {
		f.awaitSame(fmt.Sprint("bkt", i), "c1", "c2")
	}
	f.await("every instance saying so", func() bool {
		for _, m := range []*fleetMember{a, b} {
			st, err := m.ctl.Status.Bucket(context.Background(), "bkt3")
			if err != nil || st.State != control.BucketOK {
				return false
			}
		}
		return true
	})
}

// A storage is listened to by one instance at a time, and by another soon after that one
// is gone.
func TestOneInstanceListens(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, Settings{Workers: 4})
	srcServer, dstServer := minioA.Server(t), minioB.Server(t)
	f.cluster("c1", srcServer)
	f.cluster("c2", dstServer)
	f.policy("p", 2)
	f.makeBucket("c1", "bkt")
	f.bucket("bkt", "p", "c1")
	ears := func() (listening []*fleetMember) {
		for _, m := range f.members {
			if s := m.eng.core.sites.Get("c1"); s != nil && s.Feed.Own.Load() {
				listening = append(listening, m)
			}
		}
		return listening
	}
	f.await("one listener, known to both", func() bool {
		for _, m := range f.members {
			if m.eng.Reports().Storage("c1").Feed != "listening" {
				return false
			}
		}
		return len(ears()) == 1
	})
	f.awaitOK("bkt", "c1", "c2")
	f.put("c1", "bkt", "one", "1")
	f.awaitSame("bkt", "c1", "c2")
	first := ears()[0]
	other := f.members[0]
	if other == first {
		other = f.members[1]
	}
	first.leave()
	f.put("c1", "bkt", "between", "2") // nobody listens
	f.await("what happened between two listeners", func() bool {
		v, ok := f.get("c2", "bkt", "between")
		return ok && v == "2"
	})
	f.await("another listener", func() bool { return other.eng.Reports().Storage("c1").Feed == "listening" })
	f.put("c1", "bkt", "after", "3")
	f.awaitSame("bkt", "c1", "c2")
}

// An instance whose link to the database hangs writes nothing once its lease has ended,
// not even what it was in the middle of; another one does its work.
func TestCutOffInstanceWritesNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, Settings{Workers: 4})
	dsn, proxy := f.through()
	cut := f.join(dsn, Settings{Workers: 4})
	f.must(cut.ctl.Members.MayWrite())
	proxy.Hang(true)
	f.await("the end of the lease", func() bool { return cut.ctl.Members.MayWrite() != nil })
	op := guard.Op{Object: ids.ObjectIn("bkt", "k", "c1"), Allowed: guard.Always}
	err := cut.eng.core.guard.Do(context.Background(), op, func(context.Context, *guard.Pass) error { return nil })
	if !errors.Is(err, control.ErrCutOff) {
		t.Fatalf("a write without a lease ends with %v, want %v", err, control.ErrCutOff)
	}
	f.awaitDealt(f.members[0])
	proxy.Hang(false)
	f.await("a new lease", func() bool { return cut.ctl.Members.MayWrite() == nil })
	f.awaitDealt(f.members...)
}

// An operation under way is fenced where its bytes leave: the body of a request ends, and
// no request goes out, once the lease is over.
func TestFenceEndsWrites(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, Settings{Workers: 4})
	src, dst := minioA.Server(t), minioB.Server(t)
	f.cluster("c1", src)
	f.cluster("c2", dst)
	f.makeBucket("c1", "bkt")
	f.makeBucket("c2", "bkt")
	f.put("c1", "bkt", "small", "small")
	f.put("c1", "bkt", "large", strings.Repeat("large", 1<<20))
	m := f.members[0]
	f.await("storages", func() bool { return m.eng.core.sites.Get("c1").Up() && m.eng.core.sites.Get("c2").Up() })
	for _, key := range []string{"small", "large"} {
		o, err := m.eng.core.sites.Get("c1").Reader().Stat(context.Background(), "bkt", key)
		f.must(err)
		// Stopped right before the first request that writes, woken up after the lease.
		asked := 0
		ctx := storage.WithFence(context.Background(), func() error {
			if asked++; asked > 1 {
				return control.ErrCutOff
			}
			return nil
		})
		op := guard.Op{Object: ids.ObjectIn("bkt", key, "c2"), Allowed: guard.Always}
		err = m.eng.core.guard.Do(context.Background(), op, func(_ context.Context, p *guard.Pass) error {
			w, err := p.Writer(m.eng.core.sites.Get("c2"))
			f.must(err)
			_, err = storage.Copy(ctx, m.eng.core.sites.Get("c1").Reader(), w, "bkt", o, storage.CopyOptions{If: storage.Condition{Absent: true}})
			return err
		})
		if err == nil {
			t.Fatalf("%s was written behind the fence", key)
		}
		if _, there := f.get("c2", "bkt", key); there {
			t.Fatalf("%s is there though the fence was closed", key)
		}
	}
}

// stopChild is the process that TestStoppedProcess stops: an instance that tells before
// it copies and waits for a word.
func stopChild() {
	s := strings.Split(os.Getenv("FADO_STOP_CHILD"), " ")
	ctx := context.Background()
	store, err := postgres.Open(ctx, postgres.Options{DSN: s[0], Key: []byte("a passphrase"), Lease: fleetLease, ConnectTimeout: time.Minute, StatementTimeout: time.Minute})
	if err != nil {
		panic(err)
	}
	ctl, err := control.New(control.Options{Store: store, Node: "same"})
	if err != nil {
		panic(err)
	}
	if err := ctl.Start(ctx); err != nil {
		panic(err)
	}
	if _, err := ctl.Attach(ctx, control.Config{}); err != nil {
		panic(err)
	}
	words := bufio.NewReader(os.Stdin)
	var once sync.Once
	eng := New(Options{
		Control: ctl, Tune: fastTuning(),
		Open: func(cluster string, d *catalog.Storage) (storage.Storage, error) {
			return storage.Open(storage.Config{
				Name: cluster, Endpoint: d.Endpoint, AccessKey: d.AccessKey, SecretKey: d.SecretKey, BucketPrefix: d.BucketPrefix,
			})
		},
		Copy: func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (got storage.Object, err error) {
			first := false
			once.Do(func() { first = true })
			if first {
				fmt.Println("copying")
				_, _ = words.ReadString('\n')
				ctx = context.WithoutCancel(ctx) // what someone would have to be awake to cancel does not count
			}
			got, err = storage.Copy(ctx, src, dst, bucket, o, opts)
			if first {
				fmt.Printf("outcome: %v\n", err)
			}
			return got, err
		},
	})
	eng.Start(Settings{Workers: 4})
	fmt.Println("running")
	select {}
}

// A process that is stopped right before it writes, and wakes up when its lease has long
// ended and another instance did its work, does not write.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, Settings{Disabled: true})
	f.cluster("c1", minioA.Server(t))
	f.cluster("c2", minioB.Server(t))
	f.policy("p", 2)
	f.makeBucket("c1", "bkt")
	f.put("c1", "bkt", "k", "first")

	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "FADO_STOP_CHILD="+f.dsn)
	in, err := cmd.StdinPipe()
	f.must(err)
	out, err := cmd.StdoutPipe()
	f.must(err)
	cmd.Stderr = os.Stderr
	cmd.Start()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	said := make(chan string, 16)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	hear := func(prefix string) string {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case line, ok := <-said:
				if !ok {
					t.Fatalf("the child ended before it said %q", prefix)
				}
				if strings.HasPrefix(line, prefix) {
					return line
				}
			case <-deadline:
				t.Fatalf("the child did not say %q", prefix)
			}
		}
	}
	hear("running")
	f.bucket("bkt", "p", "c1")
	hear("copying")
	f.must(cmd.Process.Signal(syscall.SIGSTOP))
	_, err = in.Write([]byte("\n"))
	f.must(err)
	heir := f.join(f.dsn, Settings{Workers: 4})
	f.awaitDealt(heir) // the lease of the stopped one has ended
	f.put("c1", "bkt", "k", "second")
	f.await("the work done by another instance", func() bool {
		v, _ := f.get("c2", "bkt", "k")
		return v == "second"
	})
	f.must(cmd.Process.Signal(syscall.SIGCONT))
	if line := hear("outcome: "); line == "outcome: <nil>" {
		t.Error("the process that woke up wrote")
	}
	if v, _ := f.get("c2", "bkt", "k"); v != "second" {
		t.Errorf("c2 has %q", v)
	}
}
