package routing

import (
	"strings"

	"github.com/fado-project/fado/catalog"
)

// target is an input whose bucket is known, with the rules of the bucket that it
// concerns: the one that covers it, and those of the prefixes below it.
type target struct {
	Input
	entry       *entry
	rule        int // the covering rule; for a whole bucket its own
	first, last int // the rules below are first to last-1
	// pending are the clusters an object is pending in, and pulled those it was copied to
	// on demand; both are looked up once.
	pending *clusterSet
	pulled  *pulledSet
	router  *Router
	weight  uint64 // see assessment.weigh
}

// set makes t, which is empty, the target of an input.
func (t *target) set(in *Input, en *entry, r *Router) {
	t.Input, t.entry, t.router = *in, en, r
	switch in.Scope {
	case ScopeObject:
		t.rule = en.ruleOf(in.Key)
		// Looked at before what is pending: an object that was written when it had been
		// pulled is pending by then.
		t.pulled = r.Pulled.of(in.Bucket, in.Key)
		t.pending = r.Pending.clustersOf(in.Bucket, in.Key)
	case ScopePrefix:
		t.rule = en.ruleOf(in.Key)
		t.first, t.last = en.rulesBelow(in.Key)
	case ScopeBucket:
		t.first, t.last = 1, 1+len(en.rules())
	}
}

func (t *target) concerns(rule int) bool {
	return rule == t.rule || t.first <= rule && rule < t.last
}

// eachPolicy calls f with the policies of all rules concerned until it returns false,
// and says whether it never did.
func (t *target) eachPolicy(f func(rule int, policy policyID) bool) bool {
	if !f(t.rule, t.entry.policyOf(t.rule)) {
		return false
	}
	for r := t.first; r < t.last; r++ {
		if !f(r, t.entry.policyOf(r)) {
			return false
		}
	}
	return true
}

// verdict says whether a cluster holds the current version of a target, or why not.
type verdict uint8

const (
	isCurrent   verdict = iota
	noStorage           // the cluster has none
	noCopy              // no copy of a rule concerned
	isWaiting           // a copy that was not begun
	isSyncing           // the bulk sync has not come past the target
	isLeaving           // draining or being removed
	isFailed            // the copy as a whole can't proceed
	isDiffers           // something of the target is pending
	isElsewhere         // what is known was learnt at another storage than the cluster has now
	isMissed            // changes may have been missed since it was compared
	isOld               // it was compared longer ago than its policy allows
	isMerging           // the rule that its keys had is gone, and they are yet to be compared
	isDisowned          // current, but residency does not allow the cluster
	isConflict          // as isDiffers, and people decide: told by Explain alone
)

var verdictTexts = [...]string{
	isCurrent:   "current",
	noStorage:   "the cluster has no storage",
	noCopy:      "no copy here",
	isWaiting:   "the copy here has not begun",
	isSyncing:   "the copy here is still syncing",
	isLeaving:   "the copy here is leaving",
	isFailed:    "the copy here has failed",
	isDiffers:   "a newer version is yet to be copied here",
	isElsewhere: "the storage here may not be the one that the copy is in",
	isMissed:    "changes may have been missed since the copy here was compared",
	isOld:       "the copy here was not compared within max_staleness",
	isMerging:   "its prefix rule is gone, and the copy here is yet to be compared",
	isDisowned:  "residency does not allow the cluster",
	isConflict:  "a conflict: nothing is copied here until it is resolved",
}

func (v verdict) String() string { return verdictTexts[v] }

// at says whether a cluster holds the current version of all that the target names, by
// its copy or because the object was pulled there. The primary does by definition, but for
// what is pending there: where any copy may be written, and what it lacked when it became the
// primary.
func (t *target) at(snap *Snapshot, s *site, pending *PendingIndex) verdict {
	if !s.stores {
		return noStorage
	}
	v := t.byCopy(snap, s, pending)
	if t.pulled == nil || v == isCurrent || v == isDiffers || !t.pulled.holds(s) {
		return v
	}
	if t.isPending(s.name, pending) {
		return isDiffers
	}
	return t.outdatedPull(snap, s)
}

