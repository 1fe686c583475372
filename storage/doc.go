// Package storage is one S3 storage: its client, what it can do, and how an object
// is copied from one storage to another.
//
// It decides nothing: what may be written where is the catalogue's business and
// what is written when is replication's. It promises that
//
//   - memory is bounded whatever an object's size and a listing's length;
//   - a copy is conditional: it replaces only what the caller saw, or nothing;
//   - a copy is verified: it returns success only if the destination acknowledged
//     content whose size and checksum are the source's;
//   - errors tell what the caller needs to know (see [ErrNotFound] and the others),
//     and never carry a secret;
//   - every call ends with its context.
//
// What differs between S3 implementations is data ([Capabilities], quirks), not
// branches strewn about.
package storage
