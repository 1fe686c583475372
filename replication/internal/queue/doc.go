// Package queue decides what is done next: it turns the changes that storages, webhooks and
// gateways report into pending rows, and processes pending rows.
//
// Invariants:
//
//   - Nothing stands between an event and its exception: what decides which rows an event
//     makes ([Intake.RowsFor]) is in the snapshot and in memory, no read of the store, and a
//     row is an exception to freshness before it is stored.
//   - What no event tells of is a gap ([Gaps]). One begins when a listener ends, or has to wait
//     for room so that its storage may drop events, or when a webhook's events are refused, and
//     it is not over before everything written at that storage was compared by a scan that
//     began after events came again. Until then a copy of a bucket written there is a hit for
//     what was compared since, and for nothing else. Where nothing tells of changes for longer
//     than a moment, or never did, the gap ends as well: scans are the feed then, and a copy is
//     as good as its last one. A storage that is down is taken to be as it was.
//   - A row is removed only by its generation, after its object was settled; one that could
//     not be settled stays, with its error and the time of the next attempt.
//   - Every cluster has a line of its own, so that a slow storage's backlog delays its own
//     objects and no others. Lines without rows cost nothing, nor do those of storages that
//     are down.
//
// It is the uppermost of the inner rooms; the engine in package replication starts it.
package queue
