package replication

import (
	"context"
	"testing"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
)

// What a gateway was told is noted is an exception to freshness at once, durably, and an
// error means that it is not.
func TestNoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "first", "x")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	ctx := context.Background()
	w.must(w.eng.Pause(ctx))
	c1.User("bkt", "k", "content")
	w.must(w.eng.Noted(ctx, "bkt", "k", "c1", 7))
	if !w.ctl.Router().Pending.Has("bkt", "k", "c2") {
		t.Error("c2 is still a hit")
	}
	if rows := w.pending(state.PendingFilter{}); len(rows) != 1 || rows[0].Cluster != "c2" || rows[0].Size != 7 || rows[0].Background {
		t.Errorf("rows %+v", rows)
	}
	w.must(w.eng.Noted(ctx, "nobody", "k", "c1", 7))
	w.full.Store(true)
	if err := w.eng.Noted(ctx, "bkt", "other", "c1", 7); err == nil {
		t.Error("the store took nothing, and no error tells")
	}
	w.full.Store(false)
	w.must(w.eng.Resume(ctx))
	w.await("the object is copied", func() bool { return c2.Contents("bkt")["k"] == "content" })
}
