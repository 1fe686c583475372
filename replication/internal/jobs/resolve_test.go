package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// conflicted is a bucket whose copy in c2 has another object under "differs", written later, and
// one that the primary lacks, both someone else's.
func conflicted(t *testing.T, prepare ...func(*world)) *world {
	t.Helper()
	w := newWorld(t)
	for _, f := range prepare {
		f(w)
	}
	w.Fakes["c1"].User(bkt, "differs", "ours")
	for range 3 { // each write is later than the one before
		w.Fakes["c2"].User(bkt, "differs", "theirs")
	}
	w.Fakes["c2"].User(bkt, "extra", "only theirs")
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	w.Must(w.walks.Syncer.Sync(t.Context(), at("c2")))
	w.Must(w.walks.Scanner.Scan(t.Context(), at("c2")))
	if n := w.held(state.HoldConflict); n != 2 {
		t.Fatalf("%d conflicts: %+v", n, w.Pending())
	}
	return w
}

func (w *world) resolve(v Verdict) Resolution {
	w.Helper()
	res, err := w.Decisions.Resolve(w.Context(), bkt, v)
	w.Must(err)
	return res
}

// What is in conflict is listed with what each side has, the primary first; a storage that can't be
// asked is left out.
func TestConflicts(t *testing.T) {
	t.Parallel()
	w := conflicted(t)
	list, more, err := w.Decisions.Conflicts(t.Context(), bkt, "", 100)
	w.Must(err)
	if len(list) != 2 || more || list[0].Key != "differs" || list[0].Reason == "" || list[1].Key != "extra" {
		t.Fatalf("listed are %+v", list)
	}
	if c := list[0].Copies; len(c) != 2 || c[0].Cluster != "c1" || c[0].Size != 4 || c[1].Cluster != "c2" || c[1].Size != 6 || c[0].ETag == c[1].ETag || c[1].LastModified.IsZero() {
		t.Errorf("differs: %+v", c)
	}
	if c := list[1].Copies; len(c) != 1 || c[0].Cluster != "c2" {
		t.Errorf("extra: %+v", c)
	}
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "stat" {
			return storage.ErrDenied
		}
		return nil
	})
	if list, more, err = w.Decisions.Conflicts(t.Context(), bkt, "", 1); err != nil || !more || len(list) != 1 || list[0].Key != "differs" || len(list[0].Copies) != 1 {
		t.Errorf("listed are %+v, %v", list, err)
	}
	if list, more, err = w.Decisions.Conflicts(t.Context(), bkt, "differs", 1); err != nil || more || len(list) != 1 || list[0].Key != "extra" {
		t.Errorf("behind the first are %+v, %v, %v", list, more, err)
	}
	if list, more, err = w.Decisions.Conflicts(t.Context(), bkt, "extra", 1); err != nil || more || len(list) != 0 {
		t.Errorf("behind the last are %+v, %v, %v", list, more, err)
	}
	_, _, err = w.Decisions.Conflicts(t.Context(), "nobody", "", 1)
	w.wantNotFound(err)
}

// Where an object would be lost nothing changes, and the refusal says so.
func TestResolveRefusesToDestroy(t *testing.T) {
	t.Parallel()
	for _, winner := range []string{"c1", "c2", WinnerNewest} {
		t.Run(winner, func(t *testing.T) {
			t.Parallel()
			w := conflicted(t)
			res := w.resolve(Verdict{Key: "differs", Winner: winner})
			if res.Resolved != 0 || res.RefusedTotal != 1 || !res.Refused[0].Lossy || !strings.Contains(res.Refused[0].Reason, "would be lost") {
				t.Errorf("%+v", res)
			}
			if a, b := w.Fakes["c1"].Contents(bkt)["differs"], w.Fakes["c2"].Contents(bkt)["differs"]; a != "ours" || b != "theirs" {
				t.Errorf("c1 has %q, c2 %q", a, b)
			}
			if w.held(state.HoldConflict) != 2 {
				t.Errorf("pending are %+v", w.Pending())
			}
			w.wantCalls()
		})
	}
}

// Taking over an object where there is none loses nothing.
func TestResolveTakesOver(t *testing.T) {
	t.Parallel()
	w := conflicted(t)
	if res := w.resolve(Verdict{Key: "extra", Winner: "c2"}); res.Resolved != 1 || res.RefusedTotal != 0 {
		t.Errorf("%+v", res)
	}
	if got := w.Fakes["c1"].Contents(bkt)["extra"]; got != "only theirs" {
		t.Errorf("the primary has %q", got)
	}
	if o, err := w.Site("c2").Stat(t.Context(), bkt, "extra"); err != nil || !o.Replica {
		t.Errorf("the copy is not FaDO's: %+v, %v", o, err)
	}
	if w.held(state.HoldConflict) != 1 {
		t.Errorf("pending are %+v", w.Pending())
	}
	w.wantCalls("scan " + bkt)
}

