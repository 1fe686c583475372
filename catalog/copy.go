package catalog

import (
	"fmt"
	"time"
)

// CopyState is where a bucket's copy in a cluster is in its life.
type CopyState uint8

// The states of a copy, in the order of its life.
const (
	CopyWaiting  CopyState = iota // chosen, not begun (its storage is down, or no job has started yet)
	CopySyncing                   // the bulk sync walks: keys up to the cursor are there
	CopySynced                    // every key is there but those pending
	CopyDraining                  // left routing; requests in flight get their time
	CopyRemoving                  // objects are being removed, each after its check
	CopyFailed                    // the copy as a whole can't proceed; see its error
)

var copyStateNames = [...]string{"waiting", "syncing", "synced", "draining", "removing", "failed"}

// Leaves reports whether a copy is on its way out.
func (s CopyState) Leaves() bool { return s == CopyDraining || s == CopyRemoving }

// String returns the state's name as the API shows it.
func (s CopyState) String() string {
	if int(s) < len(copyStateNames) {
		return copyStateNames[s]
	}
	return fmt.Sprintf("CopyState(%d)", uint8(s))
}

// MarshalText implements encoding.TextMarshaler.
func (s CopyState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *CopyState) UnmarshalText(b []byte) error {
	for i, n := range copyStateNames {
		if n == string(b) {
			*s = CopyState(i)
			return nil
		}
	}
	return fmt.Errorf("%q: not the state of a copy", b)
}

// Copy is what decides about the copy of one bucket rule in one cluster. Routing has it in
// memory, so that acting on an object needs no read of the store. A bucket without prefix
// rules has one rule, with the prefix "".
type Copy struct {
	// Prefix of the rule the copy belongs to.
	Prefix  string
	Cluster string
	// Primary says that the bucket is written here. The primary's copy is synced
	// by definition.
	Primary bool
	State   CopyState
	// Cursor: while the state is CopySyncing, every key of the rule up to and
	// including it is there. Meaningless otherwise.
	Cursor string
	// Moving says that the bucket's primary is moving here: until the move has ended or was
	// given up, no other operation on the objects here may begin. Never set on a primary.
	Moving bool
	// Anywhere says that users write here as they do at every copy (writes anywhere). It
	// outlives the policy until what they wrote has been brought together.
	Anywhere bool
	// FormerPrimary says that the bucket's primary was here before it moved, and that the
	// last writes here are still to be compared with the new primary.
	FormerPrimary bool
	// HeldDeletes is set while the delete-storm breaker holds this copy's deletes.
	HeldDeletes bool
	// MadeBucket says that FaDO made the physical bucket, so it may remove it once it is
	// empty.
	MadeBucket bool
	// Verified says that the copy was once compared with the primary, or its bucket seen
	// if it is the primary's. A stored row says when; see state.Copy.
	Verified bool
	// At is the address (Storage.Address) that all this was learnt at, 0 if that is not
	// known. Where the cluster's storage has another one now, the copy is no hit, and
	// nothing is written or removed by what is known of it.
	At int64
	// Stopped, of a primary's copy, says that the storage under the cluster's name is not,
	// or may not be, the one that the bucket was written in: it is no hit, and the bucket's
	// copies stay as they are until people say which side is right.
	Stopped bool
	// Compared is when the last completed comparison with the primary began, zero if there
	// was none: what differed then is pending or was settled. A stored row has it as
	// VerifiedAt; see state.Copy.
	Compared time.Time
	// MeanSize of the rule's objects in bytes, as they were counted last; 0 where they were not.
	MeanSize int64
}
