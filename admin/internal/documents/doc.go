// Package documents answers the requests on whole documents: what one would change, move, cost and
// break (plan), the changes themselves (apply), and the catalogue as one (export).
//
// Invariants: a plan changes nothing; an apply makes all changes of a document or none, and none
// that break what a plan calls blocking; the pages of a plan tell of one plan; an export with an
// ETag is the catalogue at that revision; no literal secret leaves. What documents are, and what
// they would do, is for package document to say: here they are read from requests, in turn,
// since each may take some hundred megabytes, and answered.
//
// Package admin's table of operations leads here.
package documents
