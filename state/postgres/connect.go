package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// sessionSettings is what every connection is set to, in a statement and not with the
// start of the connection, because poolers refuse unknown parameters there.
//
// Plans are made for each execution: a plan for any arguments may walk a whole table
// where one for these does not.
const sessionSettings = `SELECT current_setting('synchronous_commit'),
	set_config('synchronous_commit', 'off', false),
	set_config('statement_timeout', $1, false),
	set_config('lock_timeout', $1, false),
	set_config('idle_in_transaction_session_timeout', $1, false),
	set_config('default_transaction_isolation', 'read committed', false),
	set_config('plan_cache_mode', 'force_custom_plan', false),
	set_config('default_transaction_read_only', $2, false),
	set_config('TimeZone', 'UTC', false)`

// configure makes the pool, without connecting.
func (s *core) configure() error {
	cfg, err := parseDSN(s.o.DSN)
	if err != nil {
		return err
	}
	s.hide = newRedactor(s.o.DSN, cfg.ConnConfig.Password)
	cfg.MaxConns, cfg.MinConns = int32(s.o.MaxConns), int32(s.o.MinConns)
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.PingTimeout = s.o.ConnectTimeout
	cfg.AfterConnect = s.afterConnect
	c := cfg.ConnConfig
	c.ConnectTimeout = s.o.ConnectTimeout
	c.DialFunc = (&net.Dialer{
		Timeout:         s.o.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
	}).DialContext
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "fado"
	}
	if c.ValidateConnect == nil && !s.o.ReadOnly { // after a failover the former primary may answer, read-only
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if c.ValidateConnect != nil {
		c.ValidateConnect = guarded(c.ValidateConnect)
	}
	if s.pool, err = pgxpool.NewWithConfig(s.done, cfg); err != nil {
		return fmt.Errorf("opening the store: %s", s.hide.text(err.Error()))
	}
	return nil
}

// guarded makes an error of a panic: pgx's functions take for granted that the answer has
// a row, which it lacks where the server goes away at that moment.
func guarded(validate pgconn.ValidateConnectFunc) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, conn *pgconn.PgConn) (err error) {
		defer func() {
			if recover() != nil {
				err = errors.New("the server did not say whether it takes writes")
			}
		}()
		return validate(ctx, conn)
	}
}

// parseDSN reads a connection string. pgx's own error may quote parts of it.
func parseDSN(dsn string) (*pgxpool.Config, error) {
	if dsn == "" {
		return nil, errors.New("opening the store: no connection string given: expected one such as postgres://user@host/database")
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err == nil {
		return cfg, nil
	}
	why, text := "it can't be read", err.Error()
	text = text[strings.LastIndex(text, "`: ")+1:] // it quotes the string first
	switch cause := errors.Unwrap(err); {
	case cause != nil && !strings.Contains(dsn, "password") && !strings.Contains(dsn, "@"):
		why = cause.Error()
	case strings.Contains(text, "sslmode"):
		why = "its sslmode is invalid"
	case strings.Contains(text, "TLS") || strings.Contains(text, "certificate") || strings.Contains(text, "CA file"):
		why = "a certificate it names can't be read"
	case strings.Contains(text, "port"):
		why = "its port is invalid"
	}
	return nil, fmt.Errorf("opening the store: the connection string is refused, %s: expected one such as postgres://user:password@host:5432/database?sslmode=verify-full", why)
}

// Target names what a connection string leads to, "host:port/database", without user or
// password.
func Target(dsn string) (string, error) {
	cfg, err := parseDSN(dsn)
	if err != nil {
		return "", err
	}
	c := cfg.ConnConfig
	hosts := []string{net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))}
	for _, f := range c.Fallbacks {
		if host := net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))); host != hosts[len(hosts)-1] {
			hosts = append(hosts, host)
		}
	}
	return strings.Join(hosts, ",") + "/" + c.Database, nil
}

func (s *core) afterConnect(ctx context.Context, conn *pgx.Conn) error {
	var commit string
	readOnly := "off"
	if s.o.ReadOnly {
		readOnly = "on"
	}
	row := conn.QueryRow(ctx, sessionSettings, pgx.QueryExecModeSimpleProtocol, millis(s.o.StatementTimeout), readOnly)
	if err := row.Scan(&commit, nil, nil, nil, nil, nil, nil, nil, nil); err != nil {
		return err
	}
	if commit == "off" { // the catalogue has to be on disk, whatever the server's default
		commit = "on"
	}
	conn.PgConn().CustomData()[commitKey] = commit
	if s.schema.open.Load() && !s.o.OneMoment {
		return s.skipLost(ctx, conn, commit)
	}
	return s.moment.enter(ctx, conn)
}

// millis is a setting's form of a duration.
func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// connect makes a connection beside the pool, for what must not wait for one of its.
func (s *core) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.ConnectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	if err := s.afterConnect(ctx, conn); err != nil {
		closeConn(conn) //nolint:contextcheck // the context may have ended
		return nil, err
	}
	return conn, nil
}

// closeConn says goodbye, if that takes no time.
func closeConn(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // given up in any case
}
