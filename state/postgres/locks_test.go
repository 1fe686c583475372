package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// A lock that is given back and taken again while the lease is being renewed is one instance's: the renewal,
// which removes the rows of locks that were given back, leaves the new row alone.
func TestLockTakenAgainDuringARenewal(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	admin := administratorOf(t, dsn)
	long := func(o *Options) { o.Lease = 2 * time.Minute }
	one, other := openAt(t, dsn, long), openAt(t, dsn, long)
	me, err := one.Instances().Join(ctx, "one")
	if err != nil {
		t.Fatal(err)
	}
	take := func(s *Store) (state.Lock, bool) {
		t.Helper()
		l, ok, err := s.Locks().TryLock(ctx, "x")
		if err != nil {
			t.Fatal(err)
		}
		return l, ok
	}
	l, _ := take(one)
	hold := func(sql string) (release func()) {
		t.Helper()
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(ctx) })
		if _, err := conn.Exec(ctx, "BEGIN; "+sql); err != nil {
			t.Fatal(err)
		}
		return func() {
			if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
				t.Error(err)
			}
		}
	}
	const waits = "SELECT count(*) = $1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
	letUnlock, letRenew := hold("SELECT FROM fado.locks FOR UPDATE"), hold("SELECT FROM fado.members FOR NO KEY UPDATE")
	unlocked := make(chan error, 1)
	go func() { unlocked <- l.Unlock() }()
	admin.await(waits, 1)
	me.Seen(1, 1) // renews
	admin.await(waits, 2)
	letUnlock()
	if err := <-unlocked; err != nil {
		t.Fatal(err)
	}
	again, ok := take(one)
	letRenew()
	admin.await(waits, 0)
	if !ok { // not yet
		for until := time.Now().Add(time.Minute); !ok && time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
			again, ok = take(one)
		}
	}
	if !ok {
		t.Fatal("the lock can't be taken again")
	}
	me.Seen(2, 2)
	admin.await("SELECT changes = 2 FROM fado.members")
	select {
	case <-again.Lost():
		return
	default:
	}
	if _, both := take(other); both {
		t.Error("two instances have the lock")
	}
}
