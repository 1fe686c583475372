package move

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
)

func TestMovePrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.Must(w.Mover.MovePrimary(t.Context(), bkt, "c2"))
	old, now := w.Row("c1"), w.Row("c2")
	if old.Primary || !old.FormerPrimary || old.OwnedUntil.IsZero() || !now.Primary {
		t.Errorf("the old one's row is %+v, the new one's %+v", old, now)
	}
	w.WantErr(w.Mover.MovePrimary(t.Context(), bkt, "c1"), object.ErrNotYet) // one move at a time
}

// The rule of object lock that users change while a primary moves is at the next one when they write there.
func TestMoveBringsTheLockRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.lockRule["c1"] = "30 days"
	w.o.Hooks.Leaves = func(context.Context, string, string, time.Time) error {
		if got := w.lockRule["c2"]; got != "30 days" {
			t.Errorf("before the move the rule is %q", got)
		}
		w.lockRule["c1"] = "90 days"
		return nil
	}
	w.Moves = New(w.o)
	w.Must(w.Mover.MovePrimary(t.Context(), bkt, "c2"))
	if got := w.lockRule["c2"]; got != "90 days" {
		t.Errorf("the rule is %q", got)
	}
}

// What changed last is brought to the target as its rows say, damaged bytes written again.
func TestRestIsBrought(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("changed", "damaged", "deleted", "same")
	w.Fakes["c1"].User(bkt, "changed", "later")
	w.Fakes["c1"].UserDelete(bkt, "deleted")
	for _, key := range []string{"changed", "damaged", "deleted", "same"} {
		w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: key, Cluster: "c2", Since: time.Now(), Damaged: key == "damaged"}))
	}
	before := len(w.Fakes["c2"].Writes())
	whole, err := rest{&w.o, bkt, "c2"}.bring(t.Context())
	w.Must(err)
	if writes := w.Fakes["c2"].Writes()[before:]; !whole || len(writes) != 3 || len(w.Pending()) != 0 {
		t.Errorf("whole: %v, writes %q, pending %v; want those of what changed, is damaged and was deleted", whole, writes, w.Pending())
	}
	w.WantSame("c1", "c2")
}

// Conflicts and held deletes at the target are for people to decide first.
func TestMoveBlocked(t *testing.T) {
	t.Parallel()
	for _, hold := range []state.Hold{state.HoldConflict, state.HoldDeletes} {
		w := newWorld(t)
		w.synced("a")
		w.Fakes["c2"].User(bkt, "x", "someone else's")
		w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "x", Cluster: "c2", Hold: hold, Since: time.Now()}))
		err := w.Mover.MovePrimary(t.Context(), bkt, "c2")
		w.WantErr(err, object.ErrBlocked)
		if !w.Row("c1").Primary {
			t.Error("the primary moved")
		}
		want := map[state.Hold]string{state.HoldConflict: "to c2: 1 conflict there: people", state.HoldDeletes: "to c2: 1 held delete there: people"}[hold]
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v: want %q, and nothing that is not", err, want)
		}
	}
}

// What changed at the primary unheard since the scan is not left behind.
func TestMoveAfterGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	feed := &w.Site("c1").Feed
	feed.Set()
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "listed" { // while it scans
			feed.SilentFor("the stream broke")
			feed.Set()
		}
		return nil
	})
	w.WantErr(w.Mover.MovePrimary(t.Context(), bkt, "c2"), object.ErrNotYet)
	if !w.Row("c1").Primary {
		t.Error("the primary moved")
	}
}

// Roles are only swapped with a cluster that has every rule synced: a bucket is never
// left without a primary.
func TestSwapNeedsSyncedTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, s := range []catalog.CopyState{
		catalog.CopyWaiting, catalog.CopySyncing, catalog.CopyDraining, catalog.CopyRemoving, catalog.CopyFailed,
	} {
		w.Rows(primary("c1"), copyOf("c2", s))
		w.WantErr(w.Mover.swapRoles(t.Context(), bkt, "c1", "c2", time.Now()), object.ErrChanged)
		if p := w.Ctl.Router().Snapshot().Of(bkt).Primary(); p != "c1" {
			t.Fatalf("the primary is %q", p)
		}
	}
}

