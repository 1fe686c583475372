// Package limit decides how many objects are worked on at the same time, and whose turn is
// next.
//
// Invariants, whatever the order of calls:
//   - no more slots are in use than there are, nor more for a cluster than its share;
//   - small live objects always find a slot that neither bulk work nor large objects take;
//   - every waiter gets a slot in the end, if those who hold one release it;
//   - a storage that stops complaining gets all its slots back.
//
// The package does no I/O, starts no goroutine and reads no clock: callers pass the time.
// Everything in replication that transfers or removes objects acquires a slot here first;
// limit knows nothing of the rest.
package limit
