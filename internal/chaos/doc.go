// Package chaos holds FaDO's promises against real faults: a FaDO process between real
// storages, under writes, is killed, and its storages are killed, paused, slowed, cut,
// and made to answer errors and rubbish, at random. After each round all storages must
// be equal by content to what was acknowledged, and nothing may ever have been written
// where policy forbids it.
//
// It does so with one FaDO on SQLite, and with two on one PostgreSQL, whose database and
// links to it fail as well. The normal test run does a few rounds; `make chaos` does hundreds
// (FADO_CHAOS_ROUNDS).
package chaos
