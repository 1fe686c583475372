// Package postgres keeps FaDO's state in a PostgreSQL database that any number of
// instances share. It implements [state.Shared].
//
// Nothing here fails because the database is away: a call says ErrUnavailable within
// bounded time, and the next one finds the database again when it is back. [Open] brings
// the schema up to date where it can reach the database, else the first call that does.
//
// What instances must not do at once they agree on by leases, not by the locks of
// sessions: a session of a process that is stopped (SIGSTOP), or whose machine is gone,
// lives on at the server for as long as TCP cares, and its advisory locks with it. A
// lease ends by the clock. It is a row of fado.members, which one statement renews, and
// which any other instance removes once it ended, together with the locks it held; a row
// that is gone can't be renewed, so an instance that wakes up late learns that it is out.
//
// Numbers that readers continue after (Seq, ObjectSeq) are assigned under a lock that lasts
// until the commit, so that they become visible in their order. Notifications (LISTEN,
// NOTIFY) only save time: an instance that missed one finds the change by its number, with
// a poll every second.
//
// What instances go by is on disk when a call returns: the catalogue, the copies, and
// pending and pulled rows that were added. Other progress is not waited for
// (synchronous_commit is off), as the contract of [state.Store] allows.
//
// It works through a pooler that keeps a session for as long as the client keeps its
// connection (pgbouncer: pool_mode = session). Transaction and statement mode can't work:
// LISTEN, prepared statements and the session's settings belong to a session.
//
// The runtime (caddymodule) opens it, as do the commands that move a store; everybody else
// has a [state.Store].
package postgres
