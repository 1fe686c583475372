package placement_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/catalog/catalogtest"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/routing"
)

// naiveAllowed is the residency rule written a second time, from the sets of zones
// rather than along the parents.
func naiveAllowed(p *catalog.Policy, zones map[string]*catalog.Zone, clusters map[string]*catalog.Cluster) map[string]bool {
	inside := func(tops []string) map[string]bool {
		set := map[string]bool{}
		for _, z := range tops {
			set[z] = true
		}
		for range zones {
			for name, z := range zones {
				if z.Parent != "" && set[z.Parent] {
					set[name] = true
				}
			}
		}
		return set
	}
	known := map[string]bool{}
	for range zones {
		for name, z := range zones {
			if z.Parent == "" || known[z.Parent] {
				known[name] = true
			}
		}
	}
	in, out := inside(p.Zones), inside(p.ExcludeZones)
	allowed := map[string]bool{}
	for name, c := range clusters {
		ok := len(p.Zones) == 0
		for _, z := range c.Zones {
			ok = ok || in[z]
		}
		for _, z := range c.Zones {
			if len(p.ExcludeZones) > 0 && (out[z] || !known[z]) {
				ok = false
			}
		}
		if len(p.ExcludeZones) > 0 && len(c.Zones) == 0 {
			ok = false
		}
		if len(p.Clusters) > 0 && !slices.Contains(p.Clusters, name) {
			ok = false
		}
		if ok {
			allowed[name] = true
		}
	}
	return allowed
}

// anyPlacement draws whatever the solver may be asked: valid catalogues, and such as no
// validation would let through (zones in a circle, references to nothing).
func anyPlacement() *rapid.Generator[placement.Input] {
	return rapid.Custom(func(t *rapid.T) placement.Input {
		zoneName := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("z%d", rapid.IntRange(0, 7).Draw(t, "z")) })
		clusterName := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("c%d", rapid.IntRange(0, 11).Draw(t, "c")) })
		in := placement.Input{
			Bucket: rapid.StringMatching(`[a-z]{3,8}`).Draw(t, "bucket"), Prefix: rapid.SampledFrom([]string{"", "a/", "a"}).Draw(t, "prefix"),
			Zones: map[string]*catalog.Zone{}, Clusters: map[string]*catalog.Cluster{},
			Current: map[string]bool{}, Coming: map[string]bool{}, Silent: map[string]bool{}, UsedBytes: map[string]int64{},
			PrimaryDeclared: rapid.Bool().Draw(t, "declared"), Ideal: rapid.IntRange(0, 3).Draw(t, "ideal") == 0,
		}
		for _, name := range rapid.SliceOfNDistinct(zoneName, 0, 8, rapid.ID).Draw(t, "zones") {
			z := &catalog.Zone{Name: name}
			if rapid.Bool().Draw(t, "has parent") {
				z.Parent = zoneName.Draw(t, "parent")
			}
			in.Zones[name] = z
		}
		for _, name := range rapid.SliceOfNDistinct(clusterName, 0, 12, rapid.ID).Draw(t, "clusters") {
			c := &catalog.Cluster{Name: name, Zones: rapid.SliceOfN(zoneName, 0, 2).Draw(t, "in zones")}
			c.Drain = rapid.IntRange(0, 5).Draw(t, "drain") == 0
			if rapid.IntRange(0, 5).Draw(t, "storage") > 0 {
				c.Storage = &catalog.Storage{Endpoint: "http://" + name, Capacity: rapid.SampledFrom([]catalog.Size{0, 0, 10}).Draw(t, "capacity")}
			}
			if rapid.Bool().Draw(t, "used") {
				in.UsedBytes[name] = rapid.Int64Range(8, 11).Draw(t, "bytes")
			}
			if rapid.IntRange(0, 3).Draw(t, "current") == 0 {
				in.Current[name] = rapid.Bool().Draw(t, "holds")
			}
			in.Coming[name] = !in.Current[name] && rapid.IntRange(0, 5).Draw(t, "coming") == 0
			in.Silent[name] = rapid.IntRange(0, 5).Draw(t, "silent") == 0
			in.Clusters[name] = c
		}
		if rapid.Bool().Draw(t, "has primary") {
			in.Primary = clusterName.Draw(t, "primary")
		}
		p := &catalog.Policy{
			Name: "p", Copies: catalog.Copies{N: rapid.IntRange(1, 8).Draw(t, "copies")},
			Prefer: rapid.SliceOfN(clusterName, 0, 3).Draw(t, "prefer"),
			Spread: rapid.SampledFrom([]catalog.Spread{catalog.SpreadZone, catalog.SpreadCluster}).Draw(t, "spread"),
		}
		if rapid.IntRange(0, 4).Draw(t, "all") == 0 {
			p.Copies = catalog.Copies{All: true}
		}
		if rapid.Bool().Draw(t, "names zones") {
			p.Zones = rapid.SliceOfN(zoneName, 1, 3).Draw(t, "policy zones")
		}
		if rapid.IntRange(0, 2).Draw(t, "excludes") == 0 {
			p.ExcludeZones = rapid.SliceOfN(zoneName, 1, 2).Draw(t, "exclude zones")
		}
		if rapid.IntRange(0, 3).Draw(t, "names clusters") == 0 {
			p.Clusters = rapid.SliceOfN(clusterName, 1, 8).Draw(t, "policy clusters")
		}
		p.Normalize()
		in.Policy = p
		return in
	})
}

