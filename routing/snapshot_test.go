package routing_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// After any sequence of edits a snapshot says what plain maps say, and the snapshots
// before it still say what they said.
func TestSnapshotEqualsModel(t *testing.T) {
	type version struct {
		snap  *routing.Snapshot
		model *model
	}
	rapid.Check(t, func(t *rapid.T) {
		now := version{routing.NewSnapshot(), newModel()}
		history := []version{now}
		for range rapid.IntRange(1, 12).Draw(t, "edits") {
			m := now.model.clone()
			next := now.snap.Edit(func(e *routing.Editor) {
				for range rapid.IntRange(1, 5).Draw(t, "steps") {
					m.step(t, e)
				}
			})
			checkLiveKept(t, now.snap, next)
			now = version{next, m}
			history = append(history, now)
		}
		for _, v := range history {
			checkSnapshot(t, v.snap, v.model)
		}
	})
}

func checkSnapshot(t *rapid.T, s *routing.Snapshot, m *model) {
	same(t, "default policy", s.DefaultPolicy(), m.defaultPolicy)
	checkNamed(t, s, m)
	var buckets []string
	s.Buckets(func(name string) bool { buckets = append(buckets, name); return true })
	slices.Sort(buckets)
	same(t, "buckets", buckets, slices.Sorted(maps.Keys(m.buckets)))
	for _, b := range modelBuckets {
		same(t, "bucket "+b, s.Bucket(b), m.buckets[b])
		same(t, "rules of "+b, s.Of(b).Rules(), m.rules(b))
		checkCopies(t, s, m, b)
		for _, key := range modelKeys {
			checkKey(t, s, m, b, key)
		}
	}
}

func checkNamed(t *rapid.T, s *routing.Snapshot, m *model) {
	zones, policies, clusters := map[string]*catalog.Zone{}, map[string]*catalog.Policy{}, map[string]*catalog.Cluster{}
	s.Zones(func(z *catalog.Zone) bool { zones[z.Name] = z; return true })
	s.Policies(func(p *catalog.Policy) bool { policies[p.Name] = p; return true })
	s.Clusters(func(c *catalog.Cluster) bool { clusters[c.Name] = c; return true })
	same(t, "zones", zones, m.zones)
	same(t, "policies", policies, m.policies)
	same(t, "clusters", clusters, m.clusters)
	for k, n := range map[catalog.Kind]int{
		catalog.KindZone: len(m.zones), catalog.KindCluster: len(m.clusters),
		catalog.KindPolicy: len(m.policies), catalog.KindBucket: len(m.buckets), "nonsense": 0,
	} {
		same(t, "number of "+string(k), s.Len(k), n)
	}
	var urls []string
	for _, ep := range s.Endpoints() {
		urls = append(urls, ep.URL)
		same(t, "dial", ep.Dial, strings.TrimSuffix(strings.TrimPrefix(ep.URL, "http://"), "/base")+":80")
		same(t, "base path", ep.BasePath, "/base")
		same(t, "zone", ep.Zone, m.clusters[ep.Cluster].Zones[0])
	}
	var want []string
	for _, c := range modelClusters {
		same(t, "has state", s.ClusterState(c) != nil, m.clusters[c] != nil)
		if m.clusters[c] != nil {
			for _, f := range m.clusters[c].Functions {
				want = append(want, f.URL)
			}
		}
		for _, p := range modelPolicies {
			same(t, p+" allows "+c, s.AllowsPolicy(p, c), m.allowsPolicy(p, c))
		}
	}
	same(t, "endpoints", urls, want)
}

func checkCopies(t *rapid.T, s *routing.Snapshot, m *model, bucket string) {
	want := slices.SortedFunc(slices.Values(m.copies[bucket]), func(a, b catalog.Copy) int {
		return strings.Compare(a.Prefix+"\x00"+a.Cluster, b.Prefix+"\x00"+b.Cluster)
	})
	got := s.Of(bucket).Copies()
	if len(got)+len(want) > 0 {
		same(t, "copies of "+bucket, got, want)
	}
	primary := ""
	for _, c := range want {
		if c.Primary && c.Prefix == "" {
			primary = c.Cluster
		}
	}
	same(t, "primary of "+bucket, s.Of(bucket).Primary(), primary)
	for _, cluster := range append(modelClusters, "never-seen") {
		holds := slices.ContainsFunc(want, func(c catalog.Copy) bool { return c.Cluster == cluster })
		same(t, "holds "+bucket+" in "+cluster, s.Of(bucket).Holds(cluster), holds)
	}
}

