package catalog

import "fmt"

// CopyState is where a bucket's copy in a cluster is in its life.
type CopyState uint8

// The states of a copy, in the order of its life.
const (
	CopyWaiting  CopyState = iota // chosen, not begun (its storage is down, or a worker is yet to come)
	CopySyncing                   // the bulk sync walks: keys up to the cursor are there
	CopySynced                    // every key is there but those pending
	CopyDraining                  // left routing; requests in flight get their time
	CopyRemoving                  // objects are being removed, each after its check
	CopyFailed                    // the copy as a whole can't go on; see its error
)

var copyStateNames = [...]string{"waiting", "syncing", "synced", "draining", "removing", "failed"}

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

// Copy is what decides about the copy of one bucket rule in one cluster, so that nobody
// has to ask the store before acting: routing has it in memory. A bucket without prefix rules has one rule, with the prefix "".
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
	// Moving says that the bucket is about to be written here: until it is, or is not to be
	// any more, nothing but that is done to the objects here. Never set on a primary.
	Moving bool
	// Anywhere says that users write here as they do at every copy (writes anywhere). It
	// outlives the policy until what they wrote has been brought together.
	Anywhere bool
	// FormerPrimary says that the bucket was written here before its primary moved, and
	// what was written last is yet to be compared with the new primary.
	FormerPrimary bool
	// HeldDeletes is set while the delete-storm breaker holds this copy's deletes.
	HeldDeletes bool
	// MadeBucket says that FaDO made the physical bucket, so it may remove it once it is
	// empty.
	MadeBucket bool
	// Verified says that the copy was once compared with the primary, or its bucket seen
	// if it is the primary's. A stored row says when; see state.Copy.
	Verified bool
}
