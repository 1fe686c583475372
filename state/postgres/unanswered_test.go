package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// administrator runs statements beside a store.
type administrator struct {
	t    *testing.T
	conn *pgx.Conn
}

func administratorOf(t *testing.T, dsn string) administrator {
	t.Helper()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	return administrator{t, conn}
}

func (a administrator) exec(statements ...string) {
	a.t.Helper()
	for _, sql := range statements {
		if _, err := a.conn.Exec(ctx, sql); err != nil {
			a.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// await asks until the answer is true.
func (a administrator) await(question string, args ...any) {
	a.t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var yes bool
		if err := a.conn.QueryRow(ctx, question, args...).Scan(&yes); err != nil {
			a.t.Fatalf("%s: %v", question, err)
		}
		if yes {
			return
		}
		if time.Now().After(until) {
			a.t.Fatalf("not true within a minute: %s", question)
		}
	}
}

// end ends a session of the server, and returns when it is gone.
func (a administrator) end(pid uint32) {
	a.t.Helper()
	a.exec(fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
	a.await("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", int64(pid))
}

// pid is the session that a transaction of Update runs in.
func pid(of state.Tx) uint32 { return of.(*tx).db.Conn().PgConn().PID() }

// changesAfter are those that a store's log has after a moment.
func changesAfter(t *testing.T, s *Store, after state.Seq) []state.Change {
	t.Helper()
	all, err := s.ChangeLog().Changes(ctx, after, 0)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestUpdateMeetsConflicts: what the server rolls back because transactions stand in each
// other's way is done again as a whole, and happens once; what never succeeds leaves nothing,
// and is the contract's ErrUnavailable.
func TestUpdateMeetsConflicts(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	s := openAt(t, dsn)
	admin := administratorOf(t, dsn)
	admin.exec(`CREATE SEQUENCE failures`, // numbers that were given stay given, whatever is rolled back
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF nextval('failures') <= TG_ARGV[1]::int THEN
					RAISE EXCEPTION 'as told' USING ERRCODE = TG_ARGV[0];
				END IF;
				RETURN NEW;
			END $$`)
	for name, code := range map[string]string{"serialization": "40001", "deadlock": "40P01"} {
		t.Run(name, func(t *testing.T) {
			for _, reads := range []bool{false, true} {
				failing := func(times int) {
					admin.exec("DROP TRIGGER IF EXISTS fail ON fado.resources", "ALTER SEQUENCE failures RESTART",
						fmt.Sprintf("CREATE TRIGGER fail BEFORE INSERT ON fado.resources FOR EACH ROW EXECUTE FUNCTION fail('%s', '%d')", code, times))
				}
				zone, runs := fmt.Sprintf("%s-%v", name, reads), 0
				update := func() (state.Seq, error) {
					return s.Catalogue().Update(ctx, func(tx state.Tx) error {
						runs++
						err := tx.Put(state.Record{Kind: catalog.KindZone, Name: zone, Body: []byte(`{}`)})
						if err == nil && reads { // what is queued is sent first, and fails here
							_, err = tx.Get(catalog.KindZone, zone)
						}
						if err != nil {
							return fmt.Errorf("f's own words: %w", err)
						}
						return nil
					})
				}
				before, err := s.ChangeLog().Seq(ctx)
				if err != nil {
					t.Fatal(err)
				}
				failing(attempts)
				if _, err := update(); !errors.Is(err, state.ErrUnavailable) || runs != attempts {
					t.Errorf("reads %v: %v after %d runs, want an ErrUnavailable after %d", reads, err, runs, attempts)
				}
				if _, err := s.Catalogue().Get(ctx, catalog.KindZone, zone); !errors.Is(err, state.ErrNotFound) {
					t.Errorf("reads %v: an update that failed left something: %v", reads, err)
				}
				runs = 0
				failing(2)
				seq, err := update()
				if err != nil || runs != 3 {
					t.Errorf("reads %v: %v after %d runs, want success at the third", reads, err, runs)
				}
				if all := changesAfter(t, s, before); len(all) != 1 || all[0].Seq != seq || all[0].Name != zone {
					t.Errorf("reads %v: the log has %+v, want one change of %s at %d", reads, all, zone, seq)
				}
			}
		})
	}
}

// holdCommits has the server hold up the answers to commits until answer is called, by a
// standby that is not there. It returns when that is in force.
func holdCommits(t *testing.T, dsn string, admin administrator) (answer func()) {
	t.Helper()
	admin.exec("SET synchronous_commit = off", "ALTER SYSTEM SET synchronous_standby_names = 'nowhere'", "SELECT pg_reload_conf()")
	probe := administratorOf(t, dsn).conn
	probing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for probing.Err() == nil {
			_, _ = probe.Exec(ctx, "SELECT pg_logical_emit_message(true, 'probe', '')")
		}
	})
	admin.await("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep')", int64(probe.PgConn().PID()))
	return func() {
		stop()
		admin.exec("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
		wg.Wait()
	}
}

// TestCommitWithoutAnswer: a connection that breaks after the server has committed, and before
// it said so, is no failure: the caller hears of success, and f has run once. The commit is
// held up as a standby that does not answer holds it up.
func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresServer(t).Database(t)
	s := openAt(t, dsn)
	admin := administratorOf(t, dsn)
	before, err := s.ChangeLog().Seq(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Catalogue().Get(ctx, catalog.KindZone, "z"); !errors.Is(err, state.ErrNotFound) { // leaves a connection for the update: a new one commits, too
		t.Fatal(err)
	}
	standby := holdCommits(t, dsn, admin)

	held, done := make(chan uint32, attempts), make(chan error, 1)
	var seq state.Seq
	runs := 0
	go func() {
		var err error
		seq, err = s.Catalogue().Update(ctx, func(tx state.Tx) error {
			runs++
			held <- pid(tx)
			return tx.Put(state.Record{Kind: catalog.KindZone, Name: "z", Body: []byte(`{}`)})
		})
		done <- err
	}()
	session := <-held
	admin.await("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep')", int64(session))
	admin.end(session)
	standby()
	if err := <-done; err != nil || runs != 1 {
		t.Fatalf("%v after %d runs, want success after one", err, runs)
	}
	if all := changesAfter(t, s, before); len(all) != 1 || all[0].Seq != seq {
		t.Errorf("the log has %+v, want one change at %d", all, seq)
	}
}

// TestConnectionLostWithinUpdate: a connection that breaks within a transaction leaves nothing
// of it, and the caller hears of it, whatever f makes of the error.
func TestConnectionLostWithinUpdate(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	s := openAt(t, dsn)
	admin := administratorOf(t, dsn)
	for name, f := range map[string]func(tx state.Tx) error{
		"told": func(tx state.Tx) error {
			_, err := tx.Get(catalog.KindZone, "z")
			return err
		},
		"hushed": func(tx state.Tx) error {
			_, _ = tx.Get(catalog.KindZone, "z")
			return nil
		},
		"not noticed": func(state.Tx) error { return nil },
	} {
		_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
			if err := tx.Put(state.Record{Kind: catalog.KindZone, Name: "z", Body: []byte(`{}`)}); err != nil {
				return err
			}
			admin.end(pid(tx))
			return f(tx)
		})
		if !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("%s: got %v, want an ErrUnavailable", name, err)
		}
		if _, err := s.Catalogue().Get(ctx, catalog.KindZone, "z"); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("%s: the transaction left something: %v", name, err)
		}
	}
	works(t, s)
}

// TestReadsOutliveConnections: a database that ended all connections, as one does that fails
// over, costs no read: none is told to the caller.
func TestReadsOutliveConnections(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	s := openAt(t, dsn)
	admin := administratorOf(t, dsn)
	works(t, s)
	for range 3 {
		var wg sync.WaitGroup
		for range 8 { // so that the pool has some connections
			wg.Go(func() {
				if _, err := s.Catalogue().Get(ctx, catalog.KindZone, "recovered"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		admin.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fado' AND datname = current_database()")
		admin.await("SELECT count(*) FILTER (WHERE state = 'idle in transaction') = 0 FROM pg_stat_activity WHERE datname = current_database()")
		if _, err := s.Catalogue().Get(ctx, catalog.KindZone, "recovered"); err != nil {
			t.Fatalf("a read after all connections were ended: %v", err)
		}
	}
}

// TestNewsWhileNobodyListened: notifications are not kept for those who can't hear them. Once
// the listener is back, it finds what was changed, given back and reported meanwhile.
func TestNewsWhileNobodyListened(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	proxy := testenv.StartProxy(t, u.Host)
	other := openAt(t, dsn)
	lock, ok, err := other.Locks().TryLock(ctx, "l")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	u.Host = proxy.Addr()
	s := openAt(t, u.String())
	hearing, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes, locks, reports := s.ChangeLog().Watch(hearing), s.Instances().News(hearing, state.NewsLocks), s.Instances().News(hearing, state.NewsReports)

	if err := proxy.Refuse(true); err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	if _, err := s.Catalogue().Get(ctx, catalog.KindZone, "z"); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("cut off, but a read says %v", err)
	}
	for _, ch := range []<-chan struct{}{changes, locks, reports} {
		select { // what was said before
		case <-ch:
		default:
		}
	}
	if err := putZone(other, "z"); err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := proxy.Refuse(false); err != nil {
		t.Fatal(err)
	}

	for found := false; !found; {
		if _, open := <-changes; !open || hearing.Err() != nil {
			t.Fatal("nothing told of a change that was made while nobody listened")
		}
		all, err := s.ChangeLog().Changes(ctx, 0, 0)
		found = err == nil && len(all) == 1 && all[0].Name == "z"
	}
	<-reports
	for free := false; !free; {
		if _, open := <-locks; !open || hearing.Err() != nil {
			t.Fatal("nothing told of a lock that was given back while nobody listened")
		}
		again, ok, err := s.Locks().TryLock(ctx, "l")
		for ; err != nil && hearing.Err() == nil; again, ok, err = s.Locks().TryLock(ctx, "l") {
			time.Sleep(10 * time.Millisecond) // a connection from before the cut
		}
		if free = err == nil && ok; free {
			if err := again.Unlock(); err != nil {
				t.Error(err)
			}
		}
	}
}
