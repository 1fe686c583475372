// Package secrets keeps the secrets of resources from being told, and from being sent elsewhere than
// where they were given for. Clients read a literal secret as "***", and may send that back for
// what is stored.
//
// Invariants: no literal secret passes Redact; a stored secret that "***" stands for stays with the
// storage it was given for; a placeholder that is new, or is sent elsewhere, is one that the
// configuration allows; secrets of functions, which nothing seals, are placeholders. Pure functions:
// no I/O. The handlers of resources and of documents use them.
package secrets