func checkKey(t *rapid.T, s *routing.Snapshot, m *model, bucket, key string) {
	rule, ok := s.Of(bucket).RuleOf(key)
	same(t, "known", ok, m.buckets[bucket] != nil)
	same(t, "rule of "+bucket+" "+key, rule, m.ruleOf(bucket, key))
	for _, c := range append(modelClusters, "never-seen", "") {
		want := ok && m.allowsPolicy(m.ruleOf(bucket, key).Policy, c)
		same(t, fmt.Sprintf("allows %s %q in %q", bucket, key, c), s.Of(bucket).Allows(key, c), want)
	}
	primary, others := m.wantedIn(bucket, key)
	got := s.Of(bucket).WantedIn([]string{"before"}, key)
	same(t, "anywhere", s.Of(bucket).Anywhere(key), m.anywhere(bucket, key))
	if len(primary) == 1 && len(got) > 1 { // two have one where rules differ, which only random copies do
		same(t, "first", got[1], primary[0])
	}
	slices.Sort(got[1:])
	same(t, "wanted in", got, slices.Sorted(slices.Values(append(append([]string{"before"}, primary...), others...))))
}

// checkLiveKept: what was in flight or unhealthy before an edit still is after it.
func checkLiveKept(t *rapid.T, before, after *routing.Snapshot) {
	old := map[string]*routing.Endpoint{}
	for _, ep := range before.Endpoints() {
		old[ep.Cluster+" "+ep.URL] = ep
	}
	for _, ep := range after.Endpoints() {
		if o := old[ep.Cluster+" "+ep.URL]; o != nil && o.Live != ep.Live {
			t.Fatalf("endpoint %s lost its live state", ep.URL)
		}
	}
	for _, c := range modelClusters {
		b, a := before.ClusterState(c), after.ClusterState(c)
		if b != nil && a != nil && a != b {
			t.Fatalf("cluster %s lost its live state", c)
		}
	}
}

func same(t *rapid.T, what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: got %#v, want %#v", what, got, want)
	}
}

// The table of buckets holds many of them through bulk loads and single changes.
func TestSnapshotManyBuckets(t *testing.T) {
	const n = 50_000
	rnd := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	s := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		for i := range n {
			name := fmt.Sprintf("bucket-%d", i)
			e.PutBucket(&catalog.Bucket{Name: name, Policy: "p"})
			want[name] = "p"
		}
	})
	loaded := s
	for i := range 20 {
		s = s.Edit(func(e *routing.Editor) {
			for range 500 {
				name := fmt.Sprintf("bucket-%d", rnd.IntN(2*n))
				if rnd.IntN(2) == 0 {
					e.Delete(catalog.KindBucket, name)
					delete(want, name)
					continue
				}
				e.PutBucket(&catalog.Bucket{Name: name, Policy: fmt.Sprintf("p%d", i)})
				want[name] = fmt.Sprintf("p%d", i)
			}
		})
	}
	checkPolicies(t, s, want)
	before := map[string]string{}
	for i := range n {
		before[fmt.Sprintf("bucket-%d", i)] = "p"
	}
	checkPolicies(t, loaded, before)
}

func checkPolicies(t *testing.T, s *routing.Snapshot, want map[string]string) {
	t.Helper()
	seen := 0
	s.Buckets(func(name string) bool {
		seen++
		if b := s.Bucket(name); b == nil || b.Policy != want[name] {
			t.Fatalf("bucket %s: got %+v, want policy %q", name, b, want[name])
		}
		return true
	})
	if seen != len(want) || s.Len(catalog.KindBucket) != len(want) {
		t.Fatalf("got %d buckets (Len %d), want %d", seen, s.Len(catalog.KindBucket), len(want))
	}
}

// An endpoint that does not change is the same value in the next snapshot.
func TestEndpointsKeepTheirIdentity(t *testing.T) {
	cluster := func(weight int, drain bool) *catalog.Cluster {
		return &catalog.Cluster{Name: "c", Zones: []string{"z"}, Drain: drain, Functions: []catalog.Function{
			{URL: "http://a:8080/x/", Weight: weight}, {URL: "https://[::1]"},
		}}
	}
	put := func(s *routing.Snapshot, c *catalog.Cluster) *routing.Snapshot {
		return s.Edit(func(e *routing.Editor) { e.PutCluster(c) })
	}
	one := put(routing.NewSnapshot(), cluster(1, false))
	two := put(one, cluster(2, true))
	a, b := one.Endpoints(), two.Endpoints()
	if a[1] != b[1] {
		t.Error("an unchanged endpoint is another value")
	}
	if a[0] == b[0] || a[0].Live != b[0].Live || b[0].Weight != 2 {
		t.Errorf("a changed endpoint: got %+v after %+v", b[0], a[0])
	}
	if a[0].Dial != "a:8080" || a[0].BasePath != "/x" || a[1].Dial != "[::1]:443" || a[1].BasePath != "" {
		t.Errorf("parsed wrongly: %+v %+v", a[0], a[1])
	}
}

