package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fado-project/fado/state/internal/stored"
)

// attempts at what may be tried again.
const attempts = 4

// blob is a text that is kept as bytea: a key, a prefix, a cursor.
type blob string

// BytesValue implements pgtype.BytesValuer.
func (b blob) BytesValue() ([]byte, error) { return []byte(b), nil }

// ScanBytes implements pgtype.BytesScanner.
func (b *blob) ScanBytes(v []byte) error {
	*b = blob(v)
	return nil
}

// text makes a message fit for a text column.
func text(s string) string { return stored.Plain(s) }

// querier is what reads: a connection of the pool, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// collect reads every row of a query.
func collect[T any](ctx context.Context, q querier, scan func(pgx.Rows) (T, error), sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return collectRows(rows, scan)
}

func collectRows[T any](rows pgx.Rows, scan func(pgx.Rows) (T, error)) (all []T, err error) {
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// one reads the single row of a query; ok is false when there is none.
func one[T any](ctx context.Context, q querier, sql string, args ...any) (v T, ok bool, err error) {
	all, err := collect(ctx, q, func(r pgx.Rows) (v T, err error) { return v, r.Scan(&v) }, sql, args...)
	if err != nil || len(all) == 0 {
		return v, false, err
	}
	return all[0], true, nil
}

// read runs f on a connection. What fails with the connection is tried again on others:
// after a restart of the database, those of the pool have to be found broken first.
func (s *core) read(ctx context.Context, doing string, f func(ctx context.Context, q querier) error) error {
	return s.call(ctx, doing, true, f)
}

// write runs f, which is one statement or one batch, and so one transaction. It is tried
// again only where it left no trace.
func (s *core) write(ctx context.Context, doing string, f func(ctx context.Context, q querier) error) error {
	return s.call(ctx, doing, false, f)
}

func (s *core) call(ctx context.Context, doing string, harmless bool, f func(ctx context.Context, q querier) error) error {
	if err := s.usable(ctx); err != nil {
		return s.wrap(ctx, doing, err)
	}
	err := s.attempt(ctx, s.patience(1), harmless, func(ctx context.Context, conn pooled) error { return f(ctx, conn) })
	return s.wrap(ctx, doing, err)
}

// usable guards every call: not before the context's time, not after Close, not before
// the schema is there.
func (s *core) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return errClosed
	}
	return schema{s}.ready(ctx)
}

// attempt gives f a connection, again where that may help, within bounded time.
func (s *core) attempt(ctx context.Context, bound time.Duration, harmless bool, f func(ctx context.Context, conn pooled) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bound, errSlow)
	defer cancel()
	pause := backoffs()
	for n := 1; ; n++ {
		err := s.pool.AcquireFunc(ctx, func(conn pooled) error { return f(ctx, conn) })
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && !isOwn(err) {
			return errors.Join(context.Cause(ctx), err)
		}
		gone := broken(err) && !isOwn(err)
		if n >= attempts || !again(err) && (!harmless || !gone) {
			return err
		}
		if gone && n > 1 {
			s.pool.Reset() // the others are no better
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
			return err
		}
	}
}

// reconnectAfter is the longest pause before the database is tried again, by the listener too.
const reconnectAfter = 250 * time.Millisecond

// backoffs are the pauses between attempts, of moments that differ between instances.
func backoffs() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.MaxInterval = 5*time.Millisecond, 3, reconnectAfter
	return b
}

// patience is how long what runs so many statements may take, whatever the network does:
// statement_timeout is the server's to keep.
func (s *core) patience(statements int) time.Duration {
	return s.o.ConnectTimeout + time.Duration(statements)*s.o.StatementTimeout
}

var errSlow = errors.New("no answer from the database within connect_timeout and statement_timeout")

// isOwn says whether an error is none of the driver's.
func isOwn(err error) bool {
	for _, sentinel := range known {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return errors.As(err, new(ownError))
}

// transact runs f in a transaction that is not synced to disk unless f asks for it.
// It is tried again where it left no trace.
func (s *core) transact(ctx context.Context, f func(ctx context.Context, tx pgx.Tx) error) error {
	return s.attempt(ctx, s.patience(2), false, func(ctx context.Context, conn pooled) error {
		return within(ctx, conn, func(tx pgx.Tx) error { return f(ctx, tx) })
	})
}

// within runs f in a transaction of a connection. A commit that failed is a [commitError].
func within(ctx context.Context, conn pooled, f func(tx pgx.Tx) error) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // what ended already stays as it is
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return commitError{err}
	}
	return nil
}

// commitError is what the driver says of a commit. It may say that nothing was sent ("conn
// closed") of one that the server has carried out, when the connection broke before the answer.
type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }

// durable makes the commit of a transaction wait for the disk.
func (s *core) durable(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SELECT set_config('synchronous_commit', $1, true)", commitOf(tx.Conn()))
	return err
}

func commitOf(conn *pgx.Conn) string {
	if v, ok := conn.PgConn().CustomData()[commitKey].(string); ok {
		return v
	}
	return "on"
}

// noLimit turns the contract's 0 into SQL's NULL.
func noLimit(limit int) *int64 {
	if limit <= 0 {
		return nil
	}
	n := int64(limit)
	return &n
}

// pooled is a connection of the pool.
type pooled = *pgxpool.Conn

// clearing is how many times statement_timeout what touches every row may take.
const clearing = 40

// Advisory locks of FaDO in a database: the first number is "FaDO" in ASCII. The one that
// orders the log of objects is taken by fado.order_objects, too.
const (
	lockSpace     = 1180779599
	lockObjects   = 1
	lockMigration = 2
	lockFold      = 3
)

// commitKey is where a connection keeps the server's own synchronous_commit.
const commitKey = "fado.synchronous_commit"
