package admin

import (
	"fmt"
	"net/http"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
)

// abandonView says what is lost with a cluster's storage: the body of the 409 that asks for
// confirmation. Another refusal has the error only.
type abandonView struct {
	Error   string `json:"error"`             // why it was refused, in a sentence
	Cluster string `json:"cluster,omitempty"` // the cluster that would be abandoned
	// Answers says that the storage answers now: it can be drained.
	Answers bool `json:"answers,omitempty"`
	// What only that storage has, as far as FaDO knows.
	Objects *int64                `json:"objects,omitempty"`
	Bytes   *int64                `json:"bytes,omitempty"`   // their bytes
	Buckets []abandonedBucketView `json:"buckets,omitempty"` // the buckets that have a copy there
}

// abandonedBucketView is a bucket that has a copy there.
type abandonedBucketView struct {
	Bucket string `json:"bucket"` // the bucket's name
	// Primary says that the bucket is written there, Heir whose copy would become the primary.
	Primary bool   `json:"primary"`
	Heir    string `json:"heir"`    // "" where no other cluster has a copy
	Objects int64  `json:"objects"` // objects that only the abandoned storage has
	Bytes   int64  `json:"bytes"`   // their bytes
	Reason  string `json:"reason"`  // why they would be lost
}

func viewAbandonedBucket(b replication.AbandonedBucket) abandonedBucketView {
	return abandonedBucketView(b)
}

// removeCluster answers DELETE of a cluster: one that nothing refers to, or, with abandon, one
// whose storage is lost.
func removeCluster(c *call) error {
	clusters := collection{catalog.KindCluster, "/fado/clusters"}
	confirm, given := c.query("confirm"), c.r.URL.Query().Has("confirm")
	if c.query("abandon") != "true" {
		if given {
			return badRequest("confirm: it confirms abandon=true only")
		}
		return clusters.remove(c)
	}
	name := c.name()
	pre, err := preconditions(c.r.Header)
	if err != nil {
		return err
	}
	if given && confirm != name {
		return badRequest("confirm: %q: expected %q, the name of the cluster to abandon", confirm, name)
	}
	if !given {
		return askToAbandon(c, name)
	}
	if err := c.engine.Abandon(c.r.Context(), name, pre); err != nil {
		return about(catalog.KindCluster, name, err)
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// askToAbandon tells what would be lost.
func askToAbandon(c *call, name string) error {
	what, err := c.engine.Abandoned(c.r.Context(), name)
	if err != nil {
		return about(catalog.KindCluster, name, err)
	}
	text := fmt.Sprintf("abandoning cluster %q gives up what only its storage has, %d objects as far as is known; repeat with &confirm=%s", name, what.Objects, name)
	if what.Answers {
		text += "; its storage answers now, so it can be drained instead"
	}
	return c.reply(http.StatusConflict, abandonView{
		Error: text, Cluster: name, Answers: what.Answers, Objects: &what.Objects, Bytes: &what.Bytes,
		Buckets: views(what.Buckets, viewAbandonedBucket),
	})
}
