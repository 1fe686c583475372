package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PgBouncer starts a pgbouncer before a server, with a pool_mode, that ends with the
// test, and returns what the connection string becomes through it. Where pgbouncer is not
// installed, the test is skipped: nothing but tests of poolers needs it.
func PgBouncer(tb testing.TB, p *Postgres, mode string) (through func(dsn string) string) {
	tb.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not in everybody's PATH
	}
	if _, err := os.Stat(program); err != nil {
		tb.Skip("pgbouncer is not installed")
	}
	var addr string
	for attempt := 1; ; attempt++ {
		if addr, err = startPgBouncer(tb, p, program, mode); err == nil {
			break
		}
		if attempt == startAttempts {
			tb.Fatal(err)
		}
	}
	return func(dsn string) string {
		u, err := url.Parse(dsn)
		if err != nil {
			tb.Fatal("the connection string is no URL")
		}
		u.Host = addr
		return u.String()
	}
}

func startPgBouncer(tb testing.TB, p *Postgres, program, mode string) (addr string, err error) {
	tb.Helper()
	port, err := FreePort()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(reachableTemp(p.owner), "fado-pgbouncer-") //nolint:usetesting // another user has to reach it
	if err != nil {
		return "", err
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	config, users, logFile := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "users"), filepath.Join(dir, "log")
	settings := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n"+
		"auth_type = scram-sha-256\nauth_file = %s\npool_mode = %s\nmax_client_conn = 200\ndefault_pool_size = 100\n", p.port, port, users, mode)
	log, err := os.Create(logFile)
	if err != nil {
		return "", err
	}
	defer log.Close()
	err = errors.Join(os.WriteFile(config, []byte(settings), 0o600),
		os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", p.User, p.Password), 0o600), p.give(dir, config, users))
	if err != nil {
		return "", err
	}
	cmd := exec.Command(program, config)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: p.owner}
	exited, err := run(cmd)
	if err != nil {
		return "", fmt.Errorf("starting pgbouncer: %w", err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := awaitPgBouncer(p, addr, exited); err != nil {
		said, _ := os.ReadFile(logFile)
		return "", fmt.Errorf("starting pgbouncer: %w\n%s", err, said)
	}
	return addr, nil
}

// awaitPgBouncer logs in through it, so that nothing else that holds the port is taken
// for it.
func awaitPgBouncer(p *Postgres, addr string, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	u := url.URL{Scheme: "postgres", User: url.UserPassword(p.User, p.Password), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable"}
	for {
		conn, err := pgx.Connect(ctx, u.String())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("waiting for it to answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
