package plan

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// adoptRules turns the rows into rows of the rules declared now.
func (p *planner) adoptRules() {
	known := make(map[string]bool)
	for _, r := range p.rows {
		known[r.Prefix] = true
	}
	for _, r := range p.rules { // sorted: a covering rule comes before those below it
		if !known[r.Prefix] && len(p.rows) > 0 {
			p.splitOff(r.Prefix)
			known[r.Prefix] = true
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(known)) {
		if !slices.ContainsFunc(p.rules, func(r catalog.PrefixRule) bool { return r.Prefix == prefix }) {
			p.mergeBack(prefix)
		}
	}
}

// splitOff gives a new rule the copies that its keys had under the rule that covered them.
func (p *planner) splitOff(prefix string) {
	cover, found := "", false
	for _, r := range p.rows {
		if r.Prefix != prefix && strings.HasPrefix(prefix, r.Prefix) && (!found || len(r.Prefix) > len(cover)) {
			cover, found = r.Prefix, true
		}
	}
	if !found {
		return
	}
	for _, r := range slices.Clone(p.rows) {
		if r.Prefix != cover {
			continue
		}
		r.Prefix, r.Objects, r.Bytes, r.HeldDeletes, r.ScanCursor = prefix, 0, 0, false, ""
		if r.State == catalog.CopySyncing || r.State == catalog.CopyFailed {
			copyrows.Resync(&r)
		}
		p.rows = append(p.rows, r)
	}
}

// mergeBack gives the keys of a removed rule to the rule that covers them now. A cluster
// that only held the removed rule's copy drains it; the row is all that is left of the rule.
func (p *planner) mergeBack(prefix string) {
	cover := ""
	for _, r := range p.rules {
		if strings.HasPrefix(prefix, r.Prefix) && len(r.Prefix) >= len(cover) {
			cover = r.Prefix
		}
	}
	p.resyncFrom(cover, prefix)
	p.inheritFacts(cover, prefix)
	p.rows = slices.DeleteFunc(p.rows, func(c state.Copy) bool {
		return c.Prefix == prefix && (c.Primary || copyrows.Index(p.rows, cover, c.Cluster) >= 0)
	})
	for i := range p.rows {
		if c := &p.rows[i]; c.Prefix == prefix && !leaving(c.State) {
			c.State = catalog.CopyDraining
		}
	}
}

// resyncFrom resyncs the covering rule's copies from the removed rule's prefix on, in
// clusters that lack some of its keys. A rule that was only draining had no keys to hand
// over.
func (p *planner) resyncFrom(cover, prefix string) {
	held := slices.ContainsFunc(p.rows, func(c state.Copy) bool { return c.Prefix == prefix && !leaving(c.State) })
	if !held {
		return
	}
	for i := range p.rows {
		c := &p.rows[i]
		if c.Prefix != cover || c.Primary {
			continue
		}
		had := copyrows.Index(p.rows, prefix, c.Cluster)
		if had >= 0 && p.rows[had].State == catalog.CopySynced {
			continue
		}
		switch c.State {
		case catalog.CopySynced:
			c.State, c.Cursor, c.ScanCursor = catalog.CopySyncing, justBefore(prefix), ""
		case catalog.CopySyncing:
			c.Cursor = min(c.Cursor, justBefore(prefix))
		default: // it is compared from the start, or leaves
		}
	}
}

// inheritFacts gives the covering rule's copies what is known of the removed rule's copies
// in the same clusters.
func (p *planner) inheritFacts(cover, prefix string) {
	for _, c := range p.rows {
		if c.Prefix != prefix {
			continue
		}
		if at := copyrows.Index(p.rows, cover, c.Cluster); at >= 0 {
			to := &p.rows[at]
			to.MadeBucket = to.MadeBucket || c.MadeBucket
			to.OwnedUntil = copyrows.Earlier(to.OwnedUntil, c.OwnedUntil)
			to.FormerPrimary = to.FormerPrimary || c.FormerPrimary
			to.Anywhere = to.Anywhere || c.Anywhere
		}
	}
}

func leaving(s catalog.CopyState) bool {
	return s == catalog.CopyDraining || s == catalog.CopyRemoving
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
