package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
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
	mode := replication.PurgeMode(c.query("purge"))
	if mode == "" && !c.r.URL.Query().Has("purge") {
		return collection{catalog.KindBucket, "/fado/buckets"}.remove(c)
	}
	name := c.name()
	pre, err := preconditions(c.r.Header)
	if err != nil {
		return err
	}
	holders := holdersOf(c.catalogue.Router().Snapshot(), name)
	if err := c.engine.Purge(c.r.Context(), name, mode, pre); err != nil {
		return about(catalog.KindBucket, name, err)
	}
	if mode == replication.PurgeCopies {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return c.reply(http.StatusAccepted, purgeView{
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
	limit, err := c.limit(defaultObjects)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), dataTimeout)
	defer cancel()
	page, err := c.engine.Objects(ctx, c.name(), c.query("prefix"), c.query("delimiter"), c.query("after"), limit)
	if err != nil {
		return storageTrouble(c.name(), err)
	}
	return c.reply(http.StatusOK, viewObjectPage(page))
}

// conflicts lists the keys of a bucket where a foreign object blocks a copy.
func conflicts(c *call) error {
	limit, err := c.limit(defaultObjects)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), dataTimeout)
	defer cancel()
	list, err := c.engine.Conflicts(ctx, c.name(), limit)
	if err != nil {
		return storageTrouble(c.name(), err)
	}
	return c.reply(http.StatusOK, views(list, viewConflict))
}

// storageTrouble is the error of a request that a storage had to answer: what is not
// known otherwise is the storage's failure, and its reason is told.
func storageTrouble(bucket string, err error) error {
	if statusOf(err) == 0 && !errors.Is(err, context.Canceled) {
		return unavailable("bucket %q: %w", bucket, err)
	}
	return about(catalog.KindBucket, bucket, err)
}

// bucketPlacement tells the clusters the solver chooses for a bucket now, and why.
func bucketPlacement(c *call) error {
	name := c.name()
	rule, p, err := c.catalogue.Placement(c.r.Context(), name, c.query("prefix"))
	if err != nil {
		return about(catalog.KindBucket, name, err)
	}
	return c.reply(http.StatusOK, placementView{
		Bucket: name, Prefix: rule.Prefix, Policy: rule.Policy,
		Chosen: orEmpty(p.Chosen), Short: p.Short, Clusters: views(p.Reasons, viewClusterReason),
	})
}

// syncBucket asks for a scan of a bucket now.
func syncBucket(c *call) error {
	name := c.name()
	if err := c.engine.SyncBucket(c.r.Context(), name); err != nil {
		return about(catalog.KindBucket, name, err)
	}
	return c.reply(http.StatusAccepted, syncView{Bucket: name, Sync: "requested"})
}

// confirmDeletes applies the deletes the breaker holds for a bucket.
func confirmDeletes(c *call) error { return decideDeletes(c, true) }

// rejectDeletes brings the objects back whose deletes the breaker holds.
func rejectDeletes(c *call) error { return decideDeletes(c, false) }

// trustSide takes people's word on a bucket that is stopped.
func trustSide(c *call) error {
	name, cluster := c.name(), c.query("cluster")
	if cluster == "" {
		return badRequest("cluster: expected the name of the cluster whose data is right")
	}
	err := c.engine.Trust(c.r.Context(), name, cluster)
	if errors.Is(err, replication.ErrNotStopped) || errors.Is(err, replication.ErrNoWhole) {
		return &requestError{http.StatusConflict, err}
	}
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.reply(http.StatusOK, trustView{Bucket: name, Cluster: cluster})
}

func decideDeletes(c *call, apply bool) error {
	name := c.name()
	n, err := c.engine.DecideDeletes(c.r.Context(), name, apply)
	if err != nil {
		return storageTrouble(name, err)
	}
	return c.reply(http.StatusOK, deletesView{Bucket: name, Objects: n})
}
