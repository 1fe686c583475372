package admin

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// findParams narrow the list of buckets.
var findParams = []parameter{
	{name: "state", enum: []string{control.BucketOK, control.BucketSyncing, control.BucketStuck, control.BucketConflict}, doc: "Only buckets in this state, as it was a few seconds ago."},
	{name: "policy", doc: "Only buckets whose own policy, or that of a prefix, is this one."},
	{name: "cluster", doc: "Only buckets with a copy in this cluster."},
	{name: "q", doc: "Only buckets with this in their names."},
}

// defaultFound is how many buckets a search tells without limit.
const defaultFound = 1000

// finding says whether a list of buckets is narrowed.
func (c *call) finding() bool {
	return slices.ContainsFunc(findParams, func(p parameter) bool { return c.query(p.name) != "" })
}

// findBuckets answers with a page of the buckets that match, from memory but for the items
// themselves. X-Total-Count counts all that match.
func findBuckets(c *call) error {
	limit, err := c.limit(defaultFound)
	if err != nil {
		return err
	}
	names, total, err := c.matching(limit + 1)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("X-Total-Count", strconv.Itoa(total))
	if len(names) > limit {
		names = names[:limit]
		h.Set("Link", collection{catalog.KindBucket, "/fado/buckets"}.nextPage(c, names[limit-1]))
	}
	items, err := c.catalogue.Named(c.r.Context(), catalog.KindBucket, names)
	if err != nil {
		return err
	}
	out := &arrayWriter{w: c.w}
	if err := (collection{catalog.KindBucket, "/fado/buckets"}).writeItems(c, out, items); err != nil {
		return out.fail(c, err)
	}
	return out.close()
}

// matching returns the first names after the one asked for, so many at most, and how many
// match in all.
func (c *call) matching(most int) (names []string, total int, err error) {
	s := fleet.Search{
		Snapshot: c.catalogue.Router().Snapshot(), Policy: c.query("policy"), Cluster: c.query("cluster"),
		Part: strings.ToLower(c.query("q")), State: c.query("state"),
	}
	if s.State != "" {
		if s.Fleet, err = c.fleets.Get(c.r.Context(), c.catalogue); err != nil {
			return nil, 0, err
		}
	}
	return s.First(c.r.Context(), c.query("after"), most)
}
