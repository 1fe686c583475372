package fleet

import (
	"cmp"
	"context"
	"slices"
)

// Page returns the first names after one in an order, so many at most, and how many match in all. In
// another order than that of names the first [MostOrdered] are told: behind one that is no longer among
// them there is nothing.
func (s *Search) Page(ctx context.Context, order, after string, most int, sizes *Largest, in Sizes) (names []string, total int, err error) {
	switch order {
	case "", ByName:
		return s.First(ctx, after, most)
	case ByBytes:
		among := s.Names()
		total = len(among)
		names, err = sizes.Of(ctx, in, s.Key, among)
	default:
		names, total = s.Ordered(order)
	}
	if after != "" {
		if i := slices.Index(names, after); i >= 0 {
			names = names[i+1:]
		} else {
			names = nil
		}
	}
	return names[:min(len(names), most)], total, err
}

// InOrderOf sorts items as their names are given.
func InOrderOf[T any](names []string, items []T, name func(T) string) {
	place := make(map[string]int, len(names))
	for i, n := range names {
		place[n] = i
	}
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(place[name(a)], place[name(b)]) })
}
