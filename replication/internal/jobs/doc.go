// Package jobs is what people start, decide and watch over buckets and clusters: deletes that the
// breaker holds, conflicts, a primary that may not be what it was and history that keeps a copy
// ([Decisions]); moves to where placement would put buckets today ([Rebalances]); clusters whose
// storages are lost ([Abandonments]); verifications ([Verifications]). [New] makes all of them.
//
// Invariants:
//
//   - What people decide is about the buckets that were compared: where another one lies in the
//     place of one of them, nothing is written there (package object).
//   - Every write is conditional on what was seen when people decided, and made where users write:
//     while the primary moves it is refused (staysPut).
//   - An object that loses a conflict is written over only where its storage keeps it as a version,
//     or where people say that it may go.
//   - Nothing that is at the primary is overwritten by a delete that people reject. Where several
//     copies hold deletes of a key, the object that users wrote last is given back, and only the copy it
//     is from counts as compared.
//   - A decision can be cut anywhere: the same call resumes.
//
// What is decided takes effect on every instance: through rows of the store, and what instances
// ask of each other (package peers).
//
// Who may call it: package replication, which hands its types out as handles of the engine.
package jobs