// A move that fails leaves no marks behind.
func TestMoveFailedUnhalts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rows := []state.Copy{primary("c1"), copyOf("c2", catalog.CopySynced), copyOf("c3", catalog.CopySynced)}
	SetMoving(rows, "c2")
	if !rows[1].Moving || rows[0].Moving || rows[2].Moving {
		t.Fatalf("marked: %+v", rows)
	}
	w.Rows(rows...)
	if !w.Ctl.Router().Snapshot().Of(bkt).AnyMoving() {
		t.Fatal("routing does not know of the mark")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the move's context may be over
	w.Halts.failed(ctx, bkt)
	if w.Row("c2").Moving {
		t.Error("the mark stayed")
	}
}

// formerly moves the bucket's primary from c1 to c2.
func (w *world) formerly(keys ...string) {
	w.Helper()
	w.synced(keys...)
	w.Must(w.Mover.MovePrimary(w.Context(), bkt, "c2"))
}

// A delete at the primary that the move's scan came too early for, and that no feed told of, does
// not come back; what others wrote at the new primary, what is too much to be believed, and what
// is cleared away later stays.
func TestCarryOverFindsDeletes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bound object.MaxDeletes
		later time.Duration
		stays bool
	}{
		"deleted":      {},
		"too much":     {bound: object.MaxDeletes{Objects: 1}, stays: true},
		"cleared away": {later: time.Hour, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Deletes.Bounds = func() object.MaxDeletes { return test.bound }
			w.formerly("a", "gone", "gone too")
			w.Fakes["c1"].Lose(bkt, "gone", "gone too")
			w.Fakes["c2"].User(bkt, "own", "at the new primary")
			now := w.o.Now
			w.o.Now = func() time.Time { return now().Add(test.later) }
			w.Moves = New(w.o)
			w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
			got := w.Fakes["c2"].Contents(bkt)
			for _, key := range []string{"gone", "gone too"} {
				if _, there := got[key]; there != test.stays {
					t.Errorf("%s: %v, want %v", key, there, test.stays)
				}
			}
			if got["own"] == "" || got["a"] == "" {
				t.Errorf("the new primary has %q", got)
			}
		})
	}
}

// However many deletes rows tell of at a former primary, none is carried over before all were counted, and
// what is carried counts for the breaker.
func TestCarryOverCountsDeletes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bound         int64
		before        int64 // deletes within the last minutes
		told, untold  int   // deletes that rows tell of, and that none does
		others        int   // new objects at the new primary
		stays, counts bool
	}{
		"told, too many":                  {bound: 5, told: 6, stays: true},
		"told, not too many":              {bound: 6, told: 6, counts: true},
		"told and untold, too many":       {bound: 5, told: 3, untold: 3, stays: true},
		"told and untold, not too many":   {bound: 6, told: 3, untold: 3, counts: true},
		"too many with those before":      {bound: 9, before: 4, told: 6, stays: true},
		"others' new objects don't count": {bound: 6, told: 3, untold: 3, others: 20, counts: true},
		"no bound":                        {told: 9},
		"no bound, all of it told":        {told: 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: test.bound} }
			deleted := walktest.Keys(test.told + test.untold)
			w.formerly(append([]string{"stays"}, deleted...)...)
			for range test.before {
				w.Deletes.Take(t.Context(), at("c2"), w.Row("c2"))
			}
			w.Fakes["c1"].Lose(bkt, deleted...)
			for _, key := range deleted[:test.told] {
				w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: key, Cluster: "c2", Since: time.Now()}))
			}
			for i := range test.others {
				w.Fakes["c2"].User(bkt, fmt.Sprint("other", i), "x")
			}
			w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
			got := w.Fakes["c2"].Contents(bkt)
			want := 1 + test.others
			if test.stays {
				want += len(deleted)
			}
			if len(got) != want {
				t.Errorf("the new primary has %d objects, want %d: %q", len(got), want, got)
			}
			var held []string
			if test.stays {
				for _, key := range deleted {
					held = append(held, "c1/"+key)
				}
			}
			w.WantKeys(w.Pending(), held...)
			if test.counts && w.Deletes.Lets(t.Context(), at("c2"), w.Row("c2"), 1) {
				t.Error("what was deleted does not count")
			}
		})
	}
}

