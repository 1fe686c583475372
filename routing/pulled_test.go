package routing_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// The index is what a map of the same rows is.
func TestPulledIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, want := routing.NewPulledIndex(), map[exception]catalog.Pulled{}
		pick := func() exception {
			return exception{
				rapid.SampledFrom(modelBuckets).Draw(t, "bucket"), rapid.SampledFrom(modelKeys).Draw(t, "key"),
				rapid.SampledFrom(modelClusters).Draw(t, "cluster"),
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				e, o := pick(), catalog.Pulled{Size: rapid.Int64Range(0, 9).Draw(t, "size"), Current: rapid.Bool().Draw(t, "current")}
				p.Set(e.bucket, e.key, e.cluster, o)
				want[e] = o
			},
			"remove": func(*rapid.T) {
				e := pick()
				p.Remove(e.bucket, e.key, e.cluster)
				delete(want, e)
			},
			"remove a bucket": func(t *rapid.T) {
				b := rapid.SampledFrom(modelBuckets).Draw(t, "bucket")
				p.RemoveAll(b)
				for e := range want {
					if e.bucket == b {
						delete(want, e)
					}
				}
			},
			"": func(t *rapid.T) {
				same(t, "length", p.Len(), len(want))
				for _, b := range modelBuckets {
					there := false
					for e := range want {
						there = there || e.bucket == b
					}
					same(t, "has bucket "+b, p.HasBucket(b), there)
				}
				e := pick()
				got, ok := p.Get(e.bucket, e.key, e.cluster)
				o, there := want[e]
				same(t, "known", ok, there)
				same(t, "object", got, o)
				in := p.AppendClusters([]string{}, e.bucket, e.key)
				slices.Sort(in)
				all := []string{}
				for _, c := range modelClusters {
					if _, ok := want[exception{e.bucket, e.key, c}]; ok {
						all = append(all, c)
					}
				}
				same(t, "clusters", in, all)
				same(t, "listed", len(p.List(func(_, _, _ string) bool { return true })), len(want))
			},
		})
	})
}

// pullWorld has bucket b in c000 alone, whose policy pulls.
func pullWorld(policy catalog.Policy) *routing.Router {
	r := routing.NewRouter()
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
		sites(e, 4)
		policy.Name = "pulls"
		policy.Normalize()
		e.PutPolicy(&policy)
		e.PutBucket(&catalog.Bucket{Name: "b", Policy: "pulls", Prefixes: []catalog.PrefixRule{{Prefix: "far/", Policy: "any"}}})
		e.SetCopies("b", append(synced("c000"), catalog.Copy{Prefix: "far/", Cluster: "c000", Primary: true, State: catalog.CopySynced}))
	}))
	return r
}

func unhealthy(r *routing.Router, cluster string) {
	for _, ep := range r.Snapshot().Endpoints() {
		if ep.Cluster == cluster {
			ep.Live.SetHealthy(false, "down")
		}
	}
}

func objectIn(key string) *routing.Query {
	return &routing.Query{Inputs: []routing.Input{{Bucket: "b", Key: key, Scope: routing.ScopeObject}}}
}

func TestWhatIsPulledWhere(t *testing.T) {
	r := pullWorld(catalog.Policy{OnMiss: catalog.OnMissPull, Clusters: []string{"c000", "c001", "c002"}, PullTimeout: catalog.Duration(3 * time.Second)})
	var d routing.Decision
	plan := func(q *routing.Query) (routing.PullPlan, bool) {
		r.Route(q, &d)
		return d.Pull()
	}
	if p, ok := plan(objectIn("k")); ok {
		t.Errorf("an object that is where an endpoint is free: %+v", p)
	}
	unhealthy(r, "c000")
	p, ok := plan(objectIn("k"))
	if !ok || !slices.Equal(p.Clusters, []string{"c001", "c002"}) || !slices.Equal(p.Objects, []catalog.ObjectName{{Bucket: "b", Key: "k"}}) || p.Timeout != 3*time.Second {
		t.Errorf("got %+v, %v", p, ok)
	}
	r.Snapshot().Endpoints()[1].Live.InFlight.Store(5)
	if p, _ := plan(objectIn("k")); !slices.Equal(p.Clusters, []string{"c002", "c001"}) {
		t.Errorf("with c001 busier: %v", p.Clusters)
	}
	r.Snapshot().ClusterState("c002").SetStorage(routing.StorageDown)
	if p, _ := plan(objectIn("k")); !slices.Equal(p.Clusters, []string{"c001"}) {
		t.Errorf("with the storage of c002 down: %v", p.Clusters)
	}
	for name, q := range map[string]*routing.Query{
		"a bucket":                    {Inputs: []routing.Input{{Bucket: "b"}}},
		"a prefix":                    {Inputs: []routing.Input{{Bucket: "b", Key: "d/", Scope: routing.ScopePrefix}}},
		"a rule that does not pull":   objectIn("far/k"),
		"an object and such a rule's": {Inputs: append(objectIn("k").Inputs, objectIn("far/k").Inputs...)},
	} {
		if p, ok := plan(q); ok {
			t.Errorf("%s: %+v", name, p)
		}
	}
	two := &routing.Query{Inputs: append(objectIn("k").Inputs, objectIn("l").Inputs...)}
	if p, ok := plan(two); !ok || len(p.Objects) != 2 {
		t.Errorf("two objects: %+v, %v", p, ok)
	}
}

