package control_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testenv.Main(m)) }

// world is a Control over a store in a temporary directory, with some zones,
// clusters and policies made through it.
type world struct {
	*control.Control
	store state.Store
	path  string
	logs  *observer.ObservedLogs
}

func open(t testing.TB, path string) *world {
	t.Helper()
	ctx := context.Background()
	store, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	c, err := control.New(control.Options{Store: store, Node: "n1", Log: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	w := &world{Control: c, store: store, path: path, logs: logs}
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	w.Close()
	_ = w.store.Close()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := open(t, filepath.Join(t.TempDir(), "fado.db"))
	if _, err := w.Attach(context.Background(), control.Config{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []catalog.Resource{
		&catalog.Zone{Name: "eu"}, &catalog.Zone{Name: "us"},
		cluster("c1", "eu"), cluster("c2", "eu"), cluster("c3", "us"),
		&catalog.Policy{Name: "eu-two", Copies: catalog.Copies{N: 2}, Zones: []string{"eu"}},
	} {
		w.create(t, r)
	}
	return w
}

func cluster(name, zone string) *catalog.Cluster {
	return &catalog.Cluster{
		Name: name, Zones: []string{zone},
		Storage:   &catalog.Storage{Endpoint: "http://" + name + ".example:9000", AccessKey: "ak", SecretKey: "top-secret-" + name},
		Functions: []catalog.Function{{URL: "http://fn-" + name + ".example"}},
	}
}

func (w *world) create(t testing.TB, r catalog.Resource) control.Item {
	t.Helper()
	it, err := w.Resources.Create(context.Background(), r)
	if err != nil {
		t.Fatalf("creating %s %s: %v", r.ResourceKind(), r.ResourceName(), err)
	}
	return it
}

func names(items []control.Item) (ns []string) {
	for _, it := range items {
		ns = append(ns, it.Resource.ResourceName()+":"+string(it.Origin))
	}
	return ns
}

func TestAChangeIsRoutedByWhenItIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two"})
	if w.Router().Snapshot().Bucket("reports") == nil {
		t.Fatal("the bucket was answered and is not in the snapshot")
	}
	if w.Router().Snapshot().AllowsPolicy("eu-two", "c3") {
		t.Fatal("c3 is in us")
	}
	_, err := w.Resources.Modify(t.Context(), catalog.KindPolicy, "eu-two", control.Precondition{}, func(now catalog.Resource) (catalog.Resource, error) {
		now.(*catalog.Policy).Zones = []string{"us"}
		return now, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := w.Router().Snapshot(); !s.AllowsPolicy("eu-two", "c3") || s.AllowsPolicy("eu-two", "c1") {
		t.Fatal("the policy's change is not in the snapshot")
	}
}

func TestHooksRunBeforeTheAnswerWithTheChangeInForce(t *testing.T) {
	w := newWorld(t)
	var saw []bool
	w.Hooks.BeforeAnswer(func(context.Context) { saw = append(saw, w.Router().Snapshot().Bucket("b-hook") != nil) })
	w.create(t, &catalog.Bucket{Name: "b-hook"})
	if err := w.Resources.Delete(t.Context(), catalog.KindBucket, "b-hook", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(saw, []bool{true, false}) {
		t.Fatalf("hooks saw the bucket: %v, want true when created, false when deleted", saw)
	}
}

func TestEntityTagsMoveOnlyWithContent(t *testing.T) {
	w := newWorld(t)
	first := w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two"})
	same, created, err := w.Resources.Replace(t.Context(), &catalog.Bucket{Name: "reports", Policy: "eu-two"}, control.Precondition{}, nil)
	if err != nil || created || same.ETag != first.ETag {
		t.Fatalf("an equal PUT: created %t, ETag %s, was %s, err %v", created, same.ETag, first.ETag, err)
	}
	other, _, err := w.Resources.Replace(t.Context(), &catalog.Bucket{Name: "reports"}, control.Precondition{IfMatch: []string{first.ETag}}, nil)
	if err != nil || other.ETag == first.ETag {
		t.Fatalf("a different PUT: ETag %s, was %s, err %v", other.ETag, first.ETag, err)
	}
	got, err := w.Resources.Get(t.Context(), catalog.KindBucket, "reports")
	if err != nil || got.ETag != other.ETag {
		t.Fatalf("GET has ETag %s, the PUT had %s, err %v", got.ETag, other.ETag, err)
	}
	_, _, err = w.Resources.Replace(t.Context(), &catalog.Bucket{Name: "reports", Policy: "eu-two"}, control.Precondition{IfMatch: []string{first.ETag}}, nil)
	if !errors.Is(err, control.ErrPrecondition) {
		t.Fatalf("an outdated If-Match: %v", err)
	}
	if _, err := w.Resources.Create(t.Context(), &catalog.Bucket{Name: "reports"}); !errors.Is(err, control.ErrExists) {
		t.Fatalf("creating what exists: %v", err)
	}
}

func TestRemovalOfWhatIsReferredToIsRefused(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two", Primary: "c1"})
	for _, c := range []struct {
		kind catalog.Kind
		name string
		by   string
	}{
		{catalog.KindZone, "eu", "cluster c1"},
		{catalog.KindPolicy, "eu-two", "bucket reports"},
		{catalog.KindCluster, "c1", "bucket reports"},
	} {
		err := w.Resources.Delete(t.Context(), c.kind, c.name, control.Precondition{})
		var inUse *control.InUseError
		if !errors.As(err, &inUse) || !strings.Contains(err.Error(), c.by) {
			t.Errorf("deleting %s %s: %v, want it to name %s", c.kind, c.name, err, c.by)
		}
	}
}

// The built-in default policy can be replaced, and comes back when that is removed.
func TestTheBuiltinPolicyComesBack(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Policy{Name: catalog.DefaultPolicyName, Zones: []string{"us"}})
	w.create(t, &catalog.Bucket{Name: "reports"})
	if w.Router().Snapshot().AllowsPolicy(catalog.DefaultPolicyName, "c1") {
		t.Fatal("the policy made is not in force")
	}
	if err := w.Resources.Delete(t.Context(), catalog.KindPolicy, catalog.DefaultPolicyName, control.Precondition{}); err != nil {
		t.Fatalf("deleting it: %v", err)
	}
	if !w.Router().Snapshot().AllowsPolicy(catalog.DefaultPolicyName, "c1") {
		t.Fatal("the built-in policy is not back")
	}
}

func TestAClusterThatHoldsCopiesIsNotRemoved(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two"})
	w.setCopies(t, "reports", state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySyncing}})
	var inUse *control.InUseError
	if err := w.Resources.Delete(t.Context(), catalog.KindCluster, "c2", control.Precondition{}); !errors.As(err, &inUse) {
		t.Fatalf("deleting a cluster that holds copies: %v", err)
	}
	w.setCopies(t, "reports", state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopyWaiting}})
	if err := w.Resources.Delete(t.Context(), catalog.KindCluster, "c2", control.Precondition{}); err != nil {
		t.Fatalf("deleting a cluster in which nothing was begun: %v", err)
	}
}

func TestAClusterThatHoldsCopiesKeepsItsStorage(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two"})
	w.setCopies(t, "reports", state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}})
	without := cluster("c2", "eu")
	without.Storage = nil
	var inUse *control.InUseError
	if _, _, err := w.Resources.Replace(t.Context(), without, control.Precondition{}, nil); !errors.As(err, &inUse) || !strings.Contains(err.Error(), "bucket reports") {
		t.Fatalf("taking the storage away: %v", err)
	}
	if cl := w.Router().Snapshot().Cluster("c2"); cl.Storage == nil {
		t.Fatal("a refused change is in force")
	}
	w.setCopies(t, "reports")
	if _, _, err := w.Resources.Replace(t.Context(), without, control.Precondition{}, nil); err != nil {
		t.Fatalf("without copies: %v", err)
	}
}

