// Package health checks the function endpoints of all clusters, so that routing
// knows which of them answer. Caddy's own active checks look at static upstreams
// only; these look at whatever the catalogue's current snapshot holds.
//
// What a check finds goes into the endpoint's [catalog.EndpointState], which
// routing reads without a lock. Live traffic helps: an endpoint that could not be
// dialled is marked down at once ([Checker.Failed]) and checked again soon.
//
// The package promises:
//
//   - A hung endpoint never delays the checks of others: checks run beside each
//     other, and endpoints that failed their last one are checked in a lane of
//     their own.
//   - Nothing waits without a bound: every check has a deadline.
//   - Stop waits until no goroutine of the checker is left.
package health