// Deletes around a move that are too many are held: no scan brings the objects back where they were deleted
// before people decide, unless users write or delete them meanwhile.
func TestLateDeletesAreHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 1} }
	w.formerly("a", "gone", "rewritten", "deleted", "recreated")
	w.Fakes["c1"].Lose(bkt, "gone", "rewritten", "deleted", "recreated")
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	w.Fakes["c2"].User(bkt, "rewritten", "by a user")
	w.Fakes["c2"].UserDelete(bkt, "deleted")
	w.Fakes["c1"].User(bkt, "recreated", "by a user")
	w.Must(w.Scanner.Scan(t.Context(), at("c1")))
	rows := w.Pending()
	w.WantKeys(rows, "c1/deleted", "c1/gone", "c1/recreated", "c1/rewritten")
	for key, want := range map[string]state.Hold{"gone": state.HoldDeletes, "rewritten": state.HoldNone, "deleted": state.HoldNone} {
		if r := rows["c1/"+key]; r.Hold != want || key == "gone" && (!object.IsLate(r) || r.Size == 0) {
			t.Errorf("%s: the row is %+v", key, r)
		}
	}
	w.WantErr(w.TryAll(), object.ErrConflict) // recreated
	if got := w.Fakes["c1"].Contents(bkt); got["gone"] != "" || got["rewritten"] != "by a user" || got["recreated"] != "by a user" {
		t.Errorf("the former primary has %q", got)
	}
	if held, err := w.Objects.HoldsLate(t.Context(), at("c1")); err != nil || !held {
		t.Errorf("deletes are held: %v, %v", held, err)
	}
	w.SetState("c1", catalog.CopyRemoving)
	w.WantErr(w.Evictor.Evict(t.Context(), at("c1")), object.ErrHeld)
	if !w.HasRow("c1") || w.Fakes["c1"].Contents(bkt)["a"] == "" {
		t.Error("the copy left before people decided")
	}
}

// heldLate is a bucket whose primary has moved from c1 to c2 and that holds the late deletes of some objects.
func heldLate(t *testing.T) (w *world, held []string) {
	t.Helper()
	w = newWorld(t)
	w.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 1} }
	keys := walktest.Keys(6)
	held = keys[:4]
	w.formerly(keys...)
	w.Fakes["c1"].Lose(bkt, held...)
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if rows := w.Pending(); len(rows) != len(held) {
		t.Fatalf("held are %+v", rows)
	}
	return w, held
}

// An event about one of the objects that comes late or twice, which ends the row's hold, does not bring it back
// before people decide; nor does a row that is of no use to a copy that leaves hide it from them.
func TestLateDeletesOutliveEvents(t *testing.T) {
	t.Parallel()
	w, held := heldLate(t)
	raise := func() state.Pending {
		w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: held[0], Cluster: "c1", Since: time.Now()}))
		return w.Pending()["c1/"+held[0]]
	}
	row := raise()
	w.WantErr(w.TryAll(), object.ErrLate)
	for name, task := range map[string]object.Task{"a worker": object.TaskOf(row), "a user's request": {Object: ids.ObjectIn(bkt, held[0], "c1")}} {
		if _, err := w.Objects.Settle(t.Context(), task); !errors.Is(err, object.ErrHeld) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, back := w.Fakes["c1"].Contents(bkt)[held[0]]; back {
		t.Error("it was copied back, before people decided")
	}
	row.Hold = state.HoldDeletes // as workers do
	if !w.Objects.HoldsDeletes(t.Context(), row) {
		t.Error("it would not stay held")
	}
	w.SetState("c1", catalog.CopyRemoving)
	_, err := w.Objects.Settle(t.Context(), object.TaskOf(raise()))
	w.WantErr(err, object.ErrLate)
}

// What is written at the primary since is copied.
func TestLateDeletesHoldNothingElse(t *testing.T) {
	t.Parallel()
	w, held := heldLate(t)
	w.Fakes["c2"].User(bkt, held[0], "by a user")
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: held[0], Cluster: "c1", Since: time.Now()}))
	w.Settle()
	if got := w.Fakes["c1"].Contents(bkt)[held[0]]; got != "by a user" {
		t.Errorf("the former primary has %q", got)
	}
}

