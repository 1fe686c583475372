package postgres

import (
	"os"
	"strings"
	"testing"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/statetest"
)

// TestPoolerKeepsSessions goes through pgbouncer in session mode: everything works,
// notifications and leases among it.
func TestPoolerKeepsSessions(t *testing.T) {
	t.Parallel()
	server := testenv.PostgresServer(t)
	through := testenv.PgBouncer(t, server, "session")
	dsn := through(server.Database(t))
	a, b := openAt(t, dsn), openAt(t, dsn)
	ch := b.ChangeLog().Watch(t.Context())
	for range 2 { // with sessions that were used before, too
		if err := putZone(a, "z"); err != nil {
			t.Fatal(err)
		}
		<-ch
		smoke(t, a)
		smoke(t, b)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		a = openAt(t, dsn)
	}
	if os.Getenv("FADO_LONG") == "" {
		return
	}
	statetest.Run(t, func(t *testing.T) statetest.Fixture {
		dsn := through(server.Database(t))
		return statetest.Fixture{
			Store:   openAt(t, dsn),
			Reopen:  func() state.Store { return openAt(t, dsn) },
			Another: func() state.Store { return openAt(t, dsn) },
		}
	})
}

// TestPoolerHandsSessionsOn goes through pgbouncer in the modes that can't work.
func TestPoolerHandsSessionsOn(t *testing.T) {
	t.Parallel()
	server := testenv.PostgresServer(t)
	for _, mode := range []string{"transaction", "statement"} {
		dsn := testenv.PgBouncer(t, server, mode)(server.Database(t))
		for range 3 { // however warm the pooler is
			s, err := Open(ctx, Options{DSN: dsn, Key: testKey})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "expected one that keeps them (pgbouncer: pool_mode = session)") {
				t.Errorf("%s mode: got error %v, want one that names session mode", mode, err)
			}
		}
	}
}
