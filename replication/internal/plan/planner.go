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
	var in placement.RuleInput
	p.noteCopies(&in, r.Prefix)
	return placement.Solve(placement.Input{
		Bucket: p.decl.Name, Prefix: r.Prefix, Policy: policy, Zones: p.zones, Clusters: clusters,
		Current: setOf(in.Current), Coming: setOf(in.Coming), Ideal: p.ideal, UsedBytes: p.used, Silent: p.silent,
	}).Chosen
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// noteCopies tells placement where a rule's copies are, and where they are coming to be.
func (p *planner) noteCopies(in *placement.RuleInput, prefix string) {
	for i := range p.rows {
		if c := &p.rows[i]; c.Prefix == prefix && !p.neverBegan(c) {
			in.Note(c.Copy)
		}
	}
}

// neverBegan reports whether nothing of a copy can be where it was to be: its storage has
// never answered, and no earlier life of this process or another left a trace in the row.
func (p *planner) neverBegan(c *state.Copy) bool {
	return p.silent[c.Cluster] && c.State == catalog.CopyWaiting && !c.Primary && !c.Verified && c.VerifiedAt.IsZero() &&
		!c.MadeBucket && !c.FormerPrimary && c.At == 0 && c.Cursor == ""
}
