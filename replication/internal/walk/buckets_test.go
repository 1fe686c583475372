package walk

import (
	"context"
	"errors"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/storage"
)

func (w *world) site(cluster string) *site.Site {
	w.Helper()
	s, err := w.sites.Usable(cluster)
	w.must(err)
	return s
}

// No bucket is made where no rule allows the cluster, and none is said to have been.
func TestMakeForbidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "c1", "c3")
	w.rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.wantErr(w.Buckets.Make(t.Context(), w.site("c2"), bkt, false), guard.ErrForbidden)
	if w.row("c2").MadeBucket || w.fakes["c2"].Contents(bkt) != nil {
		t.Error("a bucket was made")
	}
}

// That a bucket is FaDO's is stored before it is made, and taken back if it is not.
func TestMakeStoresFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	lost := errors.New("the answer was lost")
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "ensure" {
			if !w.row("c2").MadeBucket {
				t.Error("nothing is stored when the bucket is made")
			}
			return lost
		}
		return nil
	})
	w.wantErr(w.Buckets.Make(t.Context(), w.site("c2"), bkt, false), lost)
	if !w.row("c2").MadeBucket {
		t.Error("it may have been made, and that is not stored")
	}

	w.rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.fakes["c2"].SetFault(nil)
	w.fakes["c2"].User(bkt, "x", "somebody else made it")
	w.must(w.Buckets.Make(t.Context(), w.site("c2"), bkt, false))
	if w.row("c2").MadeBucket {
		t.Error("somebody else's bucket counts as FaDO's")
	}
}

// A refusal leaves no note behind.
func TestMakeRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	moving := copyOf("c2", catalog.CopySynced)
	moving.Moving = true
	w.rows(primary("c1"), moving)
	w.wantErr(w.Buckets.Make(t.Context(), w.site("c2"), bkt, false), guard.ErrMoving)
	if w.row("c2").MadeBucket || w.fakes["c2"].Contents(bkt) != nil {
		t.Error("a bucket was made")
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c2"].User(bkt, "a", "x")
	w.must(w.Buckets.Drop(t.Context(), w.site("c2"), bkt))
	if w.fakes["c2"].Contents(bkt) == nil {
		t.Fatal("a bucket with an object was removed")
	}
	w.fakes["c2"].UserDelete(bkt, "a")
	w.must(w.Buckets.Drop(t.Context(), w.site("c2"), bkt))
	if w.fakes["c2"].Contents(bkt) != nil {
		t.Fatal("the empty bucket is there")
	}
	w.must(w.Buckets.Drop(t.Context(), w.site("c2"), bkt)) // nothing to do
	w.fakes["c2"].SetFault(func(context.Context, string, string, string) error { return storage.ErrDenied })
	w.wantErr(w.Buckets.Drop(t.Context(), w.site("c2"), bkt), storage.ErrDenied)
}