func TestAPolicyCannotForbidADeclaredPrimary(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two", Primary: "c1"})
	_, _, err := w.Resources.Replace(t.Context(), &catalog.Policy{Name: "eu-two", Zones: []string{"us"}}, control.Precondition{}, nil)
	var inUse *control.InUseError
	if !errors.As(err, &inUse) || !strings.Contains(err.Error(), "bucket reports") {
		t.Fatalf("a policy that forbids the primary: %v", err)
	}
	moved := cluster("c1", "us")
	if _, _, err := w.Resources.Replace(t.Context(), moved, control.Precondition{}, nil); !errors.As(err, &inUse) {
		t.Fatalf("a cluster that leaves the zones its bucket's policy allows: %v", err)
	}
	if w.Router().Snapshot().AllowsPolicy("eu-two", "c3") {
		t.Fatal("a refused change is in force")
	}
}

func TestTheConfigurationWinsAndGoesBack(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Zone{Name: "shared"})
	ctx := t.Context()
	first, err := w.Attach(ctx, control.Config{Zones: []*catalog.Zone{{Name: "shared", Labels: map[string]string{"by": "config"}}, {Name: "only"}}})
	if err != nil {
		t.Fatal(err)
	}
	items, err := w.Resources.List(ctx, catalog.KindZone, "", 0)
	if want := []string{"eu:api", "only:config", "shared:config", "us:api"}; err != nil || !slices.Equal(names(items), want) {
		t.Fatalf("zones %v, want %v, err %v", names(items), want, err)
	}
	if w.logs.FilterMessageSnippet("the configuration wins").Len() != 1 {
		t.Error("a name in both should give one warning")
	}
	if err := w.Resources.Delete(ctx, catalog.KindZone, "shared", control.Precondition{}); !errors.Is(err, control.ErrConfigOwned) {
		t.Errorf("deleting a config-owned zone: %v", err)
	}
	page, err := w.Resources.List(ctx, catalog.KindZone, "eu", 2)
	if want := []string{"only:config", "shared:config"}; err != nil || !slices.Equal(names(page), want) {
		t.Errorf("a page after eu: %v, want %v, err %v", names(page), want, err)
	}
	second, err := w.Attach(ctx, control.Config{Zones: []*catalog.Zone{{Name: "second"}}})
	if err != nil {
		t.Fatal(err)
	}
	if s := w.Router().Snapshot(); s.Zone("only") != nil || s.Zone("second") == nil || s.Zone("shared").Labels != nil {
		t.Error("the second configuration is not in force")
	}
	second.Detach() // as a reload that failed would
	second.Detach()
	if s := w.Router().Snapshot(); s.Zone("only") == nil || s.Zone("second") != nil || s.Zone("shared").Labels["by"] != "config" {
		t.Error("the first configuration did not come back")
	}
	first.Detach()
}

