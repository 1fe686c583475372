package plan

import (
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// planner makes one plan.
type planner struct {
	*Inputs
	decl    *catalog.Bucket
	rules   []catalog.PrefixRule
	rows    []state.Copy
	primary string
	issues  []string
	short   []string // shortfalls among issues
}

// addRow adds a copy, with what is known of its cluster.
func (p *planner) addRow(c catalog.Copy) {
	c.MadeBucket = copyrows.MadeBucket(p.rows, c.Cluster)
	p.rows = append(p.rows, state.Copy{Bucket: p.decl.Name, Copy: c})
}

// solve places one rule among some clusters only, the first choice first.
func (p *planner) solve(r catalog.PrefixRule, clusters map[string]*catalog.Cluster) []string {
	policy := p.policies[r.Policy]
	if policy == nil {
		return nil
	}
	current := make(map[string]bool)
	for _, c := range p.current(r.Prefix) {
		current[c] = true
	}
	return placement.Solve(placement.Input{
		Bucket: p.decl.Name, Prefix: r.Prefix, Policy: policy, Zones: p.zones, Clusters: clusters,
		Current: current, UsedBytes: p.used,
	}).Chosen
}

// current lists the clusters that hold a copy of a rule, or are getting one.
func (p *planner) current(prefix string) (clusters []string) {
	for _, c := range p.rows {
		if c.Prefix == prefix && c.State <= catalog.CopySynced {
			clusters = append(clusters, c.Cluster)
		}
	}
	return clusters
}
