package postgres

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/statetest"
)

var ctx = context.Background()

func TestMain(m *testing.M) {
	// Each step of a model is a few round trips here, which the default of 100 makes slow;
	// -rapid.checks asks for more.
	_ = flag.Set("rapid.checks", "15") // the flag exists: rapid registers it
	goleak.VerifyTestMain(testenv.Main(m))
}

var testKey = []byte("a passphrase of the tests")

func openAt(t testing.TB, dsn string, change ...func(*Options)) *Store {
	t.Helper()
	// A busy machine is not taken for a fault. Tests of faults have their own times.
	o := Options{DSN: dsn, Key: testKey, MaxConns: 12, ConnectTimeout: 30 * time.Second, StatementTimeout: time.Minute}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// emptied takes everything out of a database, which is quicker than to make another.
func emptied(t testing.TB, dsn string) {
	t.Helper()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, empty); err != nil {
		t.Fatal(err)
	}
}

// empty waits, as a TRUNCATE does, for what sessions of before are still at. What is small
// is deleted from, which is fifty times cheaper; with the role of a replica no trigger counts
// it.
const empty = `DO $$
DECLARE
	r regclass;
	kept text[] := '{schema_version,counters,engine,news}';
BEGIN
	IF to_regnamespace('fado') IS NULL THEN
		RETURN;
	END IF;
	PERFORM set_config('session_replication_role', 'replica', true);
	FOR r IN SELECT oid FROM pg_class WHERE relnamespace = 'fado'::regnamespace AND relkind = 'r' AND relname <> ALL (kept) ORDER BY oid LOOP
		EXECUTE format('LOCK TABLE %s', r);
	END LOOP;
	FOR r IN SELECT oid FROM pg_class WHERE relnamespace = 'fado'::regnamespace AND relkind = 'r' AND relname <> ALL (kept) ORDER BY oid LOOP
		IF pg_relation_size(r) > 128 * 1024 THEN
			EXECUTE format('TRUNCATE %s CASCADE', r);
		ELSE
			EXECUTE format('DELETE FROM %s', r);
		END IF;
	END LOOP;
	UPDATE fado.counters SET changes_trimmed = 0, objects_trimmed = 0, audit_seq = DEFAULT, audit_hash = DEFAULT;
	UPDATE fado.engine SET paused = false, scrub_last = 0, scrub_running = false, scrub_after = '';
END $$`

func TestShared(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	short := func(o *Options) { o.Lease = 4 * time.Second } // long enough for a busy machine
	statetest.RunShared(t, func(t *testing.T) statetest.SharedFixture {
		emptied(t, dsn)
		return statetest.SharedFixture{
			A: openAt(t, dsn, short), B: openAt(t, dsn, short),
			Deafen: func(s state.Shared, on bool) { s.(*Store).db.watch.deaf.Store(on) },
			Suspend: func(s state.Shared) func() {
				s.(*Store).db.frozen.Store(true)
				return func() { s.(*Store).db.frozen.Store(false) }
			},
		}
	})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	statetest.Run(t, func(t *testing.T) statetest.Fixture {
		emptied(t, dsn)
		return statetest.Fixture{
			Store:   openAt(t, dsn),
			Reopen:  func() state.Store { return openAt(t, dsn) },
			Another: func() state.Store { return openAt(t, dsn) },
		}
	})
}
