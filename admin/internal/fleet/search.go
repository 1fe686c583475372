package fleet

import (
	"context"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// Search is a search for buckets; what is empty narrows nothing.
type Search struct {
	Snapshot *routing.Snapshot
	// Fleet is a look at all buckets; only a search by State needs it.
	Fleet *Fleet
	// Policy is that of a bucket or of one of its prefixes, Cluster has a copy of it, and Part is in its name.
	State, Policy, Cluster, Part string
}

// First returns the first names after one, so many at most, and how many match in all.
func (s *Search) First(ctx context.Context, after string, most int) (names []string, total int, err error) {
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
	if s.Policy != "" && !slices.ContainsFunc(s.Snapshot.Of(name).Rules(), func(r catalog.PrefixRule) bool { return r.Policy == s.Policy }) {
		return false
	}
	return s.Cluster == "" || s.Snapshot.Of(name).Holds(s.Cluster)
}
