// Package queue decides what is done next: it turns the changes that storages, webhooks and
// gateways report into pending rows, and processes pending rows.
//
// Invariants:
//
//   - Nothing stands between an event and its exception: what decides which rows an event
//     makes ([Intake.RowsFor]) is in the snapshot and in memory, no read of the store, and a
//     row is an exception to freshness before it is stored.
//   - A row is removed only by its generation, after its object was settled; one that could
//     not be settled stays, with its error and the time of the next attempt.
//   - Every cluster has a line of its own, so that a slow storage's backlog delays its own
//     objects and no others. Lines without rows cost nothing, nor do those of storages that
//     are down.
//
// It is the uppermost of the inner rooms; the engine in package replication starts it.
package queue
