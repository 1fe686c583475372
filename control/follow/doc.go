// Package follow keeps this instance's memory in step with a store that other instances
// write too, and makes this instance a member of those.
//
//   - [Follower] reads the store's two sequences (changes of resources and copies; changes
//     of objects) and has what is new published.
//   - [Exceptions] holds the keys that are known to differ in step with the stored rows,
//     which change from three sides: this instance adds rows, finishes rows, and follows.
//   - [Members] says what this instance may do by its lease, and waits for the others.
//
// Invariants: within one look, additions of exceptions come first, then resources and
// copies, then removals of exceptions, so that a copy never counts for a key before the
// exception to it is known. What is published of a thing never goes back, on whichever instance it changed
// it (see control/internal/publish). With a store of its own an instance has nothing to
// follow, and everything here answers at once.
//
// Package control is the only caller; its users get [Members] from it.
package follow
