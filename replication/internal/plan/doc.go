// Package plan works out what the rows of a bucket's copies should become: which clusters
// get a copy, which copies leave and where the bucket is written.
//
// It is pure: no I/O, no clock, no goroutine, and the same input gives the same plan, so
// that it may run inside a transaction, and more than once. Planning from the rows of a plan
// changes nothing.
//
// Invariants, whatever the rows and the catalogue:
//   - no copy starts where a policy forbids it;
//   - a synced copy leaves only when every chosen copy of its rule is synced;
//   - the primary stays until its role is handed over, which is not part of a plan.
//
// The planner of replication fills [Inputs] and stores the rows; plan knows the catalogue,
// placement and the rows, and nothing of control, storages or jobs.
package plan
