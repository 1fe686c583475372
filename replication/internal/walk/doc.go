// Package walk compares whole copies, key by key, by the listings of the primary and the
// copy: the first sync of a copy ([Syncer]), scans of a synced one ([Scanner]), the removal
// of one that leaves ([Evictor]), and what a bucket needs when its primary moves or its
// policy stops allowing writes anywhere ([Mover]). It also makes and removes the physical
// buckets ([Buckets]). [New] makes all of them.
//
// Invariants:
//
//   - One walk of a copy at a time: the caller of Sync, Scan, ScanWatched, CountPrimary and
//     Evict holds the copy's lock of [Walks.Locks]. The methods of [Mover] are about a whole
//     bucket and lock the copies they walk.
//   - A walk can be interrupted anywhere. Its cursor only passes a key that is in step, or
//     that has a durable row; nothing before the cursor depends on the walk.
//   - A scan writes nothing to a storage: what differs becomes pending rows.
//   - What the primary lacks is removed from a copy only if FaDO owns it there (package
//     object); an eviction removes an object only while it is where policy wants it.
//   - A primary's bucket that was seen once is never made again: an empty one in its place
//     would look as if users had deleted everything.
//   - Nothing is removed at a copy because another has it before the two are known to be two
//     physical buckets, and each to be the one that the rows speak of (package identity).
//   - A bucket whose primary may not be what it was is stopped; only people's word, or the
//     former storage's return, makes it go on.
//   - That FaDO made a bucket is stored before it is made.
//   - Roles are swapped while no operation on the new primary is on its way, on any
//     instance, and nothing that was written at the old one before is lost: what the move
//     overtook is carried over, or reported as a conflict.
//
// Who may call it: the jobs of package replication, verification, and the rooms that make or
// remove physical buckets.
package walk
