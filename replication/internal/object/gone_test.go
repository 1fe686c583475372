package object

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// historied is a world whose storages keep versions with IDs and times.
func historied(tb testing.TB) *world {
	tb.Helper()
	w := newWorld(tb)
	for _, f := range w.fakes {
		f.KeepTimes()
		f.KeepVersions(bkt)
	}
	return w
}

// settleGone settles k in c2 on the word that versions are gone.
func (w *world) settleGone(gone state.VersionIDs) error {
	_, err := w.Settle(w.Context(), Task{Object: inC2, Size: -1, Gone: gone})
	return err
}

// contents are the IDs of the versions of k in a cluster that hold content, newest first.
func (w *world) contents(cluster string) (all []string) {
	w.Helper()
	h, err := w.fakes[cluster].Reader().History(w.Context(), bkt, "k", storage.MaxHistory)
	if err != nil {
		w.Fatal(err)
	}
	for _, v := range h.Versions {
		if !v.Deleted {
			all = append(all, v.VersionID)
		}
	}
	return all
}

// wrote has a user write k at the primary so often, each version settled.
func (w *world) wrote(n int) (versions []string) {
	w.Helper()
	for i := range n {
		w.fakes["c1"].User(bkt, "k", fmt.Sprint("body ", i))
		if err := w.settleGone(""); err != nil {
			w.Fatal(err)
		}
	}
	return w.contents("c1")
}

// A version that the primary's storage told it has removed goes from the copy, the one that is shown as
// well, and the copy shows what the primary shows.
func TestRemovedVersionsGo(t *testing.T) {
	for i := range 3 {
		w := historied(t)
		all := w.wrote(3)
		w.fakes["c1"].RemoveVersion(bkt, "k", all[i])
		if err := w.settleGone(state.VersionIDs(all[i])); err != nil {
			t.Fatal(err)
		}
		if got, want := w.contents("c2"), w.contents("c1"); !slices.Equal(got, want) || len(got) != 2 {
			t.Errorf("without the one at %d the copy has %q, want %q", i, got, want)
		}
		if c1, c2 := w.fakes["c1"].Contents(bkt), w.fakes["c2"].Contents(bkt); !maps.Equal(c1, c2) {
			t.Errorf("the copy shows %q, the primary %q", c2, c1)
		}
	}
	w := historied(t)
	all := w.wrote(3)
	for _, id := range all {
		w.fakes["c1"].RemoveVersion(bkt, "k", id)
	}
	// What is told later is hidden until then, and at every moment.
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if now := w.fakes["c2"].Contents(bkt); len(now) > 0 && now["k"] != "body 2" {
			t.Errorf("before %s the copy shows %q", op, now)
		}
		return nil
	})
	for _, gone := range []state.VersionIDs{state.VersionIDs(all[0]), state.VersionIDs(all[2]).With(state.VersionIDs(all[1]))} {
		if err := w.settleGone(gone); err != nil {
			t.Fatal(err)
		}
		if now := w.fakes["c2"].Contents(bkt); len(now) > 0 {
			t.Errorf("the copy shows %q", now)
		}
	}
	if left := w.contents("c2"); len(left) > 0 {
		t.Errorf("the copy has %q", left)
	}
}

// What nobody told of stays, and so does what is not proved.
func TestVersionsStay(t *testing.T) {
	away := errors.New("away")
	for name, c := range map[string]struct {
		// do is what happens to the oldest version of the primary, which the copy has; it says what is
		// told to be gone.
		do   func(w *world, all []string) state.VersionIDs
		want error
	}{
		"lost, and nobody told": {do: func(w *world, all []string) state.VersionIDs {
			w.fakes["c1"].RemoveVersion(bkt, "k", all[2])
			return ""
		}},
		"lost with another that was removed": {do: func(w *world, all []string) state.VersionIDs {
			w.fakes["c1"].RemoveVersion(bkt, "k", all[2])
			w.fakes["c1"].RemoveVersion(bkt, "k", all[1])
			return state.VersionIDs(all[1])
		}},
		"told, and there": {do: func(_ *world, all []string) state.VersionIDs { return state.VersionIDs(all[2]) }},
		"told, and the primary is not listed whole": {do: func(w *world, all []string) state.VersionIDs {
			w.fakes["c1"].RemoveVersion(bkt, "k", all[2])
			w.fail("c1", "history", away)
			return state.VersionIDs(all[2])
		}, want: away},
		"told, and the primary does not answer for it": {do: func(w *world, all []string) state.VersionIDs {
			w.fakes["c1"].RemoveVersion(bkt, "k", all[2])
			w.fail("c1", "version", away)
			return state.VersionIDs(all[2])
		}, want: away},
		"told, and the breaker holds": {do: func(w *world, all []string) state.VersionIDs {
			w.deletes.Bounds = func() MaxDeletes { return MaxDeletes{Objects: 1} }
			w.rows(func(c2 *state.Copy) { c2.HeldDeletes = true })
			w.fakes["c1"].RemoveVersion(bkt, "k", all[2])
			return state.VersionIDs(all[2])
		}, want: ErrHeld},
		"told, and the primary's bucket was made again": {do: func(w *world, all []string) state.VersionIDs {
			w.fakes["c1"].RemoveVersion(bkt, "k", all[2])
			w.b.mu.Lock()
			w.b.copies[0].At, w.b.copies[0].Born = 1, time.Unix(1, 0)
			w.b.mu.Unlock()
			return state.VersionIDs(all[2])
		}, want: guard.ErrElsewhere},
	} {
		w := historied(t)
		all := w.wrote(3)
		if err := w.settleGone(c.do(w, all)); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if got := w.contents("c2"); !slices.Contains(got, all[2]) {
			t.Errorf("%s: it has gone from the copy, which has %q", name, got)
		}
		if did := w.fakes["c2"].Writes(); slices.Contains(did, "delete "+bkt+"/k "+all[2]) { // and came back
			t.Errorf("%s: the copy did %q", name, did)
		}
	}
}

