package postgres

import (
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// TestRoles runs docs/sql/roles.sql: the owner migrates, and the runtime role does
// everything an instance does, and cannot do what it must not.
func TestRoles(t *testing.T) {
	t.Parallel()
	server := testenv.PostgresServer(t)
	dsn := server.Database(t)
	script, err := os.ReadFile("../../docs/sql/roles.sql")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	text := strings.NewReplacer(":'owner_password'", "'own'", ":'runtime_password'", "'run'").Replace(string(script))
	if _, err := conn.PgConn().Exec(ctx, text).ReadAll(); err != nil {
		t.Fatal(err)
	}
	as := func(user, password string) string {
		u, _ := url.Parse(dsn)
		u.User = url.UserPassword(user, password)
		return u.String()
	}
	early := openAt(t, as("fado_runtime", "run"), patient)
	unavailable(t, early, "lacks a privilege")
	if err := openAt(t, as("fado_owner", "own")).Close(); err != nil {
		t.Fatal(err)
	}
	works(t, early) // by itself, now that the tables are there
	smoke(t, early)
	for _, sql := range []string{
		"DROP TABLE fado.pending", "TRUNCATE fado.pending", "ALTER TABLE fado.pending ADD x int", "CREATE TABLE fado.x (n int)",
		"CREATE OR REPLACE FUNCTION fado.next_gen() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
	} {
		if _, err := early.db.pool.Exec(ctx, sql); err == nil {
			t.Errorf("the runtime role may %s", sql)
		}
	}
	if _, err := conn.Exec(ctx, "REVOKE INSERT ON fado.pending FROM fado_runtime"); err != nil {
		t.Fatal(err)
	}
	_, err = early.Queue().AddPending(ctx, state.Pending{Bucket: "b", Key: "k", Cluster: "c"})
	if err == nil || !strings.Contains(err.Error(), "lacks a privilege") {
		t.Errorf("without a privilege: %v", err)
	}
}

// TestFold adds up sums and trims logs: the sums stay what they were, in one row each.
func TestFold(t *testing.T) {
	s := openAt(t, testenv.PostgresDatabase(t))
	var keys []state.PendingKey
	for i := range 40 {
		p := state.Pending{Bucket: "b", Key: fmt.Sprint(i), Cluster: fmt.Sprint("c", i%2), Size: int64(i)}
		gens, err := s.Queue().AddPending(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, state.PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: gens[0]})
		if err := s.Pulls().PutPulled(ctx, state.Pulled{Bucket: "b", Key: p.Key, Cluster: p.Cluster, Size: p.Size}); err != nil {
			t.Fatal(err)
		}
	}
	compare := func(rows int64) {
		t.Helper()
		logs, err := s.Queue().Backlogs(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		sums, err := s.Pulls().PulledBytes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := (upkeep{s.db}).fold(ctx); err != nil {
			t.Fatal(err)
		}
		after, err := s.Queue().Backlogs(ctx, "")
		afterSums, sumsErr := s.Pulls().PulledBytes(ctx)
		if err != nil || sumsErr != nil || !reflect.DeepEqual(logs, after) || !reflect.DeepEqual(sums, afterSums) {
			t.Errorf("sums were %+v, %v, and are %+v, %v (%v)", logs, sums, after, afterSums, err)
		}
		n, _, err := one[int64](ctx, s.db.pool, "SELECT count(*) FROM fado.backlog")
		if err != nil || n != rows {
			t.Errorf("%d rows of sums, want %d (%v)", n, rows, err)
		}
	}
	compare(3) // two copies, and the total
	if _, err := s.Queue().FinishPending(ctx, keys[0], keys[2]); err != nil {
		t.Fatal(err)
	}
	compare(3) // two copies, and the total
	if _, err := s.Queue().FinishPending(ctx, keys...); err != nil {
		t.Fatal(err)
	}
	compare(0)
}

// smoke calls what instances call.
func smoke(t *testing.T, s *Store) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		r := state.Record{Kind: catalog.KindBucket, Name: "b", Body: []byte(`{}`), Refs: []state.Ref{{Kind: catalog.KindPolicy, Name: "p"}}}
		check(tx.Put(r))
		check(tx.PutCopy(state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c1"}}))
		return nil
	})
	check(err)
	_, err = s.Catalogue().SaveCopies(ctx, state.Copy{Bucket: "b", Copy: catalog.Copy{Cluster: "c1"}})
	check(err)
	gens, err := s.Queue().AddPending(ctx, state.Pending{Bucket: "b", Key: "k", Cluster: "c1"})
	check(err)
	m, err := s.Instances().Join(ctx, "n")
	check(err)
	rows, err := s.Queue().ClaimPending(ctx, m.ID(), 1, time.Minute, time.Now().Add(time.Second))
	check(err)
	if len(rows) != 1 || rows[0].Gen != gens[0] {
		t.Errorf("claimed %+v", rows)
	}
	l, ok, err := s.Locks().TryLock(ctx, "l")
	check(err)
	if !ok {
		t.Error("no lock")
	} else {
		check(l.Unlock())
	}
	m.Seen(1, 1)
	check(m.AwaitSeen(ctx, 1, 1))
	_, err = s.Instances().Members(ctx)
	check(err)
	check(s.Pulls().PutPulled(ctx, state.Pulled{Bucket: "b", Key: "k", Cluster: "c1"}))
	check(s.Uploads().PutUpload(ctx, state.Upload{Bucket: "b", Key: "k", Cluster: "c1"}))
	check(s.Facts().PutMeta(ctx, "k", "v"))
	check(upkeep{s.db}.fold(ctx))
	_, err = s.Catalogue().Update(ctx, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, "b") })
	check(err)
	check(m.Leave(ctx))
}
