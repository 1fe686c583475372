// Package urls makes URLs of FaDO's own S3 endpoints by which a holder may make one request without
// a key, and tells what a URL was made for when it comes back.
//
// Each is signed with a key of its own, which is derived from the secret of one access key in the
// store, [SystemKey], and from what the URL allows: nothing is kept for a URL, and every instance
// knows it again. Who removes that access key voids every URL.
package urls
