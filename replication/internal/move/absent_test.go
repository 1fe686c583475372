package move

import (
	"context"
	"testing"
	"time"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// denying has a storage say of some keys that they are not there when it is asked, though it lists them.
func denying(s *fakestorage.Storage, keys ...string) {
	s.SetFault(func(_ context.Context, op, _, key string) error {
		for _, k := range keys {
			if op == "stat" && key == k {
				return storage.ErrNotFound
			}
		}
		return nil
	})
}

// A former primary that says of an object it lists that it is not there has not lost it: nothing is
// deleted at the new one, other objects are carried over, and the pass does not count.
func TestCarryOverTrustsNo404(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.formerly("a", "b", "noted")
	c1, c2 := w.Fakes["c1"], w.Fakes["c2"]
	c1.User(bkt, "a", "written around the move")
	c1.User(bkt, "b", "this one too")
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "noted", Cluster: "c2", Since: time.Now()}))
	denying(c1, "a", "noted")
	w.WantErr(w.Carrier.CarryOver(t.Context(), bkt, "c1"), storage.ErrInconsistent)
	if got := c2.Contents(bkt); got["a"] != "body of a" || got["noted"] != "body of noted" || got["b"] != "this one too" {
		t.Errorf("the new primary has %q", got)
	}
	w.WantKeys(w.Pending(), "c2/noted")
	if !w.Row("c1").FormerPrimary {
		t.Error("the pass counted")
	}
	c1.SetFault(nil)
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if got := c2.Contents(bkt); got["a"] != "written around the move" || len(got) != 3 {
		t.Errorf("the new primary has %q", got)
	}
	w.WantKeys(w.Pending())
}

// An object that was copied on demand is no hit, as a third copy is none, from before its key is carried
// over until it was compared with what that brought.
func TestCarryOverNotesPulled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.formerly("a")
	now := time.Now()
	w.Must(w.Ctl.Pulled.Put(t.Context(), state.Pulled{Bucket: bkt, Key: "a", Cluster: "c3", Size: 9, ETag: "e", UsedAt: now, Until: now.Add(time.Hour)}))
	w.Fakes["c1"].User(bkt, "a", "written around the move")
	noted := false
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" {
			r, there := w.Pending()["c3/a"]
			w.Must(w.Ctl.Pending.Finish(t.Context(), r.RowKey())) // a worker that compared too early
			noted = there
		}
		return nil
	})
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if !noted {
		t.Error("it counts as current while its key is carried over")
	}
	w.WantKeys(w.Pending(), "c3/a")
}
