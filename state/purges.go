package state

import (
	"context"
	"time"
)

// PurgeMode says what a purge removes.
type PurgeMode string

// The purge modes.
const (
	PurgeCopies PurgeMode = "copies" // all copies but the primary's
	PurgeAll    PurgeMode = "all"    // all data
)

// Purge is a purge of a bucket that was decided: with its keys, all that is needed to
// carry it out once the bucket is forgotten. There is at most one per bucket.
type Purge struct {
	// ID tells a purge from a later one of a bucket of the same name. The store gives it.
	ID      int64
	Bucket  string
	Mode    PurgeMode
	Primary string // the cluster
	Since   time.Time
	// Targets are the clusters to purge, sorted by name, with what was known of the copy
	// there.
	Targets []PurgeTarget
}

// PurgeTarget is one cluster of a purge.
type PurgeTarget struct {
	Cluster string
	// Primary: the data there is the primary's.
	Primary bool
	// MadeBucket: FaDO made the physical bucket, and removes it once it is empty.
	MadeBucket bool
	// Verified: the copy was compared with the primary at least once.
	Verified   bool
	OwnedUntil time.Time // as Copy.OwnedUntil
	// PulledOnly: the bucket there is not FaDO's. Only the keys listed are removed, which
	// are objects copied on demand.
	PulledOnly bool
	// At and Born are as in Copy: the storage and the physical bucket that all this was
	// learnt at.
	At   int64
	Born time.Time
}

// PurgeKey is a key that a purge treats in a way of its own in one cluster.
type PurgeKey struct {
	Cluster, Key string
	// ETag of an object copied on demand to a target that is PulledOnly: that object is
	// removed if it is still this one. "" for a key in conflict: the object is
	// foreign.
	ETag string
}

// Purges keeps the purges under way. They outlive their bucket.
type Purges interface {
	// AddPurge notes a purge durably, in place of one of the same bucket. In the same
	// transaction it notes the keys: those of the bucket's pending rows held by a
	// conflict in the targets' clusters, and of targets that are PulledOnly the bucket's
	// pulled rows. ID is ignored. A purge that goes with its bucket's removal is added by
	// Tx.AddPurge.
	AddPurge(ctx context.Context, p Purge) (id int64, err error)
	// Purges reads all of them, the oldest first, without their keys.
	Purges(ctx context.Context) ([]Purge, error)
	// PurgeKeys reads keys of a bucket's purge, ordered by cluster and key, after a key,
	// at most limit (0: all).
	PurgeKeys(ctx context.Context, bucket string, after PurgeKey, limit int) ([]PurgeKey, error)
	// GetPurgeKey looks one key up; ErrNotFound if the purge does not list it.
	GetPurgeKey(ctx context.Context, bucket, cluster, key string) (PurgeKey, error)
	// PutPurgeKeys adds keys to a bucket's purge beside those that AddPurge noted;
	// ErrNotFound if there is no purge of the bucket.
	PutPurgeKeys(ctx context.Context, bucket string, keys ...PurgeKey) error
	// FinishPurgeTarget removes a target that is done, with its keys, so that what continues
	// with the purge does not begin it again. Nothing happens where the ID is not that of
	// the bucket's purge any longer.
	FinishPurgeTarget(ctx context.Context, bucket string, id int64, cluster string) error
	// FinishPurge removes a bucket's purge with its targets and keys if it still has the
	// ID, and says whether it had: one that replaced it stays.
	FinishPurge(ctx context.Context, bucket string, id int64) (bool, error)
}