// often checks a property often enough to be worth something.
func often(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	for range 10 { // rapid's default of 100 draws, ten times
		rapid.Check(t, property)
	}
}

func TestResidency(t *testing.T) {
	often(t, func(t *rapid.T) {
		in := anyPlacement().Draw(t, "input")
		want := naiveAllowed(in.Policy, in.Zones, in.Clusters)
		if got := catalog.AllowedClusters(in.Policy, in.Zones, in.Clusters); !maps.Equal(got, want) {
			t.Fatalf("allowed are %v, want %v", got, want)
		}
		look, solver := solverOf(in)
		for name, c := range in.Clusters {
			if catalog.PolicyAllows(in.Policy, c, look) != want[name] || solver.Allows("p", name) != want[name] {
				t.Fatalf("PolicyAllows and Solver.Allows disagree with the rule on %s (%v)", name, want[name])
			}
		}
		for _, name := range placement.Solve(in).Chosen {
			if !want[name] {
				t.Fatalf("%s was chosen and is not allowed", name)
			}
		}
	})
}

// solverOf makes a Lookup and a Solver of an input's catalogue.
func solverOf(in placement.Input) (*catalogtest.Declared, *placement.Solver) {
	look := catalogtest.New()
	look.ZoneMap, look.ClusterMap, look.PolicyMap["p"] = in.Zones, in.Clusters, in.Policy
	return look, placement.NewSolver(look, in.UsedBytes).Exclude(in.Silent)
}

func ruleOf(in placement.Input) *placement.RuleInput {
	r := &placement.RuleInput{
		Bucket: in.Bucket, Prefix: in.Prefix, Policy: in.Policy.Name, Primary: in.Primary, PrimaryDeclared: in.PrimaryDeclared,
		Ideal: in.Ideal,
	}
	for name := range in.Clusters {
		if in.Current[name] {
			r.Note(catalog.Copy{Cluster: name, State: catalog.CopySynced})
		}
		if in.Coming[name] {
			r.Note(catalog.Copy{Cluster: name, State: catalog.CopySyncing})
		}
	}
	return r
}

// takers are the allowed clusters that may hold a copy, by the documented rule.
func takers(in placement.Input) map[string]bool {
	out := map[string]bool{}
	for name := range naiveAllowed(in.Policy, in.Zones, in.Clusters) {
		c := in.Clusters[name]
		if c.Storage == nil || c.Drain && (name != in.Primary || !in.PrimaryDeclared) {
			continue
		}
		full := c.Storage.Capacity > 0 && in.UsedBytes[name] >= int64(c.Storage.Capacity)
		if !full && !in.Silent[name] || standing(in, name) < 2 || in.Current[name] || in.Coming[name] {
			out[name] = true
		}
	}
	return out
}

// standing is 0 for what is placed, 1 for what is about to be, 2 for others.
func standing(in placement.Input, name string) int {
	switch {
	case name == in.Primary, in.Current[name] && !in.Ideal:
		return 0
	case in.Coming[name] && !in.Ideal:
		return 1
	default:
		return 2
	}
}

// hashOrder asks the solver for its order of the clusters by hash alone.
func hashOrder(in placement.Input, names map[string]bool) []string {
	bare := placement.Input{Bucket: in.Bucket, Prefix: in.Prefix, Clusters: map[string]*catalog.Cluster{}}
	bare.Policy = &catalog.Policy{Name: "bare", Copies: catalog.Copies{All: true}, Spread: catalog.SpreadCluster}
	for name := range names {
		bare.Clusters[name] = &catalog.Cluster{Name: name, Storage: &catalog.Storage{}}
	}
	return placement.Solve(bare).Chosen
}

