package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// inputs declares clusters c1, c2, c3, c4, which has no storage, and d4, which drains, and
// policies for two copies in the clusters they allow.
func inputs(policies map[string][]string) *Inputs {
	return NewInputs(routing.NewRouter().Snapshot().Edit(func(e *routing.Editor) {
		for _, name := range []string{"c1", "c2", "c3", "c4", "d4"} {
			c := &catalog.Cluster{Name: name, Zones: []string{name}, Drain: name == "d4"}
			if name != "c4" {
				c.Storage = &catalog.Storage{Endpoint: "http://" + name}
			}
			e.PutZone(&catalog.Zone{Name: name})
			e.PutCluster(c)
		}
		for name, clusters := range policies {
			p := &catalog.Policy{Name: name, Copies: catalog.Copies{N: 2}, Clusters: clusters}
			p.Normalize()
			e.PutPolicy(p)
		}
	}), nil, nil)
}

func row(prefix, cluster string, s catalog.CopyState) state.Copy {
	return state.Copy{Bucket: "b", Copy: catalog.Copy{Prefix: prefix, Cluster: cluster, Primary: cluster == "c1", State: s}}
}

func find(t *testing.T, rows []state.Copy, prefix, cluster string) state.Copy {
	t.Helper()
	i := copyrows.Index(rows, prefix, cluster)
	if i < 0 {
		t.Fatalf("no row of %q in %s: %+v", prefix, cluster, rows)
	}
	return rows[i]
}

// A new rule's copies start with what the covering rule's copies have.
func TestNewRuleTakesItsCopies(t *testing.T) {
	t.Parallel()
	in := inputs(map[string][]string{"p": {"c1", "c2"}})
	synced := row("", "c2", catalog.CopySynced)
	synced.Objects, synced.MadeBucket = 9, true
	rules := []catalog.PrefixRule{{Policy: "p"}, {Prefix: "a/", Policy: "p"}}
	plan := in.Plan(&catalog.Bucket{Name: "b"}, rules, []state.Copy{row("", "c1", catalog.CopySynced), synced}, "c1")
	c := find(t, plan.Rows, "a/", "c2")
	if c.State != catalog.CopySynced || c.Objects != 0 || !c.MadeBucket {
		t.Errorf("the new rule's copy is %+v, want a synced one, not counted, with its facts", c)
	}
	if !plan.Changed || plan.Issue != "" {
		t.Errorf("changed %v, issue %q", plan.Changed, plan.Issue)
	}
	syncing := row("", "c2", catalog.CopySyncing)
	syncing.Cursor = "z"
	plan = in.Plan(&catalog.Bucket{Name: "b"}, rules, []state.Copy{row("", "c1", catalog.CopySynced), syncing}, "c1")
	if c := find(t, plan.Rows, "a/", "c2"); c.State != catalog.CopyWaiting || c.Cursor != "" {
		t.Errorf("the new rule's copy is %+v, want one that starts over", c)
	}
}

// A removed rule's keys are synced again where the cluster does not have them all; a cluster
// that only held the removed rule's copy drains it.
func TestRemovedRuleGivesItsKeysBack(t *testing.T) {
	t.Parallel()
	in := inputs(map[string][]string{"p": {"c1", "c2"}})
	made := row("m/", "c2", catalog.CopyWaiting)
	made.MadeBucket, made.OwnedUntil = true, time.Unix(1, 0)
	cover := row("", "c2", catalog.CopySynced)
	cover.OwnedUntil = time.Unix(2, 0)
	plan := in.Plan(&catalog.Bucket{Name: "b"}, []catalog.PrefixRule{{Policy: "p"}}, []state.Copy{
		row("", "c1", catalog.CopySynced), row("m/", "c1", catalog.CopySynced), cover, made, row("m/", "c3", catalog.CopySynced),
	}, "c1")
	c := find(t, plan.Rows, "", "c2")
	if c.State != catalog.CopySyncing || c.Cursor >= "m/" || c.Cursor < "l" {
		t.Errorf("the covering copy is %+v, want it to sync from just before m/", c)
	}
	if !c.MadeBucket || !c.OwnedUntil.Equal(time.Unix(1, 0)) {
		t.Errorf("the covering copy is %+v, want the facts of both", c)
	}
	if c := find(t, plan.Rows, "m/", "c3"); c.State != catalog.CopyDraining {
		t.Errorf("the copy of the removed rule is %s, want it to drain", c.State)
	}
	if len(plan.Rows) != 3 {
		t.Errorf("rows %+v, want three", plan.Rows)
	}

	plan = in.Plan(&catalog.Bucket{Name: "b"}, []catalog.PrefixRule{{Policy: "p"}}, []state.Copy{
		row("", "c1", catalog.CopySynced), row("", "c2", catalog.CopySynced), row("m/", "c3", catalog.CopyDraining),
	}, "c1")
	if plan.Changed {
		t.Errorf("a rule that only drains changes %+v", plan.Rows)
	}
}

