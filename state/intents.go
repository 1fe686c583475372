package state

import (
	"context"
	"time"
)

// Resolution is what people decided about conflicts of a bucket, until it is carried out.
type Resolution struct {
	ID     int64 // given by the store
	Bucket string
	Key    string // "": every conflict of the bucket
	// Winner is a cluster, or "newest".
	Winner  string
	Discard bool // objects that lose may go for good
	Asked   time.Time
	// After is the key up to which it has come, with the outcomes of those.
	After             string
	Resolved, Refused int64
}

// Resolutions keeps them. They go with their bucket.
type Resolutions interface {
	// AddResolution notes one durably.
	AddResolution(ctx context.Context, r Resolution) (id int64, err error)
	// Resolutions reads all of them in the order in which they were added.
	Resolutions(ctx context.Context) ([]Resolution, error)
	// SaveResolution stores how far one has come: After, Resolved and Refused; false if it
	// is gone.
	SaveResolution(ctx context.Context, r Resolution) (bool, error)
	// DeleteResolution removes one; nothing happens where there is none.
	DeleteResolution(ctx context.Context, id int64) error
}

// DeleteAllowance lets so many deletes of a copy through, whatever the bounds of the
// delete-storm breaker: people confirmed them.
type DeleteAllowance struct {
	Bucket, Prefix, Cluster string
	Left                    int64
	// Until is when what is left becomes void.
	Until time.Time
}

// Allowances keeps the deletes that people confirmed, one row per copy. They go with the
// copy.
type Allowances interface {
	// AllowDeletes adds to what is left of copies' allowances, durably, and sets their
	// Until. What was left of one that is void by now is not added to. All or none.
	AllowDeletes(ctx context.Context, now time.Time, allowances ...DeleteAllowance) error
	// TakeDeletes takes up to Left deletes of a copy's allowance, prolongs it to Until
	// where it took any, and says how many it took. Concurrent
	// callers never get the same allowance twice.
	TakeDeletes(ctx context.Context, now time.Time, want DeleteAllowance) (int64, error)
	// DeleteAllowances reads those of a bucket, or all ("") of them, sorted by bucket,
	// prefix and cluster, the void ones included.
	DeleteAllowances(ctx context.Context, bucket string) ([]DeleteAllowance, error)
}

// Verification is the last verification of a bucket, or the one under way.
type Verification struct {
	Bucket string
	// Node looks after it while it is under way.
	Node     string
	UnderWay bool
	// State is the word that people read.
	State string
	Deep  bool // the bytes are read, not only the listings
	Error string
	// Started and Finished; a new Started begins a new verification.
	Started, Finished time.Time
	// Compared so far, of a total as far as it was known at the start.
	Objects, Bytes, Total, TotalBytes  int64
	Mismatches, Repaired, Unrepairable int64
	// Done names the steps that have ended; Cursor is the key up to which the step named
	// Step has come, and what had been compared when it came there.
	Done                   []string
	Step, Cursor           string
	StepObjects, StepBytes int64
	// Damage says what could not be repaired; "" if everything is well.
	Damage string
}

// VerificationFilter narrows ListVerifications; zero fields match all.
type VerificationFilter struct {
	Node     string
	UnderWay bool // only those
	Damaged  bool // only those with a Damage
}

// Mismatch is an object in one cluster that was not what it should be.
type Mismatch struct {
	Key, Cluster string
	Reason       string
	// State is the word that people read: repairing, repaired, unrepairable.
	State string
}

// MismatchFilter narrows Mismatches; zero fields match all.
type MismatchFilter struct {
	State string
}

// Scrub is how far the verification of all buckets, one after the other, has come.
type Scrub struct {
	Last    time.Time // when the last pass began
	Running bool
	After   string // the bucket after which a running pass resumes
}

// Verifications keeps the last verification of each bucket, with its mismatches. They go
// with their bucket.
type Verifications interface {
	// UpdateVerification edits a bucket's verification in a transaction: f gets the row,
	// or one with only its Bucket set where there is none, and changes it. An error of f
	// leaves the store as it was and is returned as it is. f may run more than once, and
	// has no side effects of its own. Where f changes Started, the mismatches of the
	// verification before are removed. What has become of the row is returned. It is
	// durable where f changed UnderWay, Deep, Node or Damage, else progress.
	UpdateVerification(ctx context.Context, bucket string, f func(v *Verification) error) (Verification, error)
	// GetVerification reads a bucket's; ErrNotFound if there is none.
	GetVerification(ctx context.Context, bucket string) (Verification, error)
	// ListVerifications reads matching ones by bucket, after a bucket, at most limit
	// (0: all).
	ListVerifications(ctx context.Context, f VerificationFilter, after string, limit int) ([]Verification, error)
	// PutMismatches adds mismatches to a bucket's verification or replaces those of the
	// same key and cluster. All or none; ErrNotFound if the bucket has no verification.
	PutMismatches(ctx context.Context, bucket string, rows ...Mismatch) error
	// ListMismatches reads matching ones of a bucket by key and cluster, after one, at most
	// limit (0: all).
	ListMismatches(ctx context.Context, bucket string, f MismatchFilter, after Mismatch, limit int) ([]Mismatch, error)
	// GetScrub and SaveScrub keep where the verification of all buckets stands.
	GetScrub(ctx context.Context) (Scrub, error)
	SaveScrub(ctx context.Context, s Scrub) error
}

// Pauses keeps the switch that holds replication on every instance.
type Pauses interface {
	Paused(ctx context.Context) (bool, error)
	SetPaused(ctx context.Context, on bool) error
}
