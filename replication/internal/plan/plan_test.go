package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Whatever the rows and the catalogue, a plan starts no copy where it is forbidden, keeps
// the primary until its role is handed over, and lets a synced copy leave only when every
// chosen one is synced.
func TestPlanProperties(t *testing.T) {
	t.Parallel()
	for range 20 {
		rapid.Check(t, planAtRandom)
	}
}

func planAtRandom(t *rapid.T) {
	names := []string{"c1", "c2", "c3", "c4", "c5"}
	clusters := make(map[string]*catalog.Cluster)
	for _, n := range names {
		if rapid.IntRange(0, 9).Draw(t, "declared") > 0 {
			clusters[n] = &catalog.Cluster{
				Name: n, Zones: []string{n}, Storage: &catalog.Storage{Endpoint: "http://" + n},
				Drain: rapid.IntRange(0, 5).Draw(t, "drain") == 0,
			}
		}
	}
	snap := routing.NewRouter().Snapshot().Edit(func(e *routing.Editor) {
		for _, n := range names {
			e.PutZone(&catalog.Zone{Name: n})
		}
		for _, c := range clusters {
			e.PutCluster(c)
		}
		for _, name := range []string{"p", "q"} {
			p := &catalog.Policy{
				Name: name, Copies: catalog.Copies{N: rapid.IntRange(1, 4).Draw(t, "copies")},
				Clusters: rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "allowed"),
			}
			p.Normalize()
			e.PutPolicy(p)
		}
	})
	silent := make(map[string]bool)
	for _, n := range names {
		silent[n] = rapid.IntRange(0, 4).Draw(t, "silent") == 0
	}
	unasked := make(map[string]bool)
	for _, n := range names {
		unasked[n] = silent[n] && rapid.IntRange(0, 3).Draw(t, "unasked") == 0
	}
	tb := NewInputs(snap, map[string]int64{}, silent).Expect(snap, unasked)
	if rapid.IntRange(0, 3).Draw(t, "rebalance") == 0 {
		tb = tb.Rebalanced()
	}
	rules := []catalog.PrefixRule{{Policy: "p"}}
	if rapid.Bool().Draw(t, "rule") {
		rules = append(rules, catalog.PrefixRule{Prefix: "a/", Policy: "q"})
	}
	primary := rapid.SampledFrom(names).Draw(t, "primary")
	var rows []state.Copy
	for _, prefix := range []string{"", "a/", "b/"}[:rapid.IntRange(0, 3).Draw(t, "rules with rows")] {
		rows = append(rows, state.Copy{Bucket: "b", Copy: catalog.Copy{Prefix: prefix, Cluster: primary, Primary: true, State: catalog.CopySynced}})
		for _, n := range names {
			if n != primary && rapid.Bool().Draw(t, "row") {
				rows = append(rows, state.Copy{Bucket: "b", Copy: catalog.Copy{
					Prefix: prefix, Cluster: n, State: catalog.CopyState(rapid.IntRange(0, 5).Draw(t, "state")),
				}})
			}
		}
	}
	decl := &catalog.Bucket{Name: "b", Policy: "p"}
	a := tb.Plan(decl, rules, rows, primary)
	checkPlan(t, tb, rules, rows, a, primary)
	if again := tb.Plan(decl, rules, a.Rows, primary); again.Changed {
		t.Fatalf("planning again changes\n%+v\nto\n%+v", a.Rows, again.Rows)
	}
}

func checkPlan(t *rapid.T, tb *Inputs, rules []catalog.PrefixRule, before []state.Copy, a Plan, primary string) {
	seen := make(map[[2]string]bool)
	for _, r := range a.Rows {
		id := [2]string{r.Prefix, r.Cluster}
		if seen[id] {
			t.Fatalf("two rows of %v", id)
		}
		seen[id] = true
		if r.Primary != (r.Cluster == primary) {
			t.Fatalf("row %+v, primary %s", r, primary)
		}
		if r.Primary && r.State != catalog.CopySynced {
			t.Fatalf("the primary is %s", r.State)
		}
	}
	for _, rule := range rules {
		if !seen[[2]string{rule.Prefix, primary}] {
			t.Fatalf("rule %q has no row at the primary", rule.Prefix)
		}
		checkRule(t, tb, rule, before, a.Rows)
	}
}

func checkRule(t *rapid.T, tb *Inputs, rule catalog.PrefixRule, before, after []state.Copy) {
	waiting := false
	for _, r := range after {
		if r.Prefix == rule.Prefix && r.State == catalog.CopyWaiting { // one that is not chosen never waits
			waiting = true
		}
	}
	hadRule := slices.ContainsFunc(before, func(r state.Copy) bool { return r.Prefix == rule.Prefix })
	for _, r := range after {
		if r.Prefix != rule.Prefix {
			continue
		}
		i := copyrows.Index(before, r.Prefix, r.Cluster)
		if i < 0 && !r.Primary && tb.silent[r.Cluster] && before != nil && hadRule {
			t.Fatalf("a new copy where nothing has ever answered: %+v", r)
		}
		if i < 0 && !r.Primary && hadRule && !tb.allowed[rule.Policy][r.Cluster] {
			t.Fatalf("a new copy where it is forbidden: %+v", r)
		}
		if i >= 0 && before[i].State == catalog.CopySynced && r.State == catalog.CopyDraining && waiting {
			t.Fatalf("%s leaves before its replacement is synced: %s", r.Cluster, strings.TrimSpace(fmt.Sprintf("%+v", after)))
		}
	}
}

func TestJustBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.StringN(1, 8, 40).Draw(t, "prefix")
		got := justBefore(prefix)
		if got >= prefix {
			t.Fatalf("%q is not before %q", got, prefix)
		}
		if strings.ToValidUTF8(got, "") != got {
			t.Fatalf("%q is no UTF-8", got)
		}
	})
}

// BenchmarkPlan measures the plan of a bucket that is where it should be: a change of a
// policy costs one for every bucket.
func BenchmarkPlan(b *testing.B) {
	snap := routing.NewRouter().Snapshot().Edit(func(e *routing.Editor) {
		for i := range 10 {
			name := fmt.Sprint("c", i)
			e.PutZone(&catalog.Zone{Name: name})
			e.PutCluster(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{Endpoint: "http://" + name}})
		}
		p := &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 3}, Clusters: []string{"c1", "c2", "c3"}}
		p.Normalize()
		e.PutPolicy(p)
	})
	in := NewInputs(snap, nil, nil)
	decl, rules := &catalog.Bucket{Name: "bkt", Policy: "p"}, []catalog.PrefixRule{{Policy: "p"}}
	rows := in.Plan(decl, rules, nil, "c1").Rows
	copies := make([]catalog.Copy, len(rows))
	for i, r := range rows {
		r.State = catalog.CopySynced
		copies[i] = r.Copy
	}
	b.ReportAllocs()
	for b.Loop() {
		if in.Plan(decl, rules, copyrows.FromCatalog("bkt", copies), "c1").Changed {
			b.Fatal("it is where it should be")
		}
	}
}
