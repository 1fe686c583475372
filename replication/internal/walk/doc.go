// Package walk compares whole copies, key by key, by the listings of the primary and the
// copy: the first sync of a copy ([Syncer]), scans of a synced one ([Scanner]), and the versions
// below what is current ([Historian]). [New] makes all of them.
//
// Invariants:
//
//   - One walk of a copy at a time: the caller holds the copy's lock of [Walks.Locks].
//   - A walk can be interrupted anywhere. Its cursor only passes a key that is in step, or
//     that has a durable row; nothing before the cursor depends on the walk.
//   - A scan writes nothing to a storage: what differs becomes pending rows.
//   - What the primary lacks is removed from a copy only if FaDO owns it there (package
//     object), and only after all of that was counted (the breaker).
//   - A walk begins with the buckets made sure of (package buckets): one whose primary may not
//     be what it was is stopped.
//
// Who may call it: the jobs of package replication, verification, and package move.
package walk
