// Package s3gateway is one S3 endpoint for all storages: the handler fado_s3. Any S3 client sees
// one namespace of all buckets, wherever their copies are.
//
// A request passes these steps: its signature is verified (internal/sigv4) and what its key may
// see is checked; the operation is found in a table (operations.go); a storage is chosen
// (place.go); the request is made there under that storage's own credentials, its body
// streaming through; names of buckets in the answer are translated back.
//
// Invariants:
//
//   - A read goes to a cluster that holds the current version of the key as routing knows it,
//     exactly; where none does it fails and a client retries. Nothing stale is served.
//   - A write goes to where users may write the key, and through the engine only
//     (replication.Gateway): every other copy is an exception to freshness, durably and on
//     every instance, before a storage can show the write, and again before it is answered.
//     So every read through any instance sees it, and a crash at any instant loses no change.
//   - No object is held in memory but in the cache (cached.go), which is bounded and whose every
//     use a storage confirms. Bodies that are parsed are bounded (internal/wire), and so are
//     the answers of storages.
//   - What an endpoint's cluster may not carry does not pass: see replication.Passage.
//   - A client never gets bytes of two versions in one body: a read that goes on at another
//     copy asks for the same ETag (read.go).
//   - A body that does not verify is not stored: its last bytes are held back until it does.
//   - Keys pass as the client wrote them, "//", ".." and all; a storage that would keep a key
//     under another name is never given it.
//   - ETags, version IDs and times are those of the primary: a copy at a storage that can't keep
//     them says in its stamp what they were, and answers are translated by it.
//
// The state of uploads is the storages': an upload's ID says which storage has it, so that it
// survives restarts and works through any instance.
//
// Caddy alone calls this package. The app is reached through [App].
package s3gateway
