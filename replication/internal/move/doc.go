// Package move changes where a bucket is written: it hands the primary's role over to another
// cluster ([Mover]) and carries over what users wrote at the former one around that ([Carrier]), ends
// writes anywhere ([Converger]), and takes people's word on which copy is right ([Decisions]). [New]
// makes all of them.
//
// Invariants:
//
//   - Roles are swapped while no operation on the new primary is on its way, on any instance
//     ([Halts]), and nothing that was written at the old one before is lost: what the move
//     overtook is carried over, or reported as a conflict.
//   - A bucket is never left without a primary, and its new one has a synced copy of every rule,
//     with its history.
//   - A write at the new primary is not replaced or deleted by what is carried over.
//   - A stopped bucket goes on by people's word, or by the former storage's return only.
//
// Its methods are about a whole bucket and lock the copies that they walk. They can be cut anywhere
// and called again.
//
// Who may call it: the jobs of package replication, and what people ask of it.
package move
