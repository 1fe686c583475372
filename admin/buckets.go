package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/fado-project/fado/admin/internal/backlog"
	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/admin/internal/sides"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

const defaultObjects = 1000

// placementView is the JSON of GET /fado/buckets/{name}/placement.
type placementView struct {
	Bucket string   `json:"bucket"` // the bucket's name
	Prefix string   `json:"prefix"` // the prefix of the rule that covers what was asked for
	Policy string   `json:"policy"` // the rule's policy
	Chosen []string `json:"chosen"` // the clusters chosen, the primary first if it may stay
	// Short says what is missing when fewer clusters could be chosen than wanted.
	Short    string              `json:"short,omitempty"`
	Clusters []clusterReasonView `json:"clusters"` // every cluster, sorted by name
}

// purgeView answers a DELETE that removes data.
type purgeView struct {
	Bucket  string `json:"bucket"`  // the bucket that was forgotten
	Purge   string `json:"purge"`   // what was asked for
	Removes string `json:"removes"` // what is being removed, in a sentence
}

// syncView answers POST /fado/buckets/{name}/sync.
type syncView struct {
	Bucket string `json:"bucket"` // the bucket's name
	Sync   string `json:"sync"`   // that it is under way
}

// deletesView answers the decisions on held deletes.
type deletesView struct {
	Bucket  string `json:"bucket"`  // the bucket's name
	Objects int    `json:"objects"` // how many objects it is about
}

// trustView answers POST /fado/buckets/{name}/trust.
type trustView struct {
	Bucket  string `json:"bucket"`  // the bucket's name
	Cluster string `json:"cluster"` // the cluster whose data is right
}

// removeBucket answers DELETE of a bucket: forgotten, or purged as asked.
func removeBucket(c *call) error {
	mode := replication.PurgeMode(c.Query("purge"))
	if mode == "" && !c.R.URL.Query().Has("purge") {
		return collection{catalog.KindBucket, "/fado/buckets"}.remove(c)
	}
	name := c.Name()
	pre, err := request.Preconditions(c.R.Header)
	if err != nil {
		return err
	}
	holders := holdersOf(c.catalogue.Router().Snapshot(), name)
	if err := c.engine.Purge(c.R.Context(), name, mode, pre); err != nil {
		return request.About(catalog.KindBucket, name, err)
	}
	if mode == replication.PurgeCopies {
		c.W.WriteHeader(http.StatusNoContent)
		return nil
	}
	return c.Reply(http.StatusAccepted, purgeView{
		Bucket: name, Purge: string(mode),
		Removes: "all data of the bucket, in " + strings.Join(holders, ", "),
	})
}

// holdersOf names the clusters a bucket has copies in, for people.
func holdersOf(snap *routing.Snapshot, bucket string) []string {
	var names []string
	for _, cp := range snap.Of(bucket).Copies() {
		names = append(names, cp.Cluster)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return []string{"no cluster: it has no copies yet"}
	}
	return names
}

// objects lists a bucket's objects at its primary, with where each is current.
func objects(c *call) error {
	limit, err := c.Limit(defaultObjects)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.R.Context(), dataTimeout)
	defer cancel()
	page, err := c.engine.reports.Objects(ctx, c.Name(), c.Query("prefix"), c.Query("delimiter"), c.Query("after"), limit)
	if err != nil {
		return storageTrouble(c.Name(), err)
	}
	return c.Reply(http.StatusOK, viewObjectPage(page))
}

// conflicts lists the keys of a bucket where a foreign object blocks a copy.
func conflicts(c *call) error {
	limit, err := c.Limit(defaultObjects)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.R.Context(), dataTimeout)
	defer cancel()
	list, more, err := c.engine.decisions.Conflicts(ctx, c.Name(), c.Query("after"), limit)
	if err != nil {
		return storageTrouble(c.Name(), err)
	}
	if more {
		c.NextPage("/fado/buckets/"+c.Name()+"/conflicts", "after", list[len(list)-1].Key)
	}
	return c.Reply(http.StatusOK, views(list, backlog.ViewConflict))
}

// storageTrouble is the error of a request that a storage had to answer: what is not
// known otherwise is the storage's failure, and its reason is told.
func storageTrouble(bucket string, err error) error {
	if request.StatusOf(err) == 0 && !errors.Is(err, context.Canceled) {
		return request.Unavailable("bucket %q: %w", bucket, err)
	}
	return request.About(catalog.KindBucket, bucket, err)
}

// bucketPlacement tells the clusters the solver chooses for a bucket now, and why.
func bucketPlacement(c *call) error {
	name := c.Name()
	rule, p, err := c.catalogue.Placement(c.R.Context(), name, c.Query("prefix"))
	if err != nil {
		return request.About(catalog.KindBucket, name, err)
	}
	return c.Reply(http.StatusOK, placementView{
		Bucket: name, Prefix: rule.Prefix, Policy: rule.Policy,
		Chosen: orEmpty(p.Chosen), Short: p.Short, Clusters: views(p.Reasons, viewClusterReason),
	})
}

// syncBucket asks for a scan of a bucket now.
func syncBucket(c *call) error {
	name := c.Name()
	if err := c.engine.SyncBucket(c.R.Context(), name); err != nil {
		return request.About(catalog.KindBucket, name, err)
	}
	return c.Reply(http.StatusAccepted, syncView{Bucket: name, Sync: "requested"})
}

// confirmDeletes applies the deletes the breaker holds for a bucket.
func confirmDeletes(c *call) error { return decideDeletes(c, true) }

// rejectDeletes brings the objects back whose deletes the breaker holds.
func rejectDeletes(c *call) error { return decideDeletes(c, false) }

// listSides tells what can be said of a bucket that is stopped.
func listSides(c *call) error {
	name := c.Name()
	all, err := c.catalogue.Buckets(c.R.Context(), name)
	if err != nil {
		return request.About(catalog.KindBucket, name, err)
	}
	st, known := all[name]
	if !known {
		return request.About(catalog.KindBucket, name, control.ErrNotFound)
	}
	return c.Reply(http.StatusOK, sides.Of(c.catalogue.Router().Snapshot(), name, st, sides.Bound(c.engine.decisions.MaxDeletes())))
}

// trustSide takes people's word on a bucket that is stopped.
func trustSide(c *call) error {
	name, cluster := c.Name(), c.Query("cluster")
	if cluster == "" {
		return request.Bad("cluster: expected the name of the cluster whose data is right")
	}
	err := c.engine.decisions.Trust(c.R.Context(), name, cluster)
	if errors.Is(err, replication.ErrNotStopped) || errors.Is(err, replication.ErrNoWhole) {
		return request.Fail(http.StatusConflict, err)
	}
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.Reply(http.StatusOK, trustView{Bucket: name, Cluster: cluster})
}

func decideDeletes(c *call, apply bool) error {
	name := c.Name()
	n, err := c.engine.decisions.Deletes(c.R.Context(), name, apply)
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.Reply(http.StatusOK, deletesView{Bucket: name, Objects: n})
}
