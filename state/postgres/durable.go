package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// flush waits until what this connection has committed is on disk.
//
// A server process that is killed takes the WAL that was not flushed along, and with it
// the last moments of what was committed without waiting for the disk. Of progress that is
// work done again. Not so of rows added to pending or pulled: instances outlive the
// database, what one of them noted before it acknowledged a write must not be forgotten.
// So these wait for the disk, but after their commit: the lock that orders them is not
// held meanwhile, and the server flushes for many connections at once.
//
// It has to be the very connection: no other knows that there was no crash in between.
func flush(ctx context.Context, conn *pgx.Conn) error {
	var b pgx.Batch // one transaction, which writes nothing but a message to the WAL
	b.Queue("SELECT set_config('synchronous_commit', $1, true)", commitOf(conn))
	b.Queue("SELECT pg_logical_emit_message(true, 'fado', '')")
	return conn.SendBatch(ctx, &b).Close()
}

// objectSkip is more than the numbers of object changes that can be given within the
// moments that a crash takes.
const objectSkip = 1 << 20

// skipLost continues with numbers of object changes that were not used before. A crash may
// have taken the last of them, which readers have seen; and any new connection may be the
// first one after a crash.
func (s *core) skipLost(ctx context.Context, q querier, commit string) error {
	if s.o.ReadOnly {
		return nil
	}
	var b pgx.Batch
	b.Queue("SELECT set_config('synchronous_commit', $1, true)", commit)
	b.Queue("SELECT pg_advisory_xact_lock($1, $2)", lockSpace, lockObjects)
	b.Queue("SELECT setval('fado.object_seq', nextval('fado.object_seq') + $1)", objectSkip)
	return q.SendBatch(ctx, &b).Close()
}
