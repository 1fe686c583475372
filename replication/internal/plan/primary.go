package plan

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/placement"
)

// placePrimary ensures that every rule has a synced row for the primary.
func (p *planner) placePrimary() {
	if p.primary == "" {
		return
	}
	for _, r := range p.declared {
		rule := p.table.rule(r.Prefix)
		c := rule.in(p.primary)
		if c == nil {
			c = p.addRow(rule, catalog.Copy{Cluster: p.primary})
		}
		c.Primary, c.State, c.Cursor, c.Error = true, catalog.CopySynced, "", ""
	}
}

// chooseTarget returns where the bucket should be written.
func (p *planner) chooseTarget() string {
	if want := p.decl.Primary; want != "" {
		if p.in.Allows(p.declared, want) {
			return want
		}
		p.issues = append(p.issues, "the declared primary "+want+" is not allowed by every policy of the bucket, or has no storage")
		return p.primary
	}
	if p.in.mayStay(p.declared, p.primary) {
		return p.idealPrimary()
	}
	if !p.in.hasStorage(p.primary) {
		return p.primary // reported already
	}
	if p.fixed() {
		if !p.in.Allows(p.declared, p.primary) {
			p.issues = append(p.issues, "the primary "+p.primary+" is not allowed by every policy of the bucket, and policy "+p.declared[0].Policy+
				" moves no primary (primary fixed); name another one")
		}
		return p.primary
	}
	next := p.nextPrimary()
	if next == "" {
		p.issues = append(p.issues, "the primary "+p.primary+" has to move, and no other cluster is allowed by every policy of the bucket and has ever answered")
		return p.primary
	}
	return next
}

// idealPrimary returns where a primary goes that may stay: nowhere, but for a rebalance that
// would put no copy of the bucket there.
func (p *planner) idealPrimary() string {
	if !p.in.ideal || p.fixed() {
		return p.primary
	}
	best := p.solve(p.declared[0], p.in.open(p.declared))
	if len(best) == 0 || slices.Contains(best, p.primary) {
		return p.primary
	}
	return best[0]
}

// fixed reports whether only people move the bucket's primary.
func (p *planner) fixed() bool {
	if len(p.declared) == 0 || p.primary == "" {
		return false
	}
	policy := p.in.policies[p.declared[0].Policy] // rules are sorted: the bucket's own comes first
	return policy != nil && policy.Primary == catalog.PrimaryFixed
}

// nextPrimary returns where the primary moves: preferably to a cluster that has everything
// already; "" if nowhere. A storage that has never answered gets nothing new for it.
func (p *planner) nextPrimary() string {
	complete, order := p.table.complete(), p.order()
	for _, c := range append(slices.Clone(order), slices.Sorted(maps.Keys(complete))...) {
		if complete[c] && p.in.mayStay(p.declared, c) {
			return c
		}
	}
	if len(order) == 0 {
		return ""
	}
	return order[0]
}

// order returns the clusters that the primary may move to, the first choice first.
func (p *planner) order() []string {
	if len(p.declared) == 1 { // which has been worked out for all buckets of the policy
		in := placement.RuleInput{Bucket: p.decl.Name, Policy: p.declared[0].Policy, Ideal: p.in.ideal}
		p.noteCopies(&in, p.table.rule(""))
		in.Coming = nil // as in solve
		order, _ := p.in.solver.Choose(nil, &in)
		return order
	}
	open := p.in.open(p.declared)
	maps.DeleteFunc(open, func(c string, _ *catalog.Cluster) bool { return p.in.silent[c] && !p.comesEverywhere(c) })
	return p.solve(p.declared[0], open)
}

// comesEverywhere reports whether a cluster has a copy of every rule, or is getting one.
func (p *planner) comesEverywhere(cluster string) bool {
	return !slices.ContainsFunc(p.declared, func(r catalog.PrefixRule) bool {
		rule := p.table.rule(r.Prefix)
		if rule == nil {
			return true
		}
		c := rule.in(cluster)
		return c == nil || c.State.Leaves() || p.neverBegan(c)
	})
}

// FirstChoice returns where a bucket without a primary is to be written: where it is
// declared, else where placement puts it among some clusters (nil: all); "" if nowhere.
func (in *Inputs) FirstChoice(decl *catalog.Bucket, rules []catalog.PrefixRule, among []string) string {
	if decl.Primary != "" && in.Allows(rules, decl.Primary) {
		return decl.Primary
	}
	open := in.open(rules)
	maps.DeleteFunc(open, func(name string, _ *catalog.Cluster) bool {
		return among != nil && !slices.Contains(among, name)
	})
	if len(open) == 0 {
		return ""
	}
	answering := *in
	answering.silent = nil // those among which it chooses have answered by now
	p := answering.planner(decl, rules, nil, "")
	if chosen := p.solve(rules[0], open); len(chosen) > 0 {
		return chosen[0]
	}
	return ""
}

// mayStay reports whether the policies and the cluster's state let the primary be there.
func (in *Inputs) mayStay(rules []catalog.PrefixRule, cluster string) bool {
	return in.Allows(rules, cluster) && !in.clusters[cluster].Drain
}

// open returns the clusters that a primary may move to.
func (in *Inputs) open(rules []catalog.PrefixRule) map[string]*catalog.Cluster {
	open := make(map[string]*catalog.Cluster)
	rules = perPolicy(rules)
	for name, c := range in.clusters {
		if in.mayStay(rules, name) {
			open[name] = c
		}
	}
	return open
}