// naiveChoice picks copies one at a time: the primary, then always, of the clusters of the
// firmest standing that are left, the one whose failure domain has fewest copies, then the
// most preferred, then the first by hash.
func naiveChoice(in placement.Input) []string {
	left := hashOrder(in, takers(in))
	prefer := func(name string) int {
		if name == in.Primary {
			return -1
		}
		if i := slices.Index(in.Policy.Prefer, name); i >= 0 {
			return i
		}
		return len(in.Policy.Prefer)
	}
	slices.SortStableFunc(left, func(a, b string) int { return prefer(a) - prefer(b) })
	slices.SortStableFunc(left, func(a, b string) int { return standing(in, a) - standing(in, b) })
	if i := slices.Index(left, in.Primary); i > 0 {
		left = slices.Insert(slices.Delete(left, i, i+1), 0, in.Primary)
	}
	copies, chosen := map[string]int{}, []string{}
	for len(left) > 0 && (in.Policy.Copies.All || len(chosen) < in.Policy.Copies.N) {
		best := 0
		for i, name := range left {
			if in.Policy.Spread == catalog.SpreadZone && standing(in, name) == standing(in, left[best]) && copies[domainOf(in, name)] < copies[domainOf(in, left[best])] {
				best = i
			}
		}
		copies[domainOf(in, left[best])]++
		chosen = append(chosen, left[best])
		left = slices.Delete(left, best, best+1)
	}
	return chosen
}

func domainOf(in placement.Input, cluster string) string {
	if zones := in.Clusters[cluster].Zones; len(zones) > 0 {
		return zones[0]
	}
	return ""
}

// The solver chooses what the naive one does: so the primary comes first, copies are
// spread, preferences are followed, and nothing full or draining is chosen.
func TestChoice(t *testing.T) {
	often(t, func(t *rapid.T) {
		in := anyPlacement().Draw(t, "input")
		got, want := placement.Solve(in).Chosen, naiveChoice(in)
		if !slices.Equal(got, want) {
			t.Fatalf("chose %v, want %v", got, want)
		}
		if takers(in)[in.Primary] && got[0] != in.Primary {
			t.Fatalf("chose %v, the primary %s not first", got, in.Primary)
		}
	})
}

// A snapshot is what validation and the solver look things up in.
var _ interface {
	catalog.Lookup
	catalog.BucketLookup
} = (*routing.Snapshot)(nil)

func TestDeterminism(t *testing.T) {
	often(t, func(t *rapid.T) {
		in := anyPlacement().Draw(t, "input")
		want := placement.Solve(in)
		// The same values, in maps filled in another order.
		again := in
		again.Zones, again.Clusters = shuffled(t, in.Zones), shuffled(t, in.Clusters)
		again.Current, again.UsedBytes = shuffled(t, in.Current), shuffled(t, in.UsedBytes)
		again.Coming, again.Silent = shuffled(t, in.Coming), shuffled(t, in.Silent)
		_, solver := solverOf(again)
		other := &placement.RuleInput{Bucket: "another", Policy: "p"}
		for range 2 {
			if got := placement.Solve(again); !equalPlacements(got, want) {
				t.Fatalf("first %+v\nthen  %+v", want, got)
			}
			rule := ruleOf(again)
			chosen, complete := solver.Choose(nil, rule)
			if !slices.Equal(chosen, want.Chosen) || complete != (want.Short == "") {
				t.Fatalf("Choose gives %v, %v; Solve gives %v, %q", chosen, complete, want.Chosen, want.Short)
			}
			if got, ok := solver.Place(rule); !ok || !equalPlacements(got, want) {
				t.Fatalf("Place gives %+v\nSolve gives %+v", got, want)
			}
			solver.Choose(nil, other)
		}
	})
}

func shuffled[V any](t *rapid.T, m map[string]V) map[string]V {
	out := make(map[string]V)
	for _, k := range rapid.Permutation(slices.Sorted(maps.Keys(m))).Draw(t, "order") {
		out[k] = m[k]
	}
	return out
}

func equalPlacements(a, b placement.Result) bool {
	return slices.Equal(a.Chosen, b.Chosen) && a.Short == b.Short && slices.Equal(a.Reasons, b.Reasons)
}

