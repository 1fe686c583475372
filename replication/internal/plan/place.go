package plan

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// planRule changes one rule's rows to match its placement.
func (p *planner) planRule(r catalog.PrefixRule, target string) {
	rule := p.table.rule(r.Prefix)
	chosen, short := p.place(r, rule, target)
	p.tell(short)
	want := setOf(chosen)
	if p.in.hasStorage(target) && p.in.allowed[r.Policy][target] {
		want[target] = true
	}
	allSynced := true
	for _, c := range slices.Sorted(maps.Keys(want)) {
		allSynced = p.ensureCopy(rule, c) && allSynced
	}
	rule.rows = slices.DeleteFunc(rule.rows, func(c state.Copy) bool { return !want[c.Cluster] && p.neverBegan(&c) })
	for i := range rule.rows {
		c := &rule.rows[i]
		if c.Primary || want[c.Cluster] || c.FormerPrimary || c.State.Leaves() {
			continue
		}
		forbidden := !p.in.allowed[r.Policy][c.Cluster]
		holdsSome := c.State == catalog.CopySynced || c.State == catalog.CopySyncing && c.Cursor != ""
		if !holdsSome || allSynced && (short == "" || forbidden) {
			c.State, c.Cursor = catalog.CopyDraining, ""
		}
	}
}

// tell notes a rule's shortfall, once where several rules have the same.
func (p *planner) tell(short string) {
	if short == "" || p.told[short] {
		return
	}
	if p.told == nil {
		p.told = make(map[string]bool)
	}
	p.told[short] = true
	p.issues, p.short = append(p.issues, short), append(p.short, short)
}

// ensureCopy ensures that a chosen cluster has a copy row that does not leave, and reports
// whether that copy is synced.
func (p *planner) ensureCopy(r *ruleRows, cluster string) (synced bool) {
	c := r.in(cluster)
	if c == nil {
		p.addRow(r, catalog.Copy{Cluster: cluster, State: catalog.CopyWaiting})
		return false
	}
	if c.State.Leaves() {
		copyrows.Resync(c)
	}
	return c.State == catalog.CopySynced
}

// place places one rule among all clusters. short says what is missing where too few could
// be chosen. With a million buckets this dominates a pass of the planner.
func (p *planner) place(r catalog.PrefixRule, rule *ruleRows, primary string) (chosen []string, short string) {
	if p.in.policies[r.Policy] == nil {
		return nil, "policy " + r.Policy + " does not exist"
	}
	in := &placement.RuleInput{
		Bucket: p.decl.Name, Prefix: r.Prefix, Policy: r.Policy,
		Primary: primary, PrimaryDeclared: primary != "" && (p.decl.Primary == primary || p.fixed()), Ideal: p.in.ideal,
	}
	p.noteCopies(in, rule)
	chosen, complete := p.in.solver.Choose(nil, in)
	if !complete {
		all, _ := p.in.solver.Place(in)
		short = all.Short
	}
	return chosen, short
}
