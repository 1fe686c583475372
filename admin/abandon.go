package admin

import (
	"fmt"
	"net/http"

	"github.com/fado-project/fado/admin/internal/request"
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
	confirm, given := c.Query("confirm"), c.R.URL.Query().Has("confirm")
	if c.Query("abandon") != "true" {
		if given {
			return request.Bad("confirm: it confirms abandon=true only")
		}
		return clusters.remove(c)
	}
	name := c.Name()
	pre, err := request.Preconditions(c.R.Header)
	if err != nil {
		return err
	}
	if given && confirm != name {
		return request.Bad("confirm: %q: expected %q, the name of the cluster to abandon", confirm, name)
	}
	if !given {
		return askToAbandon(c, name)
	}
	if err := c.engine.abandonments.Abandon(c.R.Context(), name, pre); err != nil {
		return request.About(catalog.KindCluster, name, err)
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

// askToAbandon tells what would be lost.
func askToAbandon(c *call, name string) error {
	what, err := c.engine.abandonments.Of(c.R.Context(), name)
	if err != nil {
		return request.About(catalog.KindCluster, name, err)
	}
	text := fmt.Sprintf("abandoning cluster %q gives up what only its storage has, %d objects as far as is known; repeat with &confirm=%s", name, what.Objects, name)
	if what.Answers {
		text += "; its storage answers now, so it can be drained instead"
	}
	return c.Reply(http.StatusConflict, abandonView{
		Error: text, Cluster: name, Answers: what.Answers, Objects: &what.Objects, Bytes: &what.Bytes,
		Buckets: views(what.Buckets, viewAbandonedBucket),
	})
}