// A Solver may be asked by many goroutines at once.
func TestSolverIsSafeForConcurrentUse(t *testing.T) {
	in := clustersIn(12, 4)
	in.Policy = &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 3}, Spread: catalog.SpreadZone}
	_, solver := solverOf(in)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				in := in
				in.Bucket = fmt.Sprintf("bucket-%d", (g+i)%50)
				want := placement.Solve(in).Chosen
				if got, _ := solver.Choose(nil, ruleOf(in)); !slices.Equal(got, want) {
					t.Errorf("%s: %v, want %v", in.Bucket, got, want)
				}
			}
		})
	}
	wg.Wait()
}

// When one cluster joins, leaves, fills up, drains or comes to be allowed, at most
// one chosen cluster makes room for at most one other.
func TestMinimalMovement(t *testing.T) {
	often(t, func(t *rapid.T) {
		in := anyPlacement().Draw(t, "input")
		if len(in.Clusters) == 0 {
			return
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(in.Clusters))).Draw(t, "cluster")
		before := placement.Solve(in).Chosen
		in.Clusters = maps.Clone(in.Clusters)
		if rapid.Bool().Draw(t, "drains") {
			c := in.Clusters[name].Clone().(*catalog.Cluster)
			c.Drain = !c.Drain
			in.Clusters[name] = c
		} else {
			delete(in.Clusters, name)
		}
		after := placement.Solve(in).Chosen
		gone, come := without(before, after), without(after, before)
		if len(gone) > 1 || len(come) > 1 {
			t.Fatalf("%s changed and %v became %v", name, before, after)
		}
		// Nothing moves that has nothing to do with it.
		if len(gone)+len(come) > 0 && !slices.Contains(gone, name) && !slices.Contains(come, name) {
			t.Fatalf("%s changed and %v became %v without it", name, before, after)
		}
	})
}

// What is placed stays: clusters that join, preferences, spread and what other storages hold
// move no copy, as long as those that have one may have it; nor does asking again.
func TestStickiness(t *testing.T) {
	often(t, func(t *rapid.T) {
		in := anyPlacement().Draw(t, "input")
		in.Ideal = false
		placed := placement.Solve(in).Chosen
		other := anyPlacement().Draw(t, "other")
		in.Current, in.Coming = map[string]bool{}, map[string]bool{}
		for _, name := range placed {
			in.Current[name] = true
		}
		in.Clusters = maps.Clone(in.Clusters)
		for name, c := range other.Clusters {
			if !in.Current[name] && name != in.Primary {
				in.Clusters[name] = c
			}
		}
		policy := *in.Policy
		policy.Prefer, policy.Spread = other.Policy.Prefer, other.Policy.Spread
		in.Policy, in.Silent, in.UsedBytes = &policy, other.Silent, other.UsedBytes
		got := placement.Solve(in).Chosen
		if gone := without(placed, got); len(gone) > 0 {
			t.Fatalf("%v became %v: %v moved", placed, got, gone)
		}
		policy.Copies.N++
		if gone := without(placed, placement.Solve(in).Chosen); len(gone) > 0 {
			t.Fatalf("with one copy more %v moved", gone)
		}
		if policy.Copies.N = len(placed) - 1; policy.Copies.N > 0 && !policy.Copies.All {
			if came := without(placement.Solve(in).Chosen, placed); len(came) > 0 {
				t.Fatalf("with one copy fewer %v came", came)
			}
		}
	})
}

// A cluster whose storage has never answered gets nothing new, and keeps what it has.
func TestSilent(t *testing.T) {
	in := clustersIn(3, 3)
	in.Bucket, in.Silent = "photos", map[string]bool{"c0": true}
	in.Policy = &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 3}, Spread: catalog.SpreadZone}
	got := placement.Solve(in)
	if slices.Contains(got.Chosen, "c0") || got.Short != "policy p wants 3 copies, 2 clusters can take one: c0 has never answered" {
		t.Errorf("chose %v, short %q", got.Chosen, got.Short)
	}
	in.Current = map[string]bool{"c0": true}
	if got := placement.Solve(in); len(got.Chosen) != 3 || got.Short != "" {
		t.Errorf("chose %v, short %q", got.Chosen, got.Short)
	}
}

