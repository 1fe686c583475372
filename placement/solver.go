package placement

import (
	"slices"
	"strings"
	"sync"

	"github.com/fado-project/fado/catalog"
)

// Solver places rules of one version of the catalogue: what does not depend on the
// bucket is worked out once per policy. It is safe for concurrent use.
type Solver struct {
	in       catalog.Lookup
	clusters []*catalog.Cluster // sorted by name
	used     map[string]int64
	silent   map[string]bool
	plans    sync.Map // policy name → *plan, made on first use
}

// NewSolver returns a solver of what a [catalog.Lookup] holds, which must not change while the
// solver is used: a snapshot of routing. used holds the bytes in each cluster's storage, where
// known, and must not change either.
func NewSolver(in catalog.Lookup, used map[string]int64) *Solver {
	s := &Solver{in: in, used: used}
	in.Clusters(func(c *catalog.Cluster) bool {
		s.clusters = append(s.clusters, c)
		return true
	})
	slices.SortFunc(s.clusters, byName)
	return s
}

// Exclude has clusters whose storage has never answered get no new copies. It is called
// before the solver is used; the set must not change afterwards.
func (s *Solver) Exclude(silent map[string]bool) *Solver {
	s.silent = silent
	return s
}

// Choose appends the clusters that hold the rule's copies to dst, the primary first,
// if it may stay. complete is false if there are fewer than the policy asks for;
// Place says why. It answers as Solve does, without reasons, and allocates nothing
// for up to 32 clusters and 6 copies if dst has room.
func (s *Solver) Choose(dst []string, in *RuleInput) (chosen []string, complete bool) {
	pl := s.plan(in.Policy)
	if pl == nil {
		return dst, false
	}
	var room [stackCandidates]candidate
	picked := pl.candidates(room[:0], in)
	if n := pl.wanted(picked); n <= mostPicked {
		picked = pl.pick(picked, n)
	} else {
		picked = pl.sort(picked)[:n]
	}
	for _, c := range picked {
		dst = append(dst, pl.slots[c.slot].name)
	}
	return dst, pl.complete(picked)
}

// Place is Choose with reasons for every cluster; false if the policy is not
// declared.
func (s *Solver) Place(in *RuleInput) (Result, bool) {
	pl := s.plan(in.Policy)
	if pl == nil {
		return placementWithout(s.clusters), false
	}
	return pl.explain(in, s.clusters, s.in.Zone), true
}

// Allows says whether a policy allows a cluster; false if either is not declared.
func (s *Solver) Allows(policy, cluster string) bool {
	pl := s.plan(policy)
	return pl != nil && pl.allowed[cluster]
}

// plan returns what was worked out for a policy; nil if it is not declared.
func (s *Solver) plan(policy string) *plan {
	if policy == "" {
		policy = s.in.DefaultPolicy()
	}
	if pl, ok := s.plans.Load(policy); ok {
		return pl.(*plan)
	}
	p := s.in.Policy(policy)
	if p == nil {
		return nil
	}
	pl, _ := s.plans.LoadOrStore(policy, newPlan(p, s.clusters, s.in.Zone, s.used, s.silent))
	return pl.(*plan)
}

func byName(a, b *catalog.Cluster) int { return strings.Compare(a.Name, b.Name) }