// What a user wrote at the copy stays, though the primary's storage tells of its ID.
func TestUsersVersionsAtACopyStay(t *testing.T) {
	w := historied(t)
	w.fakes["c2"].Replicate(bkt, "k", "a user's")
	theirs := w.contents("c2")
	w.b.pending[ids.ObjectIn(bkt, "k", "c2")] = state.Pending{}
	w.wrote(2)
	if err := w.settleGone(state.VersionIDs(theirs[0])); err != nil {
		t.Fatal(err)
	}
	if got := w.contents("c2"); !slices.Contains(got, theirs[0]) {
		t.Errorf("the copy has %q, not what the user wrote", got)
	}
}

// Held removals of versions keep no change of the object from the copy.
func TestHeldRemovalsHoldNothingUp(t *testing.T) {
	w := historied(t)
	all := w.wrote(3)
	w.rows(func(c2 *state.Copy) { c2.HeldDeletes = true })
	w.fakes["c1"].RemoveVersion(bkt, "k", all[2])
	w.fakes["c1"].User(bkt, "k", "new")
	wantErr(t, "held", w.settleGone(state.VersionIDs(all[2])), ErrHeld)
	if c1, c2 := w.fakes["c1"].Contents(bkt), w.fakes["c2"].Contents(bkt); !maps.Equal(c1, c2) {
		t.Errorf("the copy shows %q, the primary %q", c2, c1)
	}
	if got := w.contents("c2"); !slices.Contains(got, all[2]) {
		t.Errorf("it has gone from the copy, which has %q", got)
	}
	w.rows(func(*state.Copy) {})
	if err := w.settleGone(state.VersionIDs(all[2])); err != nil {
		t.Fatal(err)
	}
	if got, want := w.contents("c2"), w.contents("c1"); !slices.Equal(got, want) {
		t.Errorf("the copy has %q, want %q", got, want)
	}
}

// Whatever users do at the primary, whatever goes there without a word, and in whichever batches FaDO
// hears of it: what goes from the copy is what its storage told of, all of that goes in the end, and
// the copy shows what the primary shows.
func TestOnlyWhatIsToldGoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := historied(t)
		var told state.VersionIDs
		lost, everTold := map[string]bool{}, map[string]bool{}
		for i := range rapid.IntRange(1, 14).Draw(rt, "steps") {
			all := w.contents("c1")
			switch step := rapid.SampledFrom([]string{"write", "write", "delete", "remove", "remove", "lose", "settle"}).Draw(rt, "step"); {
			case step == "write":
				w.fakes["c1"].User(bkt, "k", fmt.Sprint("body ", i))
			case step == "delete":
				w.fakes["c1"].UserDelete(bkt, "k")
			case step == "settle":
				if err := w.settleGone(told); err != nil {
					rt.Fatal(err)
				}
				told = ""
			case len(all) == 0:
			case step == "remove":
				id := rapid.SampledFrom(all).Draw(rt, "version")
				w.fakes["c1"].RemoveVersion(bkt, "k", id)
				told, everTold[id] = told.With(state.VersionIDs(id)), true
			default:
				id := rapid.SampledFrom(all).Draw(rt, "version")
				if slices.Contains(w.contents("c2"), id) {
					lost[id] = true
				}
				w.fakes["c1"].RemoveVersion(bkt, "k", id)
			}
			for id := range lost {
				if !slices.Contains(w.contents("c2"), id) {
					rt.Fatalf("version %s went, and nobody told of it", id)
				}
			}
		}
		if err := w.settleGone(told); err != nil {
			rt.Fatal(err)
		}
		if c1, c2 := w.fakes["c1"].Contents(bkt), w.fakes["c2"].Contents(bkt); c1["k"] != c2["k"] {
			rt.Fatalf("the copy shows %q, the primary %q", c2, c1)
		}
		for _, id := range w.contents("c2") {
			if everTold[id] {
				rt.Fatalf("version %s was removed from the primary, and is at the copy", id)
			}
		}
	})
}
