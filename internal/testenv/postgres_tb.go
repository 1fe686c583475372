package testenv

import (
	"context"
	"errors"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/fado-project/fado/internal/stretch"
)

// PostgresServer starts a PostgreSQL server of the test's own, which it may stop, kill
// and pause. Without PostgreSQL the test is skipped, or fails if FADO_REQUIRE_TOOLS=1.
func PostgresServer(tb testing.TB, opts ...PostgresOptions) *Postgres {
	tb.Helper()
	var o PostgresOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	like, err := template.get()
	skipWithoutPostgres(tb, err)
	p, err := startPostgres(context.Background(), o, like)
	skipWithoutPostgres(tb, err)
	tb.Cleanup(p.Close)
	return p
}

// template is a server that never runs: those of a package's tests are copies of it. There
// is one only in what [Main] runs, which removes it.
var template templateServer

type templateServer struct {
	mu     sync.Mutex
	wanted bool
	server *Postgres
	err    error
}

func (t *templateServer) get() (*Postgres, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wanted && t.server == nil && t.err == nil {
		t.server, t.err = makePostgres(context.Background(), PostgresOptions{}, nil)
	}
	return t.server, t.err
}

// want lets there be one, or no more.
func (t *templateServer) want(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = on
	if !on && t.server != nil {
		t.server.Close()
		t.server = nil
	}
}

// Database makes an empty database that goes with the test, and returns its connection
// string.
func (p *Postgres) Database(tb testing.TB) string {
	tb.Helper()
	name, err := p.NewDatabase(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return p.DSN(name)
}

// shared is the server that the tests of a package have in common.
var shared struct {
	sync.Mutex
	server *Postgres
	err    error
}

// PostgresDatabase makes an empty database on a server that all tests of the package
// share, or on the one whose connection string is in FADO_TEST_POSTGRES, and returns
// its connection string. The database goes with the test. TestMain ends the server: see
// [Main].
func PostgresDatabase(tb testing.TB) string {
	tb.Helper()
	ctx := context.Background()
	admin := os.Getenv("FADO_TEST_POSTGRES")
	if admin == "" {
		shared.Lock()
		if shared.server == nil && shared.err == nil {
			shared.server, shared.err = StartPostgres(ctx, PostgresOptions{})
		}
		p, err := shared.server, shared.err
		shared.Unlock()
		skipWithoutPostgres(tb, err)
		admin = p.DSN("postgres")
	}
	u, err := url.Parse(admin)
	if err != nil {
		tb.Fatal("FADO_TEST_POSTGRES: expected a URL such as postgres://user:password@host:5432/postgres")
	}
	name, err := newDatabase(ctx, admin)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := dropDatabase(ctx, admin, name); err != nil {
			tb.Error(err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

func skipWithoutPostgres(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, ErrNoPostgres) && os.Getenv("FADO_REQUIRE_TOOLS") != "1" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// Main runs a package's tests and ends the servers they shared. Passphrases of the stores
// that the process opens are stretched at the least cost:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(testenv.Main(m)) }
func Main(m *testing.M) interface{ Run() int } { return mainOf{m} }

type mainOf struct{ m *testing.M }

func (m mainOf) Run() int {
	stretch.Lower()
	template.want(true)
	defer template.want(false)
	defer closeShared()
	defer func() {
		shared.Lock()
		defer shared.Unlock()
		if shared.server != nil {
			shared.server.Close()
			shared.server = nil
		}
	}()
	return m.m.Run()
}
