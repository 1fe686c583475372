package sqlite

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
	"github.com/fado-project/fado/state/statetest"
)

// formerFile makes a file as a former version of FaDO left it: testdata/versionN.sql is
// what that version executed.
func formerFile(t *testing.T, version int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fado.db")
	schema, err := os.ReadFile(fmt.Sprintf("testdata/version%d.sql", version))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(text string, args ...any) {
		t.Helper()
		if _, err := db.Exec(text, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("PRAGMA journal_mode = WAL")
	exec(fmt.Sprintf("BEGIN;\n%s\nPRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", schema, applicationID, version))
	exec(`INSERT INTO resources VALUES ('bucket', 'b', 1, '{}', '')`)
	exec(`INSERT INTO copies VALUES ('b', '', 'c1', 'synced', 1, '', 10, 100, '', 0, '', 0, 0)`)
	for key, row := range map[string]string{"live": `'', 0`, "found": `'', 1`, "damaged": `'the bytes are damaged: crc', 1`} {
		exec(`INSERT INTO pending (bucket, key, cluster, gen, size, since, attempts, next_attempt, hold, is_foreign, claimed_by, claim_until, error, background)
			VALUES ('b', ?1, 'c1', 1, 1, 1, 0, 0, '', ?1 = 'found', '', 0, `+row+`)`, key)
	}
	for key, value := range statetest.FormerMeta {
		exec("INSERT INTO meta VALUES (?, ?)", key, value)
	}
	return path
}

// TestMigrateFormer opens files of every former version.
func TestMigrateFormer(t *testing.T) {
	for version := 1; version < 3; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			path := formerFile(t, version)
			openErr(t, Options{Path: path, ReadOnly: true}, state.ErrUnavailable, fmt.Sprint("schema version ", version), fmt.Sprint("expected ", stored.SchemaVersion))
			s := openAt(t, path)
			statetest.CheckFormer(t, s)
			closeStore(t, s)
			if n := len(openAt(t, path).mustPurges(t)); n != 1 {
				t.Errorf("%d purges when opened again", n)
			}
		})
	}
}

func (s *Store) mustPurges(t *testing.T) []state.Purge {
	t.Helper()
	all, err := s.Purges().Purges(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestMigrateKeepsRows brings files of every former version, with rows in every table that it
// had, up to date.
func TestMigrateKeepsRows(t *testing.T) {
	for version := 1; version < stored.SchemaVersion; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "fado.db")
			db, err := sql.Open("sqlite", dsn(path))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			m, err := migrator(db, zap.NewNop())
			if err == nil {
				_, err = m.UpTo(ctx, int64(version))
			}
			if err != nil {
				t.Fatal(err)
			}
			own := []string{"INSERT INTO meta (key, value) VALUES ('kept', 'value')", "UPDATE counters SET gen = 9"}
			for _, row := range append(statetest.FormerRows(version), own...) {
				if _, err := db.Exec(row); err != nil {
					t.Fatalf("%s: %v", row, err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			statetest.CheckFormerRows(t, openAt(t, path), version)
		})
	}
}