// Reasons tell what a rebalance would change.
func TestReasonsOfWhatStays(t *testing.T) {
	in := clustersIn(4, 4)
	in.Bucket = "photos"
	in.Policy = &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Spread: catalog.SpreadZone, Prefer: []string{"c0", "c1"}}
	in.Primary, in.Current = "c0", map[string]bool{"c0": true, "c3": true}
	reasons := map[string]string{}
	for _, r := range placement.Solve(in).Reasons {
		reasons[r.Cluster] = r.Reason
	}
	for cluster, want := range map[string]string{
		"c0": "copy 1 of 2, the primary", "c3": "copy 2 of 2; it stays where it is until a rebalance",
		"c1": "ranked 3rd of 4, 2 copies wanted; what is placed stays, a rebalance would choose it",
	} {
		if reasons[cluster] != want {
			t.Errorf("%s: %q, want %q", cluster, reasons[cluster], want)
		}
	}
	in.Ideal = true
	if got := placement.Solve(in).Chosen; !slices.Equal(got, []string{"c0", "c1"}) {
		t.Errorf("the ideal is %v", got)
	}
}

// What is chosen for n copies is the beginning of what is chosen for n+1.
func TestGrowth(t *testing.T) {
	often(t, func(t *rapid.T) {
		in := anyPlacement().Draw(t, "input")
		all, some := *in.Policy, *in.Policy
		all.Copies = catalog.Copies{All: true}
		in.Policy = &all
		everything := placement.Solve(in).Chosen
		for n := 1; n <= len(everything)+1; n++ {
			some.Copies = catalog.Copies{N: n}
			in.Policy = &some
			if got, want := placement.Solve(in).Chosen, everything[:min(n, len(everything))]; !slices.Equal(got, want) {
				t.Fatalf("%d copies: %v, want %v", n, got, want)
			}
		}
	})
}

func without(a, b []string) (out []string) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// Short is said exactly when copies are missing, and everyone has a reason.
func TestShortAndReasons(t *testing.T) {
	often(t, func(t *rapid.T) {
		in := anyPlacement().Draw(t, "input")
		got := placement.Solve(in)
		missing := len(got.Chosen) < in.Policy.Copies.N
		if in.Policy.Copies.All {
			missing = len(got.Chosen) == 0
			for name := range naiveAllowed(in.Policy, in.Zones, in.Clusters) {
				c := in.Clusters[name]
				missing = missing || c.Storage != nil && !c.Drain && !slices.Contains(got.Chosen, name)
			}
		}
		if missing != (got.Short != "") {
			t.Fatalf("chosen %v of %v, Short %q", got.Chosen, in.Policy.Copies, got.Short)
		}
		if missing && !strings.HasPrefix(got.Short, "policy p wants ") {
			t.Fatalf("Short is %q", got.Short)
		}
		names := slices.Sorted(maps.Keys(in.Clusters))
		if len(got.Reasons) != len(names) {
			t.Fatalf("%d reasons for %d clusters", len(got.Reasons), len(names))
		}
		for i, r := range got.Reasons {
			if r.Cluster != names[i] || r.Zone != domainOf(in, names[i]) || r.Reason == "" || r.Reason == "allowed" ||
				r.Chosen != slices.Contains(got.Chosen, r.Cluster) {
				t.Fatalf("reason %d is %+v; chosen are %v", i, r, got.Chosen)
			}
		}
	})
}

// clustersIn returns n clusters with storages in so many zones.
func clustersIn(n, zones int) placement.Input {
	in := placement.Input{Zones: map[string]*catalog.Zone{}, Clusters: map[string]*catalog.Cluster{}}
	for i := range zones {
		name := fmt.Sprintf("z%d", i)
		in.Zones[name] = &catalog.Zone{Name: name}
	}
	for i := range n {
		name := fmt.Sprintf("c%d", i)
		in.Clusters[name] = &catalog.Cluster{
			Name: name, Zones: []string{fmt.Sprintf("z%d", i%zones)}, Storage: &catalog.Storage{Endpoint: "http://" + name},
		}
	}
	return in
}

// Buckets are spread evenly, and a cluster that joins takes its share and no more.
func TestLoadIsEven(t *testing.T) {
	const buckets, n = 20_000, 10
	in, more := clustersIn(n, n), clustersIn(n+1, n+1)
	in.Policy = &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Spread: catalog.SpreadZone}
	more.Policy = in.Policy
	_, before := solverOf(in)
	_, after := solverOf(more)
	load, moved := map[string]int{}, 0
	for i := range buckets {
		rule := &placement.RuleInput{Bucket: fmt.Sprintf("bucket-%d", i), Policy: "p"}
		was, _ := before.Choose(nil, rule)
		is, _ := after.Choose(nil, rule)
		for _, c := range was {
			load[c]++
		}
		moved += len(without(is, was))
	}
	for c, got := range load {
		if want := buckets * 2 / n; got < want*94/100 || got > want*106/100 {
			t.Errorf("%s has %d copies, even would be %d", c, got, want)
		}
	}
	if want := buckets * 2 / (n + 1); moved < want*94/100 || moved > want*106/100 {
		t.Errorf("%d copies moved to a cluster that joined, its share is %d", moved, want)
	}
}

