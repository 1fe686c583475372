package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// Plan is what the rows of a bucket's copies should become.
type Plan struct {
	Rows    []state.Copy
	Changed bool // Rows differ from those that are there
	// Target is the cluster that should be the primary: another than the primary while the
	// bucket has to move.
	Target string
	// Issue says what stands in the way, "" if nothing does. Short are the shortfalls of
	// rules that it tells of.
	Issue string
	Short []string
}

// Plan returns what a bucket's rows should become, given that the bucket is (to be) written
// in primary:
//
//   - every rule has a copy in the clusters its placement chose and at the primary; new ones
//     start out waiting;
//   - a synced copy that is no longer chosen leaves once all chosen ones of its rule are
//     synced; where too few clusters could be chosen it stays, unless residency forbids it;
//   - the primary stays until its role was handed over;
//   - where a storage that may just not have been asked yet would make it another plan, no
//     copy begins or leaves: what is placed stays, so the storage's answer is waited for. It
//     has every bucket planned again.
//
// Rules are sorted by prefix; rows are not modified, those of the plan are sorted by prefix
// and cluster. What it costs grows with the rules and rows, not with their product.
func (in *Inputs) Plan(decl *catalog.Bucket, rules []catalog.PrefixRule, rows []state.Copy, primary string) Plan {
	p := in.plan(decl, rules, rows, primary, true)
	if in.expected != nil && p.Changed && !slices.Equal(p.Rows, in.expected.plan(decl, rules, rows, primary, true).Rows) {
		return in.plan(decl, rules, rows, primary, false)
	}
	return p
}

// plan makes a plan. Without place it only does what has to be done at once: rows of the rules
// declared now, and the primary's.
func (in *Inputs) plan(decl *catalog.Bucket, rules []catalog.PrefixRule, rows []state.Copy, primary string, place bool) Plan {
	p := in.planner(decl, rules, rows, primary)
	p.dropUndeclared()
	p.adoptRules()
	p.placePrimary()
	target := p.chooseTarget()
	if place {
		for _, r := range rules {
			p.planRule(r, target)
		}
		p.adoptRules() // a new rule's copy takes over an old one's in its cluster
	} else {
		target = primary
	}
	next := p.table.flat()
	return Plan{
		Rows: next, Target: target, Issue: strings.Join(p.issues, "; "), Short: p.short,
		Changed: !slices.Equal(next, inOrder(rows)),
	}
}

// dropUndeclared forgets copies in clusters that no longer have a storage: FaDO can't reach
// them. The primary's is kept, with the reason.
func (p *planner) dropUndeclared() {
	for i := range p.table.rules {
		r := &p.table.rules[i]
		r.rows = slices.DeleteFunc(r.rows, func(c state.Copy) bool {
			if p.in.hasStorage(c.Cluster) {
				return false
			}
			if c.Primary && c.Prefix == "" {
				p.issues = append(p.issues, fmt.Sprintf("the primary %s is not declared with a storage any more; declare it again, or the bucket's primary elsewhere", c.Cluster))
			}
			return !c.Primary
		})
	}
}
