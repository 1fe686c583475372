// Package traffic counts the requests that pass: invocations by how they were decided, and
// requests to S3 endpoints. What decides and what serves see an interface each, Invocations and S3;
// the app has the counters behind them, which live as long as the process and are put in
// the registry of every configuration, so that reloads reset nothing.
//
// Counting is atomic additions: no lock, no allocation and no I/O once a cluster is known. Labels
// are of operations, codes, reasons and declared clusters, never of clients or objects.
package traffic