// The primary moves to a cluster that has everything, where its own has to be left.
func TestTarget(t *testing.T) {
	t.Parallel()
	in := inputs(map[string][]string{"p": {"c2", "c3", "d4"}, "none": {"c4"}})
	rows := []state.Copy{row("", "c1", catalog.CopySynced), row("", "c2", catalog.CopySyncing), row("", "c3", catalog.CopySynced)}
	for _, c := range []struct {
		name, policy, declared, target, issue string
	}{
		{name: "where everything is", policy: "p", target: "c3"},
		{name: "where it is declared", policy: "p", declared: "c2", target: "c2"},
		{name: "declared where it may not be", policy: "p", declared: "c1", target: "c1", issue: "the declared primary c1 is not allowed"},
		{name: "nowhere to go", policy: "none", target: "c1", issue: "the primary c1 has to move"},
		{name: "no policy", policy: "gone", target: "c1", issue: "policy gone does not exist"},
	} {
		plan := in.Plan(&catalog.Bucket{Name: "b", Primary: c.declared}, []catalog.PrefixRule{{Policy: c.policy}}, rows, "c1")
		if plan.Target != c.target || !strings.Contains(plan.Issue, c.issue) || c.issue == "" && plan.Issue != "" {
			t.Errorf("%s: target %s, issue %q; want %s, %q", c.name, plan.Target, plan.Issue, c.target, c.issue)
		}
	}
}

// A copy in a cluster without storage is forgotten, the primary's is kept with the reason.
func TestUndeclaredCluster(t *testing.T) {
	t.Parallel()
	in := inputs(map[string][]string{"p": {"c2", "c3"}})
	lost := row("", "c4", catalog.CopySynced)
	lost.Primary = true
	plan := in.Plan(&catalog.Bucket{Name: "b"}, []catalog.PrefixRule{{Policy: "p"}}, []state.Copy{lost, row("", "gone", catalog.CopySynced)}, "c4")
	if copyrows.Index(plan.Rows, "", "gone") >= 0 {
		t.Errorf("rows %+v, want none in an undeclared cluster", plan.Rows)
	}
	find(t, plan.Rows, "", "c4")
	if plan.Target != "c4" || !strings.Contains(plan.Issue, "the primary c4 is not declared with a storage any more") {
		t.Errorf("target %s, issue %q", plan.Target, plan.Issue)
	}
}

func TestFirstChoice(t *testing.T) {
	t.Parallel()
	in := inputs(map[string][]string{"p": {"c1", "c2", "c4", "d4"}, "q": {"c2", "c3"}})
	p, both := []catalog.PrefixRule{{Policy: "p"}}, []catalog.PrefixRule{{Policy: "p"}, {Prefix: "a/", Policy: "q"}}
	if got := in.Candidates(p); !slices.Equal(got, []string{"c1", "c2", "d4"}) {
		t.Errorf("candidates %v, want those with a storage that p allows", got)
	}
	if got := in.Candidates(both); !slices.Equal(got, []string{"c2"}) {
		t.Errorf("candidates %v, want the one that both policies allow", got)
	}
	if got := in.Candidates(nil); len(got) > 0 {
		t.Errorf("candidates %v without a rule", got)
	}
	for _, c := range []struct {
		name, declared, want string
		rules                []catalog.PrefixRule
		among                []string
	}{
		{name: "declared", declared: "d4", rules: p, want: "d4"},
		{name: "declared where it may not be", declared: "c3", rules: p, among: []string{"c2"}, want: "c2"},
		{name: "among some", rules: p, among: []string{"c2", "c3"}, want: "c2"},
		{name: "among all", rules: both, want: "c2"},
		{name: "one that drains is no choice", rules: p, among: []string{"d4"}},
		{name: "among none", rules: p, among: []string{}},
		{name: "no rules"},
	} {
		if got := in.FirstChoice(&catalog.Bucket{Name: "b", Primary: c.declared}, c.rules, c.among); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
