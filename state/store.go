// Package state keeps what must survive a restart: the resources users made, the
// copies of every bucket with their cursors, and the pending objects. [Store] is
// the contract; state/sqlite implements it, and statetest holds every
// implementation to it.
//
// Two kinds of durability are promised. A catalogue change ([Store.Update]) is on
// disk when it returns, through a power cut. Progress (copies, pending objects)
// survives a killed process when it returns; a power cut may take the last
// moments of it, which costs work done again and never an object, because cursors
// and the removal of pending rows only ever follow the verified write they speak of.
package state

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/fado-project/fado/catalog"
)

// Errors that callers tell apart.
var (
	// ErrNotFound: no such resource.
	ErrNotFound = errors.New("not found")
	// ErrNewerSchema: the store was written by a newer FaDO.
	ErrNewerSchema = errors.New("the store has a newer schema than this version of FaDO knows")
	// ErrCorrupt: the store can't be read.
	ErrCorrupt = errors.New("the store is corrupt")
	// ErrUnavailable: the store can't be reached, or can't be written (disk full);
	// nothing was changed, and the same call may succeed later.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrNoKey: the store holds sealed secrets and the key does not open them.
	ErrNoKey = errors.New("the encryption key does not open the store's secrets")
)

// Seq numbers the changes of a store: every committed Update raises it, and every
// SaveCopies that wrote something.
type Seq int64

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
	// VerifiedAt is the end of the last completed scan or verification; zero if none.
	VerifiedAt time.Time
	// ScanCursor is where the running rescan of a synced copy stands; "" when none
	// is running or it stands at the start.
	ScanCursor string
	// OwnedUntil is a moment of the copy's storage clock: what lay there unmarked up
	// to then had been compared with the primary, so FaDO may replace it. Unmarked
	// objects that are newer are somebody else's.
	OwnedUntil time.Time
	// DrainSince is when the copy left routing; zero if it did not.
	DrainSince time.Time
}

// Routed returns what routing is to know of the copy. Its Verified is told by VerifiedAt;
// a row's own is not stored and means nothing.
func (c *Copy) Routed() catalog.Copy {
	r := c.Copy
	r.Verified = !c.VerifiedAt.IsZero()
	return r
}

// Hold says why a pending object is not worked on.
type Hold string

// The holds. A held row stays an exception to freshness.
const (
	HoldNone     Hold = ""
	HoldConflict Hold = "conflict" // the object there is not FaDO's; people decide
	HoldDeletes  Hold = "deletes"  // the delete-storm breaker tripped
)

// Pending is one object known to differ in one cluster: work to do, and an
// exception to freshness for as long as the row exists. It says where to look,
// never what is true: the worker asks the storages.
type Pending struct {
	Bucket, Key, Cluster string
	// Gen is raised by every AddPending of the row; work finished for an older Gen
	// does not remove the row. No Gen is given twice, so a row that went and came
	// again is not taken for the one before.
	Gen int64
	// Size in bytes as far as known, for the backlog figures.
	Size int64
	// Since is when the row first came up.
	Since time.Time
	// Attempts that failed, and when the next is due; zero: since Since.
	Attempts    int
	NextAttempt time.Time
	Error       string
	Hold        Hold
	// Foreign says that the object there was once found to be somebody else's: it is
	// stored with the hold, and outlives it (AddPending keeps it), so that a change at
	// the primary never makes a foreign object look like FaDO's.
	Foreign bool
	// Background rows (from a scan) are claimed after live ones.
	Background bool
	// ClaimedBy holds the node working on it until ClaimUntil; "" when free.
	ClaimedBy  string
	ClaimUntil time.Time
}

// PendingKey names a row at a generation.
type PendingKey struct {
	Bucket, Key, Cluster string
	Gen                  int64
}

// PendingFilter narrows ListPending and CountPending; zero fields match all.
type PendingFilter struct {
	Bucket, Cluster string
	Hold            *Hold
	// Failed rows only: those with at least one failed attempt and no hold.
	Failed bool
}

// Backlog sums pending rows.
type Backlog struct {
	Bucket, Cluster string
	Objects, Bytes  int64
	Oldest          time.Time
	// Held and Conflicts of the objects, by reason.
	HeldDeletes, Conflicts int64
	// Failing counts rows with failed attempts and no hold; LastError is one of theirs.
	Failing   int64
	LastError string
}

// ChangeKind says what a Change is about.
type ChangeKind string

// The kinds of Change.
const (
	ChangeResource ChangeKind = "resource"
	ChangeCopies   ChangeKind = "copies"
)

// Change tells that something was committed. It does not carry the new value: the
// reader loads it.
type Change struct {
	Seq  Seq
	Kind ChangeKind
	// Resource kind and name for ChangeResource; the bucket for ChangeCopies.
	Resource catalog.Kind
	Name     string
	Deleted  bool
}

