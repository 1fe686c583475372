// Package control is where the catalogue is changed: every change, asked for by
// the admin API, a configuration or replication, goes through [Control], which
// writes the store first, then publishes what routing reads, then answers. So
// nothing is visible that is not durable, and nothing is answered that this
// instance does not route by.
//
// Control is made of roles, one field each:
//
//   - [Resources] reads and changes zones, clusters, policies, buckets and keys.
//   - [Copies], [Pending] and [Pulled] store what replication does: rows of copies, the
//     queue of objects that differ, objects copied on demand.
//   - [Status] tells where buckets are; [Issues] keeps why they can't get there.
//   - [follow.Members] is this instance among those that share the store.
//   - [Hooks] tell other rooms of this process what changed; the [Bus] tells people.
//
// Invariants:
//
//   - No lock is held while the store is waited for, and every wait takes a context. What
//     transactions committed is published in the order of the store's sequence numbers
//     (see internal/publish); a read of a resource waits for no write.
//   - Two sources of resources meet here: those a configuration declares (origin "config",
//     held in memory for as long as the configuration runs) and those the API makes
//     (origin "api", in the store). Where both have a name, the configuration's wins.
//
// What other instances changed comes through control/follow; what an instance remembers
// on its own disk is control/mirror's. Control knows nothing of Caddy or S3.
package control
