// Package bodies keeps contents of objects that are read often in memory, so that a storage
// that confirms an object need not send it again. It knows nothing of requests, storages or
// FaDO, and never decides whether what it keeps is current: who takes a body out compares its
// identity with what a storage says now.
//
// Invariants:
//   - Memory is bounded: what is kept takes at most Options.Size, and what is being read in at
//     most [Options.room] beside it.
//   - A body is whole, of one version, and never changes.
//   - A body is never returned for another key than its own.
//   - What may no longer be here is gone when the hold on it has ended; see [Options].Hold.
//   - A body is admitted at its first use while there is room for it, else at its second; which
//     ones make room is TinyLFU's choice (ristretto).
//
// Package s3gateway is the only caller.
package bodies
