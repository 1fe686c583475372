// Package fakestorage has storages in memory for tests of replication's rooms: any call can
// be made to fail or hang. They keep what promises are about exact (conditions, positive
// absence, FaDO's mark, versions). Only tests use it.
//
// From the bottom up: events, on their way to the listener; shelf, what a storage holds; the halves over
// it, one file per job (server, buckets, objects, versions; writer); copy, between two of them; storage, which
// hands the halves out, and users, who change things past FaDO.
package fakestorage
