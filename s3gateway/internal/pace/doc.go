// Package pace moves bodies from and to clients that may rest, break off, or never have meant to go
// on. It knows HTTP, and of S3 only how a client is told that it rested.
//
// Invariants:
//
//   - A client that moves less than 64 KiB of a body in its time is ended. What the server itself
//     takes, or a storage, does not count.
//   - What is cut ends at once, though the client stands still, and does not go on.
//   - A connection in which something of a request is left is not used for another one: what
//     is left would be taken for the next request, which may be another client's.
//   - A client that waits to be told to send its body (Expect: 100-continue) is told so by the first
//     read of it, and by nothing else.
//
// Only packages below s3gateway use it.
package pace
