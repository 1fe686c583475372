package fleet

import (
	"context"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// Search is a search for buckets.
type Search struct {
	Key

	Snapshot *routing.Snapshot
	// Fleet is a look at all buckets; only a search by State needs it.
	Fleet *Fleet
	// OriginOf says who declares a bucket.
	OriginOf Origins
}

// Names returns all names that match, sorted, as of the look.
func (s *Search) Names() (names []string) {
	s.Fleet.index(s.Snapshot, s.OriginOf).each(s.Key, func(r *row) { names = append(names, r.name) })
	return names
}

// First returns the first names after one, so many at most, and how many match in all.
func (s *Search) First(ctx context.Context, after string, most int) (names []string, total int, err error) {
	if ix := s.indexed(); ix != nil {
		names, total = ix.first(s.Key, after, most)
		return names, total, ctx.Err()
	}
	s.each(func(name string) bool {
		if !s.matches(name) {
			return ctx.Err() == nil
		}
		total++
		if name > after && (len(names) < most || name < names[most-1]) {
			i, _ := slices.BinarySearch(names, name)
			names = slices.Insert(names, i, name)
			names = names[:min(len(names), most)]
		}
		return ctx.Err() == nil
	})
	return names, total, ctx.Err()
}

// IndexedFrom is how many buckets there are from which on searches go by the index of the last look
// and not by the snapshot itself: they are a few seconds behind then, and cost a tenth.
const IndexedFrom = 10_000

// indexed returns the index to search in; nil where there is none, or buckets have come or gone since.
func (s *Search) indexed() *index {
	n := s.Snapshot.Len(catalog.KindBucket)
	if s.Fleet == nil || n < IndexedFrom {
		return nil
	}
	if ix := s.Fleet.index(s.Snapshot, s.OriginOf); len(ix.rows) == n {
		return ix
	}
	return nil
}

// each yields the names that may match.
func (s *Search) each(f func(name string) bool) {
	if s.State == "" || s.State == control.BucketOK {
		s.Snapshot.Buckets(f)
		return
	}
	for _, name := range s.Fleet.NotOK[s.State] {
		if !f(name) {
			return
		}
	}
}

func (s *Search) matches(name string) bool {
	if s.Part != "" && !strings.Contains(name, s.Part) {
		return false
	}
	if s.State == control.BucketOK && !s.Fleet.ok(name) {
		return false
	}
	if s.Origin != "" && s.OriginOf(name) != s.Origin {
		return false
	}
	if s.Policy != "" && !slices.ContainsFunc(s.Snapshot.Of(name).Rules(), func(r catalog.PrefixRule) bool { return r.Policy == s.Policy }) {
		return false
	}
	return s.Cluster == "" || s.Snapshot.Of(name).Holds(s.Cluster)
}