// A primary does not move on while late deletes wait for people: nothing could tell the objects at the next
// one from what users wrote there. It does not matter whether an event has just raised their rows.
func TestLateDeletesStopTheNextMove(t *testing.T) {
	t.Parallel()
	w, held := heldLate(t)
	w.AddRow(copyOf("c3", catalog.CopyWaiting))
	w.Must(w.Syncer.Sync(t.Context(), at("c3")))
	w.WantErr(w.Mover.MovePrimary(t.Context(), bkt, "c3"), object.ErrBlocked)
	for _, key := range held {
		w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: key, Cluster: "c1", Since: time.Now()}))
	}
	w.WantErr(w.Mover.MovePrimary(t.Context(), bkt, "c3"), object.ErrBlocked)
	if !w.Row("c2").Primary {
		t.Fatal("the primary moved")
	}
	for _, row := range w.Pending() {
		w.Must(w.Ctl.Pending.Add(t.Context(), object.LetGo(row)))
	}
	w.Must(w.Mover.MovePrimary(t.Context(), bkt, "c3"))
}

// A former primary that people clear away before its last changes were brought along, because FaDO was
// down for example, takes no bucket along that the breaker's bounds would let go.
func TestAClearedFormerPrimaryTakesNothingAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 1000, Percent: 10} }
	keys := walktest.Keys(20)
	w.formerly(keys...)
	w.Fakes["c1"].Lose(bkt, keys...)
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if n := len(w.Fakes["c2"].Contents(bkt)); n != len(keys) {
		t.Errorf("the new primary has %d objects", n)
	}
	if held, err := w.Objects.HoldsLate(t.Context(), at("c1")); err != nil || !held {
		t.Errorf("the deletes are held: %v, %v", held, err)
	}
}

// Where none of them could be made once they are confirmed, they are not held.
func TestLateDeletesThatCantBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 1} }
	w.formerly("a", "gone", "gone too")
	w.Fakes["c2"].DeletePlainly()
	w.Fakes["c1"].Lose(bkt, "gone", "gone too")
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	w.WantKeys(w.Pending())
}

// Deletes that the breaker begins to hold while a primary moves keep it from moving: behind the move
// nobody could decide about them.
func TestHeldDeletesStopAMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.o.Hooks.Leaves = func(context.Context, string, string, time.Time) error {
		w.Must(w.Deletes.StoreHold(t.Context(), at("c2")))
		return w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "a", Cluster: "c2", Since: time.Now(), Hold: state.HoldDeletes})
	}
	w.Moves = New(w.o)
	w.WantErr(w.Mover.MovePrimary(t.Context(), bkt, "c2"), object.ErrBlocked)
	if w.Row("c2").Primary {
		t.Error("the primary moved")
	}
}

func TestCarryOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.formerly("a", "gone", "old")
	c1, c2 := w.Fakes["c1"], w.Fakes["c2"]
	c1.User(bkt, "late", "written around the move")
	c1.User(bkt, "a", "replaced around the move")
	c1.User(bkt, "both", "at the former primary")
	c2.User(bkt, "both", "at the new primary")
	c2.UserDelete(bkt, "old") // after the move: not to be brought back
	c1.UserDelete(bkt, "gone")
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "gone", Cluster: "c2", Since: time.Now()}))
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	got := c2.Contents(bkt)
	want := map[string]string{"late": "written around the move", "a": "replaced around the move", "both": "at the new primary"}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the new primary has %q", got)
	}
	rows := w.Pending()
	w.WantKeys(rows, "c1/both")
	if r := rows["c1/both"]; r.Hold != state.HoldConflict || r.Foreign == "" {
		t.Errorf("the row is %+v", r)
	}
	if w.Row("c1").FormerPrimary {
		t.Error("it is a former primary yet")
	}
	w.WantErr(w.Carrier.CarryOver(t.Context(), bkt, "c1"), object.ErrChanged)
}

