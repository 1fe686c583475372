// Package replication keeps the copies of buckets where the catalogue wants them. This
// package is the engine that the rest of FaDO calls: the planner, the job runner and the scan
// scheduler. The inner rooms, in internal, do the rest; docs/architecture.md lists them from the
// lowest up. What people decide, start and read the engine hands out: [Engine.Decisions] and its
// like.
//
// Callers: package caddymodule makes one [Engine] per runtime; admin, eventhook and lbpolicy
// use it through interfaces of their own. Package control stores everything the engine
// decides.
//
// # Invariants
//
//   - Nothing is written to a cluster that the object's policy does not allow.
//   - Nothing is overwritten or removed that FaDO did not put there or knows to be equal to
//     what it would put there.
//   - A copy takes traffic after it was verified, and leaves routing before it is removed;
//     the last verified copy is never removed.
//   - Facts about a copy or a primary belong to the physical bucket they were learnt at
//     (package identity): about another one under the same name they say nothing.
//   - Work is level-triggered: an event or a row says where to look, the storages say what
//     is true. Events may be lost, doubled or late.
//   - A process killed at any instant resumes where it was.
//
// # How an object passes the rooms
//
//   - queue receives the event of a feed, makes the key an exception of every other cluster
//     that should hold it, stores a pending row per cluster, and claims rows for workers,
//     each with a slot of limit;
//   - object asks both storages, through the readers of site, what is true now, and decides;
//   - guard registers the operation, checks residency and provides the writer;
//   - storage copies or removes, conditionally, and verifies;
//   - queue removes the row, if the key has not changed again meanwhile.
//
// walk (first sync, scan, histories), evict (copies that leave), move (of the primary), verify,
// pull and purge use object and guard in the same way; buckets makes the physical buckets that they
// need. peers divides the buckets among instances. jobs does what people ask for. plan is a
// pure function from the catalogue and the rows to the rows that should exist; the planner
// stores its result and starts the jobs that follow from it.
//
// # Who may write
//
// guard.Do is the only way to a [storage.Writer]: site hands out readers, and gives the
// writers once, to the code that builds the engine, which passes them to guard. An operation
// registers first and reads the current snapshot then, so that either a change of the
// catalogue finds the operation or the operation finds the change; the change is answered
// only after the operations that it forbids have ended. guard.Lock serializes operations on
// one key in one cluster, and every write is conditional on what was read.
//
// Where users write every copy (writes anywhere), the bucket keeps versions at each copy. The
// winner is written as the current version, so no write destroys another.
// [storage.CompareVersions] defines the winner; the result is the same wherever it is asked.
//
// Elsewhere FaDO may replace or remove an object in a copy only if it was compared with the
// primary in this copy's life, or FaDO made the physical bucket, and then only if it carries
// FaDO's mark or is older than OwnedUntil ([state.Copy] holds these facts, package object
// judges them). Any other object is foreign: it is reported as a conflict and left alone.
//
// # State
//
// A copy's entry in the routing snapshot holds everything that decides about an object
// ([catalog.Copy]); handling an object reads no row. The row adds what reports, scans and
// drains need ([state.Copy]). The room copies owns the rows. Pending rows belong to queue,
// rows of objects on demand to pull, reports to peers, the reason why a storage is down to
// site; whether it is up is in the snapshot's cluster state. Each operator's request is a
// row that is edited in a transaction.
//
// # Order of durable steps
//
// A kill between any two steps leaves a state from which the same code continues:
//
//   - a copied object: write verified, then pending row finished (or the cursor moved past
//     the key);
//   - an object that failed in a walk: pending row stored, then the cursor moves past it;
//   - a copy that leaves: state draining stored and routed by, then the wait, then state
//     removing stored, then objects removed, then the row removed;
//   - a primary that moves: target synced and scanned again and, on a shared store, marked as
//     moving, then in one transaction roles swapped, mark removed and the old primary marked
//     as former, then its last writes carried over, then that mark removed;
//   - an object on demand: row stored, object written and compared, row marked as usable; it
//     leaves in the reverse order;
//   - a physical bucket: stored that FaDO makes it, then made;
//   - a purge: intent stored and bucket forgotten in one transaction, objects removed, intent
//     removed.
package replication