// Store is the contract. All methods are safe for concurrent use. Times are kept
// to the millisecond. Every error that means "can't reach or write" wraps
// ErrUnavailable; errors leave the store as it was.
type Store interface {
	Pulls
	Uploads

	// Kind is "sqlite" or "postgres".
	Kind() string

	// Update runs f in a serialised read-write transaction and commits it durably.
	// An error of f rolls back and is returned as it is. f may run more than once
	// and must have no side effects of its own, calls that write to the store among
	// them. The Seq is the transaction's, also given to the records it wrote.
	Update(ctx context.Context, f func(tx Tx) error) (Seq, error)

	// Get reads one resource; ErrNotFound if there is none.
	Get(ctx context.Context, k catalog.Kind, name string) (Record, error)
	// List reads resources of a kind sorted by name, after a name, at most limit
	// (0: all).
	List(ctx context.Context, k catalog.Kind, after string, limit int) ([]Record, error)
	// Each streams every resource of a kind, in order of name, without holding them
	// all. The Record is only valid during the call, and f may use the store. What
	// changes meanwhile may or may not be seen; so with the other streams. An error
	// of f ends the stream and is returned as it is.
	Each(ctx context.Context, k catalog.Kind, f func(Record) error) error

	// CopiesOf reads the copies of a bucket, sorted by prefix and cluster.
	CopiesOf(ctx context.Context, bucket string) ([]Copy, error)
	// EachCopy streams every copy, ordered by bucket, prefix, cluster.
	EachCopy(ctx context.Context, f func(Copy) error) error
	// SaveCopies updates rows that exist (progress, state); rows that don't are left
	// out: a copy removed meanwhile does not come back. It returns how many were
	// written.
	SaveCopies(ctx context.Context, copies ...Copy) (int, error)

	// AddPending adds rows or raises the Gen of those that exist. A row that exists
	// takes the hold, attempts, next attempt and error given (normally none, which
	// clears its hold and makes it due) and loses its claim; Since, a larger Size and
	// Foreign are kept, and a row that is live stays live. A zero Since is now. Gen
	// and the claim given are ignored. The rows' Gens are returned in order. All or
	// none.
	AddPending(ctx context.Context, rows ...Pending) ([]int64, error)
	// ClaimPending claims up to max rows that are due, free (or whose claim ran out)
	// and not held, for a node, until now+lease: live rows before background ones,
	// then the longest due first. Concurrent claims never overlap.
	ClaimPending(ctx context.Context, node string, max int, lease time.Duration, now time.Time) ([]Pending, error)
	// ClaimPendingIn is ClaimPending for the rows of one cluster, so that the backlog of
	// a slow storage does not stand before the others'.
	ClaimPendingIn(ctx context.Context, node, cluster string, max int, lease time.Duration, now time.Time) ([]Pending, error)
	// ExtendClaims prolongs the claims a node still has on rows; it returns those it
	// has not: the row changed or went, or the claim ran out and was taken. One that
	// ran out and was not taken may be prolonged or lost.
	ExtendClaims(ctx context.Context, node string, until time.Time, rows ...PendingKey) (lost []PendingKey, err error)
	// FinishPending removes rows whose Gen is still the one given; it reports per
	// row whether it was removed (or had gone already). A row whose Gen moved on
	// stays, free to be claimed since its Gen moved on; a claim taken since stands.
	FinishPending(ctx context.Context, rows ...PendingKey) ([]bool, error)
	// FailPending notes failed attempts or holds: for each row whose Gen still
	// matches, Attempts, NextAttempt, Error, Hold and Foreign are stored and the claim
	// is released.
	FailPending(ctx context.Context, rows ...Pending) error
	// ReleaseClaims frees every claim of a node (after a restart).
	ReleaseClaims(ctx context.Context, node string) error
	// RetryPending makes failed rows (see PendingFilter) that match due now, unless
	// they are due already; it returns how many match.
	RetryPending(ctx context.Context, f PendingFilter, now time.Time) (int, error)
	// Unhold clears the hold of held rows that match and makes them due now; it
	// returns how many.
	Unhold(ctx context.Context, f PendingFilter, now time.Time) (int, error)
	// ListPending reads matching rows ordered by bucket, key, cluster, after a row,
	// at most limit (0: all).
	ListPending(ctx context.Context, f PendingFilter, after PendingKey, limit int) ([]Pending, error)
	// EachPending streams every row, in no particular order.
	EachPending(ctx context.Context, f func(Pending) error) error
	// Backlogs sums pending rows per bucket and cluster, sorted by them; bucket ""
	// means all buckets. Pairs without rows are left out.
	Backlogs(ctx context.Context, bucket string) ([]Backlog, error)

	// GetMeta and PutMeta keep small named values (the paused switch), as durably as
	// Update; "" if absent.
	GetMeta(ctx context.Context, key string) (string, error)
	PutMeta(ctx context.Context, key, value string) error

	// Changes returns committed changes after a Seq, in order, at most limit (0: all).
	// The changes of one Seq come together, in the same answer, even where they alone
	// exceed the limit; so the reader goes on after the last one's Seq. Old ones may
	// have been trimmed, which is an ErrNotFound: the reader loads all.
	Changes(ctx context.Context, after Seq, limit int) ([]Change, error)
	// Watch delivers a value soon after something that others may wait for was
	// committed by any instance: a change, pending rows added or freed, a meta value.
	// Values may be merged. The channel closes with ctx and with the store.
	Watch(ctx context.Context) <-chan struct{}
	// Seq returns the number of the last committed change.
	Seq(ctx context.Context) (Seq, error)

	// TryLock takes a named lock that at most one instance holds, without waiting;
	// ok is false when it is held, by this instance or another. The lock's Lost
	// channel closes when it can no longer be relied on: with Unlock and Close too.
	TryLock(ctx context.Context, name string) (l Lock, ok bool, err error)

	// Close releases the store; later calls return an ErrUnavailable. It may be called
	// more than once.
	Close() error
}

// Lock is a named lock held by this instance.
type Lock interface {
	Lost() <-chan struct{}
	Unlock() error
}

// Tx is what an Update may do. Reads see the transaction's own writes.
type Tx interface {
	Get(k catalog.Kind, name string) (Record, error)
	List(k catalog.Kind, after string, limit int) ([]Record, error)
	// Put adds or replaces a record; its Rev is set by the store.
	Put(r Record) error
	// Delete removes a record, with a bucket's copies, pending and pulled rows;
	// ErrNotFound if there is none.
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
	// rule has a copy in the cluster.
	DeleteCopy(bucket, prefix, cluster string) error
}
