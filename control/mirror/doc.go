// Package mirror is what an instance on a shared store remembers on its own disk, and how
// it starts when that store is out of reach.
//
//   - [Mirror] writes what this instance routes by to a store on local disk, some time
//     after and in a goroutine of its own, which no caller waits for.
//   - [Opening] gets the store to work on; until it comes, the mirror stands in: routing
//     goes by it, reads are answered from it, changes are refused.
//
// Invariant: a write of the mirror that is cut short leaves it cautious, never wrong.
// Exceptions are added before, and removed after, what else was true at the same time;
// the note of how far the mirror goes comes last.
//
// Package control is the only caller.
package mirror