// Where the new primary's storage deletes by no condition and keeps no versions, a delete at the
// former one is not carried over: a write that came since would go. People are told.
func TestCarryOverDeletesNothingPlainly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.formerly("gone")
	w.Fakes["c2"].DeletePlainly()
	w.Fakes["c1"].UserDelete(bkt, "gone")
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "gone", Cluster: "c2", Since: time.Now()}))
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if got := w.Fakes["c2"].Contents(bkt)["gone"]; got == "" {
		t.Error("it was deleted at the new primary")
	}
	rows := w.Pending()
	w.WantKeys(rows, "c1/gone")
	if r := rows["c1/gone"]; r.Hold != state.HoldConflict || !strings.Contains(r.Error, "delete it there once more") {
		t.Errorf("the row is %+v", r)
	}
}

// A write at the new primary in the moment its key is carried over does not hide the one at
// the former primary: both are told of, as where the moment is another.
func TestCarryOverLosesTheRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.formerly("a")
	c2 := w.Fakes["c2"]
	w.Fakes["c1"].User(bkt, "a", "at the former primary")
	c2.SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" {
			c2.SetFault(nil)
			c2.User(bkt, "a", "at the new primary")
		}
		return nil
	})
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if got := c2.Contents(bkt)["a"]; got != "at the new primary" {
		t.Errorf("the new primary has %q", got)
	}
	rows := w.Pending()
	w.WantKeys(rows, "c1/a")
	if r := rows["c1/a"]; r.Hold != state.HoldConflict || r.Foreign == "" {
		t.Errorf("the row is %+v", r)
	}
}

// A third copy is no hit for a key from before it is carried over until it was compared with
// what that brought.
func TestCarryOverNotesThirdCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.Rows(w.Row("c1"), w.Row("c2"), copyOf("c3", catalog.CopyWaiting))
	w.Must(w.Syncer.Sync(t.Context(), at("c3")))
	w.Must(w.Mover.MovePrimary(t.Context(), bkt, "c2"))
	w.Fakes["c1"].User(bkt, "a", "written around the move")
	noted := false
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" {
			r, there := w.Pending()["c3/a"]
			if !there {
				t.Error("c3 counts as current while the key is carried over")
			}
			w.Must(w.Ctl.Pending.Finish(t.Context(), r.RowKey())) // a worker that compared too early
			noted = there
		}
		return nil
	})
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if !noted {
		t.Error("nothing was carried over")
	}
	w.WantKeys(w.Pending(), "c3/a")
}

// A third copy has what was written last at the former primary before the new one does. A pass over it
// ends, and comes again: the bucket is not stopped, and no write goes back.
func TestThirdCopiesAwaitTheCarryOver(t *testing.T) {
	t.Parallel()
	var keys []string
	for i := range object.Doubtful {
		keys = append(keys, fmt.Sprintf("k%02d", i))
	}
	for name, begins := range map[string]catalog.CopyState{"scan": catalog.CopySynced, "first sync": catalog.CopySyncing} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.synced(keys...)
			w.Rows(w.Row("c1"), w.Row("c2"), copyOf("c3", catalog.CopyWaiting))
			w.Must(w.Syncer.Sync(t.Context(), at("c3")))
			for _, k := range keys {
				w.Fakes["c1"].User(bkt, k, "written last")
				_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, k, "c3"), Size: -1})
				w.Must(err)
			}
			former, next, third := w.Row("c1"), w.Row("c2"), w.Row("c3")
			former.Primary, former.FormerPrimary, next.Primary, third.State = false, true, true, begins
			w.Rows(former, next, third)
			pass := func() error {
				if begins == catalog.CopySyncing {
					return w.Syncer.Sync(t.Context(), at("c3"))
				}
				return w.Scanner.Scan(t.Context(), at("c3"))
			}
			w.WantErr(pass(), object.ErrNotYet)
			if w.Row("c2").Stopped {
				t.Fatal("the bucket is stopped")
			}
			w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
			w.Must(pass())
			if w.Row("c2").Stopped {
				t.Error("the bucket is stopped")
			}
			for _, c := range []string{"c2", "c3"} {
				for _, k := range keys {
					if got := w.Fakes[c].Contents(bkt)[k]; got != "written last" {
						t.Errorf("%s has %q of %s", c, got, k)
					}
				}
			}
		})
	}
}

// An object that the policy does not allow at the new primary stays, and is reported.
func TestCarryOverForbidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.formerly("a")
	w.Fakes["c1"].User(bkt, "late", "x")
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}, Prefer: []string{"c1"}})
	w.Must(w.Carrier.CarryOver(t.Context(), bkt, "c1"))
	if _, there := w.Fakes["c2"].Contents(bkt)["late"]; there {
		t.Error("it was copied to where it must not be")
	}
	w.WantKeys(w.Pending(), "c1/late")
}

