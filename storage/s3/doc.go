// Package s3 is the wire under package storage: signed requests to one S3 endpoint, the
// listings, multipart uploads and errors of its answers, and how long and how much of an
// answer is waited for. It knows nothing of copies, of FaDO's marks or of what a storage
// can do; package storage alone may use it.
//
// It promises that
//
//   - every answer has a bound, in bytes and in time: [Limit] by kind for those that are
//     parsed, a watchdog ([Watchdog]) for silence, [Waits].Whole for answers that trickle.
//     Only an object's content and an event stream may be of any length. The calls that go
//     through minio-go have the same bounds, by the same RoundTripper;
//   - success is proved: an answer that changes something is one only with what S3 gives
//     it (an ETag, the root element of its body, 204 for a removal), and an <Error> is an
//     error whatever its status;
//   - a listing advances or fails;
//   - a request that changes something is not left with an open end: see [Client.Send];
//   - an error wraps one of the sentinels ([ErrNotFound] and the others), says which
//     request of which storage failed, and carries no secret.
//
// Objects are read and written by requests of its own rather than by minio-go's methods:
// those parse and rename headers that a copy has to carry over as they are, and can't
// tell an answer S3 gave from one that minio-go made up. Signatures, the escaping of
// paths and the administration of buckets are minio-go's.
//
// From the bottom up: text, errors, limits, fence, watchdog, ca; client, request, fail,
// delivery, send; then one file per family of requests. Arrows between files point down
// this list.
package s3
