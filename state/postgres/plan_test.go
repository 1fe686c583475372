package postgres

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// fill makes rows without going through the store, builds the indexes after them, which is
// quicker, and tells the planner of them.
func fill(t testing.TB, s *Store, rows int) {
	t.Helper()
	indexes, err := collect(ctx, s.db.pool, func(r pgx.Rows) (def string, err error) { return def, r.Scan(&def) },
		"SELECT indexdef FROM pg_indexes WHERE schemaname = 'fado' AND indexname LIKE 'pending\\_%' AND indexdef NOT LIKE 'CREATE UNIQUE%'")
	if err != nil || len(indexes) == 0 {
		t.Fatal(indexes, err)
	}
	statements := []string{"ALTER TABLE fado.pending DISABLE TRIGGER USER"}
	for _, def := range indexes {
		statements = append(statements, "DROP INDEX fado."+strings.Fields(def)[2])
	}
	statements = append(statements,
		fmt.Sprintf(`INSERT INTO fado.pending (bucket, key, cluster, gen, size, since, attempts, next_attempt, error, hold, is_foreign, background, claimed_by, claim_until)
			SELECT 'b' || n %% 500, convert_to('some/prefix/' || n, 'UTF8'), 'c' || n %% 7, n, 1000, 1000000 + n, (n %% 100 = 0)::int, 0, '',
				CASE WHEN n %% 500 = 1 THEN 'conflict' ELSE '' END, false, n %% 10 <> 0, '', 0
			FROM generate_series(1, %d) n`, rows),
		"ALTER TABLE fado.pending ENABLE TRIGGER USER",
		fmt.Sprintf(`INSERT INTO fado.object_changes SELECT n, 'pending', 'b', '\x6b', 'c', false FROM generate_series(1, %d) n`, rows/4),
		fmt.Sprintf("SELECT setval('fado.object_seq', %d)", rows+1),
		fmt.Sprintf("SELECT setval('fado.pending_gen', %d)", rows+1),
	)
	statements = append(statements, indexes...)
	statements = append(statements,
		fmt.Sprintf(`INSERT INTO fado.purge_keys SELECT 'b', 'c' || n %% 7, convert_to('k' || n, 'UTF8'), '' FROM generate_series(1, %d) n`, rows/4),
		fmt.Sprintf(`INSERT INTO fado.mismatches SELECT 'b' || n %% 9, convert_to('k' || n, 'UTF8'), 'c1', '', 'repaired' FROM generate_series(1, %d) n`, rows/4),
		fmt.Sprintf(`INSERT INTO fado.verifications SELECT 'b' || n, '', false, 'done', false, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, '[]', '', '', 0, 0, '' FROM generate_series(1, %d) n`, rows/4))
	run(t, s, append(statements, "VACUUM ANALYZE fado.pending", "ANALYZE fado.object_changes", "ANALYZE fado.purge_keys", "ANALYZE fado.mismatches", "ANALYZE fado.verifications")...)
}

// fillBeside makes rows of what is read by pages beside the queue.
func fillBeside(t testing.TB, s *Store, rows int) {
	t.Helper()
	statements := []string{"ALTER TABLE fado.copies DISABLE TRIGGER USER", "ALTER TABLE fado.pulled DISABLE TRIGGER USER"}
	for _, columns := range []string{
		"resources (kind, name, rev, body, refs) SELECT 'bucket', 'b' || n, n, '{}', ''",
		`copies (bucket, prefix, cluster, state, flags, cursor, objects, bytes, error, verified_at, scan_cursor, owned_until, drain_since)
			SELECT 'b' || n, '', 'c' || n % 7, 'synced', 0, '', 1, 1, '', 0, '', 0, 0`,
		"pulled (bucket, key, cluster, size, etag, used_at, until) SELECT 'b' || n % 500, convert_to('k' || n, 'UTF8'), 'c' || n % 7, 1, '', n, n",
		"uploads (bucket, key, cluster, token, started) SELECT 'b' || n % 500, convert_to('k' || n, 'UTF8'), 'c1', '', n",
		"changes (seq, ord, kind, resource, name, deleted) SELECT n, 0, 'resource', 'bucket', 'b', false",
		"audit (seq, at, node, kind, actor, subject, body, prev, hash) SELECT n, n, '', 'change', '', '', '{}', '', ''",
	} {
		table, _, _ := strings.Cut(columns, " ")
		statements = append(statements, fmt.Sprintf("INSERT INTO fado.%s FROM generate_series(1, %d) n", columns, rows), "ANALYZE fado."+table)
	}
	run(t, s, append(statements, "ALTER TABLE fado.copies ENABLE TRIGGER USER", "ALTER TABLE fado.pulled ENABLE TRIGGER USER")...)
}

