// Package routing answers from memory where an invocation may go: an immutable snapshot of
// the catalogue with the state of every copy, the exceptions to it (objects known to differ,
// objects copied on demand), and the decision taken on both.
//
// Nothing in here does I/O or knows Caddy, a database or S3. What is learned about the
// world enters as values: copies and pending objects through package control, the health
// of endpoints through package health, the condition of storages through package
// replication.
//
// The package promises:
//
//   - [BucketView.Allows] is the only answer to "may a byte of this object be in, or a
//     function that names it run in, that cluster". It applies [catalog.Deny].
//   - A [Snapshot] never changes once published. One change costs the shard it
//     touches, not the catalogue, so a million buckets stay cheap to change.
//   - A decision takes no lock, does no I/O and allocates nothing.
//   - [Router.Route] and [Router.Explain] share their checks and can't disagree.
package routing
