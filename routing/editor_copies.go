package routing

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// setRules replaces the declared prefix rules and keeps the copies.
func (e *Editor) setRules(en *entry, prefixes []catalog.PrefixRule) {
	if len(prefixes) == 0 && len(en.rules()) == 0 {
		return
	}
	copies := e.next.tables.copies(en)
	rules := make([]rule, len(prefixes))
	for i, p := range prefixes {
		rules[i] = rule{strings.Clone(p.Prefix), e.policyID(p.Policy)}
	}
	slices.SortFunc(rules, func(a, b rule) int { return cmp.Compare(a.prefix, b.prefix) })
	en.more = &entryMore{rules: rules}
	e.setCopies(en, copies)
}

// placedCopy is a copy on its way into an entry.
type placedCopy struct {
	copyEntry
	cursor   string
	compared moment
}

// setCopies replaces the copies of an entry that the edit owns.
func (e *Editor) setCopies(en *entry, copies []catalog.Copy) {
	rules := en.rules()
	orphans := orphansOf(rules, copies)
	placed, cursors := e.placed[:0], 0
	for i := range copies {
		c := &copies[i]
		if c.Cluster == "" {
			continue
		}
		id := e.clusterID(c.Cluster)
		p := placedCopy{copyEntry: newCopyEntry(id, ruleIndex(rules, orphans, c.Prefix), e.addressNo(id, c.At), c), compared: momentOf(c.Compared)}
		if c.State == catalog.CopySyncing && c.Cursor != "" {
			p.cursor = strings.Clone(c.Cursor)
			cursors++
		}
		placed = append(placed, p)
	}
	slices.SortFunc(placed, func(a, b placedCopy) int {
		return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.rule(), b.rule()))
	})
	placed = slices.CompactFunc(placed, func(a, b placedCopy) bool {
		return a.cluster == b.cluster && a.rule() == b.rule()
	})
	pack(en, placed)
	en.more = newEntryMore(rules, orphans, placed, cursors)
	e.placed = placed[:0]
}

// pack puts the copies in the entry itself if they fit.
func pack(en *entry, placed []placedCopy) {
	en.few = [entryRoom]uint32{}
	rest := entryRest{name: en.name()}
	if fit(placed) {
		for i, p := range placed {
			en.few[i], rest.compared[i] = p.packed(), p.compared
		}
	}
	if rest != *en.rest {
		en.rest = &rest
	}
}

func fit(placed []placedCopy) bool {
	return len(placed) <= entryRoom &&
		!slices.ContainsFunc(placed, func(p placedCopy) bool { return !p.fits() })
}

func newEntryMore(rules []rule, orphans []string, placed []placedCopy, cursors int) *entryMore {
	if fit(placed) && len(rules) == 0 && len(orphans) == 0 && cursors == 0 {
		return nil
	}
	m := &entryMore{rules: rules, orphans: orphans}
	if !fit(placed) {
		m.copies, m.compared = make([]copyEntry, len(placed)), make([]moment, len(placed))
		for i, p := range placed {
			m.copies[i], m.compared[i] = p.copyEntry, p.compared
		}
	}
	if cursors > 0 {
		m.cursors = make([]string, len(placed))
		for i, p := range placed {
			m.cursors[i] = p.cursor
		}
	}
	return m
}

// declaredRule returns the index of the declared rule of exactly this prefix.
func declaredRule(rules []rule, prefix string) (int, bool) {
	if prefix == "" {
		return 0, true
	}
	i := sort.Search(len(rules), func(i int) bool { return rules[i].prefix >= prefix })
	return i + 1, i < len(rules) && rules[i].prefix == prefix
}

func ruleIndex(rules []rule, orphans []string, prefix string) int {
	if i, ok := declaredRule(rules, prefix); ok {
		return i
	}
	i, _ := slices.BinarySearch(orphans, prefix)
	return len(rules) + 1 + i
}

// orphansOf returns the prefixes of copies that no declared rule has, sorted.
func orphansOf(rules []rule, copies []catalog.Copy) []string {
	var orphans []string
	for i := range copies {
		if _, ok := declaredRule(rules, copies[i].Prefix); !ok {
			orphans = append(orphans, strings.Clone(copies[i].Prefix))
		}
	}
	slices.Sort(orphans)
	return slices.Compact(orphans)
}
