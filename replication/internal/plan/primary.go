package plan

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// placePrimary ensures that every rule has a synced row for the primary.
func (p *planner) placePrimary() {
	if p.primary == "" {
		return
	}
	for _, r := range p.rules {
		i := copyrows.Index(p.rows, r.Prefix, p.primary)
		if i < 0 {
			p.addRow(catalog.Copy{Prefix: r.Prefix, Cluster: p.primary})
			i = len(p.rows) - 1
		}
		c := &p.rows[i]
		c.Primary, c.State, c.Cursor, c.Error = true, catalog.CopySynced, "", ""
	}
}

// addRow adds a copy, with what is known of its cluster.
func (p *planner) addRow(c catalog.Copy) {
	c.MadeBucket = copyrows.MadeBucket(p.rows, c.Cluster)
	p.rows = append(p.rows, state.Copy{Bucket: p.decl.Name, Copy: c})
}

// chooseTarget returns where the bucket should be written.
func (p *planner) chooseTarget() string {
	if want := p.decl.Primary; want != "" {
		if p.Allows(p.rules, want) {
			return want
		}
		p.issues = append(p.issues, "the declared primary "+want+" is not allowed by every policy of the bucket, or has no storage")
		return p.primary
	}
	if p.mayStay(p.rules, p.primary) {
		return p.primary
	}
	if !p.hasStorage(p.primary) {
		return p.primary // reported already
	}
	next := p.nextPrimary()
	if next == "" {
		p.issues = append(p.issues, "the primary "+p.primary+" has to move, and no other cluster is allowed by every policy of the bucket")
		return p.primary
	}
	return next
}

// nextPrimary returns where the primary moves: preferably to a cluster that has everything
// already; "" if nowhere.
func (p *planner) nextPrimary() string {
	open := p.open(p.rules)
	if len(open) == 0 {
		return ""
	}
	copies := make([]catalog.Copy, len(p.rows))
	for i, r := range p.rows {
		copies[i] = r.Copy
	}
	order := p.solve(p.rules[0], open)
	for _, c := range append(slices.Clone(order), slices.Sorted(maps.Keys(open))...) {
		if open[c] != nil && copyrows.SyncedEverywhere(copies, c) {
			return c
		}
	}
	if len(order) == 0 {
		return ""
	}
	return order[0]
}
