package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fado-project/fado/state"
)

// errClosed is what a closed store answers.
var errClosed = fmt.Errorf("the store is closed: %w", state.ErrUnavailable)

// redactor takes a connection string and its password out of texts.
type redactor struct{ r *strings.Replacer }

func newRedactor(dsn, password string) redactor {
	pairs := []string{dsn, "***"}
	if password != "" {
		pairs = append(pairs, password, "***")
		for _, escaped := range []string{url.QueryEscape(password), url.PathEscape(password)} {
			if escaped != password {
				pairs = append(pairs, escaped, "***")
			}
		}
	}
	return redactor{strings.NewReplacer(pairs...)}
}

func (r redactor) text(s string) string {
	if r.r == nil {
		return s
	}
	return r.r.Replace(s)
}

// known are the errors that say all that callers need to know.
var known = []error{
	state.ErrNotFound, state.ErrNewerSchema, state.ErrCorrupt, state.ErrUnavailable, state.ErrNoKey,
}

// wrap says what was being done and adds the contract's sentinel for what went wrong.
// Of the driver's errors only the text goes on: they carry the configuration, password
// included. ctx is the caller's: only its own end is the caller's business.
func (s *core) wrap(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", doing, ended)
	}
	for _, sentinel := range known {
		if errors.Is(err, sentinel) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	if _, ok := errors.AsType[ownError](err); ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	why, sentinel := classify(err)
	text := s.hide.text(err.Error())
	if sentinel == nil {
		return fmt.Errorf("%s: %s%s", doing, why, text)
	}
	return fmt.Errorf("%s: %s%w: %s", doing, why, sentinel, text)
}

// ownError marks errors that were made here, of what the caller gave.
type ownError struct{ error }

func (e ownError) Unwrap() error { return e.error }

// lostStatement is of prepared statements that are another session's.
const lostStatement = "the session is not this connection's own, as with a pooler that hands sessions on (pgbouncer: expected pool_mode = session): "

// reasons say in words what PostgreSQL's codes mean to the people who run it,
// https://www.postgresql.org/docs/current/errcodes-appendix.html. By class where there
// is no code.
var reasons = map[string]string{
	"53100": "the database's disk is full: ",
	"53200": "the database is out of memory: ",
	"53300": "the database has too many connections, lower max_conns or raise its max_connections: ",
	"25006": "the database is read-only, a standby or a former primary: ",
	"42501": "the database role lacks a privilege: ",
	"57P01": "the database is shutting down: ",
	"57P02": "the database crashed and is recovering: ",
	"57P03": "the database is starting: ",
	"57014": "the database did not answer within statement_timeout: ",
	"55P03": "the database did not give a lock within statement_timeout: ",
	"25P03": "the database ended an idle transaction: ",
	"26000": lostStatement,
	"42P05": lostStatement,
	"3D000": "there is no such database: ",
	"3F000": "FaDO's tables are not there: ",
	"42P01": "FaDO's tables are not there: ",
	"28":    "the database refuses the login: ",
	"08":    "the connection to the database broke: ",
	"53":    "the database lacks resources: ",
	"58":    "the database's system fails: ",
	"57":    "the database refuses: ",
	"40":    "transactions stand in each other's way: ",
	"25":    "the database refuses: ",
}

// classify returns what an error of the driver means, and the contract's sentinel for
// it: nil where trying again would not help, because the statement is wrong.
func classify(err error) (why string, sentinel error) {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return "", state.ErrUnavailable // the network, the pool, a timeout of our own
	}
	if strings.HasPrefix(pg.Code, "XX0") && pg.Code != "XX000" {
		return "", state.ErrCorrupt
	}
	if why, ok := reasons[pg.Code]; ok {
		return why, state.ErrUnavailable
	}
	if why, ok := reasons[pg.Code[:min(2, len(pg.Code))]]; ok {
		return why, state.ErrUnavailable
	}
	return "", nil
}

// again says whether a failed transaction left no trace and may succeed when it is run
// again at once. Of a commit only the server's own word says so.
func again(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization failure, deadlock
	}
	return !errors.As(err, new(commitError)) && pgconn.SafeToRetry(err)
}

// broken says whether the connection can no longer be used.
func broken(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "08") || pg.Code == "25006" || pg.Code == "25P03"
	}
	return true
}
