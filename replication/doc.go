// Package replication brings copies to where the catalogue wants them and keeps
// them there: feeds notice changes, workers copy and remove single objects, walks
// compare whole listings, the planner turns placements into copies that come and go.
//
// It is the one place that writes to storages, and asks catalog before every write
// whether residency allows it. It promises:
//
//   - nothing is written to a cluster the object's policy does not allow;
//   - nothing is overwritten or removed that FaDO did not put there, or know to be
//     the same as what it would put there;
//   - a copy takes traffic after it was verified, and leaves routing before it is
//     removed; the last verified copy is never removed;
//   - work is level-triggered: an event or a row says where to look, the storages say
//     what is true; so events may be lost, doubled or late;
//   - a process killed at any instant continues where it was.
//
// # How the parts keep the promises
//
// Every write and removal of an object is an operation at the [gate]: it registers
// first and asks the current snapshot then, so a change of the catalogue either is
// seen by the operation or sees it, and is answered only after what it forbids has
// ended. Operations on one key in one cluster are one at a time ([keyLocks]), and
// every write is conditional on what was seen.
//
// Where a policy says writes anywhere, every copy is written and the bucket keeps versions
// at each: whatever wins is put on top, so that nothing is destroyed whoever wrote what is
// there. [storage.CompareVersions] says who wins; the same wherever it is asked.
//
// Elsewhere, what lies in a copy is FaDO's to replace or remove ([state.Copy] holds the facts,
// custody judges) only if it was compared with the primary in this copy's life, or the
// physical bucket was made by FaDO, and then only if it carries FaDO's mark or is older
// than OwnedUntil. Everything else is somebody else's: it is held as a conflict and left
// alone.
//
// Order of durable steps, so that a kill at any instant leaves a state from which the
// same code goes on:
//
//   - a copied object: write verified, then the pending row finished (or the cursor
//     moved past the key);
//   - an object that failed in a walk: pending row stored, then the cursor moves past;
//   - a copy that leaves: state draining stored and routed by, then the wait, then state
//     removing stored, then objects removed, then the row removed;
//   - a primary that moves: target synced and rescanned, then the roles swapped in one
//     transaction with the old primary marked, then what was written there last carried
//     over, then the mark removed;
//   - a purge: intent stored, bucket forgotten, objects removed, intent removed.
package replication
