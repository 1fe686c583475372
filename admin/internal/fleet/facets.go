package fleet

import (
	"slices"
	"strings"
)

// FacetsView answers GET /fado/facets: how many buckets there are of each kind among those that match.
// Each list leaves the filter of its own out.
type FacetsView struct {
	Total    int         `json:"total"`    // buckets that match all filters
	States   []FacetView `json:"states"`   // by state
	Policies []FacetView `json:"policies"` // by policy, of the bucket or of one of its prefixes
	Clusters []FacetView `json:"clusters"` // by cluster that has a copy
	Origins  []FacetView `json:"origins"`  // by who declares them
}

// FacetView is one kind.
type FacetView struct {
	Value   string `json:"value"`   // what a filter takes
	Buckets int    `json:"buckets"` // how many there are
}

// Facets counts the buckets that match.
func (s *Search) Facets() FacetsView {
	ix := s.Fleet.index(s.Snapshot, s.OriginOf)
	f := ix.filter(s.Key)
	byStates, byOrigins := make([]int, len(states)), make([]int, len(origins))
	byPolicies, byClusters := make([]int, len(ix.policies.all)), make([]int, len(ix.clusters.all))
	v := FacetsView{}
	for i := range ix.rows {
		r := &ix.rows[i]
		fails := f.fails(r)
		if fails == 0 {
			v.Total++
		}
		if fails&^byState == 0 {
			byStates[r.state]++
		}
		if fails&^byOrigin == 0 {
			byOrigins[r.origin]++
		}
		if fails&^byPolicy == 0 {
			byPolicies[r.policies]++
		}
		if fails&^byCluster == 0 {
			byClusters[r.clusters]++
		}
	}
	for i, state := range states {
		v.States = append(v.States, FacetView{state, byStates[i]})
	}
	for i, origin := range origins {
		v.Origins = append(v.Origins, FacetView{string(origin), byOrigins[i]})
	}
	v.Policies, v.Clusters = ix.policies.counted(byPolicies), ix.clusters.counted(byClusters)
	return v
}

// counted sums the counts of sets up by their names, sorted by name.
func (s *sets) counted(counts []int) []FacetView {
	sums := make(map[string]int)
	for id, n := range counts {
		for _, name := range s.all[id] {
			sums[name] += n
		}
	}
	views := make([]FacetView, 0, len(sums))
	for name, n := range sums {
		views = append(views, FacetView{name, n})
	}
	slices.SortFunc(views, func(a, b FacetView) int { return strings.Compare(a.Value, b.Value) })
	return views
}