// byCopy is at, by the cluster's copy alone.
func (t *target) byCopy(snap *Snapshot, s *site, pending *PendingIndex) verdict {
	en, rules, covering := t.entry, 0, false
	for i, n := en.firstCopy(s.id), en.copies(); i < n; i++ {
		c := en.copyAt(i)
		if c.cluster > s.id {
			break
		}
		if c.cluster < s.id || !t.concerns(c.rule()) {
			continue
		}
		if c.elsewhere(s) {
			return isElsewhere
		}
		if v := t.byOne(snap, i); v != isCurrent {
			return v
		}
		rules++
		covering = covering || c.rule() == t.rule
	}
	switch {
	case !covering && en.primaryOf(t.rule) == 0 && en.writtenIn(t.rule) == s.id:
		// What is new has no copies yet; where it is written it is.
	case !t.merged(s.id):
		return isMerging
	case !covering || t.Scope != ScopeBucket && rules < 1+t.last-t.first:
		return noCopy
	}
	if t.isPending(s.name, pending) {
		return isDiffers
	}
	return isCurrent
}

// byOne is byCopy, by the entry's i-th copy, whatever is pending.
func (t *target) byOne(snap *Snapshot, i int) verdict {
	c := t.entry.copyAt(i)
	if !c.primary() {
		if v := t.reached(c.state(), i); v != isCurrent {
			return v
		}
	} else if !c.anywhere() && !snap.tables.writesAnywhere(t.entry.policyOf(c.rule())) {
		return isCurrent
	}
	return t.outdated(snap, i)
}

// merged says whether a cluster has the keys of the target that belonged to a rule which is
// not declared any more: until replication has given them to the rule that covers them now,
// they are where the former rule's copies are. It has done so when that rule has no primary.
func (t *target) merged(id clusterID) bool {
	en := t.entry
	if en.more == nil {
		return true
	}
	for k, prefix := range en.more.orphans {
		rule := len(en.more.rules) + 1 + k
		if !t.overlaps(prefix) || len(prefix) < len(en.prefixOf(t.rule)) || en.primaryOf(rule) == 0 {
			continue
		}
		has := false
		for i, n := en.firstCopy(id), en.copies(); i < n; i++ {
			c := en.copyAt(i)
			has = has || c.cluster == id && c.rule() == rule && (c.primary() || t.reached(c.state(), i) == isCurrent)
		}
		if !has {
			return false
		}
	}
	return true
}

// overlaps says whether the target may name keys below a prefix.
func (t *target) overlaps(prefix string) bool {
	switch t.Scope {
	case ScopeObject:
		return strings.HasPrefix(t.Key, prefix)
	case ScopePrefix:
		return strings.HasPrefix(t.Key, prefix) || strings.HasPrefix(prefix, t.Key)
	default:
		return true
	}
}

// reached says whether the state of a copy, the entry's i-th, covers the target.
func (t *target) reached(state catalog.CopyState, i int) verdict {
	switch state {
	case catalog.CopySynced:
		return isCurrent
	case catalog.CopySyncing:
		cursor := t.entry.cursor(i)
		switch {
		case t.Scope == ScopeObject && cursor != "" && t.Key <= cursor:
			return isCurrent
		case t.Scope == ScopePrefix && cursor > t.Key && !strings.HasPrefix(cursor, t.Key):
			return isCurrent
		}
		return isSyncing
	case catalog.CopyWaiting:
		return isWaiting
	case catalog.CopyFailed:
		return isFailed
	default:
		return isLeaving
	}
}

func (t *target) isPending(cluster string, pending *PendingIndex) bool {
	switch t.Scope {
	case ScopeObject:
		return t.pending.has(cluster)
	case ScopePrefix:
		return pending.HasBelow(t.Bucket, t.Key[:strings.LastIndexByte(t.Key, '/')+1], cluster)
	default:
		return false
	}
}

// allowsHit says whether residency lets a function that names the target run beside
// a copy of it: for a whole bucket its own policy decides, else those of all rules
// concerned.
func (t *target) allowsHit(snap *Snapshot, id clusterID) bool {
	if t.Scope == ScopeBucket || t.first == t.last {
		return snap.tables.allows(t.entry.policyOf(t.rule), id)
	}
	return t.eachPolicy(func(_ int, p policyID) bool { return snap.tables.allows(p, id) })
}

// policies returns the policies of all rules concerned, hitPolicies those that
// allowsHit asks.
func (t target) policies() []policyID {
	var ids []policyID
	t.eachPolicy(func(_ int, id policyID) bool {
		ids = append(ids, id)
		return true
	})
	return ids
}

func (t target) hitPolicies() []policyID {
	if t.Scope == ScopeBucket {
		return []policyID{t.entry.policy}
	}
	return t.policies()
}

// holds says whether a cluster is a hit for the target.
func (t *target) holds(snap *Snapshot, s *site, pending *PendingIndex) verdict {
	v := t.at(snap, s, pending)
	if v == isCurrent && !t.allowsHit(snap, s.id) {
		return isDisowned
	}
	return v
}
