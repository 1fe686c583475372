package postgres

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// objectsAfter reads the log page by page, as instances do.
func objectsAfter(t *testing.T, s *Store, after state.Seq) (n int) {
	t.Helper()
	for {
		page, err := s.Instances().ObjectChanges(ctx, after, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return n
		}
		n, after = n+len(page), page[len(page)-1].Seq
	}
}

func behind(t *testing.T, s *Store, after state.Seq) {
	t.Helper()
	if _, err := s.Instances().ObjectChanges(ctx, after, 1); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a reader that is behind got error %v, want an ErrNotFound", err)
	}
}

// maxLogged is how many rows a statement may remove that the log of object changes tells
// of one by one.
const maxLogged = 50_000

// addMany adds rows in one statement, through the triggers.
func addMany(t *testing.T, s *Store, bucket string, rows int) {
	t.Helper()
	_, err := s.db.pool.Exec(ctx, `INSERT INTO fado.pending (bucket, key, cluster, gen, size, since, attempts, next_attempt, error, hold, is_foreign, background, claimed_by, claim_until)
		SELECT $1, convert_to(n::text, 'UTF8'), 'c1', fado.next_gen(), 1, 1, 0, 0, '', '', false, true, '', 0 FROM generate_series(1, $2::int) n`, bucket, rows)
	if err != nil {
		t.Fatal(err)
	}
}

// TestObjectLogTrimmed: the last object changes are kept by their number, whatever gaps
// their sequence has; who is further behind is told, and nobody else.
func TestObjectLogTrimmed(t *testing.T) {
	t.Parallel()
	s := openAt(t, testenv.PostgresDatabase(t), func(o *Options) { o.StatementTimeout = DefaultStatementTimeout * 4 })
	start, err := s.Instances().ObjectSeq(ctx)
	if err != nil {
		t.Fatal(err)
	}
	addMany(t, s, "old", 1000)
	if err := (upkeep{s.db}).fold(ctx); err != nil {
		t.Fatal(err)
	}
	if n := objectsAfter(t, s, start); n != 1000 {
		t.Errorf("%d changes, want 1000", n)
	}
	seen, err := s.Instances().ObjectSeq(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.db.connect(ctx) // every new connection leaves a gap
	if err != nil {
		t.Fatal(err)
	}
	closeConn(conn)
	addMany(t, s, "new", 10)
	if err := (upkeep{s.db}).fold(ctx); err != nil {
		t.Fatal(err)
	}
	if n := objectsAfter(t, s, seen); n != 10 {
		t.Errorf("%d changes after a gap, want 10", n)
	}

	const logged = keepObjects - maxLogged - 1
	if _, err := s.db.pool.Exec(ctx, "INSERT INTO fado.object_changes SELECT nextval('fado.object_seq'), 'pending', 'b', 'k', 'c1', false FROM generate_series(1, $1::int)", logged); err != nil {
		t.Fatal(err)
	}
	addMany(t, s, "more", maxLogged+1)
	if err := (upkeep{s.db}).fold(ctx); err != nil {
		t.Fatal(err)
	}
	behind(t, s, start)
	behind(t, s, seen)
	last, err := s.Instances().ObjectSeq(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if n, _, err := one[int](ctx, s.db.pool, "SELECT count(*)::int FROM fado.object_changes"); err != nil || n != keepObjects {
		t.Errorf("%d changes are kept, want %d (%v)", n, keepObjects, err)
	}
	kept, _, err := one[int64](ctx, s.db.pool, "SELECT objects_trimmed FROM fado.counters")
	if err != nil {
		t.Fatal(err)
	}
	if n := objectsAfter(t, s, state.Seq(kept)); n != keepObjects {
		t.Errorf("%d changes from the last trimmed one on, want %d", n, keepObjects)
	}

	// More at once than is worth a log: readers are told at once.
	if _, err := s.db.pool.Exec(ctx, "DELETE FROM fado.pending"); err != nil {
		t.Fatal(err)
	}
	behind(t, s, last)
	if now, err := s.Instances().ObjectSeq(ctx); err != nil || now <= last || objectsAfter(t, s, now) != 0 {
		t.Errorf("the log goes on at %d after %d (%v)", now, last, err)
	}
}

// TestChangeLogTrimmed is the same of the catalogue's log.
func TestChangeLogTrimmed(t *testing.T) {
	t.Parallel()
	s := openAt(t, testenv.PostgresDatabase(t))
	put := func(n int) state.Seq {
		t.Helper()
		seq, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
			for i := range n {
				if err := tx.Put(state.Record{Kind: catalog.KindZone, Name: fmt.Sprint("z", i), Body: []byte(`{}`)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	read := func(after state.Seq, want int) {
		t.Helper()
		all, err := s.ChangeLog().Changes(ctx, after, 0)
		if err != nil || len(all) != want {
			t.Errorf("after %d: %d changes, want %d (%v)", after, len(all), want, err)
		}
	}
	lost := func(after state.Seq) {
		t.Helper()
		if _, err := s.ChangeLog().Changes(ctx, after, 1); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("a reader behind %d got error %v, want an ErrNotFound", after, err)
		}
	}
	first := put(1)
	second := put(keepChanges - 1)
	read(first-1, keepChanges)
	put(1)
	third := put(1) // two more than are kept
	if err := (upkeep{s.db}).fold(ctx); err != nil {
		t.Fatal(err)
	}
	lost(first - 1)
	read(first, keepChanges+1)
	read(second, 2)
	fourth := put(keepChanges + 1) // not worth a log
	lost(third)
	read(fourth, 0)
	put(1)
	read(fourth, 1)
}