// The order of clusters for a rule is fixed for good: an upgrade that changed it
// would move everybody's data.
func TestTheHashNeverChanges(t *testing.T) {
	for rule, want := range map[[2]string]string{
		{"photos", ""}:       "c1 c0 c4 c2 c3 c5",
		{"photos", "thumbs"}: "c4 c2 c3 c1 c0 c5",
		{"logs", ""}:         "c4 c2 c5 c3 c0 c1",
	} {
		in := clustersIn(6, 1)
		in.Bucket, in.Prefix = rule[0], rule[1]
		names := map[string]bool{}
		for name := range in.Clusters {
			names[name] = true
		}
		if got := strings.Join(hashOrder(in, names), " "); got != want {
			t.Errorf("%q has the order %s, want %s", rule, got, want)
		}
	}
}

// explained is a catalogue in which everything that can be said of a cluster is true
// of one.
func explained() placement.Input {
	in := placement.Input{
		Bucket: "photos",
		Zones: map[string]*catalog.Zone{
			"eu": {Name: "eu"}, "de": {Name: "de", Parent: "eu"}, "fr": {Name: "fr", Parent: "eu"},
			"us": {Name: "us"}, "secret": {Name: "secret", Parent: "fr"},
		},
		Clusters:  map[string]*catalog.Cluster{},
		UsedBytes: map[string]int64{"full": 510 << 30, "full-tb": 2.3e12},
	}
	add := func(name string, capacity catalog.Size, zones ...string) *catalog.Cluster {
		c := &catalog.Cluster{Name: name, Zones: zones, Storage: &catalog.Storage{Endpoint: "http://" + name, Capacity: capacity}}
		in.Clusters[name] = c
		return c
	}
	add("c-de", 0, "de")
	add("c-fr", 0, "fr")
	add("c-us", 0, "us")
	add("both", 0, "de", "us")
	add("away", 0, "secret")
	add("lost", 0, "atlantis")
	add("full", 500<<30, "de")
	add("full-tb", 2e12, "de")
	add("drain", 0, "fr").Drain = true
	add("compute", 0, "fr").Storage = nil
	return in
}

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		name    string
		policy  catalog.Policy
		change  func(*placement.Input)
		chosen  string
		short   string
		reasons map[string]string
	}{
		{
			name: "zones", policy: catalog.Policy{Copies: catalog.Copies{N: 2}, Zones: []string{"eu"}, Prefer: []string{"c-de", "c-fr", "away", "both"}},
			chosen: "c-de c-fr",
			reasons: map[string]string{
				"c-de": "copy 1 of 2", "c-fr": "copy 2 of 2", "away": "ranked 3rd of 4, 2 copies wanted",
				"both": "ranked 4th of 4 (others of its zone come before it), 2 copies wanted",
				"c-us": "not in the policy's zones eu", "lost": "not in the policy's zones eu",
				"full": "storage full: 510GiB of 500GiB used", "full-tb": "storage full: 2.3TB of 2TB used",
				"drain": "draining", "compute": "no storage",
			},
		},
		{
			name: "exclusions", policy: catalog.Policy{Zones: []string{"eu"}, ExcludeZones: []string{"us", "secret"}, Prefer: []string{"c-fr"}},
			chosen: "c-fr",
			reasons: map[string]string{
				"both": "zone us is excluded by the policy", "away": "zone secret is excluded by the policy",
				"c-us": "zone us is excluded by the policy", "c-fr": "copy 1 of 1",
				"lost": "zone atlantis or one it lies in is not declared, so it may be in one that is excluded by the policy",
			},
		},
		{
			name: "excluded from above", policy: catalog.Policy{ExcludeZones: []string{"eu"}}, chosen: "c-us",
			reasons: map[string]string{"away": "zone secret is in zone eu, which is excluded by the policy", "c-us": "copy 1 of 1"},
		},
		{
			name: "clusters", policy: catalog.Policy{Clusters: []string{"c-us", "drain"}, Copies: catalog.Copies{N: 3}}, chosen: "c-us",
			short:   "policy p wants 3 copies, 1 cluster can take one: drain is draining",
			reasons: map[string]string{"c-us": "copy 1 of 3", "c-de": "not among the policy's clusters c-us, drain", "drain": "draining"},
		},
		{
			name: "everything is missing", policy: catalog.Policy{Clusters: []string{"drain", "compute", "full", "full-tb"}, Copies: catalog.Copies{N: 1}},
			short: "policy p wants 1 copy, 0 clusters can take one: compute has no storage, drain is draining, " +
				"full is full (510GiB of 500GiB used), full-tb is full (2.3TB of 2TB used)",
		},
		{
			name: "too many", policy: catalog.Policy{Zones: []string{"us"}, Copies: catalog.Copies{N: 3}}, chosen: "c-us both",
			short: "policy p wants 3 copies, 2 clusters can take one: the policy allows no other",
		},
		{
			name: "nothing is allowed", policy: catalog.Policy{Zones: []string{"asia"}},
			short: "policy p wants 1 copy, 0 clusters can take one: the policy allows no cluster there is",
		},
		{
			name: "all", policy: catalog.Policy{Copies: catalog.Copies{All: true}, Zones: []string{"fr"}, Prefer: []string{"c-fr"}}, chosen: "c-fr away",
			reasons: map[string]string{"c-fr": "copy 1 of 2", "away": "copy 2 of 2", "drain": "draining", "compute": "no storage"},
		},
		{
			name: "all, one full", policy: catalog.Policy{Copies: catalog.Copies{All: true}, Clusters: []string{"c-fr", "full"}}, chosen: "c-fr",
			short: "policy p wants a copy in every allowed cluster, 1 cluster can take one: full is full (510GiB of 500GiB used)",
		},
		{
			name: "primary", policy: catalog.Policy{Copies: catalog.Copies{N: 2}, Zones: []string{"eu"}, Prefer: []string{"c-de", "c-fr"}},
			change: func(in *placement.Input) { in.Primary = "both" },
			chosen: "both c-fr", // c-de's zone has the primary
			reasons: map[string]string{
				"both": "copy 1 of 2, the primary", "c-fr": "copy 2 of 2", "c-de": "ranked 4th of 4 (others of its zone come before it), 2 copies wanted",
			},
		},
		{
			name: "a primary drains", policy: catalog.Policy{Copies: catalog.Copies{N: 1}, Prefer: []string{"c-de"}},
			change: func(in *placement.Input) { in.Primary, in.Current = "drain", map[string]bool{"drain": true} },
			chosen: "c-de", reasons: map[string]string{"drain": "draining"},
		},
		{
			name: "a declared primary drains", policy: catalog.Policy{Copies: catalog.Copies{N: 2}, Prefer: []string{"c-de"}},
			change: func(in *placement.Input) { in.Primary, in.PrimaryDeclared = "drain", true },
			chosen: "drain c-de", reasons: map[string]string{"drain": "copy 1 of 2, the primary, which only people move, so it stays while the cluster drains"},
		},
		{
			name: "a forbidden primary", policy: catalog.Policy{Zones: []string{"us"}, Prefer: []string{"c-us"}},
			change: func(in *placement.Input) { in.Primary, in.PrimaryDeclared = "c-de", true },
			chosen: "c-us", reasons: map[string]string{"c-de": "not in the policy's zones us"},
		},
		{
			name: "full storages keep what they have", policy: catalog.Policy{Copies: catalog.Copies{N: 2}, Clusters: []string{"full", "full-tb", "c-de"}, Prefer: []string{"full-tb"}},
			change: func(in *placement.Input) { in.Primary, in.Current = "full", map[string]bool{"full-tb": true} },
			chosen: "full full-tb",
			reasons: map[string]string{
				"full":    "copy 1 of 2, the primary, which stays though the storage is full: 510GiB of 500GiB used",
				"full-tb": "copy 2 of 2, which stays though the storage is full: 2.3TB of 2TB used",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := explained()
			c.policy.Name = "p"
			c.policy.Normalize()
			in.Policy = &c.policy
			if c.change != nil {
				c.change(&in)
			}
			got := placement.Solve(in)
			if strings.Join(got.Chosen, " ") != c.chosen || got.Short != c.short {
				t.Errorf("chose %v, short %q\nwant %s, short %q", got.Chosen, got.Short, c.chosen, c.short)
			}
			for _, r := range got.Reasons {
				if want, told := c.reasons[r.Cluster]; told && r.Reason != want {
					t.Errorf("%s: %q, want %q", r.Cluster, r.Reason, want)
				}
			}
		})
	}
}

