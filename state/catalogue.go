package state

import (
	"context"
	"encoding/json"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
)

// Record is a resource as it is stored.
type Record struct {
	Kind catalog.Kind
	Name string
	// Body is the resource's canonical JSON, secrets in clear (sealed on disk).
	Body json.RawMessage
	// Rev is the Seq of the change that wrote the record; it is the item's ETag.
	Rev Seq
	// Refs are the resources the body refers to, for Tx.Referrers. They are read back
	// as they were put.
	Refs []Ref
}

// Ref names a resource.
type Ref struct {
	Kind catalog.Kind
	Name string
}

// Copy is a copy's row: what routing needs and what the status shows.
type Copy struct {
	Bucket string
	catalog.Copy
	// Objects and Bytes found by the last completed pass, kept up by progress.
	Objects, Bytes int64
	// Error says why the copy is waiting or failed, or names what can't be copied.
	Error string
	// VerifiedAt is when the last completed comparison with the primary began (first sync, scan
	// or verification; of the primary's row: when it was counted); zero if there was none.
	VerifiedAt time.Time
	// ScanCursor is where the running rescan of a synced copy stands; "" when none
	// is running or it stands at the start.
	ScanCursor string
	// OwnedUntil is a moment of the copy's storage clock: what lay there unmarked up
	// to then had been compared with the primary, so FaDO may replace it. Unmarked
	// objects that are newer are foreign; all are if it is zero, as in a bucket that
	// FaDO made and in which users never wrote.
	OwnedUntil time.Time
	// DrainSince is when the copy left routing; zero if it did not.
	DrainSince time.Time
	// Born is when the physical bucket was made that the copy's facts were learnt at, as
	// its storage told; zero if it told nothing that can be relied on. See At.
	Born time.Time
	// Trusts says that people confirmed what the primary holds: the next whole scan of the
	// copy follows it however it may look.
	Trusts bool
}

// Routed returns what routing is to know of the copy. Its Verified and Compared are told by
// VerifiedAt, its MeanSize by the counts; a row's own are not stored and mean nothing.
func (c *Copy) Routed() catalog.Copy {
	r := c.Copy
	r.Verified, r.Compared = !c.VerifiedAt.IsZero(), c.VerifiedAt
	if r.MeanSize = 0; c.Objects > 0 {
		r.MeanSize = c.Bytes / c.Objects
	}
	return r
}

// CopySum sums the copies in one state in one cluster.
type CopySum struct {
	Cluster string
	State   catalog.CopyState
	// Copies counts rows: a bucket with several rules has several copies in a cluster.
	Copies         int64
	Objects, Bytes int64
}

// Catalogue keeps the resources and the copies of every bucket.
type Catalogue interface {
	// Update runs f in a serialised read-write transaction and commits it durably.
	// An error of f rolls back and is returned as it is. f may run more than once
	// and must have no side effects of its own, calls that write to the store among
	// them. The Seq is the transaction's, also given to the records it wrote.
	Update(ctx context.Context, f func(tx Tx) error) (Seq, error)

	// Revision returns the Seq of the last change of a zone, cluster, policy or bucket,
	// whichever instance made it.
	Revision(ctx context.Context) (Seq, error)

	// Get reads one resource; ErrNotFound if there is none.
	Get(ctx context.Context, k catalog.Kind, name string) (Record, error)
	// Records reads resources of a kind by their names, sorted by them, in one statement. Those
	// that are not there are left out.
	Records(ctx context.Context, k catalog.Kind, names ...string) ([]Record, error)
	// List reads resources of a kind sorted by name, after a name, at most limit
	// (0: all).
	List(ctx context.Context, k catalog.Kind, after string, limit int) ([]Record, error)
	// Each streams every resource of a kind, in order of name, without holding them
	// all. The Record is only valid during the call, and f may use the store. What
	// changes meanwhile may or may not be seen; so with the other streams. An error
	// of f ends the stream and is returned as it is.
	Each(ctx context.Context, k catalog.Kind, f func(Record) error) error

	// CopiesOf reads the copies of buckets, sorted by bucket, prefix and cluster, in one statement.
	CopiesOf(ctx context.Context, buckets ...string) ([]Copy, error)
	// EachCopy streams every copy, ordered by bucket, prefix, cluster.
	EachCopy(ctx context.Context, f func(Copy) error) error
	// SaveCopies updates rows that exist (progress, state); rows that don't are left
	// out: a copy removed meanwhile does not come back. It returns how many were
	// written.
	SaveCopies(ctx context.Context, copies ...Copy) (int, error)
	// CopySums sums the copies per cluster and state, sorted by them. Pairs without
	// copies are left out. The store keeps the sums, so the call costs as little with a
	// million buckets as with one.
	CopySums(ctx context.Context) ([]CopySum, error)
	// BucketCounts says of how many buckets a cluster has copies, however many each has
	// there and in whatever state. Clusters without copies are left out. It costs as little
	// as CopySums.
	BucketCounts(ctx context.Context) (map[string]int64, error)
}

// Tx is what an Update may do. Reads see the transaction's own writes.
type Tx interface {
	// Revision is Catalogue.Revision within the transaction, whose own writes don't count
	// yet.
	Revision() (Seq, error)

	Get(k catalog.Kind, name string) (Record, error)
	List(k catalog.Kind, after string, limit int) ([]Record, error)
	// Put adds or replaces a record; its Rev is set by the store.
	Put(r Record) error
	// Delete removes a record, with a bucket's copies, pending and pulled rows, and what
	// people asked for about it (verification, resolutions, delete allowances), but not
	// its purge; ErrNotFound if there is none.
	Delete(k catalog.Kind, name string) error
	// Referrers returns resources that refer to one, sorted, at most limit.
	Referrers(to Ref, limit int) ([]Ref, error)

	Copies(bucket string) ([]Copy, error)
	// PutCopy adds or replaces a copy's row.
	PutCopy(c Copy) error
	// DeleteCopy removes a copy's row; nothing happens where there is none. With it go
	// the pending rows below its prefix in that cluster that no copy there needs any
	// longer: a key belongs to the rule with the longest matching prefix among those
	// of the bucket's copies, as they are when f has ended, and its row stays if that
	// rule has a copy in the cluster. With a bucket's last copy goes what people asked
	// for about the bucket, as with the bucket itself.
	DeleteCopy(bucket, prefix, cluster string) error

	// Audit appends an audit record, which is there if and only if the transaction is. With
	// an audit.AllowedBody it also notes the policy's clusters for AuditAllowed.
	Audit(e audit.Entry) error
	// AuditHead returns the end of the chain, the transaction's own records included.
	AuditHead() (audit.Head, error)
	// AuditAllowed returns the clusters of each policy as they were recorded last.
	AuditAllowed() (map[string][]string, error)

	// AddPurge is Purges.AddPurge within the transaction. It reads the bucket's pending
	// and pulled rows, so it comes before Delete, which removes them.
	AddPurge(p Purge) (id int64, err error)
}