// Two edits of one snapshot don't see each other, new names included.
func TestEditsOfOneSnapshotAreApart(t *testing.T) {
	base := routing.NewSnapshot()
	fork := func(zone, policy string) *routing.Snapshot {
		return base.Edit(func(e *routing.Editor) {
			e.PutCluster(&catalog.Cluster{Name: "in-" + zone, Zones: []string{zone}})
			e.PutPolicy(&catalog.Policy{Name: policy, Clusters: []string{"in-" + zone}})
			e.PutBucket(&catalog.Bucket{Name: "b", Policy: policy})
		})
	}
	x, y := fork("x", "px"), fork("y", "py")
	if !x.Of("b").Allows("k", "in-x") || x.Of("b").Allows("k", "in-y") || y.Of("b").Allows("k", "in-x") || !y.Of("b").Allows("k", "in-y") {
		t.Error("edits of one snapshot mixed")
	}
	if base.Len(catalog.KindBucket) != 0 || base.Cluster("in-x") != nil || base.Of("b").Allows("k", "in-x") {
		t.Error("the snapshot they were made from changed")
	}
}

// A bucket whose policy is deleted is allowed nowhere, until there is one again.
func TestDeletedPolicyAllowsNothing(t *testing.T) {
	p := &catalog.Policy{Name: "p"}
	s := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		e.PutCluster(&catalog.Cluster{Name: "c", Zones: []string{"z"}})
		e.PutPolicy(p)
		e.PutBucket(&catalog.Bucket{Name: "b", Policy: "p"})
	})
	gone := s.Edit(func(e *routing.Editor) { e.Delete(catalog.KindPolicy, "p") })
	back := gone.Edit(func(e *routing.Editor) { e.PutPolicy(p) })
	if !s.Of("b").Allows("k", "c") || gone.Of("b").Allows("k", "c") || !back.Of("b").Allows("k", "c") {
		t.Errorf("allowed before %v, while deleted %v, after %v; want true, false, true",
			s.Of("b").Allows("k", "c"), gone.Of("b").Allows("k", "c"), back.Of("b").Allows("k", "c"))
	}
}

// A rule has one copy in a cluster, however often it is given: freshness counts them.
func TestCopiesAreDistinct(t *testing.T) {
	s := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		e.PutBucket(&catalog.Bucket{Name: "b"})
		e.SetCopies("b", append(synced("c1", "c2"), synced("c1", "c2")...))
	})
	if got, want := s.Of("b").Copies(), synced("c1", "c2"); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Keys are exact in every snapshot, and a former one stays as it was.
func TestKeysOfASnapshot(t *testing.T) {
	one, two := &catalog.Key{Name: "AKIA1", Secret: "one"}, &catalog.Key{Name: "AKIA1", Secret: "two"}
	first := routing.NewSnapshot().Edit(func(e *routing.Editor) { e.PutKey(one) })
	second := first.Edit(func(e *routing.Editor) { e.PutKey(two); e.PutKey(&catalog.Key{Name: "AKIA2"}) })
	third := second.Edit(func(e *routing.Editor) { e.Delete(catalog.KindKey, "AKIA1"); e.Delete(catalog.KindKey, "nobody") })
	if first.Key("AKIA1") != one || second.Key("AKIA1") != two || third.Key("AKIA1") != nil || third.Key("AKIA2") == nil {
		t.Error("a snapshot has another's keys")
	}
	if n := []int{first.Len(catalog.KindKey), second.Len(catalog.KindKey), third.Len(catalog.KindKey)}; !slices.Equal(n, []int{1, 2, 1}) {
		t.Errorf("%v keys", n)
	}
	var names []string
	second.Keys(func(k *catalog.Key) bool { names = append(names, k.Name); return true })
	if slices.Sort(names); !slices.Equal(names, []string{"AKIA1", "AKIA2"}) {
		t.Errorf("keys are %v", names)
	}
}
