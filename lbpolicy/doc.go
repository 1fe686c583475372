// Package lbpolicy holds the modules that put FaDO's routing into Caddy's
// reverse_proxy:
//
//   - http.reverse_proxy.selection_policies.data_aware ([DataAware]) reads from the
//     request which data it works on, asks the catalogue's router which function
//     endpoints may serve it, and balances among those.
//   - http.reverse_proxy.upstreams.fado ([Upstreams]) offers the function endpoints
//     of all clusters, whatever the catalogue holds at the moment.
//   - http.reverse_proxy.transport.fado ([Transport]) reaches each endpoint with its
//     own scheme, path prefix and certificate authority.
//
// The three work together, and each works without the others: the policy on a
// static list of upstreams, the source with any other policy, the transport below
// both. The source puts data_aware before any other policy, which then balances among what
// routing allows: no forgotten line lets a request run where it may not.
//
// # How they hand over
//
// Caddy calls, per attempt, GetUpstreams, then Select, then RoundTrip. Everything is
// decided in Select, from memory: the router answers from the current snapshot. What
// must outlive Select (the endpoint chosen, the endpoints tried before, the count of
// the request in flight) is in one value per request, kept in the request's variables.
//
// Caddy writes into every upstream that GetUpstreams returns, so they would have to be
// new ones for each request. [Upstreams] returns each endpoint's upstream once instead;
// after Caddy has set it up, Select returns that same value, which is never written
// again, as with static upstreams.
//
// # What is promised
//
//   - A request is counted in flight for its endpoint, its buckets and its cluster
//     before the snapshot that allowed it is checked once more. Who publishes a
//     snapshot that takes a copy out of routing, and then reads the count, misses no
//     request.
//   - max_requests is never exceeded: the place is taken in the choice itself.
//   - A retry asks the router again, so it stays where the data is allowed to be.
//   - The choice takes no lock, does no I/O and allocates nothing; around it, a
//     request costs one small allocation and its headers.
package lbpolicy
