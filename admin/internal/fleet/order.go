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
	rows := s.Fleet.index(s.Snapshot, s.OriginOf).matching(s.Key)
	behind := s.Fleet.Behind
	slices.SortStableFunc(rows, func(a, b row) int {
		switch order {
		case ByOldest:
			return compareOldest(behind[a.name], behind[b.name])
		case ByPending:
			return cmp.Compare(behind[b.name].Objects, behind[a.name].Objects)
		default:
			return cmp.Compare(a.state, b.state)
		}
	})
	for i := range rows[:min(len(rows), MostOrdered)] {
		names = append(names, rows[i].name)
	}
	return names, len(rows)
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
