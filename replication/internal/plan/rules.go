package plan

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// adoptRules turns the rows into rows of the rules declared now.
func (p *planner) adoptRules() {
	if len(p.table.rules) == len(p.declared) && p.inStep() {
		return
	}
	p.splitOff()
	p.mergeBack()
	p.table.rules = slices.DeleteFunc(p.table.rules, func(r ruleRows) bool { return len(r.rows) == 0 && !p.isDeclared(r.prefix) })
}

// inStep reports whether the rows are those of the declared rules, of which there are as many.
func (p *planner) inStep() bool {
	for i := range p.table.rules {
		if p.table.rules[i].prefix != p.declared[i].Prefix || len(p.table.rules[i].rows) == 0 {
			return false
		}
	}
	return true
}

func (p *planner) isDeclared(prefix string) bool {
	_, found := slices.BinarySearchFunc(p.declared, prefix, func(r catalog.PrefixRule, prefix string) int { return strings.Compare(r.Prefix, prefix) })
	return found
}

// splitOff gives each rule that has no rows yet the copies that its keys had under the rule
// that covered them. Both lists are sorted, so a covering rule comes before those below it.
func (p *planner) splitOff() {
	next := make([]ruleRows, 0, max(len(p.table.rules), len(p.declared)))
	var covers []ruleRows // those with rows, each below the one before
	had, declared := p.table.rules, p.declared
	for len(had) > 0 || len(declared) > 0 {
		var r ruleRows
		if len(declared) == 0 || len(had) > 0 && had[0].prefix <= declared[0].Prefix {
			r, had = had[0], had[1:]
		} else {
			r.prefix = declared[0].Prefix
		}
		isDeclared := len(declared) > 0 && declared[0].Prefix == r.prefix
		if isDeclared {
			declared = declared[1:]
		}
		for len(covers) > 0 && !strings.HasPrefix(r.prefix, covers[len(covers)-1].prefix) {
			covers = covers[:len(covers)-1]
		}
		if isDeclared && len(r.rows) == 0 && len(covers) > 0 {
			r.rows = splitFrom(covers[len(covers)-1].rows, r.prefix)
		}
		if len(r.rows) > 0 {
			covers = append(covers, r)
		}
		next = append(next, r)
	}
	p.table.rules = next
}

// splitFrom returns the rows of a new rule, made from those of the rule that covered it.
func splitFrom(cover []state.Copy, prefix string) []state.Copy {
	rows := slices.Clone(cover)
	for i := range rows {
		r := &rows[i]
		r.Prefix, r.Objects, r.Bytes, r.HeldDeletes, r.ScanCursor = prefix, 0, 0, false, ""
		if r.State == catalog.CopySyncing || r.State == catalog.CopyFailed {
			copyrows.Resync(r)
		}
	}
	return rows
}

// mergeBack gives the keys of removed rules to the rules that cover them now.
func (p *planner) mergeBack() {
	var covers []*ruleRows // the declared rules above, each below the one before
	declared := p.declared
	for i := range p.table.rules {
		r := &p.table.rules[i]
		for len(covers) > 0 && !strings.HasPrefix(r.prefix, covers[len(covers)-1].prefix) {
			covers = covers[:len(covers)-1]
		}
		if len(declared) > 0 && declared[0].Prefix == r.prefix {
			covers, declared = append(covers, r), declared[1:]
			continue
		}
		cover := &ruleRows{}
		if len(covers) > 0 {
			cover = covers[len(covers)-1]
		}
		r.mergeInto(cover)
	}
}

// mergeInto gives a removed rule's keys to the rule that covers them now. A cluster that only
// held the removed rule's copy drains it; the row is all that is left of the rule.
func (r *ruleRows) mergeInto(cover *ruleRows) {
	cover.resyncFrom(r)
	cover.inheritFacts(r)
	r.rows = slices.DeleteFunc(r.rows, func(c state.Copy) bool { return c.Primary || cover.in(c.Cluster) != nil })
	for i := range r.rows {
		if c := &r.rows[i]; !c.State.Leaves() {
			c.State = catalog.CopyDraining
		}
	}
}

// resyncFrom resyncs the covering rule's copies from the removed rule's prefix on, in
// clusters that lack some of its keys. A rule that was only draining had no keys to hand
// over.
func (r *ruleRows) resyncFrom(removed *ruleRows) {
	if !slices.ContainsFunc(removed.rows, func(c state.Copy) bool { return !c.State.Leaves() }) {
		return
	}
	for i := range r.rows {
		c := &r.rows[i]
		if c.Primary {
			continue
		}
		if had := removed.in(c.Cluster); had != nil && had.State == catalog.CopySynced {
			continue
		}
		if removed.in(c.Cluster) == nil && !c.OwnedUntil.IsZero() {
			unlearn(c)
			continue
		}
		switch c.State {
		case catalog.CopySynced:
			c.State, c.Cursor, c.ScanCursor = catalog.CopySyncing, justBefore(removed.prefix), ""
		case catalog.CopySyncing:
			c.Cursor = min(c.Cursor, justBefore(removed.prefix))
		default: // it is compared from the start, or leaves
		}
	}
}

// unlearn makes a copy one that was compared with nothing. What lies there below the prefix of a removed
// rule that had no copy in the cluster was not: the moment up to which FaDO owns what is there would
// count for it, too.
func unlearn(c *state.Copy) {
	c.VerifiedAt, c.OwnedUntil, c.Verified = time.Time{}, time.Time{}, false
	if !c.State.Leaves() {
		copyrows.Resync(c)
	}
}

// inheritFacts gives the covering rule's copies what is known of the removed rule's copies
// in the same clusters.
func (r *ruleRows) inheritFacts(removed *ruleRows) {
	for _, c := range removed.rows {
		if to := r.in(c.Cluster); to != nil {
			to.MadeBucket = to.MadeBucket || c.MadeBucket
			to.OwnedUntil = copyrows.Earlier(to.OwnedUntil, c.OwnedUntil)
			to.FormerPrimary = to.FormerPrimary || c.FormerPrimary
			to.Anywhere = to.Anywhere || c.Anywhere
		}
	}
}

// justBefore returns a string less than prefix with practically no key between them; a key
// between them is only compared once more.
func justBefore(prefix string) string {
	r, n := utf8.DecodeLastRuneInString(prefix)
	head := prefix[:len(prefix)-n]
	switch {
	case n == 0 || r == 0:
		return head
	case r == 0xE000:
		r = 0xD7FF
	default:
		r--
	}
	return head + string(r) + string(utf8.MaxRune)
}
