// Package kind tells what kind of S3 a storage is, by what its answers show, and what is known of that kind
// beyond the S3 API: a table, so that differences are data. It also reads the server's clock off
// its answers. It knows nothing of objects.
package kind
