package stored

import (
	"slices"
	"strings"

	"github.com/fado-project/fado/state"
)

// CopyKey names a copy.
type CopyKey struct{ Bucket, Prefix, Cluster string }

// KeyRange holds the keys from <= key < to.
type KeyRange struct{ From, To string }

// UnneededRanges splits the keys below a deleted copy's prefix where other prefixes
// begin and end, so that each piece belongs to one rule, and returns the pieces whose
// rule has no copy left in the cluster.
func UnneededRanges(gone CopyKey, left []state.Copy) []KeyRange {
	bounds := []string{gone.Prefix, PrefixEnd(gone.Prefix)}
	for _, c := range left {
		if strings.HasPrefix(c.Prefix, gone.Prefix) {
			bounds = append(bounds, c.Prefix, PrefixEnd(c.Prefix))
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	var ranges []KeyRange
	for i, from := range bounds[:len(bounds)-1] {
		if !neededAt(from, gone.Cluster, left) {
			ranges = append(ranges, KeyRange{from, bounds[i+1]})
		}
	}
	return ranges
}

// neededAt says whether the rule that covers a piece's first key, and so all of it,
// has a copy in the cluster.
func neededAt(key, cluster string, copies []state.Copy) bool {
	longest, needed := -1, false
	for _, c := range copies {
		if len(c.Prefix) < longest || key < c.Prefix || key >= PrefixEnd(c.Prefix) {
			continue
		}
		needed = c.Cluster == cluster || needed && len(c.Prefix) == longest
		longest = len(c.Prefix)
	}
	return needed
}

// PrefixEnd returns the least string that is greater than every key with the prefix.
// No UTF-8 text has the byte 0xff, so the last byte can always be raised.
func PrefixEnd(prefix string) string {
	if prefix == "" {
		return "\xff"
	}
	end := []byte(prefix)
	end[len(end)-1]++
	return string(end)
}
