package routing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Candidate is one endpoint (or a cluster without one) as Explain sees it.
type Candidate struct {
	Cluster  string
	Zone     string
	URL      string
	Locality string
	Fresh    bool
	Healthy  bool
	InFlight int64
	Eligible bool
	Reason   string
}

// Explanation is a routing decision with its reasons.
type Explanation struct {
	Reason     Reason
	Candidates []Candidate // the eligible first, in the order they would be used
	Steps      []Step      // how they came to it
}

// ranked is a candidate with its rank, 0 when it is not eligible, and the step at which it is out.
type ranked struct {
	Candidate
	rank  rank
	out   stage
	holds bool // it is where the data is, or none is named
}

// Explain answers like Route, for people: every endpoint of every cluster with why
// it is or is not eligible. Route and Explain share their checks, so that they can't
// disagree: the candidates Route balances among are the first ones here. Of equal
// ones, that with fewest requests in flight comes first.
//
// conflicting says whether a key is in conflict in a cluster, which routing itself does not
// tell from one that is yet to be copied; nil for never.
func (r *Router) Explain(q *Query, conflicting func(bucket, key, cluster string) bool) Explanation {
	var d Decision
	r.Route(q, &d)
	var all []ranked
	x := explainer{&d, conflicting}
	for _, s := range d.assessment.snap.tables.byName {
		all = append(all, x.explainCluster(q, s)...)
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		return cmp.Or(
			cmp.Compare(a.rank-1, b.rank-1), // 0 comes last
			cmp.Compare(a.InFlight, b.InFlight),
			cmp.Compare(a.Cluster, b.Cluster),
		)
	})
	ex := Explanation{Reason: d.Reason, Candidates: make([]Candidate, len(all))}
	for i := range all {
		ex.Candidates[i] = all[i].Candidate
	}
	ex.Steps = x.steps(q, all)
	return ex
}

// explainer explains a decision.
type explainer struct {
	decision    *Decision
	conflicting func(bucket, key, cluster string) bool
}

// held is why a cluster is no hit, or isCurrent.
func (x explainer) held(s *site) verdict {
	a := &x.decision.assessment
	v := a.holds(s)
	if v != isDiffers || x.conflicting == nil {
		return v
	}
	for i := range a.targets {
		t := &a.targets[i]
		if t.Scope == ScopeObject && t.at(a.snap, s, a.pending) == isDiffers && x.conflicting(t.Bucket, t.Key, s.name) {
			return isConflict
		}
	}
	return v
}

// explainCluster lists the endpoints of a cluster.
func (x explainer) explainCluster(q *Query, s *site) []ranked {
	a := &x.decision.assessment
	at, out, why := x.standing(q, s)
	base := Candidate{
		Cluster:  s.name,
		Zone:     s.zone,
		Locality: at.locality.String(),
		Fresh:    len(a.targets) > 0 && a.freshness(s) == isCurrent,
	}
	if len(s.seats) == 0 {
		base.Reason = cmp.Or(why, "the cluster has no function endpoint")
		return []ranked{{Candidate: base, out: stageAllowed}}
	}
	list := make([]ranked, 0, len(s.seats))
	for i := range s.seats {
		ep := &s.seats[i]
		c := ranked{Candidate: base, out: out, holds: at.locality != LocalityRemote}
		c.URL, c.Healthy, c.InFlight = ep.URL, ep.Live.Healthy(), ep.Live.InFlight.Load()
		if c.Reason = why; why == "" {
			if c.Reason = usable(q, ep).text(q, ep.Endpoint); c.Reason != "" {
				c.out = stageFree
			}
		}
		if c.Reason == "" {
			c.Eligible, c.rank = true, a.rank(q, ep, at)
			c.Reason = x.eligibleText(q, s, ep, at)
		}
		list = append(list, c)
	}
	return list
}

