// Package site is the storages of all clusters as this instance knows them: whether each
// answers, how changes made there are noticed, what it can do, how much it bears, whether
// it has space.
//
// A [Site] belongs to one declaration of a cluster's storage. When the declaration changes,
// [Sites.Get] returns another Site, and nothing that was learned at the old one counts for
// the new one.
//
// Invariants:
//
//   - A Site hands out a [storage.Reader] and nothing that writes. The writer's half is
//     returned once, by [New], to the one who builds the engine, and goes to package guard.
//   - Whether a storage is up is kept in one place, the cluster's live state in the
//     snapshot, which routing reads as well. The Site keeps the reason.
//   - Every request to a storage is reported with [Site.Observed], every write with
//     [Site.Wrote]: suspicion, pace and fullness follow from these.
//
// The hooks in [Options] tell the engine what happened; the package calls nothing above it.
package site
