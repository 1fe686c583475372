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
	chosen, short := p.place(r, target)
	if short != "" && !slices.Contains(p.issues, short) {
		p.issues, p.short = append(p.issues, short), append(p.short, short)
	}
	want := make(map[string]bool)
	for _, c := range chosen {
		want[c] = true
	}
	if p.hasStorage(target) && p.allowed[r.Policy][target] {
		want[target] = true
	}
	allSynced := true
	for _, c := range slices.Sorted(maps.Keys(want)) {
		allSynced = p.ensureCopy(r.Prefix, c) && allSynced
	}
	p.rows = slices.DeleteFunc(p.rows, func(c state.Copy) bool {
		return c.Prefix == r.Prefix && !want[c.Cluster] && p.neverBegan(&c)
	})
	for i := range p.rows {
		c := &p.rows[i]
		if c.Prefix != r.Prefix || c.Primary || want[c.Cluster] || c.FormerPrimary || leaving(c.State) {
			continue
		}
		forbidden := !p.allowed[r.Policy][c.Cluster]
		holdsSome := c.State == catalog.CopySynced || c.State == catalog.CopySyncing && c.Cursor != ""
		if !holdsSome || allSynced && (short == "" || forbidden) {
			c.State, c.Cursor = catalog.CopyDraining, ""
		}
	}
}

// ensureCopy ensures that a chosen cluster has a copy row that does not leave, and reports
// whether that copy is synced.
func (p *planner) ensureCopy(prefix, cluster string) (synced bool) {
	i := copyrows.Index(p.rows, prefix, cluster)
	if i < 0 {
		p.addRow(catalog.Copy{Prefix: prefix, Cluster: cluster, State: catalog.CopyWaiting})
		return false
	}
	c := &p.rows[i]
	if leaving(c.State) {
		copyrows.Resync(c)
	}
	return c.State == catalog.CopySynced
}

// place places one rule among all clusters. short says what is missing where too few could
// be chosen. With a million buckets this dominates a pass of the planner.
func (p *planner) place(r catalog.PrefixRule, primary string) (chosen []string, short string) {
	if p.policies[r.Policy] == nil {
		return nil, "policy " + r.Policy + " does not exist"
	}
	in := &placement.RuleInput{
		Bucket: p.decl.Name, Prefix: r.Prefix, Policy: r.Policy,
		Primary: primary, PrimaryDeclared: primary != "" && (p.decl.Primary == primary || p.fixed()), Ideal: p.ideal,
	}
	p.noteCopies(in, r.Prefix)
	chosen, complete := p.solver.Choose(nil, in)
	if !complete {
		all, _ := p.solver.Place(in)
		short = all.Short
	}
	return chosen, short
}