func TestAPulledObjectIsAHitUntilItDiffers(t *testing.T) {
	r := pullWorld(catalog.Policy{OnMiss: catalog.OnMissPull, Zones: []string{"z000", "z001", "z002"}})
	unhealthy(r, "c000")
	var d routing.Decision
	route := func() string {
		r.Route(objectIn("k"), &d)
		return fmt.Sprintf("%v%v", d.Locality, urlsOf(d.Candidates))
	}
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"on its way", func() { r.Pulled.Set("b", "k", "c001", catalog.Pulled{}) }, "remote[http://f.c001 http://f.c002]"},
		{"there", func() { r.Pulled.Set("b", "k", "c001", catalog.Pulled{ETag: "e", Current: true}) }, "local[http://f.c001]"},
		{"changed at the primary", func() { r.Pending.Add("b", "k", "c001") }, "remote[http://f.c001 http://f.c002]"},
		{"in step again", func() { r.Pending.Remove("b", "k", "c001") }, "local[http://f.c001]"},
		{"where residency forbids it", func() {
			r.Pulled.Set("b", "k", "c003", catalog.Pulled{ETag: "e", Current: true})
			unhealthy(r, "c001")
		}, "remote[http://f.c002]"},
		{"gone", func() { r.Pulled.Remove("b", "k", "c001") }, "remote[http://f.c002]"},
	} {
		step.do()
		if got := route(); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}

// An object that was pulled lies in the storage that the cluster had then: it is no hit with
// another one under the cluster's name, from the answer to the change on, and is one again when it
// was pulled there.
func TestPulledElsewhere(t *testing.T) {
	r := pullWorld(catalog.Policy{OnMiss: catalog.OnMissPull, Clusters: []string{"c000", "c001"}})
	unhealthy(r, "c000")
	var d routing.Decision
	locality := func() string {
		r.Route(objectIn("k"), &d)
		return d.Locality.String()
	}
	move := func(endpoint string) {
		r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
			c := *r.Snapshot().Cluster("c001")
			c.Storage = &catalog.Storage{Endpoint: endpoint}
			e.PutCluster(&c)
		}))
	}
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"pulled", func() { r.Pulled.Set("b", "k", "c001", catalog.Pulled{ETag: "e", Current: true}) }, "local"},
		{"another storage", func() { move("http://other") }, "remote"},
		{"used", func() { r.Pulled.Set("b", "k", "c001", catalog.Pulled{ETag: "e", Current: true}) }, "remote"},
		{"about to be pulled", func() { r.Pulled.Set("b", "k", "c001", catalog.Pulled{}) }, "remote"},
		{"pulled there", func() { r.Pulled.Set("b", "k", "c001", catalog.Pulled{ETag: "e", Current: true}) }, "local"},
		{"the former storage", func() { move("http://s3.c001") }, "remote"},
	} {
		step.do()
		if got := locality(); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}

func TestUsesArePassedOnOnce(t *testing.T) {
	r := pullWorld(catalog.Policy{OnMiss: catalog.OnMissPull})
	unhealthy(r, "c000")
	r.Pulled.Set("b", "k", "c001", catalog.Pulled{ETag: "e", Current: true})
	var d routing.Decision
	r.Route(objectIn("k"), &d)
	before := time.Now().Truncate(time.Millisecond)
	allocs := testing.AllocsPerRun(100, func() {
		r.Route(objectQuery, &d)
		if f, ok := r.Begin(&d, d.Candidates[0]); ok {
			f.End()
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	used := r.Pulled.TakeUsed()
	if len(used) != 1 || used[0].Key != "k" || used[0].Cluster != "c001" || used[0].UsedAt.Before(before) {
		t.Errorf("used: %+v", used)
	}
	if again := r.Pulled.TakeUsed(); len(again) != 0 {
		t.Errorf("told again of %+v", again)
	}
}

var objectQuery = objectIn("k")

func TestExplainSaysWhatWouldBePulled(t *testing.T) {
	r := pullWorld(catalog.Policy{OnMiss: catalog.OnMissPull})
	unhealthy(r, "c000")
	r.Snapshot().ClusterState("c003").SetStorage(routing.StorageDown)
	got := map[string]string{}
	for _, c := range r.Explain(objectIn("k"), nil).Candidates {
		got[c.Cluster] = c.Reason
	}
	for c, want := range map[string]string{
		"c000": "unhealthy: down", "c001": "no copy here; would be pulled", "c002": "no copy here; would be pulled",
		"c003": "no copy here; reads remotely",
	} {
		if got[c] != want {
			t.Errorf("%s: %q, want %q", c, got[c], want)
		}
	}
}
