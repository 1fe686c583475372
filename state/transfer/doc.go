// Package transfer takes what one store holds to another, of the same engine or not:
// resources, copies, pending objects with their holds and attempts, objects copied on
// demand, uploads under way, what operators asked for, and meta values. Reports, which
// instances make again, stay behind.
//
// It promises:
//
//   - The source is only read.
//   - The target was empty before. A transfer that did not complete leaves a mark in
//     it, by which instances refuse to start on it ([Check]); another transfer to it
//     removes what the first one left, and starts over.
//   - A transfer completes only after the target was read back and held the same rows.
//   - Memory is bounded: rows are streamed.
//
// Claims are not copied: their holders have ended. Numbers (Rev, Gen) are assigned by the
// target, and never repeat one that the source had assigned.
//
// The commands of caddymodule call Move, and the runtime calls Check.
package transfer
