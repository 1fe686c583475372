package control_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
)

// instance is a Control of one of several instances on one PostgreSQL.
type instance struct {
	*control.Control
	store *postgres.Store
}

// lease is short in tests, and long enough for a busy machine.
const lease = 3 * time.Second

// openPostgres opens a store that does not take a busy machine for a fault.
func openPostgres(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	return openWith(t, postgres.Options{DSN: dsn, ConnectTimeout: time.Minute, StatementTimeout: time.Minute})
}

func openWith(t testing.TB, o postgres.Options) *postgres.Store {
	t.Helper()
	o.Key, o.Lease, o.MaxConns = []byte("a passphrase of the tests"), lease, 8
	s, err := postgres.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func join(t testing.TB, dsn string) *instance {
	t.Helper()
	return joinOn(t, openPostgres(t, dsn))
}

// joinBy is join by a link that fails, which is noticed after the usual times.
func joinBy(t testing.TB, link string) *instance {
	t.Helper()
	return joinOn(t, openWith(t, postgres.Options{DSN: link}))
}

func joinOn(t testing.TB, s *postgres.Store) *instance {
	t.Helper()
	i := &instance{store: s}
	var err error
	if i.Control, err = control.New(control.Options{Store: i.store, Node: "same"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	if err := i.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Attach(context.Background(), control.Config{}); err != nil {
		t.Fatal(err)
	}
	return i
}

// through returns the connection string with a proxy in between.
func through(t testing.TB, dsn string) (string, *testenv.Proxy) {
	t.Helper()
	at := strings.LastIndex(dsn, "@") + 1
	host := dsn[at : at+strings.Index(dsn[at:], "/")]
	p, err := testenv.NewProxy(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return strings.Replace(dsn, host, p.Addr(), 1), p
}

func (i *instance) must(t testing.TB, rs ...catalog.Resource) {
	t.Helper()
	for _, r := range rs {
		if _, _, err := i.Resources.Replace(context.Background(), r, control.Precondition{}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// seed declares two clusters, a policy over both and a bucket.
func (i *instance) seed(t testing.TB) {
	t.Helper()
	for _, c := range []string{"c1", "c2"} {
		i.must(t, &catalog.Zone{Name: c}, &catalog.Cluster{Name: c, Zones: []string{c}, Storage: &catalog.Storage{Endpoint: "http://" + c + ".test"}})
	}
	i.must(t, &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}}, &catalog.Bucket{Name: "bkt", Policy: "p", Primary: "c1"})
	err := i.Copies.Update(context.Background(), "bkt", func([]state.Copy) ([]state.Copy, error) {
		return []state.Copy{
			{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}},
			{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}},
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for until := time.Now().Add(3 * time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

// A change that was answered is in force on every instance; what one instance does to
// copies soon is, too.
func TestInstancesFollow(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	a, b := join(t, dsn), join(t, dsn)
	if a.Members.Claimant() == b.Members.Claimant() {
		t.Fatal("two instances of one name claim in the same name")
	}
	a.seed(t)
	if b.Router().Snapshot().Bucket("bkt") == nil {
		t.Fatal("the answer came before the other instance knew the bucket")
	}
	eventually(t, "copies", func() bool { return len(b.Router().Snapshot().Of("bkt").Copies()) == 2 })
	c := join(t, dsn) // one that comes later knows all from its start
	if c.Router().Snapshot().Of("bkt").Primary() != "c1" {
		t.Fatal("an instance that starts does not know what is there")
	}
	if err := b.Resources.Delete(context.Background(), catalog.KindBucket, "bkt", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	for _, i := range []*instance{a, c} {
		if i.Router().Snapshot().Bucket("bkt") != nil {
			t.Fatal("the answer to a removal came before the others routed by it")
		}
	}
	b.must(t, &catalog.Bucket{Name: "bkt", Policy: "p"})
	if n := len(a.Router().Snapshot().Of("bkt").Copies()); n != 0 {
		t.Fatalf("a bucket that was made again has %d copies of the one before", n)
	}
}

// The hooks that end what a change forbids have run everywhere before it is answered.
func TestOthersEndWhatIsForbidden(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	a, b := join(t, dsn), join(t, dsn)
	a.seed(t)
	var allowed atomic.Bool
	allowed.Store(true)
	b.Hooks.BeforeAnswer(func(context.Context) {
		time.Sleep(50 * time.Millisecond) // writes take their time to end
		allowed.Store(b.Router().Snapshot().Of("bkt").Allows("k", "c2"))
	})
	a.must(t, &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	if allowed.Load() {
		t.Fatal("the answer came before the other instance had ended what it forbids")
	}
}

// What an instance knew before it acknowledged it is honoured by all, however slow their
// notifications are.
func TestFreshnessIsExactAcrossInstances(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	a := join(t, dsn)
	a.seed(t)
	slow, proxy := through(t, dsn)
	b := joinBy(t, slow)
	proxy.Delay(testenv.Down, 60*time.Millisecond)
	for n := range 5 {
		key := fmt.Sprint("key", n)
		if err := a.Pending.AddEverywhere(context.Background(), state.Pending{Bucket: "bkt", Key: key, Cluster: "c2"}); err != nil {
			t.Fatal(err)
		}
		if !b.Router().Pending.Has("bkt", key, "c2") {
			t.Fatalf("%s was acknowledged and is no exception on the other instance", key)
		}
	}
	proxy.Heal()
	rows, err := b.Pending.ClaimIn(context.Background(), "c2", 10, time.Minute)
	if err != nil || len(rows) != 5 {
		t.Fatalf("claimed %d rows: %v", len(rows), err)
	}
	for _, r := range rows {
		if err := b.Pending.Finish(context.Background(), state.PendingKey{Bucket: r.Bucket, Key: r.Key, Cluster: r.Cluster, Gen: r.Gen}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the end of the exceptions", func() bool { return a.Router().Pending.Len() == 0 && b.Router().Pending.Len() == 0 })
}

// An instance that is cut off delays an answer until its lease has ended, and stops
// writing by then; it goes on routing, says so, and comes back by itself.
func TestCutOffInstance(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	a := join(t, dsn)
	a.seed(t)
	link, proxy := through(t, dsn)
	b := joinBy(t, link)
	proxy.Hang(true)
	if _, _, err := a.Resources.Replace(context.Background(), &catalog.Bucket{Name: "new", Policy: "p"}, control.Precondition{}, nil); err != nil {
		t.Fatal(err)
	}
	if b.Router().Snapshot().Bucket("new") == nil && b.Members.MayWrite() == nil {
		t.Fatal("answered while an instance that does not follow may write")
	}
	if b.Router().Snapshot().Bucket("bkt") == nil {
		t.Fatal("an instance that is cut off does not route any more")
	}
	eventually(t, "degraded", func() bool { return b.Status.StoreTrouble() != nil })
	if _, _, err := b.Resources.Replace(context.Background(), &catalog.Bucket{Name: "other", Policy: "p"}, control.Precondition{}, nil); !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("a change on an instance that is cut off: %v", err)
	}
	proxy.Hang(false)
	eventually(t, "the return", func() bool {
		return b.Status.StoreTrouble() == nil && b.Members.MayWrite() == nil && b.Router().Snapshot().Bucket("new") != nil
	})
	a.must(t, &catalog.Bucket{Name: "after", Policy: "p"})
	if b.Router().Snapshot().Bucket("after") == nil {
		t.Fatal("an instance that came back is not waited for")
	}
}

// Whatever three instances do to the same rows at once, in the end all of them route by
// the rows that there are, and on the way no row is without its exception where it was
// added or acknowledged.
func TestInstancesAgreeOnExceptions(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	all := []*instance{join(t, dsn), join(t, dsn), join(t, dsn)}
	all[0].seed(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	for n, i := range all {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), rand.Uint64()))
			for range 150 {
				if rng.IntN(3) == 0 {
					row := state.Pending{Bucket: "bkt", Key: fmt.Sprint(rng.IntN(8)), Cluster: "c2"}
					if err := i.Pending.Add(ctx, row); err != nil {
						t.Error(err)
					}
					continue
				}
				rows, err := i.Pending.ClaimIn(ctx, "c2", 2, time.Minute)
				if err != nil {
					t.Error(err)
				}
				for _, r := range rows {
					if err := i.Pending.Finish(ctx, state.PendingKey{Bucket: r.Bucket, Key: r.Key, Cluster: r.Cluster, Gen: r.Gen}); err != nil {
						t.Error(err)
					}
				}
			}
		})
		wg.Go(func() { // a key of its own, which nobody finishes
			key := fmt.Sprint("kept by ", n)
			if err := i.Pending.AddEverywhere(ctx, state.Pending{Bucket: "bkt", Key: key, Cluster: "c1", Hold: state.HoldConflict}); err != nil {
				t.Error(err)
			}
			for range 2000 {
				for m, other := range all {
					if !other.Router().Pending.Has("bkt", key, "c1") {
						t.Errorf("%q is no exception on instance %d", key, m)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	rows, err := all[0].store.Queue().ListPending(ctx, state.PendingFilter{}, state.PendingKey{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for n, i := range all {
		eventually(t, fmt.Sprint("instance ", n, " in step"), func() bool {
			for _, r := range rows {
				if !i.Router().Pending.Has(r.Bucket, r.Key, r.Cluster) {
					return false
				}
			}
			return i.Router().Pending.Len() == len(rows)
		})
	}
}

func openMirror(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, Key: []byte("a passphrase of the tests")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mirrored starts an instance with a mirror over a database that may be away.
func mirrored(t testing.TB, dsn, path string, maxAge time.Duration) (*control.Control, error) {
	t.Helper()
	c, err := control.New(control.Options{
		Kind: "postgres", Node: "edge", Mirror: openMirror(t, path), MaxMirrorAge: maxAge, OpenPatience: time.Second,
		Open: func(ctx context.Context) (state.Store, error) {
			return postgres.Open(ctx, postgres.Options{DSN: dsn, Key: []byte("a passphrase of the tests"), Lease: lease, ConnectTimeout: time.Second})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, c.Start(context.Background())
}

// Without the database, an instance starts from what it knew last, routes, refuses
// changes with the reason, and goes on with the database when that comes.
func TestStartWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn, proxy := through(t, testenv.PostgresDatabase(t))
	path := filepath.Join(t.TempDir(), "mirror.db")
	first, err := mirrored(t, dsn, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Attach(ctx, control.Config{}); err != nil {
		t.Fatal(err)
	}
	(&instance{Control: first}).seed(t)
	if err := first.Pending.Add(ctx, state.Pending{Bucket: "bkt", Key: "k", Cluster: "c2"}, state.Pending{Bucket: "bkt", Key: "done", Cluster: "c2"}); err != nil {
		t.Fatal(err)
	}
	rows, err := first.Store().Queue().ListPending(ctx, state.PendingFilter{}, state.PendingKey{}, 1)
	if err != nil || len(rows) != 1 || rows[0].Key != "done" {
		t.Fatalf("%v, %v", rows, err)
	}
	if err := first.Pending.Finish(ctx, state.PendingKey{Bucket: "bkt", Key: "done", Cluster: "c2", Gen: rows[0].Gen}); err != nil {
		t.Fatal(err)
	}
	first.Close()

	if err := proxy.Refuse(true); err != nil {
		t.Fatal(err)
	}
	old, err := mirrored(t, dsn, path, time.Nanosecond)
	if err == nil || !strings.Contains(err.Error(), "max_snapshot_age") {
		t.Fatalf("a start from a mirror that is too old: %v", err)
	}
	old.Close()
	c, err := mirrored(t, dsn, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Attach(ctx, control.Config{}); err != nil {
		t.Fatal(err)
	}
	snap := c.Router().Snapshot()
	if snap.Of("bkt").Primary() != "c1" || len(snap.Of("bkt").Copies()) != 2 {
		t.Fatalf("routing does not know what it knew: primary %q, copies %v", snap.Of("bkt").Primary(), snap.Of("bkt").Copies())
	}
	if !c.Router().Pending.Has("bkt", "k", "c2") || c.Router().Pending.Len() != 1 {
		t.Fatal("the exceptions are not those there were")
	}
	if c.Status.StoreTrouble() == nil || c.Members.MayWrite() == nil || c.Status.SnapshotAge() <= 0 {
		t.Fatalf("trouble %v, may write: %v, age %v", c.Status.StoreTrouble(), c.Members.MayWrite(), c.Status.SnapshotAge())
	}
	if _, err := c.Resources.Create(ctx, &catalog.Bucket{Name: "new", Policy: "p"}); !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("a change without the database: %v", err)
	}
	if items, err := c.Resources.List(ctx, catalog.KindBucket, "", 0); err != nil || len(items) != 1 {
		t.Fatalf("reading without the database: %v, %v", items, err)
	}
	if err := proxy.Refuse(false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the database", func() bool { return c.Status.StoreTrouble() == nil && c.Members.MayWrite() == nil })
	if _, err := c.Resources.Create(ctx, &catalog.Bucket{Name: "new", Policy: "p"}); err != nil {
		t.Fatal(err)
	}
}
