package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// errHandedOn is what a pooler in transaction or statement mode makes of the store.
var errHandedOn = ownError{errors.New("the pooler before the database hands sessions on after each transaction: " +
	"expected one that keeps them (pgbouncer: pool_mode = session), because notifications, prepared statements and settings belong to a session")}

// sessionLooks is how often checkSessions looks: where others use the pooler at the same
// moment, two connections may get different sessions by chance.
const sessionLooks = 5

const backend = "SELECT pg_backend_pid()"

// checkSessions notices a pooler that hands sessions on: two connections that are open at
// once have the same session behind them.
func (s schema) checkSessions(ctx context.Context) error {
	return s.db.attempt(ctx, s.db.patience(1), true, func(ctx context.Context, conn pooled) error {
		second, err := s.db.connect(ctx)
		if err != nil {
			return err
		}
		defer closeConn(second) //nolint:contextcheck // the context may have ended
		for range sessionLooks {
			var a, b int64
			// Prepared statements may not work, and are none of the question.
			if err := conn.QueryRow(ctx, backend, pgx.QueryExecModeSimpleProtocol).Scan(&a); err != nil {
				return err
			}
			if err := second.QueryRow(ctx, backend, pgx.QueryExecModeSimpleProtocol).Scan(&b); err != nil {
				return err
			}
			if a == b {
				return errHandedOn
			}
		}
		return nil
	})
}
