package state

import (
	"context"
	"time"
)

// Shared is what a Store offers besides when several instances use it at once. One
// that only a single instance can open does not implement it.
//
// Every instance is a member: it holds a lease that the store renews in the background.
// Locks ([Locks.TryLock]) and claims are worth as much as the lease of the member that
// holds them: when a lease has ended, others take both over. A member knows the end of
// its lease before the others do, because it counts from before the renewal was sent.
type Shared interface {
	Store

	Instances() Instances
}

// Instances are those that share a Store: this one among them, and what it hears of the others.
type Instances interface {
	// Join makes this instance a member under a node name, which need not be unique. It
	// is called once the instance's memory is loaded, and again after Lost.
	Join(ctx context.Context, node string) (Member, error)
	// Members lists those whose leases have not ended.
	Members(ctx context.Context) ([]MemberInfo, error)

	// ObjectChanges returns what became an exception to "as the copies' states say" and
	// what ceased to be one, after a number, in order, at most limit (0: all). Numbers
	// become visible in their order: after one was returned none below it comes up.
	// Old ones may have been trimmed, which is an ErrNotFound: the reader loads all
	// (EachPending, EachPulled) after it has read ObjectSeq.
	ObjectChanges(ctx context.Context, after Seq, limit int) ([]ObjectChange, error)
	// ObjectSeq returns the number of the last ObjectChange. It is on a scale of its
	// own, not that of Seq.
	ObjectSeq(ctx context.Context) (Seq, error)
	// Latest returns both numbers as they were a moment ago, which is no longer than a
	// lost notification goes unnoticed. It costs nothing while the store looks at them by
	// itself; an error means that the store is out of reach.
	Latest(ctx context.Context) (changes, objects Seq, err error)

	// News delivers a value soon after something of a kind happened, on whichever
	// instance. Values may be merged, and one may be lost with the connection, after which
	// one is delivered. The channel closes with ctx and with the store.
	News(ctx context.Context, of NewsKind) <-chan struct{}
}

// NewsKind says what News is about.
type NewsKind uint8

// The kinds of News. Members that come or go are news of both.
const (
	NewsLocks   NewsKind = iota // a lock was given back
	NewsReports                 // a report was put
)

// ObjectChange tells what happened to the rows of one key in one cluster.
type ObjectChange struct {
	Seq                  Seq
	Kind                 ObjectChangeKind
	Bucket, Key, Cluster string
	// Gone: the row was removed. Otherwise it was added or added again.
	Gone bool
}

// ObjectChangeKind says whose row it is.
type ObjectChangeKind string

// The kinds of ObjectChange.
const (
	ObjectPending ObjectChangeKind = "pending"
	ObjectPulled  ObjectChangeKind = "pulled"
)

// Member is this instance among those that share the store.
type Member interface {
	// ID is unique among all members there ever were; claims are made in its name.
	ID() string
	// LeaseUntil is the moment, on this process's monotonic clock, from which on others
	// may no longer count on this member. What it may do only as a member it does not
	// begin, and does not continue, after that.
	LeaseUntil() time.Time
	// Lost closes when the lease has ended; the member has to join again.
	Lost() <-chan struct{}
	// Seen tells the others that this instance routes by everything up to these
	// numbers. It is sent soon, calls are merged.
	Seen(changes, objects Seq)
	// AwaitSeen waits until every other member has seen these numbers, or its lease has
	// ended.
	AwaitSeen(ctx context.Context, changes, objects Seq) error
	// Leave ends the membership; others need not wait for the lease.
	Leave(ctx context.Context) error
}

// MemberInfo describes a member to the others.
type MemberInfo struct {
	ID, Node         string
	Changes, Objects Seq
	LeaseUntil       time.Time // by the store's clock
}
