// Package sigv4 verifies requests signed with AWS Signature Version 4, as S3 does: the Authorization header, presigned URLs,
// aws-chunked bodies with signed chunks and trailers, and the policies of POST forms. It knows nothing of buckets' contents,
// FaDO or Caddy, and signs nothing.
//
// Invariants:
//   - A body is verified while it is read. The error comes in place of the last bytes, so a consumer that knows the length, as
//     an upload with a Content-Length does, never passes a wrong body on as a whole one.
//   - Memory per request is bounded whatever the client sends: chunk headers, trailers, form fields and policies have limits.
//   - Signatures are compared in constant time, and an unknown key costs the same computation as a wrong signature.
//   - Paths are signed as S3 signs them: encoded once, not normalised; "//" and "." segments stay.
//
// Package s3gateway is the only caller.
package sigv4