// More clusters and copies than the fast path holds, and more than a reason lists.
func TestManyClusters(t *testing.T) {
	in := clustersIn(60, 7)
	in.Bucket = "photos"
	in.Policy = &catalog.Policy{Name: "p", Spread: catalog.SpreadZone}
	for _, n := range []int{1, 6, 7, 40, 60, 61} {
		in.Policy.Copies = catalog.Copies{N: n}
		_, solver := solverOf(in)
		want := naiveChoice(in)
		if got := placement.Solve(in).Chosen; !slices.Equal(got, want) {
			t.Errorf("%d copies: Solve gives %v, want %v", n, got, want)
		}
		if got, complete := solver.Choose(nil, ruleOf(in)); !slices.Equal(got, want) || complete != (n <= 60) {
			t.Errorf("%d copies: Choose gives %v, %v, want %v", n, got, complete, want)
		}
	}

	in.Policy.Copies = catalog.Copies{N: 1}
	ranks := map[string]bool{}
	for _, r := range placement.Solve(in).Reasons {
		ranks[strings.Fields(r.Reason)[1]] = true
	}
	for _, rank := range []string{"2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "53rd", "60th"} {
		if !ranks[rank] {
			t.Errorf("no cluster is ranked %s", rank)
		}
	}

	for _, c := range in.Clusters {
		c.Drain = true
	}
	const want = "policy p wants 1 copy, 0 clusters can take one: c0 is draining, c1 is draining, c10 is draining, c11 is draining, " +
		"c12 is draining, c13 is draining, c14 is draining, c15 is draining, c16 is draining, c17 is draining and 50 more"
	if got := placement.Solve(in).Short; got != want {
		t.Errorf("Short is %q\n     want %q", got, want)
	}
}