func TestAConfigurationNamesEveryViolation(t *testing.T) {
	err := control.ValidateConfig(control.Config{
		DefaultPolicy: "nowhere",
		Zones:         []*catalog.Zone{{Name: "eu"}, {Name: "eu"}},
		Clusters:      []*catalog.Cluster{{Name: "C!", Zones: []string{"mars"}}},
		Policies:      []*catalog.Policy{{Name: "p", Balance: catalog.RawObject(`{"policy":"nonsense"}`)}},
	}, func(catalog.RawObject) error { return errors.New("no such selection policy") })
	if _, ok := errors.AsType[*catalog.ValidationError](err); !ok {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"nowhere", "declared once", "C!", "mars", "no such selection policy"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestAStorageSharedWithAnAPIMadeClusterIsRefused(t *testing.T) {
	w := newWorld(t)
	shared := cluster("c9", "eu-config")
	shared.Storage.Endpoint = "http://c1.example:9000"
	_, err := w.Attach(t.Context(), control.Config{Zones: []*catalog.Zone{{Name: "eu-config"}}, Clusters: []*catalog.Cluster{shared}})
	if err == nil || !strings.Contains(err.Error(), "cluster c9") || !strings.Contains(err.Error(), "c1") {
		t.Fatalf("got %v", err)
	}
	if w.Router().Snapshot().Cluster("c9") != nil {
		t.Fatal("a refused configuration is in force")
	}
}

func (w *world) setCopies(t testing.TB, bucket string, rows ...state.Copy) {
	t.Helper()
	err := w.Copies.Update(context.Background(), bucket, func([]state.Copy) ([]state.Copy, error) { return rows, nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestARestartFindsEverything(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two", Prefixes: []catalog.PrefixRule{{Prefix: "eu/", Policy: "eu-two"}}})
	w.setCopies(t, "reports",
		state.Copy{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}},
		state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySyncing, Cursor: "m"}})
	if err := w.Pending.Add(t.Context(), state.Pending{Bucket: "reports", Key: "a b+%/ü", Cluster: "c2"}); err != nil {
		t.Fatal(err)
	}
	before := w.Router().Snapshot()
	w.close()

	again := open(t, w.path)
	if _, err := again.Attach(t.Context(), control.Config{}); err != nil {
		t.Fatal(err)
	}
	after := again.Router().Snapshot()
	if got, want := after.Of("reports").Copies(), before.Of("reports").Copies(); !slices.Equal(got, want) {
		t.Errorf("copies %v, were %v", got, want)
	}
	if got, want := fmt.Sprint(after.Of("reports").Rules()), fmt.Sprint(before.Of("reports").Rules()); got != want {
		t.Errorf("rules %s, were %s", got, want)
	}
	if !again.Router().Pending.Has("reports", "a b+%/ü", "c2") {
		t.Error("the pending object is no exception any more")
	}
	it, err := again.Resources.Get(t.Context(), catalog.KindCluster, "c1")
	if err != nil || it.Resource.(*catalog.Cluster).Storage.SecretKey != "top-secret-c1" {
		t.Errorf("cluster c1 came back as %+v, %v", it.Resource, err)
	}
}

func TestProgressOfAChangedCopyIsLeftOut(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "reports"})
	row := state.Copy{Bucket: "reports", Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySyncing, Cursor: "k"}}
	w.setCopies(t, "reports", row)
	row.Cursor = "m"
	if err := w.Copies.SaveProgress(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if got := w.Router().Snapshot().Of("reports").Copies()[0].Cursor; got != "m" {
		t.Fatalf("cursor %q, want m", got)
	}
	leaving := row
	leaving.State = catalog.CopyDraining
	w.setCopies(t, "reports", leaving)
	row.Cursor = "z"
	if err := w.Copies.SaveProgress(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	stored, err := w.store.Catalogue().CopiesOf(t.Context(), "reports")
	if err != nil || stored[0].State != catalog.CopyDraining || w.Router().Snapshot().Of("reports").Copies()[0].State != catalog.CopyDraining {
		t.Fatalf("a copy that leaves was brought back: %v, %v", stored, err)
	}
}

// A row that is finished and noticed again at the same time is an exception whenever
// the store has it: the index never lets go of a row that is there.
func TestPendingRowsAndExceptionsNeverDriftApart(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "hot"})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				if err := w.Pending.Add(ctx, state.Pending{Bucket: "hot", Key: fmt.Sprint("k", (i+g)%7), Cluster: "c2"}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 100 {
				rows, err := w.Pending.ClaimIn(ctx, "c2", 8, time.Minute)
				if err != nil {
					t.Error(err)
				}
				for _, r := range rows {
					if err := w.Pending.Finish(ctx, state.PendingKey{Bucket: r.Bucket, Key: r.Key, Cluster: r.Cluster, Gen: r.Gen}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	rows, err := w.store.Queue().ListPending(ctx, state.PendingFilter{}, state.PendingKey{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !w.Router().Pending.Has(r.Bucket, r.Key, r.Cluster) {
			t.Errorf("%s is stored as pending and is no exception", r.Key)
		}
	}
	if got := w.Router().Pending.Len(); got != len(rows) {
		t.Errorf("%d exceptions, %d stored rows", got, len(rows))
	}
}

func TestBucketStatusSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Policy{Name: "five", Copies: catalog.Copies{N: 5}})
	w.create(t, &catalog.Bucket{Name: "short", Policy: "five"})
	st, err := w.Status.Bucket(t.Context(), "short")
	if err != nil || st.State != control.BucketStuck || !strings.Contains(st.Reason, "5 copies") || st.Reasons[0].Code != control.ReasonTooFew {
		t.Fatalf("too few clusters: %+v, %v", st, err)
	}
	w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two"})
	w.setCopies(t, "reports",
		state.Copy{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}},
		state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}})
	if st, _ = w.Status.Bucket(t.Context(), "reports"); st.State != control.BucketOK || st.Primary != "c1" || st.Copies[0].Role != "primary" {
		t.Fatalf("all in place: %+v", st)
	}
	if err := w.Pending.Add(t.Context(), state.Pending{Bucket: "reports", Key: "k", Cluster: "c2", Size: 7}); err != nil {
		t.Fatal(err)
	}
	if st, _ = w.Status.Bucket(t.Context(), "reports"); st.State != control.BucketSyncing || st.Copies[1].Pending.Objects != 1 || st.Copies[1].Pending.Bytes != 7 {
		t.Fatalf("one object pending: %+v", st)
	}
	planner := control.Source{Finder: control.FinderPlanner}
	w.Issues.Set("reports", planner, control.Issue{Reason: "the primary's bucket has gone"})
	if st, _ = w.Status.Bucket(t.Context(), "reports"); st.State != control.BucketStuck || st.Reason != "the primary's bucket has gone" {
		t.Fatalf("an issue: %+v", st)
	}
	if st, _ = w.Status.Bucket(t.Context(), "short"); strings.Count(st.Reason, "5 copies") != 1 {
		t.Fatalf("too few clusters: %+v", st)
	}
	w.Issues.Set("short", planner, control.Issue{Reason: "the primary has to move; " + st.Reason, Short: []string{st.Reason}})
	if st, _ = w.Status.Bucket(t.Context(), "short"); strings.Count(st.Reason, "5 copies") != 1 {
		t.Fatalf("a reason is given twice: %+v", st)
	}
	w.Issues.Set("reports", planner, control.Issue{})
	if st, _ = w.Status.Bucket(t.Context(), "reports"); st.State != control.BucketSyncing {
		t.Fatalf("the issue is over: %+v", st)
	}
	if _, err := w.Status.Bucket(t.Context(), "nope"); !errors.Is(err, control.ErrNotFound) {
		t.Fatalf("an unknown bucket: %v", err)
	}
}

