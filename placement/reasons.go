package placement

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// explain ranks as Choose does and says why for every cluster.
func (pl *plan) explain(in *RuleInput, clusters []*catalog.Cluster, zone func(string) *catalog.Zone) Result {
	ranked := pl.sort(pl.candidates(nil, in))
	n := pl.wanted(ranked)
	ideal := pl.ideal(in, n)
	out := Result{Chosen: make([]string, 0, n), Reasons: make([]ClusterReason, 0, len(clusters))}
	places := make(map[string]int, len(ranked))
	for i, c := range ranked {
		places[pl.slots[c.slot].name] = i
		if i < n {
			out.Chosen = append(out.Chosen, pl.slots[c.slot].name)
		}
	}
	next := 0 // of pl.slots: both lists are sorted by name
	for _, c := range clusters {
		r := ClusterReason{Cluster: c.Name, Zone: c.FailureDomain()}
		isSlot := next < len(pl.slots) && pl.slots[next].name == c.Name
		place, takes := places[c.Name]
		switch {
		case takes:
			r.Chosen = place < n
			r.Reason = pl.rankedReason(in, ranked, place, n) + rebalanced(in, place < n, ideal[c.Name])
		case isSlot:
			r.Reason = pl.slots[next].obstacle()
		case pl.allowed[c.Name]:
			r.Reason = whyNoStorage
		default:
			r.Reason = catalog.Deny(pl.policy, c, zone).Reason(pl.policy)
		}
		if isSlot {
			next++
		}
		out.Reasons = append(out.Reasons, r)
	}
	if !pl.complete(ranked[:n]) {
		out.Short = pl.short(n, out.Reasons)
	}
	return out
}

// placementWithout answers for a rule whose policy is not declared: nothing is
// allowed.
func placementWithout(clusters []*catalog.Cluster) Result {
	const reason = "the rule's policy is not declared"
	out := Result{Chosen: []string{}, Short: reason, Reasons: make([]ClusterReason, 0, len(clusters))}
	for _, c := range clusters {
		out.Reasons = append(out.Reasons, ClusterReason{Cluster: c.Name, Zone: c.FailureDomain(), Reason: reason})
	}
	return out
}

// ideal returns the n clusters that would be chosen if no copy were placed yet, but for the
// primary.
func (pl *plan) ideal(in *RuleInput, n int) map[string]bool {
	alone := *in
	alone.Ideal = true
	names := make(map[string]bool, n)
	for _, c := range pl.sort(pl.candidates(nil, &alone))[:n] {
		names[pl.slots[c.slot].name] = true
	}
	return names
}

// rebalanced says what a rebalance would change about a cluster.
func rebalanced(in *RuleInput, chosen, ideal bool) string {
	switch {
	case in.Ideal || chosen == ideal:
		return ""
	case chosen:
		return "; it stays where it is until a rebalance"
	default:
		return "; what is placed stays, a rebalance would choose it"
	}
}

// rankedReason says why a cluster that could take a copy was chosen or not.
func (pl *plan) rankedReason(in *RuleInput, ranked []candidate, place, n int) string {
	c := ranked[place]
	sl := &pl.slots[c.slot]
	if place >= n {
		why := ""
		if c.round > 0 {
			why = " (others of its zone come before it)"
		}
		return fmt.Sprintf("ranked %s of %d%s, %s wanted", ordinal(place+1), len(ranked), why, count(pl.policy.Copies.N, "copy"))
	}
	of := pl.policy.Copies.N
	if pl.policy.Copies.All {
		of = n
	}
	reason := fmt.Sprintf("copy %d of %d", place+1, of)
	if sl.name == in.Primary {
		reason += ", the primary"
	}
	if sl.drain {
		reason += ", which only people move, so it stays while the cluster drains"
	} else if sl.full {
		reason += ", which stays though the storage is full: " + sl.usage()
	}
	return reason
}

// obstacle says what keeps new copies out of a slot.
func (sl *slot) obstacle() string {
	if sl.drain {
		return whyDraining
	}
	if sl.silent {
		return whySilent
	}
	return whyFull + sl.usage()
}

// usage reads "510GiB of 500GiB used", in the kind of unit the capacity was given in.
func (sl *slot) usage() string {
	decimal := !strings.HasSuffix(sl.capacity.String(), "iB")
	return sizeText(sl.used, decimal) + " of " + sizeText(sl.capacity, decimal) + " used"
}

// short says what is missing of the copies the policy asks for: which of the allowed
// clusters can't take one and why.
func (pl *plan) short(n int, reasons []ClusterReason) string {
	what := "a copy in every allowed cluster"
	if !pl.policy.Copies.All {
		what = count(pl.policy.Copies.N, "copy")
	}
	s := fmt.Sprintf("policy %s wants %s, %s can take one: ", pl.policy.Name, what, count(n, "cluster"))
	var obstacles []string
	for _, r := range reasons {
		if !r.Chosen && pl.allowed[r.Cluster] {
			obstacles = append(obstacles, obstacleOf(r))
		}
	}
	if len(obstacles) > 0 {
		return s + listed(obstacles)
	}
	if n == 0 {
		return s + "the policy allows no cluster there is"
	}
	return s + "the policy allows no other"
}

// Why allowed clusters can't take a copy, as their reasons begin.
const (
	whyDraining  = "draining"
	whyNoStorage = "no storage"
	whyFull      = "storage full: "
	whySilent    = "its storage has never answered"
)

// obstacleOf reads "c3 is draining", "c3 has no storage", "c3 has never answered" or "c3 is
// full (2TB of 2TB used)".
func obstacleOf(r ClusterReason) string {
	if usage, full := strings.CutPrefix(r.Reason, whyFull); full {
		return r.Cluster + " is full (" + usage + ")"
	}
	if r.Reason == whySilent {
		return r.Cluster + " has never answered"
	}
	if r.Reason == whyNoStorage {
		return r.Cluster + " has no storage"
	}
	return r.Cluster + " is " + r.Reason
}

// maxListed is how many items of a list an explanation names.
const maxListed = 10

func listed(items []string) string {
	if len(items) <= maxListed {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:maxListed], ", "), len(items)-maxListed)
}

// count reads "1 copy", "2 copies", "1 cluster", "2 clusters".
func count(n int, noun string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(noun, "y"); ok {
			noun = stem + "ies"
		} else {
			noun += "s"
		}
	}
	return strconv.Itoa(n) + " " + noun
}

// ordinal reads "1st", "2nd", "3rd", "4th", "11th".
func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// sizeText is a size for people: in the largest unit of at least 1, to one decimal.
func sizeText(s catalog.Size, decimal bool) string {
	base, units := 1024.0, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	if decimal {
		base, units = 1000, []string{"B", "KB", "MB", "GB", "TB", "PB"}
	}
	v, u := float64(s), 0
	for v >= base && u < len(units)-1 {
		v /= base
		u++
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + units[u]
}
