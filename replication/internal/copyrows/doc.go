// Package copyrows answers questions about the rows of a bucket's copies: where a row is,
// where the bucket is written, what is synced.
//
// Its functions are pure and know only the catalogue and the rows' type. Everything in
// replication may call it.
package copyrows