// A bucket is not ok before the copies that it is to have are on record: neither one that is new, nor one
// whose policy or rules ask for more; and not in the sums of all buckets either.
func TestBucketIsNotOKBeforeItIsPlanned(t *testing.T) {
	w := newWorld(t)
	w.Usage.Ask(true)
	for _, c := range []string{"c1", "c2", "c3"} {
		w.Usage.Answered(c, w.Router().Snapshot().Cluster(c).Storage.Address())
	}
	want := func(when, state string) {
		t.Helper()
		st, err := w.Status.Bucket(t.Context(), "reports")
		if err != nil || st.State != state || (st.Reason == "") != (state == control.BucketOK) {
			t.Errorf("%s: %s, %q, %v; want %s", when, st.State, st.Reason, err, state)
		}
	}
	w.create(t, &catalog.Bucket{Name: "reports", Policy: "eu-two", Primary: "c1"})
	want("it is new", control.BucketSyncing)
	if sums, err := w.Status.Tally(t.Context()); err != nil || sums.States[control.BucketSyncing] != 1 {
		t.Errorf("it is new: the sums are %v, %v", sums.States, err)
	}
	primary := state.Copy{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}}
	w.setCopies(t, "reports", primary)
	want("its primary alone is placed", control.BucketSyncing)
	w.Usage.Ask(false)
	want("this instance looks after nothing", control.BucketOK)
	w.Usage.Ask(true)
	w.setCopies(t, "reports", primary, state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}})
	want("it is planned", control.BucketOK)
	ruled := &catalog.Bucket{Name: "reports", Policy: "eu-two", Primary: "c1", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "eu-two"}}}
	if _, _, err := w.Resources.Replace(t.Context(), ruled, control.Precondition{}, nil); err != nil {
		t.Fatal(err)
	}
	want("a rule has come", control.BucketSyncing)
}

// A bucket that was undeclared for a while is not trusted to be in step.
func TestCopiesOfAForgottenBucketAreComparedAgain(t *testing.T) {
	w := newWorld(t)
	with := control.Config{Buckets: []*catalog.Bucket{{Name: "declared"}}}
	first, err := w.Attach(t.Context(), with)
	if err != nil {
		t.Fatal(err)
	}
	w.setCopies(t, "declared",
		state.Copy{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}},
		state.Copy{Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced}})
	second, err := w.Attach(t.Context(), control.Config{})
	if err != nil {
		t.Fatal(err)
	}
	first.Detach()
	if _, err := w.Attach(t.Context(), with); err != nil {
		t.Fatal(err)
	}
	second.Detach()
	got := w.Router().Snapshot().Of("declared").Copies()
	if len(got) != 2 || !got[0].Primary || got[1].State != catalog.CopyWaiting {
		t.Fatalf("copies %+v: want the primary kept and the copy waiting", got)
	}
}