// standing returns where a cluster stands, and at which step and why it is out; "" when it is not.
func (x explainer) standing(q *Query, s *site) (at place, out stage, why string) {
	a := &x.decision.assessment
	a.prepareMiss()
	held := isCurrent
	if len(a.targets) > 0 {
		held = x.held(s)
		at = a.place(s, LocalityRemote)
		if held == isCurrent {
			at = a.place(s, LocalityLocal)
		}
	}
	switch {
	case x.decision.Reason == ReasonNoBucket:
		return place{}, stageAllowed, "no bucket is named"
	case x.decision.Reason == ReasonUnknownBucket:
		return place{}, stageAllowed, a.unknownText(q)
	case len(a.targets) > 0 && !a.allowsHit(s):
		return at, stageAllowed, a.forbiddenText(s, target.hitPolicies)
	case s.drain && (!a.lastResort || at.locality != LocalityLocal):
		return at, stageAllowed, "the cluster is being drained"
	case at.locality != LocalityRemote:
		return at, stageNone, ""
	case !a.remote.has(s.id):
		return at, stageMiss, a.verdictText(held) + ", and " + a.forbiddenText(s, target.policies)
	case a.reject:
		return at, stageMiss, a.verdictText(held) + ", and on_miss is reject"
	default:
		return at, stageNone, ""
	}
}

// freshness says whether the cluster holds the current version of all inputs, whether
// or not residency allows it.
func (a *assessment) freshness(s *site) verdict {
	for i := range a.targets {
		if v := a.targets[i].at(a.snap, s, a.pending); v != isCurrent {
			return v
		}
	}
	return isCurrent
}

func (a *assessment) unknownText(q *Query) string {
	for _, in := range q.Inputs {
		if a.snap.buckets.get(in.Bucket) == nil {
			return fmt.Sprintf("there is no bucket %q", in.Bucket)
		}
	}
	return "a bucket is unknown"
}

// forbiddenText names the policies among those given by each input that do not allow
// the cluster.
func (a *assessment) forbiddenText(s *site, policies func(target) []policyID) string {
	var names []string
	for _, t := range a.targets {
		for _, id := range policies(t) {
			if name := a.snap.tables.policyName(id); !a.snap.tables.allows(id, s.id) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return "not allowed by policy " + strings.Join(names, ", ")
}

func (a *assessment) verdictText(v verdict) string {
	if len(a.targets) > 1 {
		return "not every input is current here: " + v.String()
	}
	return v.String()
}

// total is what all inputs weigh; not more than their number where nothing is known of sizes.
func (a *assessment) total() (all uint64) {
	a.weigh()
	for i := range a.targets {
		all += a.targets[i].weight
	}
	return all
}

func (x explainer) eligibleText(q *Query, s *site, ep *seat, at place) string {
	a := &x.decision.assessment
	text := "no data is named"
	switch at.locality {
	case LocalityNone:
	case LocalityLocal:
		text = "current"
		if a.lastResort {
			text += "; the cluster is being drained, but no other can take it"
		}
		if at.down {
			text += "; its storage is down, so it comes after the other holders"
		}
		if a.overloaded {
			text += "; every holder has more requests in flight than spill allows"
		}
	case LocalityRemote:
		text = a.verdictText(x.held(s))
		if !a.overloaded && a.mayPull() && a.pullsInto(s) {
			text += "; would be pulled"
		} else {
			text += "; reads remotely"
		}
		if n := len(a.targets); at.missing < n {
			text += fmt.Sprintf(", holds %d of %d inputs", n-at.missing, n)
			if all := a.total(); all > uint64(n) {
				text += fmt.Sprintf(", about %d of %d bytes", all-at.weight, all)
			}
		}
		if a.overloaded && busy(q, ep.live) {
			text += "; has more requests in flight than spill allows"
		}
	}
	if tried(q, ep) {
		text += "; was tried before"
	}
	return text
}

func (v endpointVerdict) text(q *Query, ep *Endpoint) string {
	switch v {
	case endpointFree:
		return ""
	case endpointDown:
		return "unhealthy: " + cmp.Or(ep.Live.Reason(), "its last check failed")
	case endpointFull:
		return fmt.Sprintf("at its limit of %d requests", ep.MaxRequests)
	default:
		return cmp.Or(q.Unusable, "not usable by this proxy")
	}
}
