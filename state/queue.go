package state

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"
)

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
	Cause       Cause // of Error
	Hold        Hold
	// Foreign names the object there that was found to be a conflict: it is stored with
	// the hold, and outlives it (AddPending and FailPending keep it unless they are given another),
	// so that neither a change at the primary nor an attempt that failed, by who did not know
	// of it, makes a foreign object look like FaDO's.
	Foreign Foreign
	// Damaged says that the bytes there were found not to be those that the storage
	// acknowledged: the object is to be written again even where it looks equal. Once set
	// it stays for as long as the row does.
	Damaged bool
	// Counted says that a pass over the bucket found the object and counted it, so that
	// copying it does not change the size of the copy. A row that exists stays uncounted
	// when a counted one is added, and becomes uncounted when an uncounted one is.
	Counted bool
	// Gone are versions of the key that the primary's storage told it has removed for good. They
	// add up for as long as the row does.
	Gone VersionIDs
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

// Compare orders rows as lists have them, by bucket, key and cluster.
func (k PendingKey) Compare(other PendingKey) int {
	return cmp.Or(strings.Compare(k.Bucket, other.Bucket), strings.Compare(k.Key, other.Key), strings.Compare(k.Cluster, other.Cluster))
}

// RowKey names the row as it was read.
func (p Pending) RowKey() PendingKey {
	return PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: p.Gen}
}

// PendingPages reads all matching rows in their order, at most so many at a time. A page may be
// worked on before the next is read.
func PendingPages(ctx context.Context, from interface {
	ListPending(ctx context.Context, f PendingFilter, after PendingKey, limit int) ([]Pending, error)
}, f PendingFilter, most int,
) iter.Seq2[[]Pending, error] {
	return func(yield func([]Pending, error) bool) {
		for after := (PendingKey{}); ; {
			rows, err := from.ListPending(ctx, f, after, most)
			if !yield(rows, err) || err != nil || len(rows) < most {
				return
			}
			after = rows[len(rows)-1].RowKey()
		}
	}
}

// PendingFilter narrows ListPending and CountPending; zero fields match all.
type PendingFilter struct {
	Bucket, Cluster string
	Hold            *Hold
	// Failed rows only: those with at least one failed attempt and no hold.
	Failed bool
	// Gone rows only: those that name versions. It goes with ListPending.
	Gone bool
}

// Cause is the kind of error that an attempt ended with, to programs: one of a small set of
// lower-case words; "" where it is not known.
type Cause string

// The causes that more is made of than a word for people.
const (
	CauseDown    Cause = "down"    // a storage does not answer
	CauseFull    Cause = "full"    // no space left
	CauseRefused Cause = "refused" // the storage never takes this object
	CauseCorrupt Cause = "corrupt" // the bytes are not what a storage acknowledged
)

// Foreign names an object that is not FaDO's, so that another one that stands there later is
// not taken for it; "": there was none.
type Foreign string

// ForeignAny is any object there: which one was found to be foreign is not known.
const ForeignAny Foreign = "*"

// VersionIDs are IDs of versions, with spaces between them.
type VersionIDs string

// MaxVersionIDs bounds VersionIDs in bytes: what exceeds it is left out.
const MaxVersionIDs = 64 << 10

// With returns v and more.
func (v VersionIDs) With(more VersionIDs) VersionIDs {
	switch {
	case v == "":
		return more
	case more == "" || len(v)+len(more) > MaxVersionIDs:
		return v
	}
	return v + " " + more
}

// Has reports whether an ID is among them.
func (v VersionIDs) Has(id string) bool { return slices.Contains(strings.Fields(string(v)), id) }

// Backlog sums pending rows.
type Backlog struct {
	Bucket, Cluster string
	Objects, Bytes  int64
	Oldest          time.Time
	// Held and Conflicts of the objects, by reason.
	HeldDeletes, Conflicts int64
	// OldestHeld is since when the oldest of the HeldDeletes differs.
	OldestHeld time.Time
	// Failing counts rows with failed attempts and no hold; Causes are theirs, each once and sorted.
	Failing int64
	Causes  []FailingCause
}

// FailingCause is a cause that failing rows of a copy have.
type FailingCause struct {
	Cause  Cause
	Oldest time.Time // since when the oldest row differs that has it
	Error  string    // that row's
}

// LastError is that of a failing row; "" where there is none.
func (b Backlog) LastError() string {
	if len(b.Causes) == 0 {
		return ""
	}
	return b.Causes[0].Error
}

// Queue keeps the pending objects: work that instances claim from each other.
type Queue interface {
	// AddPending adds rows or raises the Gen of those that exist. A row that exists
	// takes the hold, attempts, next attempt, error and cause given (normally none, which
	// clears its hold and makes it due) and loses its claim; Since, a larger Size,
	// Damaged and a Foreign that is given none are kept, its Gone has the ones given added ([VersionIDs.With]), a row
	// that is live stays live, and one that is not counted stays so. A zero Since is now. Gen and the claim given are ignored. The
	// rows' Gens are returned in order. All or none.
	AddPending(ctx context.Context, rows ...Pending) ([]int64, error)
	// ClaimPending claims up to max rows that are due, free (or whose claim ran out)
	// and not held, for a node, until now+lease: live rows before background ones,
	// then the longest due first. Concurrent claims never overlap.
	ClaimPending(ctx context.Context, node string, max int, lease time.Duration, now time.Time) ([]Pending, error)
	// ClaimPendingIn is ClaimPending for the rows of one cluster, so that the backlog of
	// a slow storage does not stand before the others'. Where buckets are named, only their
	// rows are claimed, the longest due of a kind first; it costs a few lookups per bucket
	// and row claimed, however many rows of others there are.
	ClaimPendingIn(ctx context.Context, node, cluster string, max int, lease time.Duration, now time.Time, among ...string) ([]Pending, error)
	// NextDue says for each cluster that has rows which are not held when the first of
	// them may be claimed: when it is due, or when the claim on it runs out. A cluster
	// that is missing, or whose moment has not come, has nothing to claim. It costs a few
	// lookups per cluster, however many rows there are.
	NextDue(ctx context.Context) (map[string]time.Time, error)
	// ExtendClaims prolongs the claims a node still has on rows; it returns those it
	// has not: the row changed or went, or the claim ran out and was taken. One that
	// ran out and was not taken may be prolonged or lost.
	ExtendClaims(ctx context.Context, node string, until time.Time, rows ...PendingKey) (lost []PendingKey, err error)
	// FinishPending removes rows whose Gen is still the one given; it reports per
	// row whether it was removed (or had gone already). A row whose Gen moved on
	// stays, free to be claimed since its Gen moved on; a claim taken since stands.
	FinishPending(ctx context.Context, rows ...PendingKey) ([]bool, error)
	// FailPending notes failed attempts or holds: for each row whose Gen still
	// matches, Attempts, NextAttempt, Error, Cause and Hold are stored, and Foreign unless none
	// is given, and the claim is released.
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
	// Backlogs sums pending rows of buckets per bucket and cluster, sorted by them, in one
	// statement; bucket "" alone means all buckets. Pairs without rows are left out.
	Backlogs(ctx context.Context, buckets ...string) ([]Backlog, error)
	// BacklogTotal sums all pending rows, without names, Causes and OldestHeld. It costs a few
	// lookups, however many rows and copies there are.
	BacklogTotal(ctx context.Context) (Backlog, error)
}
