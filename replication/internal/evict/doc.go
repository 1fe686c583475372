// Package evict removes copies that leave ([Evictor]): it waits for the requests in flight, then
// removes the objects, then the copy's row and, where FaDO made it, the physical bucket.
//
// Invariants:
//
//   - An object is removed only while it is where policy wants it, at the primary and at every
//     other copy; what the primary lacks is removed only if FaDO owns it there (package object),
//     and within the breaker's bounds. What it lacks, or has an older version of, is counted before the
//     first of it goes: the copy may hold the last there is.
//   - What is not FaDO's stays, and the bucket with it.
//   - Versions that may be the last there are go on people's word only; until then the copy's row
//     stays where the policy does not allow them any more, and the bucket says so.
//   - Nothing is removed before both buckets are known to be the ones that the rows speak of, and
//     to be two (package buckets).
//
// An eviction can be cut anywhere and begun again. The caller of Evict holds the copy's lock.
//
// Who may call it: the jobs of package replication; package pull waits for requests with it.
package evict
