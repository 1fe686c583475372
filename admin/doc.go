// Package admin is FaDO's REST API on Caddy's admin endpoint, below /fado/: the
// collections, what is known of their state, why routing and placement answer
// as they do, replication's figures and switches, and a stream of events.
//
// It owns no state and decides nothing. A handler parses what came in, calls
// control (changes) or replication (work on data), and turns the answer into JSON
// or a [caddy.APIError]. The running app is looked up for every request: a router
// that kept one would talk to a dead configuration after a reload that failed.
//
// Every endpoint is one entry of the table in routes.go: its name, method, pattern, the
// role it is for, and the types it reads and answers. The router and the OpenAPI document
// go by it alike, so that neither can say what the other does not.
//
// The types of the JSON are here (view_*.go) and nowhere below: what control and
// replication return is turned into them field by field. Only admin/ may know them.
//
// What it promises:
//
//   - a literal secret never leaves: it reads as "***", and "***" sent back means the
//     one that is stored;
//   - and it goes nowhere else: where the storage is reached otherwise than when the
//     secret was given, "***" is refused;
//   - unknown fields, unknown query parameters and values out of range are refused
//     with what was expected, and nothing is changed;
//   - details of internal failures go to the log, not to the client.
package admin
