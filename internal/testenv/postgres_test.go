package testenv

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { os.Exit(Main(m).Run()) }

// one asks a server for a number.
func one(ctx context.Context, dsn, query string) (n int, err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.Background())
	return n, conn.QueryRow(ctx, query).Scan(&n)
}

func exec1(ctx context.Context, dsn, statement string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, statement)
	return err
}

func TestPostgres(t *testing.T) {
	p := PostgresServer(t)
	dsn := p.Database(t)
	ask := func(query string) int {
		t.Helper()
		n, err := one(t.Context(), dsn, query)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := exec1(t.Context(), dsn, "CREATE TABLE t AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if _, err := one(t.Context(), dsn, "SELECT 1"); err == nil {
		t.Error("a killed server answers")
	}
	for range 2 { // after the kill, and after a stop
		if err := p.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := ask("SELECT n FROM t"); n != 7 {
			t.Errorf("the row reads %d, want 7", n)
		}
	}
	p.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := one(ctx, dsn, "SELECT 1"); err == nil {
		t.Error("a paused server answers")
	}
	p.Resume()
	ask("SELECT 1")
}

// TestPostgresServersAreApart: servers have the same password, and none is taken for another.
func TestPostgresServersAreApart(t *testing.T) {
	a, b := PostgresServer(t), PostgresServer(t)
	if err := exec1(t.Context(), a.DSN("postgres"), "CREATE TABLE mine (n int)"); err != nil {
		t.Fatal(err)
	}
	if n, err := one(t.Context(), b.DSN("postgres"), "SELECT count(*)::int FROM pg_tables WHERE schemaname = 'public'"); err != nil || n != 0 {
		t.Errorf("another server has %d tables, %v", n, err)
	}
	b.Stop()
	defer func(port int) { b.port = port }(b.port)
	b.port = a.port
	if err := b.Restart(t.Context()); err == nil || b.Running() {
		t.Errorf("a server on the port of another: %v, running %v", err, b.Running())
	}
}

func TestPostgresDatabasesAreFresh(t *testing.T) {
	first, second := PostgresDatabase(t), PostgresDatabase(t)
	for _, dsn := range []string{first, second} {
		if n, err := one(t.Context(), dsn, "SELECT count(*)::int FROM pg_tables WHERE schemaname = 'public'"); err != nil || n != 0 {
			t.Errorf("a new database has %d tables, %v", n, err)
		}
		if err := exec1(t.Context(), dsn, "CREATE TABLE mine (n int)"); err != nil {
			t.Error(err)
		}
	}
}
