// Package peers divides the work among instances that share a store, and carries their
// reports to each other.
//
// Buckets are divided into parts ([Shards]); each part is planned, walked and scanned by one
// instance at a time, which holds a lock of the store for it. Each instance publishes a
// report for the others ([Peers]): which storages it listens to, why buckets are stuck, what
// operators asked of it.
//
// Invariants:
//
//   - A report is advisory: correctness never depends on it.
//   - A part that was lost is released only after [Hooks.Lost] has returned, which waits
//     for the work on its buckets to end.
//   - No lock of this package is held while the store is waited for.
//
// The hooks tell the engine what happened; the package calls nothing above it.
package peers