func TestSolveWithoutPolicy(t *testing.T) {
	in := explained()
	got := placement.Solve(in)
	if len(got.Chosen) != 0 || got.Chosen == nil || got.Short != "the rule's policy is not declared" || len(got.Reasons) != len(in.Clusters) {
		t.Errorf("got %+v", got)
	}
	in.Policy = catalog.BuiltinPolicy()
	_, solver := solverOf(in)
	if chosen, complete := solver.Choose(nil, &placement.RuleInput{Bucket: "b", Policy: "gone"}); len(chosen) != 0 || complete {
		t.Errorf("chose %v, complete %v by a policy that is not declared", chosen, complete)
	}
	if got, ok := solver.Place(&placement.RuleInput{Bucket: "b", Policy: "gone"}); ok || got.Short != "the rule's policy is not declared" {
		t.Errorf("placed %+v, %v by a policy that is not declared", got, ok)
	}
	if solver.Allows("gone", "c-de") || solver.Allows("p", "gone") {
		t.Error("allows what is not declared")
	}
	if chosen, complete := solver.Choose(nil, &placement.RuleInput{Bucket: "b"}); len(chosen) != 1 || !complete {
		t.Errorf("the default policy chose %v, complete %v", chosen, complete)
	}
}

func TestChooseAllocatesNothing(t *testing.T) {
	in := clustersIn(20, 5)
	in.Policy = &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 3}, Spread: catalog.SpreadZone}
	_, solver := solverOf(in)
	rule := &placement.RuleInput{Bucket: "photos", Policy: "p", Primary: "c3", Current: []string{"c3", "c4"}}
	dst := make([]string, 0, 8)
	if n := testing.AllocsPerRun(100, func() { dst, _ = solver.Choose(dst[:0], rule) }); n > 0 {
		t.Errorf("Choose allocates %v times", n)
	}
}

func BenchmarkSolver(b *testing.B) {
	for _, n := range []int{3, 20, 200} {
		for _, copies := range []catalog.Copies{{N: 3}, {All: true}} {
			in := clustersIn(n, max(3, n/4))
			in.Policy = &catalog.Policy{Name: "p", Copies: copies, Spread: catalog.SpreadZone}
			_, solver := solverOf(in)
			rules := make([]placement.RuleInput, 1000)
			for i := range rules {
				rules[i] = placement.RuleInput{Bucket: fmt.Sprintf("bucket-%d", i), Policy: "p", Primary: fmt.Sprintf("c%d", rand.IntN(n))}
			}
			b.Run(fmt.Sprintf("choose/clusters=%d/copies=%s", n, copies), func(b *testing.B) {
				b.ReportAllocs()
				dst := make([]string, 0, n)
				for i := 0; b.Loop(); i++ {
					dst, _ = solver.Choose(dst[:0], &rules[i%len(rules)])
				}
			})
			b.Run(fmt.Sprintf("reasons/clusters=%d/copies=%s", n, copies), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					solver.Place(&rules[i%len(rules)])
				}
			})
		}
	}
}
