package buckets

import (
	"context"
	"errors"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/storage"
)

// No bucket is made where no rule allows the cluster, and none is said to have been.
func TestMakeForbidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "c1", "c3")
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.WantErr(w.Buckets.Make(t.Context(), w.Site("c2"), bkt, false), guard.ErrForbidden)
	if w.Row("c2").MadeBucket || w.Fakes["c2"].Contents(bkt) != nil {
		t.Error("a bucket was made")
	}
}

// That a bucket is FaDO's is stored before it is made, and taken back if it is not.
func TestMakeStoresFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	lost := errors.New("the answer was lost")
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "ensure" {
			if !w.Row("c2").MadeBucket {
				t.Error("nothing is stored when the bucket is made")
			}
			return lost
		}
		return nil
	})
	w.WantErr(w.Buckets.Make(t.Context(), w.Site("c2"), bkt, false), lost)
	if !w.Row("c2").MadeBucket {
		t.Error("it may have been made, and that is not stored")
	}

	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.Fakes["c2"].SetFault(nil)
	w.Fakes["c2"].User(bkt, "x", "someone else made it")
	w.Must(w.Buckets.Make(t.Context(), w.Site("c2"), bkt, false))
	if w.Row("c2").MadeBucket {
		t.Error("someone else's bucket counts as FaDO's")
	}
}

// A refusal leaves no note behind.
func TestMakeRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	moving := copyOf("c2", catalog.CopySynced)
	moving.Moving = true
	w.Rows(primary("c1"), moving)
	w.WantErr(w.Buckets.Make(t.Context(), w.Site("c2"), bkt, false), guard.ErrMoving)
	if w.Row("c2").MadeBucket || w.Fakes["c2"].Contents(bkt) != nil {
		t.Error("a bucket was made")
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c2"].User(bkt, "a", "x")
	w.Must(w.Buckets.Drop(t.Context(), w.Site("c2"), bkt))
	if w.Fakes["c2"].Contents(bkt) == nil {
		t.Fatal("a bucket with an object was removed")
	}
	w.Fakes["c2"].UserDelete(bkt, "a")
	w.Must(w.Buckets.Drop(t.Context(), w.Site("c2"), bkt))
	if w.Fakes["c2"].Contents(bkt) != nil {
		t.Fatal("the empty bucket is there")
	}
	w.Must(w.Buckets.Drop(t.Context(), w.Site("c2"), bkt)) // nothing to do
	w.Fakes["c2"].SetFault(func(context.Context, string, string, string) error { return storage.ErrDenied })
	w.WantErr(w.Buckets.Drop(t.Context(), w.Site("c2"), bkt), storage.ErrDenied)
}
