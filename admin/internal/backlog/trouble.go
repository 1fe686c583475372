package backlog

import (
	"time"

	"github.com/fado-project/fado/replication"
)

// FailureView is an item of GET /fado/replication/failures.
type FailureView struct {
	Bucket      string    `json:"bucket"`       // the object's bucket
	Key         string    `json:"key"`          // its key; "" for a purge of the bucket
	Cluster     string    `json:"cluster"`      // where it should be, or be gone
	Error       string    `json:"error"`        // why the last attempt failed
	Cause       string    `json:"cause"`        // the kind of error, of those that metrics count; "" where it is not known
	Attempts    int       `json:"attempts"`     // how many failed
	NextAttempt time.Time `json:"next_attempt"` // when it is tried again
	Since       time.Time `json:"since"`        // since when it differs
}

// ViewFailure tells of a failure.
func ViewFailure(f replication.Failure) FailureView {
	return FailureView{f.Bucket, f.Key, f.Cluster, f.Error, string(f.Cause), f.Attempts, f.NextAttempt, f.Since}
}

// ConflictView is an item of GET /fado/buckets/{name}/conflicts.
type ConflictView struct {
	Key    string             `json:"key"`    // the object's key
	Reason string             `json:"reason"` // what stands in the way
	Copies []ConflictCopyView `json:"copies"` // what the storages concerned hold, the primary's first
}

// ConflictCopyView is one storage's side of a conflict.
type ConflictCopyView struct {
	Cluster      string    `json:"cluster"`       // the cluster
	ETag         string    `json:"etag"`          // the object's ETag there
	Size         int64     `json:"size"`          // its bytes there
	LastModified time.Time `json:"last_modified"` // when it was written there
}

// ViewConflict tells of a conflict.
func ViewConflict(c replication.Conflict) ConflictView {
	v := ConflictView{Key: c.Key, Reason: c.Reason, Copies: make([]ConflictCopyView, len(c.Copies))}
	for i, cp := range c.Copies {
		v.Copies[i] = ConflictCopyView(cp)
	}
	return v
}
