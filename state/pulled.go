package state

import (
	"context"
	"time"
)

// Pulled is an object that lies in a cluster because an invocation there asked for it
// (on_miss pull), and not because placement put it there.
type Pulled struct {
	Bucket, Key, Cluster string
	Size                 int64
	// ETag of the object as it was put there: what is removed when it expires is that,
	// and nothing else.
	ETag string
	// UsedAt is the last use; Until is when it expires unless it is used again.
	UsedAt, Until time.Time
}

// PulledKey names a row.
type PulledKey struct{ Bucket, Key, Cluster string }

// PulledFilter narrows ListPulled; zero fields match all.
type PulledFilter struct {
	Bucket, Cluster string
	// Expired rows only: those whose Until is not after it.
	Expired time.Time
}

// Pulls keeps the objects copied on demand. A row precedes the object (its write is
// noted before it begins), and goes after the object went.
type Pulls interface {
	// PutPulled adds rows or replaces them. All or none.
	PutPulled(ctx context.Context, rows ...Pulled) error
	// TouchPulled raises UsedAt and Until of rows that exist, where they are later.
	TouchPulled(ctx context.Context, rows ...Pulled) error
	// DeletePulled removes rows; those that don't exist are left out.
	DeletePulled(ctx context.Context, rows ...PulledKey) error
	// ListPulled reads matching rows, least recently used first, at most limit (0: all).
	ListPulled(ctx context.Context, f PulledFilter, limit int) ([]Pulled, error)
	// EachPulled streams every row, in no particular order.
	EachPulled(ctx context.Context, f func(Pulled) error) error
	// PulledBytes sums the rows' sizes per cluster.
	PulledBytes(ctx context.Context) (map[string]int64, error)
}