// With the word that it may go, the loser goes, whichever it is.
func TestResolveDiscards(t *testing.T) {
	t.Parallel()
	for winner, want := range map[string]map[string]string{
		"c1": {"differs": "ours"}, "c2": {"differs": "theirs", "extra": "only theirs"}, WinnerNewest: {"differs": "theirs", "extra": "only theirs"},
	} {
		t.Run(winner, func(t *testing.T) {
			t.Parallel()
			w := conflicted(t)
			if res := w.resolve(Verdict{Winner: winner, Discard: true}); res.Resolved != 2 || res.RefusedTotal != 0 {
				t.Errorf("%+v", res)
			}
			w.WantSame("c1", "c2")
			if got := w.Fakes["c1"].Contents(bkt); !maps.Equal(got, want) {
				t.Errorf("the primary has %q", got)
			}
			if w.held(state.HoldConflict) != 0 {
				t.Errorf("pending are %+v", w.Pending())
			}
		})
	}
}

// Where the storages keep versions the loser stays as one.
func TestResolveKeepsTheLoser(t *testing.T) {
	t.Parallel()
	for winner, loser := range map[string]string{"c1": "c2", "c2": "c1"} {
		t.Run(winner, func(t *testing.T) {
			t.Parallel()
			w := conflicted(t, (*world).KeepTimes)
			lost := w.Fakes[loser].Contents(bkt)["differs"]
			if res := w.resolve(Verdict{Key: "differs", Winner: winner}); res.Resolved != 1 {
				t.Fatalf("%+v", res)
			}
			if got := w.Fakes[loser].Bodies(bkt, "differs"); !slices.Contains(got, lost) {
				t.Errorf("%s has only %q", loser, got)
			}
			if a, b := w.Fakes["c1"].Contents(bkt)["differs"], w.Fakes["c2"].Contents(bkt)["differs"]; a != b || a == lost {
				t.Errorf("c1 has %q, c2 %q", a, b)
			}
		})
	}
}

// Why an object would be lost, storage by storage.
func TestWhyLost(t *testing.T) {
	t.Parallel()
	for kept, want := range map[versionsKept]string{
		versionsOn: "", versionsOff: "switched off", versionsUnsupported: "the storage keeps no versions", versionsNotOfKey: "end in /",
	} {
		if why := kept.why("c2"); !strings.Contains(why, want) || (why == "") != (want == "") || want != "" && !strings.Contains(why, "c2") {
			t.Errorf("%d: %q", kept, why)
		}
	}
	w := newWorld(t)
	r := &resolver{o: &w.o, bucket: bkt, versions: make(map[string]versionsKept)}
	if kept, err := r.keepsVersions(t.Context(), w.Site("c1"), "folder/"); err != nil || kept != versionsNotOfKey {
		t.Errorf("of a folder: %v, %v", kept, err)
	}
}

// What was written after the resolution looked is not destroyed, and stays a conflict.
func TestResolveLosesTheRace(t *testing.T) {
	t.Parallel()
	w := conflicted(t)
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" {
			w.Fakes["c2"].SetFault(nil)
			w.Fakes["c2"].User(bkt, "differs", "written meanwhile")
		}
		return nil
	})
	if res := w.resolve(Verdict{Key: "differs", Winner: "c1", Discard: true}); res.Resolved != 0 || res.RefusedTotal != 1 || res.Refused[0].Lossy {
		t.Errorf("%+v", res)
	}
	if got := w.Fakes["c2"].Contents(bkt)["differs"]; got != "written meanwhile" || w.held(state.HoldConflict) != 2 {
		t.Errorf("c2 has %q, pending are %+v", got, w.Pending())
	}
}

// Rubbish is refused, and everything while the work does not go on.
func TestResolveRefusals(t *testing.T) {
	t.Parallel()
	w := conflicted(t)
	for _, tc := range []struct {
		bucket string
		v      Verdict
		want   error
	}{
		{bkt, Verdict{Winner: "c9"}, ErrBadWinner},
		{bkt, Verdict{Winner: ""}, ErrBadWinner},
	} {
		_, err := w.Decisions.Resolve(t.Context(), tc.bucket, tc.v)
		w.WantErr(err, tc.want)
	}
	_, err := w.Decisions.Resolve(t.Context(), "nobody", Verdict{Winner: "c1"})
	w.wantNotFound(err)
	_, err = w.Decisions.Resolve(t.Context(), bkt, Verdict{Winner: "c1", Key: "other"})
	w.wantNotFound(err)
	w.off = true
	_, err = w.Decisions.Resolve(t.Context(), bkt, Verdict{Winner: "c1", Discard: true})
	w.WantErr(err, errOff)
	if n := w.held(state.HoldConflict); n != 2 {
		t.Errorf("%d conflicts are left", n)
	}
}

