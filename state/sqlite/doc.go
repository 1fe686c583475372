// Package sqlite keeps FaDO's state in one SQLite file, for one instance. It is the
// default store: nothing to set up, nothing to run.
//
// Beside the file lie SQLite's own write-ahead log (-wal, -shm), a lock file (.lock)
// that keeps a second process out for as long as this one lives, and, unless an
// encryption key is configured, the key file (.key) of the sealed secrets.
//
// One connection writes, in turns; a few read and never wait for it. Changes of the
// catalogue sync the log to disk; progress leaves that to the system, as the contract
// of [state.Store] allows. Streams read page by page, so that they hold neither a
// connection nor a version of the file while the caller works.
//
// Importing the package does nothing, and nothing is opened before [Open].
//
// The runtime (caddymodule) opens it, as do the commands that move a store; everybody else
// has a [state.Store].
package sqlite
