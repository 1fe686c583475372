package walk

import (
	"context"
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b", "c")
	w.WantSame("c1", "c2")
	w.WantKeys(w.Pending())
	row := w.Row("c2")
	if row.State != catalog.CopySynced || !row.MadeBucket || row.Objects != 3 || row.VerifiedAt.IsZero() {
		t.Errorf("the copy's row is %+v", row)
	}
	if p := w.Row("c1"); p.MadeBucket || p.Objects != 3 {
		t.Errorf("the primary's row is %+v", p)
	}
	if len(w.Scans()) != 1 {
		t.Errorf("%d scans requested: without a feed, what changed behind the cursor has to be looked for", len(w.Scans()))
	}
}

// What someone else put into a copy's bucket is a conflict, and the walk goes on.
func TestSyncMeetsForeignObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c2"].User(bkt, "b", "someone else's")
	w.synced("a", "b", "c")
	if got := w.Fakes["c2"].Contents(bkt)["b"]; got != "someone else's" {
		t.Errorf("it was replaced by %q", got)
	}
	rows := w.Pending()
	w.WantKeys(rows, "c2/b")
	if r := rows["c2/b"]; r.Hold != state.HoldConflict || r.Foreign == "" {
		t.Errorf("the row is %+v", r)
	}
	if w.Row("c2").State != catalog.CopySynced || w.Row("c2").MadeBucket {
		t.Errorf("the copy's row is %+v", w.Row("c2"))
	}
}

// A full storage ends the walk at the first object; what came before it stays done.
func TestSyncEndsWithFullStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Slots.Resize(1)
	for _, k := range []string{"a", "b", "c"} {
		w.Fakes["c1"].User(bkt, k, k)
	}
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, key string) error {
		if op == "put" && key >= "b" {
			return fmt.Errorf("no space: %w", storage.ErrFull)
		}
		return nil
	})
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.WantErr(w.Syncer.Sync(t.Context(), at("c2")), storage.ErrFull)
	w.WantKeys(w.Pending())
	if row := w.Row("c2"); row.State != catalog.CopySyncing || row.Cursor != "a" || row.Objects != 1 {
		t.Errorf("the copy's row is %+v", row)
	}
	w.Fakes["c2"].SetFault(nil)
	w.Sites.Get("c2").Space.Wrote(nil) // there is space again
	w.Must(w.Syncer.Sync(t.Context(), at("c2")))
	w.WantSame("c1", "c2")
	if row := w.Row("c2"); row.Objects != 3 {
		t.Errorf("the copy's row is %+v", row)
	}
}

// A few objects that fail become rows; many in a row end the walk.
func TestSyncUnlucky(t *testing.T) {
	t.Parallel()
	for _, failing := range []int{maxUnlucky, maxUnlucky + 1} {
		w := newWorld(t)
		for i := range failing {
			w.Fakes["c1"].User(bkt, fmt.Sprintf("%03d", i), "x")
		}
		w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
			if op == "put" {
				return fmt.Errorf("no: %w", storage.ErrRefused)
			}
			return nil
		})
		w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
		err := w.Syncer.Sync(t.Context(), at("c2"))
		if failing > maxUnlucky {
			w.WantErr(err, storage.ErrRefused)
			continue
		}
		w.Must(err)
		if n := len(w.Pending()); n != failing {
			t.Errorf("%d rows for %d failures", n, failing)
		}
		for at, row := range w.Pending() {
			if row.Cause != state.CauseRefused {
				t.Errorf("%s: the cause is %q", at, row.Cause)
			}
		}
	}
}

// Objects that this instance has no slot for are handed over where others could help.
func TestSyncHandsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Slots.Resize(1)
	w.helpers.Store(1)
	release, err := w.Slots.Acquire(t.Context(), limit.Want{Class: limit.Bulk, To: "c2"})
	w.Must(err)
	defer release()
	w.synced("a", "b")
	rows := w.Pending()
	w.WantKeys(rows, "c2/a", "c2/b")
	if r := rows["c2/a"]; !r.Background || r.Hold != state.HoldNone || r.Attempts != 0 {
		t.Errorf("the row is %+v", r)
	}
	if row := w.Row("c2"); row.State != catalog.CopySynced || row.Objects != 2 {
		t.Errorf("the copy's row is %+v", row)
	}
}

// A copy that leaves while it is walked is not made a synced one.
func TestSyncOfCopyThatLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c1"].User(bkt, "a", "x")
	w.Fakes["c2"].SetFault(func(ctx context.Context, op, _, _ string) error {
		if op == "put" {
			w.Rows(primary("c1"), copyOf("c2", catalog.CopyDraining))
		}
		return ctx.Err()
	})
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.WantErr(w.Syncer.Sync(t.Context(), at("c2")), object.ErrChanged)
	if s := w.Row("c2").State; s != catalog.CopyDraining {
		t.Errorf("the copy is %s", s)
	}
}

func TestFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySyncing), copyOf("c3", catalog.CopySynced))
	for _, c := range []string{"c1", "c2", "c3"} {
		w.Must(w.Syncer.Fail(t.Context(), at(c), storage.ErrRefused))
	}
	if row := w.Row("c2"); row.State != catalog.CopyFailed || row.Error != storage.ErrRefused.Error() {
		t.Errorf("the copy's row is %+v", row)
	}
	for _, c := range []string{"c1", "c3"} {
		if s := w.Row(c).State; s != catalog.CopySynced {
			t.Errorf("the copy in %s is %s", c, s)
		}
	}
}

func TestHandoverRoom(t *testing.T) {
	t.Parallel()
	var h handover
	open := map[string]bool{"a": true, "b": true}
	pending := func(key string) bool { return open[key] }
	h.note("a")
	h.note("b")
	if h.room(2, pending) {
		t.Error("there is room beside as many as may be pending")
	}
	delete(open, "b")
	if h.room(2, pending) {
		t.Error("the oldest is pending yet")
	}
	delete(open, "a")
	if !h.room(2, pending) || len(h.keys) != 0 {
		t.Error("what was worked off takes room")
	}
}

func TestRuleCovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1", Prefixes: []catalog.PrefixRule{
		{Prefix: "logs/", Policy: "p"}, {Prefix: "logs/old/", Policy: "p"},
	}})
	snap := w.Ctl.Router().Snapshot()
	for _, tt := range []struct {
		rule, key string
		want      bool
	}{
		{"", "a", true},
		{"", "logs/a", false},
		{"logs/", "logs/a", true},
		{"logs/", "logs/old/a", false},
		{"logs/old/", "logs/old/a", true},
	} {
		if got := RuleOf(snap, ids.CopyIn(bkt, tt.rule, "c1")).Covers(tt.key); got != tt.want {
			t.Errorf("rule %q covers %q: %t", tt.rule, tt.key, got)
		}
	}
}
