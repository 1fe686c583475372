package document

import (
	"slices"
	"strings"
)

const maxExamples = 10

// serves says whether a cluster that holds a rule's data can run invocations, or else no
// cluster may.
func (s *side) serves(policy string, holders places) (local, refused bool) {
	p := s.policies[policy]
	if p == nil {
		return false, true
	}
	local = slices.ContainsFunc(holders, func(h place) bool { return p.serving[h.cluster] })
	return local, !local && (p.rejects || !p.serves())
}

// served are the clusters that hold a rule's data and can run invocations, and whether any
// cluster may.
func (s *side) served(policy string, holders places) (local []string, refused bool) {
	p := s.policies[policy]
	if p == nil {
		return nil, true
	}
	for _, h := range holders {
		if p.serving[h.cluster] {
			local = append(local, h.cluster)
		}
	}
	return local, len(local) == 0 && (p.rejects || !p.serves())
}

// sameRoutes counts a bucket that the changes do not concern.
func (f *forecaster) sameRoutes(d *dossier) {
	for _, r := range d.next {
		local, refused := f.after.serves(r.Policy, d.has.of(r.Prefix))
		f.count(local, refused, &f.out.Routes.LocalBefore, &f.out.Routes.RefusedBefore)
		f.count(local, refused, &f.out.Routes.LocalAfter, &f.out.Routes.RefusedAfter)
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
func (f *forecaster) routes(d *dossier) {
	old, next := d.old, d.next
	for len(old)+len(next) > 0 { // both are sorted by prefix
		order := -1
		if len(old) == 0 {
			order = 1
		} else if len(next) > 0 {
			order = strings.Compare(old[0].Prefix, next[0].Prefix)
		}
		var prefix string
		var before, after []string
		var refusedBefore, refusedAfter bool
		if order <= 0 {
			prefix = old[0].Prefix
			before, refusedBefore = f.before.served(old[0].Policy, d.has.of(prefix))
			f.count(len(before) > 0, refusedBefore, &f.out.Routes.LocalBefore, &f.out.Routes.RefusedBefore)
			old = old[1:]
		}
		if order >= 0 {
			prefix = next[0].Prefix
			after, refusedAfter = f.after.served(next[0].Policy, d.gets.of(prefix))
			f.count(len(after) > 0, refusedAfter, &f.out.Routes.LocalAfter, &f.out.Routes.RefusedAfter)
			next = next[1:]
		}
		if !slices.Equal(before, after) || refusedBefore != refusedAfter {
			f.out.Routes.Changed++
			if len(f.out.Routes.Examples) < maxExamples {
				f.out.Routes.Examples = append(f.out.Routes.Examples, RouteExample{d.name, prefix, orEmpty(before), orEmpty(after)})
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
