// Package peers is what instances that share a store tell each other, and how they share
// the work.
//
// Buckets are dealt into parts ([Shards]); each part is planned, walked and scanned by one
// instance at a time, which holds a lock of the store for it. What an instance knows that the
// others need (how it listens, why buckets are stuck, what people asked of it) it publishes
// as a report ([Peers]).
//
// Invariants:
//
//   - A report is advisory: correctness never depends on it.
//   - A part that was lost is let go of only after [Hooks.Lost] has returned, which waits
//     for the work on its buckets to end.
//   - No lock of this package is held while the store is waited for.
//
// The hooks tell the engine what happened; the package calls nothing above it.
package peers