// run executes statements that may take their time.
func run(t testing.TB, s *Store, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		conn, err := s.db.pool.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(ctx, "SET statement_timeout = 0; SET maintenance_work_mem = '256MB'")
		if err == nil {
			_, err = conn.Exec(ctx, sql)
		}
		conn.Conn().Close(ctx) // with its setting
		conn.Release()
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

var seqScan = regexp.MustCompile(`Seq Scan on (pending|object_changes|resources|copies|pulled|uploads|changes|audit|purge_keys|mismatches|verifications)\b`)

// TestPlans explains what runs for every object: nothing may walk a table that grows. The
// planner is left to choose, by the statistics of a table that has been filled.
func TestPlans(t *testing.T) {
	s := openAt(t, testenv.PostgresDatabase(t))
	fill(t, s, 100_000)
	fillBeside(t, s, 100_000)
	one := []any{[]string{"b1"}, []blob{"some/prefix/1"}, []string{"c1"}, []int64{1}}
	now := int64(5_000_000)
	for what, q := range map[string]struct {
		sql  string
		args []any
	}{
		"claim":               {claimAny, []any{"n", now, now, 64}},
		"claim nothing":       {claimAny, []any{"n", now, 0, 64}},
		"claim in":            {claimIn, []any{"n", now, now, 64, "c3"}},
		"claim among":         {claimAmong, []any{"n", now, now, 64, "c3", []string{"b3", "b10"}}},
		"free expired":        {freeExpired, []any{now}},
		"extend":              {lockRows + "UPDATE fado.pending p SET claim_until = $5 FROM named WHERE p.id = named.id AND p.claimed_by = $6", append(one[:4:4], now, "n")},
		"finish":              {lockRows + "DELETE FROM fado.pending p USING named WHERE p.id = named.id", one},
		"release":             {"UPDATE fado.pending SET claimed_by = '' WHERE claimed_by <> '' AND claimed_by = $1", []any{"n"}},
		"object changes":      {"SELECT * FROM fado.object_changes WHERE seq > $1 ORDER BY seq LIMIT $2", []any{9_000, 100}},
		"last object":         {lastObject, nil},
		"page of pending":     {"SELECT " + pendingColumns + " FROM fado.pending p WHERE id > $1 ORDER BY id LIMIT $2", []any{20_000, stored.PageRows}},
		"list":                {"SELECT " + pendingColumns + " FROM fado.pending p WHERE (bucket, key, cluster) > ($1, $2, $3) ORDER BY bucket, key, cluster LIMIT $4", []any{"b3", blob("x"), "", 100}},
		"list failed":         {"SELECT " + pendingColumns + " FROM fado.pending p WHERE attempts > 0 AND hold = '' AND (bucket, key, cluster) > ($1, $2, $3) ORDER BY bucket, key, cluster LIMIT $4", []any{"", blob(""), "", 100}},
		"oldest":              {"SELECT min(since) FROM fado.pending p WHERE p.bucket = $1 AND p.cluster = $2", []any{"b7", "c1"}},
		"sums of a bucket":    {fmt.Sprintf(backlogSums, "WHERE bucket = $1"), []any{"b7"}},
		"total":               {backlogTotal, nil},
		"next due":            {nextDue, nil},
		"keys of a purge":     {"SELECT cluster, key, etag FROM fado.purge_keys WHERE bucket = $1 AND (cluster, key) > ($2, $3) ORDER BY cluster, key LIMIT $4", []any{"b", "c1", blob("k"), 100}},
		"key of a purge":      {"SELECT etag FROM fado.purge_keys WHERE bucket = $1 AND cluster = $2 AND key = $3", []any{"b", "c1", blob("k")}},
		"purge's conflicts":   {purgeKeyRows, []any{"b1"}},
		"verification":        {takeVerification, []any{"b1"}},
		"under way":           {"SELECT bucket FROM fado.verifications WHERE bucket > $1 AND under_way ORDER BY bucket LIMIT $2", []any{"b1", 100}},
		"repairing":           {"SELECT key FROM fado.mismatches WHERE bucket = $1 AND state = $2 AND (key, cluster) > ($3, $4) ORDER BY key, cluster LIMIT $5", []any{"b", "repairing", blob("k"), "c1", 100}},
		"bucket without rows": {"DELETE FROM fado.mismatches WHERE bucket = ANY ($1)", []any{[]string{"b1"}}},
		"page of resources":   {pageOfResources, []any{"bucket", "b5", 100}},
		"resources by name":   {"SELECT " + recordColumns + " FROM fado.resources WHERE kind = $1 AND name = ANY($2) ORDER BY name", []any{"bucket", []string{"b1", "b2"}}},
		"page of copies":      {"SELECT " + copyColumns + " FROM fado.copies WHERE (bucket, prefix, cluster) > ($1, $2, $3) ORDER BY bucket, prefix, cluster LIMIT $4", []any{"b5", blob(""), "c1", stored.PageRows}},
		"copies of buckets":   {"SELECT " + copyColumns + " FROM fado.copies WHERE bucket = ANY($1) ORDER BY bucket, prefix, cluster", []any{[]string{"b1", "b2"}}},
		"pulled":              {"SELECT " + pulledColumns + " FROM fado.pulled WHERE TRUE ORDER BY used_at, id LIMIT $1", []any{100}},
		"pulled of a cluster": {"SELECT " + pulledColumns + " FROM fado.pulled WHERE TRUE AND cluster = $2 ORDER BY used_at, id LIMIT $1", []any{100, "c1"}},
		"pulled of a bucket":  {"SELECT " + pulledColumns + " FROM fado.pulled WHERE TRUE AND bucket = $2 ORDER BY used_at, id LIMIT $1", []any{100, "b1"}},
		"expired":             {"SELECT " + pulledColumns + " FROM fado.pulled WHERE TRUE AND until <= $2 ORDER BY used_at, id LIMIT $1", []any{100, 10}},
		"page of pulled":      {"SELECT " + pulledColumns + " FROM fado.pulled WHERE id > $1 ORDER BY id LIMIT $2", []any{50_000, stored.PageRows}},
		"page of uploads":     {"SELECT bucket, key, cluster FROM fado.uploads WHERE (bucket, key, cluster) > ($1, $2, $3) ORDER BY bucket, key, cluster LIMIT $4", []any{"b3", blob("k"), "c1", stored.PageRows}},
		"changes":             {"SELECT seq FROM fado.changes WHERE seq > $1 AND seq <= coalesce((SELECT seq FROM fado.changes WHERE seq > $1 ORDER BY seq, ord LIMIT 1 OFFSET $2), 9223372036854775807) ORDER BY seq, ord", []any{90_000, 100}},
		"audit records":       {"SELECT seq FROM fado.audit WHERE seq > $1 AND ($2 = '' OR kind = $2) ORDER BY seq LIMIT $3", []any{50_000, "", 100}},
		"trim audit":          {trimAudit, []any{50_000}},
		"delete range":        {"DELETE FROM fado.pending WHERE bucket = $1 AND key >= $2 AND key < $3 AND cluster = $4", []any{"b1", blob("a"), blob("b"), "c1"}},
	} {
		tx, err := s.db.pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := tx.Query(ctx, "EXPLAIN "+q.sql, q.args...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var plan []string
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if text := strings.Join(plan, "\n"); seqScan.MatchString(text) || len(plan) == 0 {
			t.Errorf("%s walks a table:\n%s", what, text)
		}
		_ = tx.Rollback(ctx)
	}
}

// A claim of some buckets' rows looks at none of others, however many of these are due before.
func TestClaimAmongLooksAtItsOwn(t *testing.T) {
	s := openAt(t, testenv.PostgresDatabase(t))
	fill(t, s, 20_000)
	const mine = 20
	if _, err := s.db.pool.Exec(ctx, `INSERT INTO fado.pending (bucket, key, cluster, gen, size, since, attempts, next_attempt, error, hold, is_foreign, background, claimed_by, claim_until)
		SELECT 'mine', convert_to('k' || n, 'UTF8'), 'c3', n, 1, 4000000 + n, 0, 0, '', '', false, n % 2 = 0, '', 0 FROM generate_series(1, $1) n`, mine); err != nil {
		t.Fatal(err)
	}
	var others []string // the claim that names these passes them by, one by one
	for i := range 500 {
		others = append(others, fmt.Sprint("b", i))
	}
	passing := strings.ReplaceAll(claimIn, "cluster = $5", "cluster = $5 AND bucket <> ALL ($6)")
	now := int64(5_000_000)
	for what, q := range map[string]struct {
		sql  string
		args []any
	}{
		"among":      {claimAmong, []any{"n", now, now, 64, "c3", []string{"mine", "none"}}},
		"passing by": {passing, []any{"n", now, now, 64, "c3", others}},
	} {
		tx, err := s.db.pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var plan []byte
		if err := tx.QueryRow(ctx, "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+q.sql, q.args...).Scan(&plan); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		_ = tx.Rollback(ctx)
		if n, few := visited(t, plan), what == "among"; (n < 10*mine) != few {
			t.Errorf("%s: %d rows were looked at to claim %d", what, n, mine)
		}
	}
}

// visited adds up the rows that the scans of a plan that was carried out read.
func visited(t *testing.T, plan []byte) (n int) {
	t.Helper()
	type node struct {
		Type    string  `json:"Node Type"`
		Rows    float64 `json:"Actual Rows"`
		Loops   float64 `json:"Actual Loops"`
		Removed float64 `json:"Rows Removed by Filter"`
		Plans   []node
	}
	var all []struct{ Plan node }
	if err := json.Unmarshal(plan, &all); err != nil {
		t.Fatal(err)
	}
	var add func(node)
	add = func(p node) {
		if strings.Contains(p.Type, "Scan") && !strings.Contains(p.Type, "CTE") {
			n += int((p.Rows + p.Removed) * p.Loops)
		}
		for _, below := range p.Plans {
			add(below)
		}
	}
	add(all[0].Plan)
	return n
}

// TestScale measures with FADO_TEST_SCALE pending rows: it prints figures and judges none.
func TestScale(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("FADO_TEST_SCALE"))
	if n == 0 {
		t.Skip("set FADO_TEST_SCALE to a number of rows")
	}
	server := testenv.PostgresServer(t, testenv.PostgresOptions{Durable: true, Settings: map[string]string{"shared_buffers": "1GB", "max_wal_size": "4GB"}})
	s := openAt(t, server.Database(t), func(o *Options) { o.StatementTimeout = time.Minute })
	began := time.Now()
	fill(t, s, n)
	t.Logf("%d rows made in %s", n, time.Since(began))
	sizes, err := collect(ctx, s.db.pool, func(r pgx.Rows) (line string, err error) { return line, r.Scan(&line) },
		`SELECT format('%s %s', relname, pg_size_pretty(pg_relation_size(oid))) FROM pg_class
		WHERE relnamespace = 'fado'::regnamespace AND relname LIKE 'pending%' AND relkind IN ('r', 'i') ORDER BY pg_relation_size(oid) DESC`)
	t.Log(strings.Join(sizes, "; "), err)
	measure := func(what string, times, each int, f func(i int) error) {
		t.Helper()
		began, worst := time.Now(), time.Duration(0)
		for i := range times {
			one := time.Now()
			if err := f(i); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			worst = max(worst, time.Since(one))
		}
		took := time.Since(began)
		t.Logf("%s: %s each, worst %s, %.0f rows/s", what, took/time.Duration(times), worst, float64(times*each)/took.Seconds())
	}
	var claimed []state.PendingKey
	measure("claim of 64", 50, 64, func(int) error {
		rows, err := s.Queue().ClaimPending(ctx, "n", 64, time.Hour, time.Now())
		for _, p := range rows {
			claimed = append(claimed, state.PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: p.Gen})
		}
		return err
	})
	measure("finish of 64", 50, 64, func(i int) error {
		_, err := s.Queue().FinishPending(ctx, claimed[i*64:(i+1)*64]...)
		return err
	})
	measure("add of 1", 200, 1, func(i int) error {
		_, err := s.Queue().AddPending(ctx, state.Pending{Bucket: "new", Key: fmt.Sprint(i), Cluster: "c1"})
		return err
	})
	measure("add of 64", 50, 64, func(i int) error {
		rows := make([]state.Pending, 64)
		for j := range rows {
			rows[j] = state.Pending{Bucket: "more", Key: fmt.Sprint(i, "/", j), Cluster: "c1"}
		}
		_, err := s.Queue().AddPending(ctx, rows...)
		return err
	})
	measure("update", 100, 1, func(i int) error { return putZone(s, fmt.Sprint("z", i%10)) })
	other := openAt(t, s.db.o.DSN)
	ch := other.ChangeLog().Watch(t.Context())
	measure("add to wake elsewhere", 100, 1, func(i int) error {
		select {
		case <-ch:
		default:
		}
		if _, err := s.Queue().AddPending(ctx, state.Pending{Bucket: "wake", Key: fmt.Sprint(i), Cluster: "c1"}); err != nil {
			return err
		}
		<-ch
		return nil
	})
}
