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

var nested = []string{"", "a", "a/", "a/b", "a/b/", "a/c", "b/", "b/a/", "ba"}

// A new rule has the clusters of the longest rule with rows above it; a removed rule's copies
// drain where the longest declared rule above it has none, and are gone elsewhere. The search
// here looks at all rules for each.
func TestRulesFindWhatCoversThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string) []string {
			picked := slices.Sorted(slices.Values(rapid.SliceOfDistinct(rapid.SampledFrom(nested[1:]), rapid.ID[string]).Draw(t, what)))
			return append([]string{""}, picked...)
		}
		var rules []catalog.PrefixRule
		declared := pick("declared")
		for _, prefix := range declared {
			rules = append(rules, catalog.PrefixRule{Prefix: prefix, Policy: "p"})
		}
		var rows []state.Copy
		had := pick("had")
		for i, prefix := range had { // each rule's copies are told apart by their cluster
			rows = append(rows, row(prefix, fmt.Sprint("own", i), catalog.CopySynced))
		}
		p := inputs(map[string][]string{"p": {"c1"}}).planner(&catalog.Bucket{Name: "b"}, rules, rapid.Permutation(rows).Draw(t, "order"), "")
		p.adoptRules()
		covering := func(of string, among []string) int {
			best := -1
			for i, prefix := range among {
				if strings.HasPrefix(of, prefix) && (best < 0 || len(prefix) > len(among[best])) {
					best = i
				}
			}
			return best
		}
		for _, prefix := range declared {
			want := fmt.Sprint("own", covering(prefix, had))
			if r := p.table.rule(prefix); r == nil || len(r.rows) != 1 || r.rows[0].Cluster != want || r.rows[0].Prefix != prefix {
				t.Fatalf("rule %q has %+v, want one copy in %s", prefix, r, want)
			}
		}
		for i, prefix := range had {
			if slices.Contains(declared, prefix) {
				continue
			}
			if c := p.table.rule(prefix).in(fmt.Sprint("own", i)); c == nil || c.State != catalog.CopyDraining {
				t.Fatalf("the copy of removed rule %q is %+v, want it to drain", prefix, c)
			}
			cover := p.table.rule(declared[covering(prefix, declared)])
			if c := cover.rows[0]; c.State != catalog.CopySyncing || c.Cursor >= prefix {
				t.Fatalf("the copy of %q, which covers removed %q, is %+v", cover.prefix, prefix, c)
			}
		}
	})
}

// A table finds what a search over all rows finds.
func TestTable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var rows []state.Copy
		for _, prefix := range rapid.SliceOfDistinct(rapid.SampledFrom(nested), rapid.ID[string]).Draw(t, "prefixes") {
			for _, c := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"c1", "c2", "c3"}), rapid.ID[string]).Draw(t, "clusters") {
				r := row(prefix, c, catalog.CopyState(rapid.IntRange(0, 5).Draw(t, "state")))
				r.MadeBucket = rapid.Bool().Draw(t, "made")
				rows = append(rows, r)
			}
		}
		before := slices.Clone(rows)
		tb := newTable(rows)
		if !slices.Equal(tb.flat(), sorted(rows)) || !slices.Equal(rows, before) {
			t.Fatalf("rows %+v became %+v, from %+v", before, tb.flat(), rows)
		}
		complete, copies := tb.complete(), make([]catalog.Copy, len(rows))
		for i, r := range rows {
			copies[i] = r.Copy
		}
		for _, c := range []string{"c1", "c2", "c3"} {
			if complete[c] != copyrows.SyncedEverywhere(copies, c) || tb.madeIn(c) != copyrows.MadeBucket(rows, c) {
				t.Fatalf("%s: complete %v, made %v in %+v", c, complete[c], tb.madeIn(c), rows)
			}
			for _, prefix := range nested {
				var got *state.Copy
				if r := tb.rule(prefix); r != nil {
					got = r.in(c)
				}
				if i := copyrows.Index(rows, prefix, c); (i >= 0) != (got != nil) || got != nil && *got != rows[i] {
					t.Fatalf("%q in %s: %+v", prefix, c, got)
				}
			}
		}
	})
}

// BenchmarkPlanOfManyRules measures the plan of a bucket with as many rules as may be, which
// is where it should be.
func BenchmarkPlanOfManyRules(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			snap := routing.NewRouter().Snapshot().Edit(func(e *routing.Editor) {
				var names []string
				for i := range 10 {
					name := fmt.Sprint("c", i)
					names = append(names, name)
					e.PutZone(&catalog.Zone{Name: name})
					e.PutCluster(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{Endpoint: "http://" + name}})
				}
				p := &catalog.Policy{Name: "p", Copies: catalog.Copies{All: true}, Clusters: names}
				p.Normalize()
				e.PutPolicy(p)
			})
			in, decl := NewInputs(snap, nil, nil), &catalog.Bucket{Name: "bkt", Policy: "p"}
			rules := []catalog.PrefixRule{{Policy: "p"}}
			for i := 1; i < n; i++ {
				rules = append(rules, catalog.PrefixRule{Prefix: fmt.Sprintf("p%04d/", i), Policy: "p"})
			}
			rows := in.Plan(decl, rules, nil, "c1").Rows
			for i := range rows {
				rows[i].State = catalog.CopySynced
			}
			for b.Loop() {
				if in.Plan(decl, rules, rows, "c1").Changed {
					b.Fatal("it is where it should be")
				}
			}
		})
	}
}
