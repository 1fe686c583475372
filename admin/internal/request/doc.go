// Package request is one request to the API, as the handlers of all domains have it: what it asks
// (path, query, body, preconditions), and how it is answered (JSON, lists that are streamed,
// errors and their status).
//
// Invariants: what a client sent wrong is named, with what was expected; a body is read up to a bound;
// nothing is sent of an answer that can't be encoded, and a list that ends early doesn't look
// like a whole one. It knows no domain but for the sentinels of its errors.
//
// Package admin and the rooms below it use it.
package request
