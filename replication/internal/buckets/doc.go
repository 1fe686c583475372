// Package buckets looks after the physical buckets of copies and primaries: it makes and removes
// them ([Buckets]), knows whether the ones that are found are those that the rows speak of
// ([Identities]), and whether two clusters keep a bucket in two of them ([Apart]).
//
// Invariants:
//
//   - That FaDO made a bucket is stored before it is made; only an empty one is ever removed.
//   - A primary's bucket that was seen once is never made again: an empty one in its place
//     would look as if users had deleted everything.
//   - A bucket whose primary may not be what it was is stopped; only people's word, or the
//     former storage's return, makes it go on.
//   - Nothing is removed at a copy because another has it before the two are known to be two
//     physical buckets, and each to be the one that the rows speak of (package identity).
//
// Who may call it: what goes over copies (packages walk, evict, move, verify), and what makes or
// removes a bucket for reasons of its own (package pull, the purges of package replication).
package buckets
