package state

import (
	"context"
	"errors"
	"fmt"

	"github.com/fado-project/fado/catalog"
)

// Errors that callers tell apart.
var (
	// ErrNotFound: no such resource, or no such row.
	ErrNotFound = errors.New("not found")
	// ErrTrimmed: the log no longer holds what was asked for; the reader loads everything.
	// It is an ErrNotFound, too, for callers that look for that.
	ErrTrimmed = fmt.Errorf("the log was trimmed: %w", ErrNotFound)
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

// Store is the whole contract, role by role. All methods are safe for concurrent use. Times
// are kept to the millisecond. Every error that means "can't reach or write" wraps
// ErrUnavailable; errors leave the store as it was. Who needs one role takes that role's
// interface. A role may be kept for as long as the Store.
type Store interface {
	// What there is, and what is to be done about it.
	Catalogue() Catalogue
	Queue() Queue
	Pulls() Pulls
	Uploads() Uploads

	// What operators asked for and is not done yet.
	Purges() Purges
	Resolutions() Resolutions
	Allowances() Allowances
	Verifications() Verifications
	Pauses() Pauses

	// What is told and remembered.
	Reports() Reports
	Audits() Audits
	Passes() Passes
	Facts() Facts

	// What instances have in common.
	ChangeLog() ChangeLog
	Locks() Locks

	// Kind is "sqlite" or "postgres".
	Kind() string
	// Close releases the store; later calls return an ErrUnavailable. It may be called
	// more than once.
	Close() error
}

// Facts keeps the few small values that a store has about itself: what it is being filled
// from, what a mirror holds. What grows with buckets, instances or requests is rows.
type Facts interface {
	// GetMeta and PutMeta are as durable as Update; "" if absent.
	GetMeta(ctx context.Context, key string) (string, error)
	PutMeta(ctx context.Context, key, value string) error
}

// ChangeLog tells what was committed, by whichever instance.
type ChangeLog interface {
	// Changes returns committed changes after a Seq, in order, at most limit (0: all).
	// The changes of one Seq come together, in the same answer, even where they alone
	// exceed the limit; so the reader continues after the last one's Seq. Old ones may
	// have been trimmed, which is an ErrTrimmed: the reader loads all.
	Changes(ctx context.Context, after Seq, limit int) ([]Change, error)
	// Watch delivers a value soon after something that others may wait for was
	// committed by any instance: a change, pending rows added or freed, something that
	// people asked for, a fact. Reports and progress wake no watcher. Values may be merged.
	// The channel closes with ctx and with the store.
	Watch(ctx context.Context) <-chan struct{}
	// Seq returns the number of the last committed change.
	Seq(ctx context.Context) (Seq, error)
}

// Locks keeps instances from doing the same thing at once.
type Locks interface {
	// TryLock takes a named lock that at most one instance holds, without waiting;
	// ok is false when it is held, by this instance or another. The lock's Lost
	// channel closes when it can no longer be relied on: with Unlock and Close too.
	TryLock(ctx context.Context, name string) (l Lock, ok bool, err error)
}

// Lock is a named lock held by this instance.
type Lock interface {
	Lost() <-chan struct{}
	Unlock() error
}
