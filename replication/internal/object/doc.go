// Package object brings one object in one cluster in step with the primary or, under writes
// anywhere, with the version that wins: [Settler.Settle]. Walks, workers and operators'
// decisions all end here.
//
// Invariants:
//
//   - An event or a row says where to look; what is done follows from what the storages
//     answer then. So Settle may be called for any object at any time, twice, or late.
//   - Every write is conditional on what was seen; a lost race is decided again.
//   - What lies in a copy is FaDO's to replace or remove only if it was compared with the
//     primary in this copy's life, or the physical bucket was made by FaDO, and then only
//     if it carries FaDO's mark or is older than OwnedUntil ([state.Copy] holds the facts).
//     Everything else is foreign: [ErrConflict], and it is left alone.
//   - Deletes are counted by [Deletes] before they are applied, and held beyond its bounds.
//
// What a [Settler] settles objects with may be used by itself, under a pass of the guard: [Writes] bring
// and remove one object, [Histories] bring the versions below it, [Removals] take it away for
// good, [Anywhere] is for what users write in any cluster, and [Provenance] tells what is FaDO's own.
//
// Callers hold a slot of package limit for what they have settled.
package object
