package catalog

import (
	"fmt"
	"strconv"
)

// The most items that lists of a resource may have: what a resource costs to check, to
// place and to show grows with them.
const (
	maxPrefixes  = 1_000     // of a bucket; S3's own limit for rules of a bucket
	maxFunctions = 1_000     // of a cluster
	maxLinks     = 1_000     // of a cluster
	maxInZones   = 100       // that a cluster is in
	maxZones     = 1_000     // that a policy names in a list
	maxClusters  = MaxCopies // that a policy names in a list
	maxPatterns  = 1_000     // of buckets that a key may use
	maxLabels    = 100
	maxLabel     = 1_024 // bytes of a label's name, and of its value
)

// atMost notes a list that is too long, whose items are then not checked: there may be
// any number of them.
func (v *violations) atMost(path string, n, most int) bool {
	if n > most {
		v.add(path, strconv.Itoa(n)+" items", fmt.Sprintf("at most %d", most))
		return false
	}
	return true
}

const (
	wantPositive = "a duration longer than 0, such as 10s or 1h"
	wantSpread   = "zone or cluster"
	wantWrites   = "primary or anywhere"
	wantVersions = "all or current"
	wantOnMiss   = "remote, reject or pull"

	wantPrimaryMoves = "follow or fixed"
)
