package control_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

func attach(t testing.TB, c *control.Control, cfg control.Config) *control.Attachment {
	t.Helper()
	a, err := c.Attach(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Routing is ready once there is a store and a configuration, and stays as it was when the
// last configuration ends.
func TestReady(t *testing.T) {
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := control.New(control.Options{}); err == nil {
		t.Error("a control without a store")
	}
	c, err := control.New(control.Options{Store: store, Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if isDone(c.Ready()) {
		t.Error("ready without a configuration")
	}
	a := attach(t, c, control.Config{Zones: []*catalog.Zone{{Name: "zone"}}})
	if !isDone(c.Ready()) || c.Node() != "n1" || c.Store() != state.Store(store) {
		t.Error("not ready with a configuration")
	}
	a.Detach()
	if c.Router().Snapshot().Zone("zone") == nil {
		t.Error("the last requests don't find their way any more")
	}
}

// The default policy is that of the configuration in force.
func TestTheDefaultPolicyIsTheConfigurations(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	us := control.Config{
		DefaultPolicy: "us-only", Zones: []*catalog.Zone{{Name: "here"}},
		Policies: []*catalog.Policy{{Name: "us-only", Zones: []string{"here"}}},
	}
	a := attach(t, w.Control, us)
	if w.Router().Snapshot().Of("bkt").Allows("k", "c1") {
		t.Error("a bucket without a policy has not the configuration's default")
	}
	a.Detach()
	if !w.Router().Snapshot().Of("bkt").Allows("k", "c1") {
		t.Error("the default of the configuration before is not back")
	}
}

// What a configuration drops although the API's resources refer to it is logged, and nothing
// else is.
func TestWhatADroppedResourceBreaksIsLogged(t *testing.T) {
	w := newWorld(t)
	with := control.Config{
		Zones:    []*catalog.Zone{{Name: "z"}, {Name: "unused"}},
		Policies: []*catalog.Policy{{Name: "declared", Zones: []string{"z"}}},
	}
	first := attach(t, w.Control, with)
	for n := range 30 {
		w.create(t, &catalog.Bucket{Name: fmt.Sprint("bkt", n), Policy: "declared"})
	}
	attach(t, w.Control, with)
	warned := func() (all []string) {
		for _, e := range w.logs.FilterMessageSnippet("no longer declares").TakeAll() {
			all = append(all, fmt.Sprint(e.ContextMap()["reason"]))
		}
		return all
	}
	if all := warned(); len(all) != 0 {
		t.Errorf("while all is declared: %q", all)
	}
	attach(t, w.Control, control.Config{})
	first.Detach()
	if all := warned(); len(all) != 1 || !strings.Contains(all[0], "policy declared is referred to by bucket bkt0") || !strings.Contains(all[0], "and others") {
		t.Errorf("%q", all)
	}
}

// A refused configuration changes nothing.
func TestARefusedConfigurationChangesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.Router().Snapshot()
	for _, cfg := range []control.Config{
		{Buckets: []*catalog.Bucket{{Name: "bkt", Policy: "nowhere"}}},
		{Zones: []*catalog.Zone{{Name: "Not a name"}}},
	} {
		var ve *catalog.ValidationError
		if _, err := w.Attach(t.Context(), cfg); !errors.As(err, &ve) {
			t.Errorf("got %v", err)
		}
	}
	if w.Router().Snapshot() != before {
		t.Error("the snapshot is another one")
	}
}

// Configurations come and go beside changes of the API: in the end what routing reads is
// what a start would load.
func TestConfigurationsBesideChanges(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for n := range 2 {
		wg.Go(func() {
			for i := range 12 {
				name := fmt.Sprint("bucket", i%3)
				if (i+n)%4 == 3 {
					err := w.Resources.Delete(context.Background(), catalog.KindBucket, name, control.Precondition{})
					if err != nil && !errors.Is(err, control.ErrNotFound) && !errors.Is(err, control.ErrConfigOwned) {
						t.Error(err)
					}
					continue
				}
				_, _, err := w.Resources.Replace(context.Background(), &catalog.Bucket{Name: name, Policy: []string{"", "eu-two"}[n]}, control.Precondition{}, nil)
				if err != nil && !errors.Is(err, control.ErrConfigOwned) {
					t.Error(err)
				}
			}
		})
	}
	var last *control.Attachment
	for n := range 10 {
		cfg := control.Config{Zones: []*catalog.Zone{{Name: "declared"}}}
		if n%2 == 0 {
			cfg.Buckets = []*catalog.Bucket{{Name: "bucket1"}}
		}
		a := attach(t, w.Control, cfg)
		if last != nil {
			last.Detach()
		}
		last = a
	}
	wg.Wait()
	attach(t, w.Control, control.Config{})
	last.Detach()
	got := describe(w.Router().Snapshot().Buckets, func(b string) string { return w.Router().Snapshot().Bucket(b).Policy })
	w.close()
	again := open(t, w.path)
	want := describe(again.Router().Snapshot().Buckets, func(b string) string { return again.Router().Snapshot().Bucket(b).Policy })
	if got != want {
		t.Errorf("routed by were %s, loaded are %s", got, want)
	}
}

func describe(each func(func(string) bool), of func(string) string) string {
	found := make(map[string]string)
	each(func(b string) bool {
		found[strings.Clone(b)] = of(b)
		return true
	})
	return fmt.Sprint(found)
}

// A resource that the configuration declares is not changed through the API, whichever
// comes first.
func TestDeclaredResourcesAreTheConfigurations(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	attach(t, w.Control, control.Config{Zones: []*catalog.Zone{{Name: "zone", Labels: map[string]string{"by": "config"}}}})
	if _, err := w.Resources.Create(ctx, &catalog.Zone{Name: "zone"}); !errors.Is(err, control.ErrExists) {
		t.Errorf("creating it: %v", err)
	}
	if _, _, err := w.Resources.Replace(ctx, &catalog.Zone{Name: "zone"}, control.Precondition{}, nil); !errors.Is(err, control.ErrConfigOwned) {
		t.Errorf("replacing it: %v", err)
	}
	_, err := w.Resources.Modify(ctx, catalog.KindZone, "zone", control.Precondition{}, func(now catalog.Resource) (catalog.Resource, error) { return now, nil })
	if !errors.Is(err, control.ErrConfigOwned) {
		t.Errorf("modifying it: %v", err)
	}
	it, err := w.Resources.Get(ctx, catalog.KindZone, "zone")
	if err != nil || it.Origin != control.OriginConfig || !strings.HasPrefix(it.ETag, `"c-`) {
		t.Errorf("reading it: %+v, %v", it, err)
	}
	it.Resource.(*catalog.Zone).Labels["by"] = "nobody"
	if w.Router().Snapshot().Zone("zone").Labels["by"] != "config" {
		t.Error("an item is not a copy of its own")
	}
	if _, err := w.Resources.Modify(ctx, catalog.KindZone, "unknown", control.Precondition{}, nil); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("modifying what is not there: %v", err)
	}
}

// What a declared resource refers to is in use.
func TestDeclaredResourcesReferToOthers(t *testing.T) {
	w := newWorld(t)
	attach(t, w.Control, control.Config{Zones: []*catalog.Zone{{Name: "far", Parent: ""}}, Clusters: []*catalog.Cluster{{Name: "edge", Zones: []string{"far"}}}})
	err := w.Resources.Delete(t.Context(), catalog.KindZone, "far", control.Precondition{})
	if !errors.Is(err, control.ErrConfigOwned) {
		t.Errorf("removing a declared zone: %v", err)
	}
	w.create(t, &catalog.Policy{Name: "to-edge", Clusters: []string{"edge"}})
	if w.Router().Snapshot().Policy("to-edge") == nil {
		t.Error("a resource of the API can't refer to a declared one")
	}
}

// Used bytes are what was told last.
func TestUsage(t *testing.T) {
	var u control.Usage
	if all := u.All(); all == nil || len(all) != 0 {
		t.Errorf("nothing told: %v", all)
	}
	u.Set("c1", 5)
	u.Set("c1", 7)
	all := u.All()
	all["c2"] = 1
	if got := u.All(); len(got) != 1 || got["c1"] != 7 {
		t.Errorf("told 7: %v", got)
	}
}

// A mirror's age is told where there is one, nothing where the store is this instance's own.
func TestSnapshotAge(t *testing.T) {
	w := newWorld(t)
	if age := w.Status.SnapshotAge(); age != 0 {
		t.Errorf("with a store of its own what is known is %s old", age)
	}
	if st, err := w.Members.List(context.Background()); st != nil || err != nil || w.Members.Confirm(context.Background()) != nil {
		t.Errorf("members: %v, %v", st, err)
	}
}
