package fleet

import (
	"time"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// PurgeUnderWayView is an item of GET /fado/replication/purges.
type PurgeUnderWayView struct {
	Bucket string `json:"bucket"` // the bucket, which is forgotten
	// What is removed: copies (all but the primary's), all.
	Mode     string    `json:"mode"`
	Primary  string    `json:"primary"`  // the cluster of the primary
	Since    time.Time `json:"since"`    // when it was decided
	Clusters []string  `json:"clusters"` // where something is left to be removed
	// Why the last attempt of this instance failed, "" where none did.
	Error string `json:"error"`
	// When it is tried again; null where nothing failed.
	NextAttempt *time.Time `json:"next_attempt"`
}

// ViewPurge tells of a purge, and why its last attempt failed, by those that did.
func ViewPurge(p state.Purge, stuck map[string]replication.Failure) PurgeUnderWayView {
	v := PurgeUnderWayView{Bucket: p.Bucket, Mode: string(p.Mode), Primary: p.Primary, Since: p.Since, Clusters: []string{}}
	for _, t := range p.Targets {
		v.Clusters = append(v.Clusters, t.Cluster)
	}
	if f, ok := stuck[p.Bucket]; ok {
		v.Error, v.NextAttempt = f.Error, &f.NextAttempt
	}
	return v
}
