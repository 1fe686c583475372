package admin

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
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
	items := make([]control.Item, 0, len(names))
	for _, name := range names {
		it, err := c.catalogue.Get(c.r.Context(), catalog.KindBucket, name)
		if errors.Is(err, control.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		items = append(items, it)
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
	m := matcher{
		snap: c.catalogue.Router().Snapshot(), policy: c.query("policy"), cluster: c.query("cluster"),
		q: strings.ToLower(c.query("q")), state: c.query("state"),
	}
	if m.state != "" {
		if m.fleet, err = c.fleets.get(c.r.Context(), c.catalogue); err != nil {
			return nil, 0, err
		}
	}
	after := c.query("after")
	m.each(func(name string) bool {
		if !m.matches(name) {
			return c.r.Context().Err() == nil
		}
		total++
		if name > after && (len(names) < most || name < names[most-1]) {
			i, _ := slices.BinarySearch(names, name)
			names = slices.Insert(names, i, name)
			names = names[:min(len(names), most)]
		}
		return c.r.Context().Err() == nil
	})
	return names, total, c.r.Context().Err()
}

// matcher is a search for buckets.
type matcher struct {
	snap                      *routing.Snapshot
	fleet                     *fleet
	state, policy, cluster, q string
}

// each yields the names that may match.
func (m *matcher) each(f func(name string) bool) {
	if m.state == "" || m.state == control.BucketOK {
		m.snap.Buckets(f)
		return
	}
	for _, name := range m.fleet.notOK[m.state] {
		if !f(name) {
			return
		}
	}
}

func (m *matcher) matches(name string) bool {
	if m.q != "" && !strings.Contains(name, m.q) {
		return false
	}
	if m.state == control.BucketOK && !m.fleet.isOK(name) {
		return false
	}
	if m.policy != "" && !slices.ContainsFunc(m.snap.Rules(name), func(r catalog.PrefixRule) bool { return r.Policy == m.policy }) {
		return false
	}
	return m.cluster == "" || slices.ContainsFunc(m.snap.Copies(name), func(cp catalog.Copy) bool { return cp.Cluster == m.cluster })
}
