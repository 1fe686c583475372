// Package clusters tells how clusters are: each at a glance, and one by one what is not as it should
// be, since when, and what helps.
//
// Invariants:
//
//   - All is told from memory: no storage, no function and no store is asked.
//   - What is told for people to see to is bounded, however many function endpoints are down.
package clusters
