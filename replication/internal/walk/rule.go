package walk

import (
	"slices"
	"strings"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// Rule tells which keys belong to a copy's rule.
type Rule struct {
	longer []string // prefixes of other rules below this one's
}

// RuleOf returns the rule of a copy by a snapshot.
func RuleOf(snap *routing.Snapshot, id ids.Copy) Rule {
	var f Rule
	for _, r := range snap.Of(id.Bucket).Rules() {
		if r.Prefix != id.Prefix && strings.HasPrefix(r.Prefix, id.Prefix) {
			f.longer = append(f.longer, r.Prefix)
		}
	}
	return f
}

// Covers reports whether a key below the rule's prefix is the rule's, and not a longer
// one's.
func (f Rule) Covers(key string) bool {
	return !slices.ContainsFunc(f.longer, func(p string) bool { return strings.HasPrefix(key, p) })
}

func sizeOf(o *storage.Object) int64 {
	if o == nil {
		return 0
	}
	return o.Size
}
