package routing

import (
	"slices"
	"testing"

	"github.com/fado-project/fado/catalog"
)

func TestReaders(t *testing.T) {
	t.Parallel()
	r := NewRouter()
	r.Swap(r.Snapshot().Edit(func(e *Editor) {
		for _, name := range []string{"c1", "c2", "c3", "c4"} {
			c := &catalog.Cluster{Name: name, Zones: []string{"z-" + name}, Storage: &catalog.Storage{Endpoint: "http://" + name}}
			c.Normalize()
			e.PutCluster(c)
		}
		for _, w := range []catalog.Writes{catalog.WritesPrimary, catalog.WritesAnywhere} {
			p := &catalog.Policy{Name: string(w), Writes: w}
			p.Normalize()
			e.PutPolicy(p)
			e.PutBucket(&catalog.Bucket{Name: "b-" + string(w), Policy: string(w)})
			e.SetCopies("b-"+string(w), []catalog.Copy{
				{Cluster: "c1", Primary: true, State: catalog.CopySynced},
				{Cluster: "c2", State: catalog.CopySynced},
				{Cluster: "c3", State: catalog.CopySyncing, Cursor: "m"},
				{Cluster: "c4", State: catalog.CopyDraining},
			})
		}
	}))
	of := func(in Input) (names []string) {
		holders, known := r.Holders(nil, in)
		if !known {
			return []string{"unknown"}
		}
		for _, h := range holders {
			names = append(names, h.Cluster)
			if h.Primary != (h.Cluster == "c1") || len(h.Zones) != 1 {
				t.Errorf("%+v", h)
			}
		}
		slices.Sort(names)
		return names
	}
	check := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	const b, any = "b-primary", "b-anywhere"
	check("unknown", of(Input{Bucket: "none", Key: "k", Scope: ScopeObject}), "unknown")
	check("below the cursor", of(Input{Bucket: b, Key: "a", Scope: ScopeObject}), "c1", "c2", "c3")
	check("above it", of(Input{Bucket: b, Key: "z", Scope: ScopeObject}), "c1", "c2")
	check("the whole bucket", of(Input{Bucket: b, Scope: ScopePrefix}), "c1", "c2")
	r.Pending.Add(b, "d/k", "c2")
	check("pending", of(Input{Bucket: b, Key: "d/k", Scope: ScopeObject}), "c1", "c3")
	check("its prefix", of(Input{Bucket: b, Key: "d/", Scope: ScopePrefix}), "c1", "c3")
	check("the whole bucket, pending", of(Input{Bucket: b, Scope: ScopePrefix}), "c1")
	check("another prefix", of(Input{Bucket: b, Key: "e/", Scope: ScopePrefix}), "c1", "c2", "c3")
	r.Pending.Add(any, "k", "c1")
	check("pending at the primary, written anywhere", of(Input{Bucket: any, Key: "k", Scope: ScopeObject}), "c2", "c3")
	r.Pulled.Set(b, "z", "c4", catalog.Pulled{Current: true})
	check("pulled", of(Input{Bucket: b, Key: "z", Scope: ScopeObject}), "c1", "c2", "c4")

	s := r.Snapshot()
	for _, c := range []struct {
		bucket, cluster string
		want            bool
	}{{b, "c1", true}, {b, "c2", false}, {b, "", false}, {any, "c1", true}, {any, "c2", true}, {any, "c3", false}, {any, "c4", false}, {any, "c9", false}, {"none", "c1", false}} {
		if got := s.Of(c.bucket).Writer("k", c.cluster); got != c.want {
			t.Errorf("writer of %s in %q: %t", c.bucket, c.cluster, got)
		}
	}
}
