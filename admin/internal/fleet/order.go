package fleet

import (
	"cmp"
	"slices"
)

// MostOrdered is how many of those that match are told in another order than that of names.
const MostOrdered = 1000

// The orders of lists of buckets.
const (
	ByName    = "name"
	ByState   = "state"   // the worst first
	ByOldest  = "oldest"  // what is behind for longest first
	ByPending = "pending" // what has most objects on their way first
	ByBytes   = "bytes"   // the largest first
)

// Orders lists them.
var Orders = []string{ByName, ByState, ByOldest, ByPending, ByBytes}

// Ordered returns the first names in an order other than those of names and bytes, and how many
// match in all. What is alike is in the order of names.
func (s *Search) Ordered(order string) (names []string, total int) {
	ix := s.Fleet.index(s.Snapshot, s.OriginOf)
	if order == ByState {
		return ix.byState(s.Key)
	}
	var behind, rest []string // the rest are alike
	ix.each(s.Key, func(r *row) {
		total++
		if _, is := s.Fleet.Behind[r.name]; is {
			behind = append(behind, r.name)
		} else if len(rest) < MostOrdered {
			rest = append(rest, r.name)
		}
	})
	slices.SortStableFunc(behind, func(a, b string) int {
		if order == ByOldest {
			return compareOldest(s.Fleet.Behind[a], s.Fleet.Behind[b])
		}
		return cmp.Compare(s.Fleet.Behind[b].Objects, s.Fleet.Behind[a].Objects)
	})
	names = append(behind, rest...)
	return names[:min(len(names), MostOrdered)], total
}

// byState returns the first names that meet a search, the worst states first, and how many do in all.
func (ix *index) byState(k Key) (names []string, total int) {
	of := make([][]string, len(states))
	ix.each(k, func(r *row) {
		if total++; len(of[r.state]) < MostOrdered {
			of[r.state] = append(of[r.state], r.name)
		}
	})
	names = slices.Concat(of...)
	return names[:min(len(names), MostOrdered)], total
}

// compareOldest puts what is behind for longer first, and what is not behind last.
func compareOldest(a, b Behind) int {
	switch {
	case a.Oldest.IsZero() || b.Oldest.IsZero():
		return cmp.Compare(b.Objects, a.Objects)
	default:
		return a.Oldest.Compare(b.Oldest)
	}
}