// Rows that were written anywhere become the primary's again once everything is compared.
func TestConverge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	anywhere := func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			rows[i].Anywhere = true
		}
		return rows, nil
	}
	w.Must(w.Copies.Update(t.Context(), bkt, anywhere))
	rows, err := w.Store.Catalogue().CopiesOf(t.Context(), bkt)
	w.Must(err)
	if !MustConverge(w.Ctl.Router().Snapshot(), rows) {
		t.Fatal("the policy says otherwise, and nothing is to be done")
	}
	clocks := map[string]time.Time{}
	w.WantErr(w.Converger.onlyPrimary(t.Context(), bkt, clocks), object.ErrChanged) // c2 was not compared
	clocks["c2"] = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	w.Must(w.Converger.onlyPrimary(t.Context(), bkt, clocks))
	if c := w.Row("c2"); c.Anywhere || !c.OwnedUntil.Equal(clocks["c2"]) {
		t.Errorf("the copy's row is %+v", c)
	}
	if w.Row("c1").Anywhere {
		t.Error("the primary counts as written anywhere")
	}

	w.Must(w.Copies.Update(t.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		rows[copyrows.Index(rows, "", "c2")].State = catalog.CopyDraining
		return anywhere(rows)
	}))
	w.WantErr(w.Converger.Converge(t.Context(), bkt), object.ErrNotYet) // it leaves
}

// pendingRows is a control that knows of one backlog only, until it is done.
type pendingRows struct {
	Control
	backlog state.Backlog
	done    atomic.Bool
}

func (p *pendingRows) Store() state.Store { return onlyBacklogs{pending: p} }

type onlyBacklogs struct {
	state.Store
	pending *pendingRows
}

func (b onlyBacklogs) Queue() state.Queue { return onlyBacklogsQueue{of: b} }

type onlyBacklogsQueue struct {
	state.Queue
	of onlyBacklogs
}

func (b onlyBacklogsQueue) Backlogs(context.Context, ...string) ([]state.Backlog, error) {
	if b.of.pending.done.Load() {
		return nil, nil
	}
	return []state.Backlog{b.of.pending.backlog}, nil
}

func TestAwaitSettled(t *testing.T) {
	t.Parallel()
	const patience = 5 * time.Second
	for name, tt := range map[string]struct {
		oldest  time.Duration // after the scan began
		failing int64
		signal  bool // that the backlog is gone after a second
		took    time.Duration
		want    error
	}{
		"what is pending is done":       {signal: true, took: time.Second},
		"only newer rows are left":      {oldest: time.Second, took: patience},
		"rows of before are left":       {oldest: -time.Second, took: patience, want: object.ErrNotYet},
		"newer rows that fail are left": {oldest: time.Second, failing: 1, took: patience, want: object.ErrNotYet},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				p := &pendingRows{backlog: state.Backlog{Cluster: "c2", Objects: 1, Failing: tt.failing, Oldest: began.Add(tt.oldest)}}
				changed := make(chan struct{})
				m := New(Options{
					Control: p, Now: time.Now, Timing: Timing{Patience: patience},
					Hooks: Hooks{Changed: func(string) <-chan struct{} { return changed }},
				}).Mover
				if tt.signal {
					time.AfterFunc(time.Second, func() {
						p.done.Store(true)
						close(changed)
					})
				}
				if err := m.awaitSettled(t.Context(), bkt, "c2", began); !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				if took := time.Since(began); took < tt.took || took >= tt.took+2*rarely {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// A move that can't end, because the target fails to take an object, compares nothing again.
func TestMoveWaitsForFailingObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{
		Bucket: bkt, Key: "b", Cluster: "c2", Since: time.Now(), Attempts: 1, NextAttempt: time.Now().Add(time.Hour), Error: "refused",
	}))
	lists := 0
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			lists++
		}
		return nil
	})
	w.WantErr(w.Mover.MovePrimary(t.Context(), bkt, "c2"), object.ErrNotYet)
	if lists > 0 {
		t.Errorf("the primary was listed %d times", lists)
	}
}