// A winner that has no object, or is not concerned, wins nothing.
func TestResolveWithoutWinner(t *testing.T) {
	t.Parallel()
	w := conflicted(t)
	w.AddRow(copyOf("c3", catalog.CopySynced))
	w.Fakes["c2"].UserDelete(bkt, "differs")
	res := w.resolve(Verdict{Key: "differs", Winner: "c3", Discard: true})
	if res.Resolved != 0 || !strings.Contains(res.Refused[0].Reason, "not about c3's object") {
		t.Errorf("%+v", res)
	}
	res = w.resolve(Verdict{Key: "differs", Winner: "c2", Discard: true})
	if res.Resolved != 0 || !strings.Contains(res.Refused[0].Reason, "nothing there can win") {
		t.Errorf("%+v", res)
	}
	if got := w.Fakes["c1"].Contents(bkt)["differs"]; got != "ours" {
		t.Errorf("the primary has %q", got)
	}
}

// A conflict is not resolved by what another bucket has than those that were compared, nor while
// the primary moves, nor by a storage that can't be asked.
func TestResolveAsksWhereItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *world)
		why    string
	}{
		"another bucket at the primary": {func(w *world) { w.swapped("c1") }, "c1"},
		"another bucket at the copy":    {func(w *world) { w.swapped("c2") }, "c2"},
		"the primary has just moved": {func(w *world) {
			w.AddRow(copyOf("c3", catalog.CopySynced))
			w.SetState("c3", catalog.CopySynced)
			w.amend("c3", func(c *state.Copy) { c.FormerPrimary = true })
		}, guard.ErrMoving.Error()},
		"a storage that can't be asked": {func(w *world) {
			w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
				if op == "stat" {
					return storage.ErrDenied
				}
				return nil
			})
		}, "asking c2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := conflicted(t)
			c.change(w)
			res := w.resolve(Verdict{Winner: "c2", Discard: true})
			if res.Resolved != 0 || res.RefusedTotal != 2 || !strings.Contains(res.Refused[0].Reason, c.why) {
				t.Errorf("%+v", res)
			}
			if got := w.Fakes["c1"].Contents(bkt); !maps.Equal(got, map[string]string{"differs": "ours"}) {
				t.Errorf("the primary has %q", got)
			}
		})
	}
}

// However many there are, every conflict is resolved once, those at the ends of pages too.
func TestResolveAll(t *testing.T) {
	t.Parallel()
	const keys = resolveBatch // of two rows each, but for one: a page ends within a key
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySynced), copyOf("c3", catalog.CopySynced))
	var rows []state.Pending
	for i := range keys {
		key := fmt.Sprintf("k%04d", i)
		w.Fakes["c1"].User(bkt, key, key)
		for _, c := range []string{"c2", "c3"}[:min(2, i+1)] {
			rows = append(rows, state.Pending{Bucket: bkt, Key: key, Cluster: c, Since: time.Now(), Hold: state.HoldConflict})
		}
	}
	w.Fakes["c3"].User(bkt, "k0000", "k0000")
	_, err := w.Fakes["c2"].Writer().EnsureBucket(t.Context(), bkt, false)
	w.Must(err)
	w.Must(w.Ctl.Pending.Add(t.Context(), rows...))
	if res := w.resolve(Verdict{Winner: "c1"}); res.Resolved != keys || res.RefusedTotal != 0 {
		t.Errorf("%d of %d: %+v", res.Resolved, keys, res.Refused)
	}
	w.WantSame("c1", "c2")
	w.WantSame("c1", "c3")
	if left, err := w.Store.Queue().BacklogTotal(t.Context()); err != nil || left.Objects != 0 {
		t.Errorf("left are %+v, %v", left, err)
	}
}

// No more refusals are listed than can be read, in order; all are counted.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	r := &resolver{res: &Resolution{}}
	for i := range maxRefused + 7 {
		r.note(fmt.Sprintf("k%05d", maxRefused+7-i), &lossError{[]string{"a", "b"}})
	}
	r.note("fine", nil)
	if r.res.RefusedTotal != maxRefused+7 || len(r.res.Refused) != maxRefused || r.res.Resolved != 1 {
		t.Errorf("%d refused, %d listed", r.res.RefusedTotal, len(r.res.Refused))
	}
	if f := r.res.Refused[0]; !f.Lossy || f.Reason != "a; b" || !slices.IsSortedFunc(r.res.Refused, func(a, b Refusal) int { return strings.Compare(a.Key, b.Key) }) {
		t.Errorf("the first is %+v", f)
	}
}
