// Package pull copies objects on demand: to a cluster where an invocation asked for them and
// can run beside them, although placement put no copy there (on_miss pull). It also keeps
// such objects in step with the primary, makes room for new ones, and removes those that
// expired or that policy no longer allows.
//
// Invariants:
//
//   - Before anything is written to a cluster, a row that says so is durable, and the row
//     stays for as long as something may be there. The row of a physical bucket that was
//     made for such objects outlives theirs. So a kill leaves nothing that is not found.
//   - An object is routed by only once both sides were seen to be equal after its row was
//     known: what changes at the primary from then on becomes a pending row for its cluster.
//   - However many invocations ask for an object in a cluster, it is copied once. One pull,
//     comparison or removal of an object at a time, by its lock here and by a lock of the
//     store between instances.
//   - FaDO replaces and removes only what it put there on demand ([Is]), and never what a
//     proper copy has taken over. Nothing is removed while its primary does not answer, and nothing is removed
//     or replaced on the word of another bucket than the one it was copied from: it may be the last there is.
//   - An object leaves routing on every instance, and requests in flight get their time,
//     before it is removed.
//   - Its size counts against the cluster's capacity from before it is copied; copies go
//     first.
//
// Who may call it: package replication makes the one [Puller] of an instance, hands
// [Puller.Settle] to package object and [Puller.LeaveTo] to package evict.
package pull
