// Package identity says whether the storage and the physical bucket under a cluster's name are
// those that facts were learnt at. It does no I/O.
//
// The invariant: every fact about a copy (that it was compared, until when what lies there is
// FaDO's, that FaDO made its bucket, how far its cursor came), about a primary and about what
// a purge is to remove belongs to the physical bucket that it was learnt at. A cluster's name
// is none: people give it another endpoint, a host name another address, and buckets are
// removed and made again. So each row keeps where it was learnt, and before a fact decides
// anything it is compared with what is there now:
//
//   - a copy whose bucket is another one is an import: what is equal is adopted, what differs
//     is a conflict, and it is no hit until it was compared;
//   - a primary whose bucket is another one stops its bucket. Nothing is copied from it or
//     removed on its account until people say which side is right;
//   - a purge leaves another bucket alone;
//   - where nothing was noted yet, what is there is noted.
//
// What tells buckets apart, the surest first: when the bucket was made, where the storage's
// word for that holds (MinIO: to the millisecond, and for good); the address of the storage.
// Equal birth dates prove that an address is another name for the same bucket only to the
// millisecond: many buckets are made in the same second. Tags and marker objects are not used,
// because users replace a bucket's tags as a whole, and because FaDO writes nothing into
// buckets that are not its own.
//
// Whether two clusters are two storages is another question; [Differ] answers it where birth
// dates can. Elsewhere package buckets places a mark at one and looks for it at the other.
//
// Any room of replication may call it.
package identity
