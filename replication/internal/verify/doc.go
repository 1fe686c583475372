// Package verify compares a bucket's copies with its primary, completely and on demand or
// every verify interval: by their listings, and with deep by reading the bytes again.
//
// Invariants:
//
//   - A verification writes nothing to a copy: what differs becomes pending rows, which the
//     workers settle, and is followed until that is done. Only a primary's object whose bytes
//     are damaged is written here, by the guard, from a copy that is proven to have what the
//     primary's storage acknowledged. Where nothing proves that, both sides stay as they are
//     and people decide.
//   - Where it stands is in the store, as rows: a verification survives its process and goes
//     on at the step and key it had come to. What it counted beyond is counted again, once.
//   - One verification of a bucket is under way at a time; who asks for one meanwhile joins it,
//     unless it is to be deep and was not.
//
// The engine in package replication starts it and asks it on people's behalf.
package verify
