package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// durability of a write transaction.
type durability int

const (
	// progress survives a killed process: the pages are the system's.
	progress durability = iota
	// durable survives a power cut: the write-ahead log is synced to disk.
	durable
)

// bg is what statements run with. The driver starts a goroutine per statement to
// watch a context that can end, and an interrupted statement may take its
// transaction along; so contexts are looked at between statements instead, all of
// which are short.
var bg = context.Background()

// writer is the one connection that writes. Only the holder of its token may use it.
type writer struct {
	turn  chan struct{}
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	sync  durability // what the connection is set to
	// refuses, if not nil, is what everyone gets who would write.
	refuses error
}

func newWriter(db *sql.DB, conn *sql.Conn) *writer {
	w := &writer{turn: make(chan struct{}, 1), db: db, conn: conn, stmts: make(map[string]*sql.Stmt), sync: durable}
	w.turn <- struct{}{}
	return w
}

// take waits for the writer's turn.
func (w *writer) take(ctx context.Context) error {
	if err := errors.Join(ctx.Err(), w.refuses); err != nil {
		return err
	}
	select {
	case _, ok := <-w.turn:
		if !ok {
			return errClosed
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) give() { w.turn <- struct{}{} }

// close waits for a transaction that is under way, and lets none begin after.
func (w *writer) close() error {
	if w.refuses != nil {
		return nil
	}
	if _, ok := <-w.turn; !ok {
		return nil
	}
	close(w.turn)
	for _, stmt := range w.stmts {
		_ = stmt.Close() // closing the connection closes it too
	}
	return errors.Join(w.conn.Close(), w.db.Close())
}

// statement is a prepared one, which lives as long as its connections.
type statement interface {
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, args ...any) (*sql.Rows, error)
}

// prepared returns the statement for a text, prepared once.
func (w *writer) prepared(text string) (statement, error) {
	if stmt, ok := w.stmts[text]; ok {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(bg, text)
	if err != nil {
		return nil, err
	}
	w.stmts[text] = stmt
	return stmt, nil
}

// exec runs a statement and returns the number of rows it changed.
func (w *writer) exec(text string, args ...any) (int64, error) {
	stmt, err := w.prepared(text)
	if err != nil {
		return 0, err
	}
	res, err := stmt.ExecContext(bg, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (w *writer) query(text string, args ...any) (*sql.Rows, error) {
	stmt, err := w.prepared(text)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(bg, args...)
}

// begin starts a transaction that commits with the given durability.
func (w *writer) begin(d durability) error {
	if w.sync != d {
		pragma := "PRAGMA synchronous = NORMAL"
		if d == durable {
			pragma = "PRAGMA synchronous = FULL"
		}
		if _, err := w.conn.ExecContext(bg, pragma); err != nil {
			return err
		}
		w.sync = d
	}
	_, err := w.exec("BEGIN IMMEDIATE")
	return err
}

// rollback ends a transaction without effect. SQLite has ended it already after some
// errors (disk full among them), so a failure means no more than that.
func (w *writer) rollback() { _, _ = w.exec("ROLLBACK") }

// write runs f in a write transaction; an error, or the end of the context before
// the commit, leaves the store as it was.
func (s *core) write(ctx context.Context, doing string, d durability, f func(w *writer) error) error {
	if err := s.w.take(ctx); err != nil {
		return s.wrap(doing, err)
	}
	defer s.w.give()
	return s.wrap(doing, s.w.transact(ctx, d, f))
}

// transact is write for those who have the turn; errors are returned as they are.
func (w *writer) transact(ctx context.Context, d durability, f func(w *writer) error) error {
	if err := w.begin(d); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // an error, or a panic of f
			w.rollback()
		}
	}()
	if err := f(w); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := w.exec("COMMIT"); err != nil {
		return err
	}
	done = true
	return nil
}

// readers is the pool of connections that read. They see the last commit, and never
// wait for the writer.
type readers struct {
	db    *sql.DB
	stmts sync.Map // text -> *sql.Stmt
}

func (r *readers) prepared(text string) (statement, error) {
	if stmt, ok := r.stmts.Load(text); ok {
		return stmt.(statement), nil
	}
	stmt, err := r.db.PrepareContext(bg, text)
	if err != nil {
		return nil, err
	}
	if first, raced := r.stmts.LoadOrStore(text, stmt); raced {
		defer stmt.Close() // another goroutine was first, use its
		return first.(statement), nil
	}
	return stmt, nil
}

func (r *readers) query(text string, args ...any) (*sql.Rows, error) {
	stmt, err := r.prepared(text)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(bg, args...)
}

// querier is what reads: the pool, or the writer within a transaction.
type querier interface {
	query(text string, args ...any) (*sql.Rows, error)
}

// collect reads every row of a query.
func collect[T any](q querier, scan func(*sql.Rows) (T, error), text string, args ...any) (all []T, err error) {
	rows, err := q.query(text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("reading a row: %w", err)
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// one reads the single row of a query; ok is false when there is none.
func one[T any](q querier, text string, args ...any) (v T, ok bool, err error) {
	all, err := collect(q, func(rows *sql.Rows) (v T, err error) { return v, rows.Scan(&v) }, text, args...)
	if err != nil || len(all) == 0 {
		return v, false, err
	}
	return all[0], true, nil
}

// reading guards the calls that read: not before the context's time, not after Close.
func (s *core) reading(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return errClosed
	}
	return nil
}
