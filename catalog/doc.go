// Package catalog is FaDO's domain: zones, clusters, policies and buckets, what a valid
// catalogue is, and what a copy of a bucket may be said to be. Every other package may
// import it; it imports none of them, does no I/O, and knows neither Caddy, nor a database,
// nor S3.
//
// Residency is decided here and nowhere else: [Deny] answers whether a policy allows a
// cluster. [AllowedClusters] and [PolicyAllows] ask it, and so do package placement for
// what is chosen and package routing, once per change, for what a snapshot allows.
package catalog
