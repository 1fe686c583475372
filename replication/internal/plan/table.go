package plan

import (
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// table holds the rows of a bucket's copies by rule, sorted by prefix and cluster, so that
// what is done for each of a bucket's rules looks at that rule's rows only.
type table struct {
	rules []ruleRows
	made  map[string]bool // clusters whose physical bucket FaDO made; gathered on first use
}

// ruleRows are the rows of one rule, sorted by cluster.
type ruleRows struct {
	prefix string
	rows   []state.Copy
}

// newTable returns a table of some rows, which are not modified.
func newTable(rows []state.Copy) table {
	rows = sorted(rows)
	var t table
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && rows[to].Prefix == rows[from].Prefix {
			to++
		}
		t.rules = append(t.rules, ruleRows{prefix: rows[from].Prefix, rows: rows[from:to:to]})
		from = to
	}
	return t
}

// flat returns all rows, sorted.
func (t *table) flat() []state.Copy {
	var n int
	for i := range t.rules {
		n += len(t.rules[i].rows)
	}
	rows := make([]state.Copy, 0, n)
	for i := range t.rules {
		rows = append(rows, t.rules[i].rows...)
	}
	return rows
}

// rule returns the rows of a rule, nil if the table has no such rule.
func (t *table) rule(prefix string) *ruleRows {
	i, found := slices.BinarySearchFunc(t.rules, prefix, func(r ruleRows, prefix string) int { return strings.Compare(r.prefix, prefix) })
	if !found {
		return nil
	}
	return &t.rules[i]
}

// madeIn reports whether FaDO made the physical bucket in a cluster.
func (t *table) madeIn(cluster string) bool {
	if t.made == nil {
		t.made = make(map[string]bool)
		for _, r := range t.rules {
			for i := range r.rows {
				if r.rows[i].MadeBucket {
					t.made[r.rows[i].Cluster] = true
				}
			}
		}
	}
	return t.made[cluster]
}

// complete returns the clusters that have a synced copy of every rule. A rule of which all
// copies leave does not count.
func (t *table) complete() map[string]bool {
	rules, synced := 0, make(map[string]int)
	for _, r := range t.rules {
		if slices.ContainsFunc(r.rows, func(c state.Copy) bool { return c.State <= catalog.CopySynced }) {
			rules++
		}
		for i := range r.rows {
			if r.rows[i].State == catalog.CopySynced {
				synced[r.rows[i].Cluster]++
			}
		}
	}
	all := make(map[string]bool)
	for cluster, n := range synced {
		if n == rules {
			all[cluster] = true
		}
	}
	return all
}

func (r *ruleRows) find(cluster string) (at int, found bool) {
	return slices.BinarySearchFunc(r.rows, cluster, func(c state.Copy, cluster string) int { return strings.Compare(c.Cluster, cluster) })
}

// in returns the row of a cluster, nil if there is none. It is valid until a row is added or
// removed.
func (r *ruleRows) in(cluster string) *state.Copy {
	if i, found := r.find(cluster); found {
		return &r.rows[i]
	}
	return nil
}

func sorted(rows []state.Copy) []state.Copy {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, byPlace)
	return rows
}

// inOrder returns rows sorted; those that are already are not copied.
func inOrder(rows []state.Copy) []state.Copy {
	if slices.IsSortedFunc(rows, byPlace) {
		return rows
	}
	return sorted(rows)
}

func byPlace(a, b state.Copy) int {
	if c := strings.Compare(a.Prefix, b.Prefix); c != 0 {
		return c
	}
	return strings.Compare(a.Cluster, b.Cluster)
}
