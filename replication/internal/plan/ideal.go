package plan

import (
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// Move is what a rebalance would change about a rule of a bucket.
type Move struct {
	Prefix      string
	Add, Remove []string // clusters, sorted
}

// Ideal is where a bucket would be if it were placed from scratch.
type Ideal struct {
	Moves  []Move // of the rules that are elsewhere now
	Target string // where it would be written
	// Reached says that it is there, and nothing of it is on its way.
	Reached bool
}

// Ideal returns where a bucket would be if it were placed from scratch, by the rows of its copies and
// its primary. Rules are as in Plan.
func (in *Inputs) Ideal(decl *catalog.Bucket, rules []catalog.PrefixRule, rows []state.Copy, primary string) Ideal {
	p := in.Rebalanced().planner(decl, rules, rows, primary)
	p.dropUndeclared()
	p.adoptRules()
	p.placePrimary()
	out := Ideal{Target: p.chooseTarget()}
	for _, r := range rules {
		if m := p.move(r, out.Target); len(m.Add)+len(m.Remove) > 0 {
			out.Moves = append(out.Moves, m)
		}
	}
	onItsWay := slices.ContainsFunc(rows, func(c state.Copy) bool { return c.State != catalog.CopySynced || c.Moving || c.FormerPrimary })
	out.Reached = len(out.Moves) == 0 && out.Target == primary && !onItsWay
	return out
}

// move says what a rebalance would change about one rule. Where placement finds too few
// clusters nothing leaves.
func (p *planner) move(r catalog.PrefixRule, target string) Move {
	m := Move{Prefix: r.Prefix}
	rule := p.table.rule(r.Prefix)
	chosen, short := p.place(r, rule, target)
	if p.in.hasStorage(target) && p.in.allowed[r.Policy][target] && !slices.Contains(chosen, target) {
		chosen = append(chosen, target)
	}
	for _, c := range rule.rows {
		if c.State.Leaves() {
			continue
		}
		if i := slices.Index(chosen, c.Cluster); i >= 0 {
			chosen = slices.Delete(chosen, i, i+1)
		} else if short == "" {
			m.Remove = append(m.Remove, c.Cluster)
		}
	}
	m.Add = chosen
	slices.Sort(m.Add)
	slices.Sort(m.Remove)
	return m
}
