package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// holdMoment begins a transaction, and has all connections made from now on read what it
// reads (PostgreSQL, 9.28.5 Snapshot Synchronization Functions).
func (s *core) holdMoment(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return s.wrap(ctx, "opening the store", err)
	}
	s.moment.conn = conn
	var id string
	_, err = conn.Exec(ctx, "SET idle_in_transaction_session_timeout = 0")
	if err == nil {
		_, err = conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	}
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&id)
	}
	if err != nil {
		return s.wrap(ctx, "opening the store", err)
	}
	s.moment.id.Store(&id)
	s.pool.Reset() // those that are there read what is there now
	return nil
}

// enter has a connection read the moment, if there is one. The pool closes a connection that
// is given back within a transaction, so each call has a new one.
func (m *moment) enter(ctx context.Context, conn *pgx.Conn) error {
	id := m.id.Load()
	if id == nil {
		return nil
	}
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	// A snapshot's name is hexadecimal digits and hyphens; it can't be an argument.
	_, err := conn.Exec(ctx, fmt.Sprintf("SET TRANSACTION SNAPSHOT '%s'", *id))
	return err
}

func (m *moment) close() {
	if m.conn != nil {
		_ = m.conn.Close(context.Background()) // nothing was written
	}
}
