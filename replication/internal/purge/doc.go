// Package purge removes the data of buckets that people had FaDO forget ([Purges]): of all
// clusters, or of all but the primary's.
//
// Invariants:
//
//   - A bucket is forgotten, and its purge noted, in one transaction ([Purges.Order]): a process
//     killed at any instant purges what is forgotten, and nothing else.
//   - Nothing is removed of a bucket that is declared again, whenever that happens.
//   - Nothing is removed in another physical bucket than the one that the purge was decided about
//     (package identity), nor in the primary's by another name (package buckets).
//   - A purge of copies removes what the primary has too, and what is FaDO's own by what was known
//     when it was decided (package object); anything else stays, and the log names it.
//   - Copies are purged before the primary.
//
// A purge can be cut anywhere: it begins again with the clusters that were not finished.
//
// Who may call it: package replication.
package purge
