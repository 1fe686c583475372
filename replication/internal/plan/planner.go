package plan

import (
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/state"
)

// planner makes one plan. Once the rules were adopted its table has rows, or none yet, of
// every declared rule.
type planner struct {
	in       *Inputs
	table    table
	decl     *catalog.Bucket
	declared []catalog.PrefixRule // sorted by prefix
	primary  string
	issues   []string
	short    []string // shortfalls among issues
	told     map[string]bool
}

func (in *Inputs) planner(decl *catalog.Bucket, rules []catalog.PrefixRule, rows []state.Copy, primary string) *planner {
	return &planner{in: in, table: newTable(rows), decl: decl, declared: rules, primary: primary}
}

// addRow adds a rule's copy in a cluster that has none, with what is known of the cluster.
func (p *planner) addRow(r *ruleRows, c catalog.Copy) *state.Copy {
	c.Prefix, c.MadeBucket = r.prefix, p.table.madeIn(c.Cluster)
	at, _ := r.find(c.Cluster)
	r.rows = slices.Insert(r.rows, at, state.Copy{Bucket: p.decl.Name, Copy: c})
	return &r.rows[at]
}

// solve places one rule among some clusters only, the first choice first. What is on its way
// there counts for nothing: a plan that is made again, with the copies it began, chooses the
// same.
func (p *planner) solve(r catalog.PrefixRule, clusters map[string]*catalog.Cluster) []string {
	policy := p.in.policies[r.Policy]
	if policy == nil {
		return nil
	}
	var in placement.RuleInput
	p.noteCopies(&in, p.table.rule(r.Prefix))
	return placement.Solve(placement.Input{
		Bucket: p.decl.Name, Prefix: r.Prefix, Policy: policy, Zones: p.in.zones, Clusters: clusters,
		Current: setOf(in.Current), Ideal: p.in.ideal, UsedBytes: p.in.used, Silent: p.in.silent,
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
func (p *planner) noteCopies(in *placement.RuleInput, r *ruleRows) {
	if r == nil {
		return
	}
	for i := range r.rows {
		if c := &r.rows[i]; !p.neverBegan(c) {
			in.Note(c.Copy)
		}
	}
}

// neverBegan reports whether nothing of a copy can be where it was to be: its storage has
// never answered, and no earlier life of this process or another left a trace in the row.
func (p *planner) neverBegan(c *state.Copy) bool {
	return p.in.silent[c.Cluster] && c.State == catalog.CopyWaiting && !c.Primary && !c.Verified && c.VerifiedAt.IsZero() &&
		!c.MadeBucket && !c.FormerPrimary && c.At == 0 && c.Cursor == ""
}
