// Package catalog is FaDO's domain: zones, clusters, policies and buckets; what
// a valid catalogue is; which clusters a bucket's copies belong in (the placement
// solver); and which function endpoints an invocation may be sent to (the routing
// decision, taken on an immutable snapshot).
//
// Nothing in here does I/O, knows Caddy, a database or S3. What other rooms
// learn about the world enters as values: copy states, pending objects, health.
//
// The package promises:
//
//   - Residency is decided here and nowhere else: [Snapshot.Allows] is the only
//     answer to "may a byte of this object be in, or a function that names it run
//     in, that cluster".
//   - A [Snapshot] never changes once published. One change costs the shard it
//     touches, not the catalogue, so a million buckets stay cheap to change.
//   - A routing decision takes no lock, does no I/O and allocates nothing.
//   - The solver is a pure function: the same input gives the same answer on every
//     instance, in whatever order the input arrives.
package catalog
