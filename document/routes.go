package document

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
)

// Routes is what the changes mean to invocations, by structure: what clusters hold and may
// run. A rule is a bucket's own policy or that of one of its prefixes.
type Routes struct {
	// Changed counts the rules whose clusters that hold the data and can run invocations are
	// others.
	Changed int64
	// Local counts the rules that have such a cluster, Refused those that no cluster may run.
	LocalBefore, LocalAfter     int64
	RefusedBefore, RefusedAfter int64
	// Examples are a few of what changed.
	Examples []RouteExample
}

// RouteExample is a rule whose invocations run elsewhere.
type RouteExample struct {
	Bucket, Prefix string
	Before, After  []string
}

const maxExamples = 10

// served are the clusters that hold a rule's data and can run invocations, and whether any
// cluster may.
func (s *side) served(policy string, holders map[string]bool) (local []string, refused bool) {
	p := s.policies[policy]
	if p == nil {
		return nil, true
	}
	for c := range holders {
		if p.serving[c] {
			local = append(local, c)
		}
	}
	slices.Sort(local)
	return local, len(local) == 0 && (p.rejects || !p.serves())
}

// sameRoutes counts a bucket that the changes do not concern.
func (f *forecaster) sameRoutes(all []catalog.PrefixRule, rows []Row) {
	has := byPrefix(copiesOf(rows))
	for _, r := range all {
		local, refused := f.after.served(r.Policy, has[r.Prefix])
		f.count(len(local) > 0, refused, &f.out.Routes.LocalBefore, &f.out.Routes.RefusedBefore)
		f.count(len(local) > 0, refused, &f.out.Routes.LocalAfter, &f.out.Routes.RefusedAfter)
	}
}

func (f *forecaster) count(local, refused bool, locals, refusals *int64) {
	if local {
		*locals++
	}
	if refused {
		*refusals++
	}
}

// routes compares what serves a bucket's rules before and after.
func (f *forecaster) routes(bucket string, old, next []catalog.PrefixRule, rows []Row, settled []catalog.Copy) {
	has, gets := byPrefix(copiesOf(rows)), byPrefix(settled)
	policies := make(map[string][2]string)
	for _, r := range old {
		policies[r.Prefix] = [2]string{r.Policy, ""}
	}
	for _, r := range next {
		policies[r.Prefix] = [2]string{policies[r.Prefix][0], r.Policy}
	}
	for _, prefix := range slices.Sorted(maps.Keys(policies)) {
		p := policies[prefix]
		var before, after []string
		var refusedBefore, refusedAfter bool
		if p[0] != "" {
			before, refusedBefore = f.before.served(p[0], has[prefix])
			f.count(len(before) > 0, refusedBefore, &f.out.Routes.LocalBefore, &f.out.Routes.RefusedBefore)
		}
		if p[1] != "" {
			after, refusedAfter = f.after.served(p[1], gets[prefix])
			f.count(len(after) > 0, refusedAfter, &f.out.Routes.LocalAfter, &f.out.Routes.RefusedAfter)
		}
		if !slices.Equal(before, after) || refusedBefore != refusedAfter {
			f.out.Routes.Changed++
			if len(f.out.Routes.Examples) < maxExamples {
				f.out.Routes.Examples = append(f.out.Routes.Examples, RouteExample{bucket, prefix, orEmpty(before), orEmpty(after)})
			}
		}
	}
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
