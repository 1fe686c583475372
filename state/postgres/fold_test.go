package postgres

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// TestFoldAll: one call adds up whatever loose sums there are, however many transactions
// that takes, and changes none of them.
func TestFoldAll(t *testing.T) {
	t.Parallel()
	s := openAt(t, testenv.PostgresDatabase(t))
	const pairs = 2*foldPairs + foldPairs/2
	if _, err := s.db.pool.Exec(ctx, `INSERT INTO fado.backlog (bucket, cluster, objects, bytes, held_deletes, conflicts, failing)
		SELECT 'b' || n, 'c1', m, 10 * m, 0, 0, 0 FROM generate_series(1, $1::int) n, generate_series(1, 3) m`, pairs); err != nil {
		t.Fatal(err)
	}
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		for _, prefix := range []string{"", "a/", "b/"} {
			c := state.Copy{Bucket: "b", Objects: 2, Bytes: 5}
			c.Prefix, c.Cluster, c.State = prefix, "c1", catalog.CopySynced
			if err := tx.PutCopy(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := (upkeep{s.db}).fold(ctx); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"backlog": pairs, "copy_sums": 1, "bucket_sums": 1} {
		loose, _, err := one[int](ctx, s.db.pool, "SELECT count(*) FROM fado."+table+" WHERE NOT folded")
		if err != nil || loose != 0 {
			t.Errorf("%s has %d loose rows (%v)", table, loose, err)
		}
		if rows, _, err := one[int](ctx, s.db.pool, "SELECT count(*) FROM fado."+table); err != nil || rows != want {
			t.Errorf("%s has %d rows, want %d (%v)", table, rows, want, err)
		}
	}
	if objects, _, err := one[int](ctx, s.db.pool, "SELECT sum(objects)::int FROM fado.backlog"); err != nil || objects != 6*pairs {
		t.Errorf("%d objects, want %d (%v)", objects, 6*pairs, err)
	}
	sums, err := s.Catalogue().CopySums(ctx)
	if want := (state.CopySum{Cluster: "c1", State: catalog.CopySynced, Copies: 3, Objects: 6, Bytes: 15}); err != nil || len(sums) != 1 || sums[0] != want {
		t.Errorf("sums of copies: %+v, want %+v (%v)", sums, want, err)
	}
}
