package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// findParams narrow the list of buckets.
var findParams = []parameter{
	{name: "state", enum: []string{control.BucketOK, control.BucketSyncing, control.BucketStuck, control.BucketConflict}, doc: "Only buckets in this state, as it was a few seconds ago."},
	{name: "policy", doc: "Only buckets whose own policy, or that of a prefix, is this one."},
	{name: "cluster", doc: "Only buckets with a copy in this cluster."},
	{name: "origin", enum: []string{string(control.OriginConfig), string(control.OriginAPI)}, doc: "Only buckets that the configuration declares, or that the API made."},
	{name: "q", doc: "Only buckets with this in their names."},
}

// orderParam sorts the list of buckets.
var orderParam = parameter{
	name: "order", enum: fleet.Orders,
	doc: "How buckets are sorted: by name; or the worst first (state), those behind for longest (oldest), with most objects on their way (pending), or the largest (bytes), as of a few seconds ago and the first thousand only. Default: name.",
}

var byParam = parameter{name: "by", enum: []string{"policy"}, doc: "A row a policy: how many of its buckets have a copy in each cluster, from memory."}

var copiesParam = parameter{name: "by", enum: []string{"policy"}, doc: "Also how many copies there are in which state, by policy and cluster."}

// facetsOperation counts what lists are narrowed by.
func facetsOperation() operation {
	return operation{
		name: "facets", method: http.MethodGet, pattern: "/fado/facets", role: roleViewer, handle: facets, params: findParams,
		summary: "How many buckets there are by state, policy, cluster and origin, among those that match, from memory and a few seconds old at most. Each list leaves the filter of its own out.",
		replies: []reply{{status: 200, doc: "The counts.", body: fleet.FacetsView{}}}, errors: []int{400, 503},
	}
}

// defaultFound is how many buckets a search tells without limit.
const defaultFound = 1000

// finding says whether a list of buckets is narrowed.
func (c *call) finding() bool {
	return c.ordered() || slices.ContainsFunc(findParams, func(p parameter) bool { return c.Query(p.name) != "" })
}

// findBuckets answers with a page of the buckets that match, from memory but for the items
// themselves. X-Total-Count counts all that match.
func findBuckets(c *call) error {
	limit, err := c.Limit(defaultFound)
	if err != nil {
		return err
	}
	names, total, err := c.matching(limit + 1)
	if err != nil {
		return err
	}
	c.W.Header().Set("X-Total-Count", strconv.Itoa(total))
	if len(names) > limit {
		names = names[:limit]
		c.NextPage("/fado/buckets", "after", names[limit-1])
	}
	items, err := c.catalogue.Named(c.R.Context(), catalog.KindBucket, slices.Sorted(slices.Values(names)))
	if err != nil {
		return err
	}
	if c.ordered() {
		fleet.InOrderOf(names, items, func(it control.Item) string { return it.Resource.ResourceName() })
	}
	out := request.NewArray(c.Request)
	if err := (collection{catalog.KindBucket, "/fado/buckets"}).writeItems(c, out, items); err != nil {
		return out.Fail(err)
	}
	return out.Close()
}

// ordered says whether a list is sorted by anything but names.
func (c *call) ordered() bool { return c.Query("order") != "" && c.Query("order") != fleet.ByName }

// search is what the query asks for; look says whether it needs one at all buckets.
func (c *call) search(look bool) (s *fleet.Search, err error) {
	s = &fleet.Search{
		Key: fleet.Key{
			Policy: c.Query("policy"), Cluster: c.Query("cluster"), Part: strings.ToLower(c.Query("q")),
			State: c.Query("state"), Origin: control.Origin(c.Query("origin")),
		},
		Snapshot: c.catalogue.Router().Snapshot(),
		OriginOf: func(bucket string) control.Origin { return c.catalogue.Origin(catalog.KindBucket, bucket) },
	}
	if look || s.State != "" || s.Snapshot.Len(catalog.KindBucket) >= fleet.IndexedFrom {
		s.Fleet, err = c.fleets.Get(c.R.Context(), c.catalogue)
	}
	return s, err
}

// matching returns the first names after the one asked for, so many at most, and how many
// match in all.
func (c *call) matching(most int) (names []string, total int, err error) {
	s, err := c.search(c.ordered())
	if err != nil {
		return nil, 0, err
	}
	return s.Page(c.R.Context(), c.Query("order"), c.Query("after"), most, c.largest, c.catalogue.Store().Catalogue())
}

func facets(c *call) error {
	s, err := c.search(true)
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, s.Facets())
}
