// Package listing compares two listings of a bucket key by key, without holding either in
// memory.
//
// Invariants:
//   - memory does not grow with the listings;
//   - no error and no disorder of a listing makes a key look absent: the merge ends before
//     any key that it can't be sure of;
//   - when a merge ends, for whatever reason, nothing reads the listings any more.
//
// Walks, scans, evictions and verification use it; listing knows nothing of them, only the
// objects of package storage.
package listing
