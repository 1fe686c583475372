package placement

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/fado-project/fado/catalog"
)

// plan is one policy against all clusters.
type plan struct {
	policy  *catalog.Policy
	allowed map[string]bool
	// slots are the allowed clusters that have a storage, sorted by name.
	slots   []slot
	domains int // distinct failure domains among the slots
}

// slot is an allowed cluster with a storage.
type slot struct {
	name   string
	hash   uint64
	prefer int32 // place in the policy's prefer; behind all if it isn't there
	domain int32 // of the failure domain, 0 to plan.domains-1
	// What keeps new copies out.
	drain, full    bool
	silent         bool
	used, capacity catalog.Size
}

func newPlan(p *catalog.Policy, clusters []*catalog.Cluster, zone func(string) *catalog.Zone, used map[string]int64, silent map[string]bool) *plan {
	pl := &plan{policy: p, allowed: make(map[string]bool)}
	domains := make(map[string]int32)
	for _, c := range clusters {
		if !catalog.Deny(p, c, zone).Allowed() {
			continue
		}
		pl.allowed[c.Name] = true
		if c.Storage == nil {
			continue
		}
		domain, ok := domains[c.FailureDomain()]
		if !ok {
			domain = int32(len(domains))
			domains[c.FailureDomain()] = domain
		}
		sl := newSlot(p, c, domain, used[c.Name])
		sl.silent = silent[c.Name]
		pl.slots = append(pl.slots, sl)
	}
	pl.domains = len(domains)
	return pl
}

func newSlot(p *catalog.Policy, c *catalog.Cluster, domain int32, used int64) slot {
	prefer := slices.Index(p.Prefer, c.Name)
	if prefer < 0 {
		prefer = len(p.Prefer)
	}
	return slot{
		name: c.Name, hash: xxhash.Sum64String(c.Name),
		prefer: int32(prefer), domain: domain,
		drain: c.Drain, used: catalog.Size(used), capacity: c.Storage.Capacity,
		full: c.Storage.Capacity > 0 && catalog.Size(used) >= c.Storage.Capacity,
	}
}

// takes says whether a slot may hold a copy of the rule.
func (sl *slot) takes(in *RuleInput) bool {
	primary := sl.name == in.Primary
	if sl.drain && (!primary || !in.PrimaryDeclared) {
		return false
	}
	return !sl.full && !sl.silent || in.holds(sl.name)
}

// standing says how firmly a slot is in the rule's placement: one that holds a copy comes
// before one that is getting one, and that before any other.
func (sl *slot) standing(in *RuleInput) int32 {
	switch {
	case in.Ideal, sl.name == in.Primary, slices.Contains(in.Current, sl.name):
		return 0
	case slices.Contains(in.Coming, sl.name):
		return 1
	default:
		return 2
	}
}

// stackCandidates is how many candidates are ranked without allocating.
const stackCandidates = 32

// candidate is a slot that may hold a copy, as it is ranked.
type candidate struct {
	slot     int32
	standing int32
	prefer   int32
	round    int32 // how many of its failure domain come before it
	score    uint64
}

// candidates appends the slots that may hold a copy of the rule to dst, unordered.
func (pl *plan) candidates(dst []candidate, in *RuleInput) []candidate {
	rule := mix(xxhash.Sum64String(in.Bucket)) ^ xxhash.Sum64String(in.Prefix)
	for i := range pl.slots {
		sl := &pl.slots[i]
		if !sl.takes(in) {
			continue
		}
		c := candidate{slot: int32(i), standing: sl.standing(in), prefer: sl.prefer, score: mix(rule ^ bits.RotateLeft64(sl.hash, 32))}
		if sl.name == in.Primary {
			c.prefer = -1
		}
		dst = append(dst, c)
	}
	return dst
}

// spreads says whether failure domains matter.
func (pl *plan) spreads() bool { return pl.policy.Spread == catalog.SpreadZone && pl.domains > 1 }

// mostPicked is up to how many copies picking one after the other beats sorting.
const mostPicked = 6

// pick puts the first n candidates, in the order of sort, to the front and returns
// them: each is the best of those whose failure domain has the fewest so far.
func (pl *plan) pick(cs []candidate, n int) []candidate {
	var domains [mostPicked]int32 // of those picked
	for i := range n {
		best := i
		for j := i; j < len(cs); j++ {
			if pl.spreads() {
				cs[j].round = occurrences(domains[:i], pl.slots[cs[j].slot].domain)
			}
			if byRound(cs[j], cs[best]) < 0 {
				best = j
			}
		}
		cs[i], cs[best] = cs[best], cs[i]
		domains[i] = pl.slots[cs[i].slot].domain
	}
	return cs[:n]
}

func occurrences(list []int32, v int32) (n int32) {
	for _, x := range list {
		if x == v {
			n++
		}
	}
	return n
}

// sort orders candidates as they are chosen.
func (pl *plan) sort(cs []candidate) []candidate {
	slices.SortFunc(cs, byPreference)
	if !pl.spreads() {
		return cs
	}
	taken := make([]int32, pl.domains)
	for i := range cs {
		n := &taken[pl.slots[cs[i].slot].domain]
		cs[i].round = *n
		*n++
	}
	slices.SortFunc(cs, byRound)
	return cs
}

// byRound puts the best of every failure domain before the second best of any, and
// so on, among those of one standing; within a round it is byPreference.
func byRound(a, b candidate) int {
	if a.standing != b.standing {
		return cmp.Compare(a.standing, b.standing)
	}
	if a.round != b.round {
		return cmp.Compare(a.round, b.round)
	}
	return byPreference(a, b)
}

// byPreference orders candidates: by standing, then prefer's order, then the higher score,
// then by name, which is the order of slots.
func byPreference(a, b candidate) int {
	if a.standing != b.standing {
		return cmp.Compare(a.standing, b.standing)
	}
	if a.prefer != b.prefer {
		return cmp.Compare(a.prefer, b.prefer)
	}
	if a.score != b.score {
		return cmp.Compare(b.score, a.score)
	}
	return cmp.Compare(a.slot, b.slot)
}

// wanted returns how many of the candidates are chosen.
func (pl *plan) wanted(cs []candidate) int {
	if pl.policy.Copies.All {
		return len(cs)
	}
	return min(max(pl.policy.Copies.N, 0), len(cs))
}

// complete says whether what was chosen is what the policy asks for. With "all",
// draining clusters and those without a storage are not missed: they are meant to
// have none.
func (pl *plan) complete(chosen []candidate) bool {
	if !pl.policy.Copies.All {
		return len(chosen) >= pl.policy.Copies.N
	}
	missed := 0
	for i := range pl.slots {
		if !pl.slots[i].drain {
			missed++
		}
	}
	for _, c := range chosen {
		if !pl.slots[c.slot].drain {
			missed--
		}
	}
	return len(chosen) > 0 && missed == 0
}

// mix is the finalizer of SplitMix64: a bijection in which every bit of the input
// moves half of the output's. https://prng.di.unimi.it/splitmix64.c
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
