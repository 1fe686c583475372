package control

import (
	"context"
	"time"

	"github.com/fado-project/fado/catalog"
)

// BucketStatus is the read-only status of a bucket.
type BucketStatus struct {
	State     string       `json:"state"` // ok, syncing, stuck, conflict
	Reason    string       `json:"reason"`
	Primary   string       `json:"primary"`
	Copies    []CopyStatus `json:"copies"`
	Conflicts int64        `json:"conflicts"`
}

// CopyStatus is one cluster's part of a BucketStatus, over all of the bucket's rules.
type CopyStatus struct {
	Cluster    string        `json:"cluster"`
	Zone       string        `json:"zone"`
	Role       string        `json:"role"` // primary, copy
	State      string        `json:"state"`
	Objects    int64         `json:"objects"`
	Bytes      int64         `json:"bytes"`
	Cursor     string        `json:"cursor"`
	Pending    PendingStatus `json:"pending"`
	VerifiedAt *time.Time    `json:"verified_at"`
	Error      string        `json:"error"`
}

// PendingStatus sums the objects of a copy that differ now.
type PendingStatus struct {
	Objects int64      `json:"objects"`
	Bytes   int64      `json:"bytes"`
	Oldest  *time.Time `json:"oldest"`
}

// BucketStatus tells where a bucket is, and why it is not where it should be;
// ErrNotFound for an unknown bucket.
//
// TODO(control): implement.
func (c *Control) BucketStatus(ctx context.Context, bucket string) (BucketStatus, error) {
	return BucketStatus{}, nil
}

// Placement solves one rule of a bucket as the planner would now: the rule that
// covers the prefix. ErrNotFound for an unknown bucket.
//
// TODO(control): implement.
func (c *Control) Placement(ctx context.Context, bucket, prefix string) (catalog.PrefixRule, catalog.Placement, error) {
	return catalog.PrefixRule{}, catalog.Placement{}, nil
}
