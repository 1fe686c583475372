// Package placement is the solver: which clusters hold the copies of a bucket's rule, and
// why. It does no I/O and knows nothing but the catalogue.
//
// What is allowed and what is chosen are kept apart. [catalog.Deny] alone decides what is
// allowed; whether a cluster drains, is full or has no storage never matters to it. What
// is chosen among the allowed is decided here, by [Solver.Choose] and, with reasons, by
// [Solver.Place] and [Solve]; all of them take from the front of plan.sort's order.
//
// What holds whatever the input, and is tested as properties:
//
//   - Residency: what is chosen is allowed.
//   - Determinism: the answer depends on the values of the input only, not on their
//     order, on earlier calls, or on the instance. The hash of a cluster for a rule
//     is fixed for good: another one would move everybody's data.
//   - Stickiness: a cluster that holds a copy is chosen before any other as long as it may
//     hold one. So neither a cluster that joins nor another preference moves a copy;
//     a smaller number of copies drops some, a greater one adds some.
//   - Stability: the order among clusters for a rule is total and does not depend on
//     which others there are. So when one cluster joins or leaves (or fills up,
//     drains, comes to be allowed) at most one chosen cluster changes.
//   - Growth: what is chosen for n copies is the beginning of what is chosen for n+1.
//   - Spread: of the clusters that hold no copy yet, no failure domain gets a second copy
//     while another that could take one has none, a third while another has one, and so on.
//     So do those that hold a copy when some of them have to go.
//
// control and replication call it; routing does not, since it only asks what is allowed.
package placement
