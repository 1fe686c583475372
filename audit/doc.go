// Package audit is the language of audit records: what a record holds, how records are
// chained, and what is wrong with a chain.
//
// The hash of a record is the SHA-256 of the former record's hash (64 hexadecimal digits, ""
// before the first) followed by the record without prev and hash as canonical JSON (RFC 8785).
// So a record that is changed, removed, added or moved is found by those behind it, and the
// hash of the last one stands for all.
//
// Everything here is pure. Stores append records in the transactions that they speak of;
// control says what they hold; [Verify] needs nothing but the records.
package audit
