// Package sums has the checksums by which an object's content is known: the ETags that are MD5s, of the content or
// of its parts, and the checksums of the whole that storages keep. It makes no request.
package sums
