package jobs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

const lost = 6 // objects of a bucket that the breaker holds the deletes of

// breaking is a bucket of ten objects whose primary lost six of them; the breaker holds the deletes
// in c2.
func breaking(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.World.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 2, Percent: 10} }
	w.synced(walktest.Keys(10)...)
	w.Fakes["c1"].Lose(bkt, walktest.Keys(lost)...)
	w.Must(w.walks.Scanner.Scan(t.Context(), at("c2")))
	for _, r := range w.Pending() { // as workers do
		_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, r.Key, r.Cluster), Size: r.Size})
		w.WantErr(err, object.ErrHeld)
		r.Hold = state.HoldDeletes
		w.Must(w.Ctl.Pending.Fail(t.Context(), r))
	}
	if n := w.held(state.HoldDeletes); n != lost || !w.Row("c2").HeldDeletes {
		t.Fatalf("%d deletes are held: %+v", n, w.Row("c2"))
	}
	return w
}

func (w *world) decide(apply bool) int {
	w.Helper()
	n, err := w.Decisions.Deletes(w.Context(), bkt, apply)
	w.Must(err)
	return n
}

// wantObjects fails the test unless the primary and the copy have so many.
func (w *world) wantObjects(c1, c2 int) {
	w.Helper()
	if a, b := len(w.Fakes["c1"].Contents(bkt)), len(w.Fakes["c2"].Contents(bkt)); a != c1 || b != c2 {
		w.Errorf("c1 has %d objects, c2 %d, want %d and %d", a, b, c1, c2)
	}
}

func TestMaxDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.World.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 7, Percent: 3} }
	if m := w.Decisions.MaxDeletes(); m.Objects != 7 || m.Percent != 3 {
		t.Errorf("in force are %+v", m)
	}
}

// Deletes that people confirm are made by whichever instance comes to them.
func TestConfirm(t *testing.T) {
	t.Parallel()
	w := breaking(t)
	if n := w.decide(true); n != lost {
		t.Errorf("confirmed %d", n)
	}
	if len(w.asked) != 1 || w.asked[0].Allow != lost || w.asked[0].Copy != at("c2") || w.asked[0].Bucket != bkt {
		t.Errorf("the others are asked for %+v", w.asked)
	}
	if w.held(state.HoldDeletes) != 0 || w.Row("c2").HeldDeletes {
		t.Errorf("held are %+v", w.Pending())
	}
	w.wantObjects(10-lost, 10)
	w.Settle()
	w.wantObjects(10-lost, 10-lost)
}

// Of a copy that is being removed all may go.
func TestConfirmOfALeavingCopy(t *testing.T) {
	t.Parallel()
	w := breaking(t)
	w.amend("c2", func(c *state.Copy) { c.State, c.Objects = catalog.CopyRemoving, 40 })
	w.decide(true)
	if len(w.asked) != 1 || w.asked[0].Allow != lost+40 {
		t.Errorf("the others are asked for %+v", w.asked)
	}
}

// Deletes that people reject are undone: the primary gets its objects back.
func TestReject(t *testing.T) {
	t.Parallel()
	w := breaking(t)
	w.World.Deletes.Allow(at("c2"), 100) // of an earlier decision
	if n := w.decide(false); n != lost {
		t.Errorf("settled %d", n)
	}
	w.wantObjects(10, 10)
	w.WantSame("c1", "c2")
	if w.held(state.HoldDeletes) != 0 || w.Row("c2").HeldDeletes {
		t.Errorf("held are %+v", w.Pending())
	}
	if len(w.asked) != 1 || w.asked[0].Allow >= 0 || w.asked[0].Copy != at("c2") {
		t.Errorf("the others are asked for %+v", w.asked)
	}
	let := 0
	for w.World.Deletes.Take(t.Context(), at("c2"), state.Copy{Objects: 1}) && let <= 2 {
		let++
	}
	if let > 2 {
		t.Error("what was confirmed earlier lets deletes through that people rejected")
	}
}

// What is at the primary is not overwritten, and the copy, which has what was there before, is no hit until it has
// been compared, though no event tells of the write.
func TestRejectOverwritesNothing(t *testing.T) {
	t.Parallel()
	key := walktest.Keys(1)[0]
	for name, write := range map[string]func(w *world){
		"before the decision": func(w *world) { w.Fakes["c1"].User(bkt, key, "written meanwhile") },
		"after the primary was asked": func(w *world) {
			var once sync.Once
			w.Fakes["c1"].SetFault(func(_ context.Context, op, _, of string) error {
				if op == "put" && of == key {
					once.Do(func() { w.Fakes["c1"].User(bkt, key, "written meanwhile") })
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := breaking(t)
			write(w)
			if n := w.decide(false); n != lost {
				t.Errorf("settled %d", n)
			}
			if got := w.Fakes["c1"].Contents(bkt)[key]; got != "written meanwhile" {
				t.Errorf("the primary has %q", got)
			}
			w.wantObjects(10, 10)
			w.WantKeys(w.Pending(), "c2/"+key)
			if w.held(state.HoldDeletes) != 0 || w.Ctl.Router().Current(bkt, key, "c2") {
				t.Errorf("the copy counts as current, or is held: %+v", w.Pending())
			}
			w.Settle()
			w.WantSame("c1", "c2")
		})
	}
}

// What is gone on both sides needs no comparison.
func TestRejectOfWhatIsGone(t *testing.T) {
	t.Parallel()
	w := breaking(t)
	w.Fakes["c2"].Lose(bkt, walktest.Keys(1)...)
	if n := w.decide(false); n != lost {
		t.Errorf("settled %d", n)
	}
	w.wantObjects(9, 9)
	w.WantKeys(w.Pending())
}

// breakingBehind is a bucket of ten objects whose primary lost six of them that had been written again; the breaker
// holds the deletes in c2 and c3, one of which was away and has the bodies from before.
func breakingBehind(t *testing.T, behind string) *world {
	t.Helper()
	w := newWorld(t)
	w.World.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 2, Percent: 10} }
	w.synced(walktest.Keys(10)...)
	w.AddRow(copyOf("c3", catalog.CopyWaiting))
	w.Must(w.walks.Syncer.Sync(t.Context(), at("c3")))
	current := map[string]string{"c2": "c3", "c3": "c2"}[behind]
	for _, k := range walktest.Keys(lost) {
		w.Fakes["c1"].User(bkt, k, "the last body of "+k)
		_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, k, current)})
		w.Must(err)
	}
	w.Fakes["c1"].Lose(bkt, walktest.Keys(lost)...)
	for _, c := range []string{"c2", "c3"} {
		w.Must(w.walks.Scanner.Scan(t.Context(), at(c)))
	}
	for _, r := range w.Pending() { // as workers do
		_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, r.Key, r.Cluster), Size: r.Size})
		w.WantErr(err, object.ErrHeld)
		r.Hold = state.HoldDeletes
		w.Must(w.Ctl.Pending.Fail(t.Context(), r))
	}
	if n := w.held(state.HoldDeletes); n != 2*lost {
		t.Fatalf("%d deletes are held", n)
	}
	return w
}

// Of several copies' objects the one that users wrote last comes back, whichever copy's row is first, and
// the copies that are behind are no hits until they have it.
func TestRejectGivesTheNewestBack(t *testing.T) {
	t.Parallel()
	for _, behind := range []string{"c2", "c3"} {
		t.Run(behind+" is behind", func(t *testing.T) {
			t.Parallel()
			w := breakingBehind(t, behind)
			if n := w.decide(false); n != 2*lost {
				t.Errorf("settled %d", n)
			}
			for _, k := range walktest.Keys(lost) {
				if got := w.Fakes["c1"].Contents(bkt)[k]; got != "the last body of "+k {
					t.Errorf("the primary has %q of %s", got, k)
				}
				if w.Ctl.Router().Current(bkt, k, behind) {
					t.Errorf("%s counts as current for %s", behind, k)
				}
			}
			if n := len(w.Pending()); n != lost || w.held(state.HoldDeletes) != 0 {
				t.Errorf("pending are %+v", w.Pending())
			}
			w.Settle()
			w.WantSame("c1", "c2")
			w.WantSame("c1", "c3")
		})
	}
}

// Times in whole seconds, as a HEAD tells them, do not make an older object the newer one.
func TestNewestWithinASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySynced), copyOf("c3", catalog.CopySynced))
	second := time.Now().Truncate(time.Second)
	var cs []*candidate
	for _, c := range []string{"c3", "c2"} {
		w.Fakes[c].User(bkt, "k", "in "+c)
		if c == "c2" {
			w.Fakes[c].User(bkt, "k", "later, by the clocks of storages in memory")
		}
		got, err := w.o.candidate(t.Context(), bkt, c, "k")
		w.Must(err)
		got.row, got.obj.LastModified = state.Pending{Bucket: bkt, Key: "k", Cluster: c}, second
		cs = append(cs, got)
	}
	for name, tc := range map[string]struct {
		c3, c2 time.Duration // when users wrote it, as its copy tells
		want   string
	}{
		"seconds and a fraction": {500 * time.Millisecond, 0, "c2"},
		"seconds":                {0, 0, "c2"},
		"fractions":              {500 * time.Millisecond, 400 * time.Millisecond, "c3"},
		"another second":         {time.Second, 0, "c3"},
	} {
		cs[0].obj.Source.ModTime, cs[1].obj.Source.ModTime = second.Add(tc.c3), second.Add(tc.c2)
		for range 2 {
			if got := newestOf(t.Context(), cs).site.Name(); got != tc.want {
				t.Errorf("%s: the newest is that of %s, want %s", name, got, tc.want)
			}
			slices.Reverse(cs)
		}
	}
}

// Nothing is given back while a copy can't be asked that may have what users wrote last.
func TestRejectAsksEveryCopy(t *testing.T) {
	t.Parallel()
	w := breakingBehind(t, "c2")
	w.Fakes["c3"].SetFault(walktest.Refusing(storage.ErrDenied, "stat"))
	n, err := w.Decisions.Deletes(t.Context(), bkt, false)
	w.WantErr(err, storage.ErrDenied)
	if n != 0 || w.held(state.HoldDeletes) != 2*lost {
		t.Errorf("settled %d, held are %+v", n, w.Pending())
	}
	w.wantObjects(10-lost, 10)
	w.Fakes["c3"].SetFault(nil)
	w.decide(false)
	w.Settle()
	w.WantSame("c1", "c3")
	w.WantSame("c2", "c3")
}

// The rows of a key are decided together, also where they are on two pages of the store.
func TestRejectAcrossPages(t *testing.T) {
	t.Parallel()
	w := breakingBehind(t, "c2")
	for i := range rejectBatch - 1 { // rows before the others, of keys that are in step
		k := fmt.Sprintf("a%03d", i)
		w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: k, Cluster: "c2", Since: time.Now()}))
	}
	w.decide(false)
	for _, k := range walktest.Keys(lost) {
		if got := w.Fakes["c1"].Contents(bkt)[k]; got != "the last body of "+k {
			t.Errorf("the primary has %q of %s", got, k)
		}
	}
}

// Where anywhere is written, too, what users wrote last comes back, and wins everywhere.
func TestAnywhereRejectGivesTheNewestBack(t *testing.T) {
	t.Parallel()
	for _, behind := range []string{"c2", "c3"} {
		t.Run(behind+" is behind", func(t *testing.T) {
			t.Parallel()
			w := anywhereBehind(t, behind)
			if n := w.decide(false); n != 2*lost {
				t.Errorf("settled %d", n)
			}
			for range 2 { // what settles one key may raise rows of it elsewhere
				_ = w.TryAll()
			}
			for _, k := range walktest.Keys(lost) {
				for _, c := range []string{"c1", "c2", "c3"} {
					if got := w.Fakes[c].Contents(bkt)[k]; got != "the last body" {
						t.Errorf("%s shows %q of %s; versions %q", c, got, k, w.Fakes[c].Bodies(bkt, k))
					}
				}
			}
		})
	}
}

// A cluster that can't be asked, and whose delete is held, keeps the key held there, too.
func TestAnywhereRejectAsksEveryCopy(t *testing.T) {
	t.Parallel()
	w := anywhereBehind(t, "c2")
	w.Fakes["c3"].SetFault(walktest.Refusing(storage.ErrDenied, "version"))
	n, err := w.Decisions.Deletes(t.Context(), bkt, false)
	w.WantErr(err, storage.ErrDenied)
	if n != 0 || w.held(state.HoldDeletes) != 2*lost {
		t.Errorf("settled %d, held are %+v", n, w.Pending())
	}
	if got := w.Fakes["c1"].Contents(bkt); len(got) != 0 {
		t.Errorf("given back are %q", got)
	}
}

// anywhereBehind is a bucket that is written anywhere: its objects were written again and deleted in c1, and the
// breaker holds the deletes in c2 and c3, one of which was away and has the bodies from before.
func anywhereBehind(t *testing.T, behind string) *world {
	t.Helper()
	w := newWorld(t)
	w.KeepTimes()
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 3}, Writes: catalog.WritesAnywhere})
	keys := walktest.Keys(lost)
	for _, k := range keys {
		w.Fakes["c1"].User(bkt, k, "first")
	}
	rows := []state.Copy{primary("c1"), copyOf("c2", catalog.CopyWaiting), copyOf("c3", catalog.CopyWaiting)}
	for i := range rows {
		rows[i].Anywhere = true
	}
	w.Rows(rows...)
	for _, c := range []string{"c2", "c3"} {
		w.Must(w.walks.Syncer.Sync(t.Context(), at(c)))
	}
	w.Settle()
	current := map[string]string{"c2": "c3", "c3": "c2"}[behind]
	for _, k := range keys {
		w.Fakes["c1"].User(bkt, k, "the last body")
		_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, k, current), Size: -1})
		w.Must(err)
		w.Fakes["c1"].UserDelete(bkt, k)
	}
	for _, c := range []string{"c2", "c3"} {
		w.amend(c, func(c *state.Copy) { c.HeldDeletes = true })
		for _, k := range keys {
			w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: k, Cluster: c, Since: time.Now(), Hold: state.HoldDeletes}))
		}
	}
	return w
}

// A rejection that is cut keeps the hold, and the same call resumes it.
func TestRejectResumes(t *testing.T) {
	t.Parallel()
	w := breaking(t)
	bad := walktest.Keys(3)[2]
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, key string) error {
		if op == "put" && key == bad {
			return storage.ErrDenied
		}
		return nil
	})
	n, err := w.Decisions.Deletes(t.Context(), bkt, false)
	w.WantErr(err, storage.ErrDenied)
	if n != lost-1 || w.held(state.HoldDeletes) != 1 || !w.Row("c2").HeldDeletes {
		t.Errorf("settled %d, held are %+v", n, w.Pending())
	}
	w.Fakes["c1"].SetFault(nil)
	if n := w.decide(false); n != 1 || w.Row("c2").HeldDeletes {
		t.Errorf("settled %d, %+v", n, w.Row("c2"))
	}
	w.WantSame("c1", "c2")
}

// A storage that hiccups is asked again.
func TestRejectTriesAgain(t *testing.T) {
	t.Parallel()
	w := breaking(t)
	failed := make(chan string, 1)
	failed <- ""
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, key string) error {
		if op != "put" {
			return nil
		}
		select {
		case <-failed:
			return fmt.Errorf("a hiccup: %w", storage.ErrUnavailable)
		default:
			return nil
		}
	})
	if n := w.decide(false); n != lost {
		t.Errorf("settled %d", n)
	}
	w.wantObjects(10, 10)
}

// Rows that no worker has come to yet are settled with those that are held, if they are deletes.
func TestRejectLooksAtWhatIsPending(t *testing.T) {
	t.Parallel()
	w := breaking(t)
	keys := walktest.Keys(10)
	w.Fakes["c1"].Lose(bkt, keys[8])
	w.Fakes["c1"].User(bkt, keys[9], "a newer one")
	for _, k := range keys[8:] {
		w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: k, Cluster: "c2", Since: time.Now()}))
	}
	if n := w.decide(false); n != lost+1 {
		t.Errorf("settled %d", n)
	}
	if got := w.Fakes["c1"].Contents(bkt); got[keys[8]] != "body of "+keys[8] || got[keys[9]] != "a newer one" {
		t.Errorf("the primary has %q", got)
	}
	if got := w.Fakes["c2"].Contents(bkt)[keys[8]]; got == "" {
		t.Error("the copy's object is gone")
	}
}

// Deletes count as held in a cluster although the mark of its copy could not be stored.
func TestUnmarkedDeletesAreHeld(t *testing.T) {
	t.Parallel()
	for _, apply := range []bool{true, false} {
		t.Run(fmt.Sprint("confirmed: ", apply), func(t *testing.T) {
			t.Parallel()
			w := breaking(t)
			w.amend("c2", func(c *state.Copy) { c.HeldDeletes = false })
			if n := w.decide(apply); n != lost || len(w.asked) != 1 || w.asked[0].Copy != at("c2") {
				t.Errorf("decided %d, the others are asked for %+v", n, w.asked)
			}
		})
	}
}

// Nothing is given back to, or from, another bucket than was compared, nor while the primary moves.
func TestRejectAsksWhereItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *world)
		want   error
	}{
		"another bucket at the primary": {func(w *world) { w.swapped("c1") }, guard.ErrElsewhere},
		"another bucket at the copy":    {func(w *world) { w.swapped("c2") }, guard.ErrElsewhere},
		"the primary has just moved": {func(w *world) {
			w.AddRow(copyOf("c3", catalog.CopySynced))
			w.amend("c3", func(c *state.Copy) { c.FormerPrimary = true })
		}, guard.ErrMoving},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := breaking(t)
			c.change(w)
			n, err := w.Decisions.Deletes(t.Context(), bkt, false)
			w.WantErr(err, c.want)
			if n != 0 || w.held(state.HoldDeletes) != lost {
				t.Errorf("settled %d, held are %+v", n, w.Pending())
			}
			w.wantObjects(10-lost, 10)
		})
	}
}

// Others that can't be told of a decision are not left behind: it is not taken.
func TestDecisionsReachTheOthers(t *testing.T) {
	t.Parallel()
	for _, apply := range []bool{true, false} {
		w := breaking(t)
		w.err = state.ErrUnavailable
		_, err := w.Decisions.Deletes(t.Context(), bkt, apply)
		w.WantErr(err, state.ErrUnavailable)
		if w.held(state.HoldDeletes) != lost {
			t.Errorf("held are %+v", w.Pending())
		}
		w.wantObjects(10-lost, 10)
	}
	w := newWorld(t)
	for _, apply := range []bool{true, false} {
		_, err := w.Decisions.Deletes(t.Context(), "nobody", apply)
		w.wantNotFound(err)
	}
}

// late is a bucket whose primary has what was deleted at a former one, c2.
func late(t *testing.T) (*world, string) {
	t.Helper()
	w := newWorld(t)
	w.synced("k", "other")
	w.Fakes["c2"].Lose(bkt, "k")
	o, err := w.Site("c1").Stat(t.Context(), bkt, "k")
	w.Must(err)
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{
		Bucket: bkt, Key: "k", Cluster: "c2", Since: time.Now(), Hold: state.HoldDeletes, Foreign: object.LateOf(*o),
	}))
	w.amend("c2", func(c *state.Copy) { c.HeldDeletes = true })
	return w, "k"
}

// Of a late delete the primary has the object yet: confirmed it is deleted there, and all follow.
func TestConfirmLate(t *testing.T) {
	t.Parallel()
	w, key := late(t)
	w.AddRow(copyOf("c3", catalog.CopySynced))
	rows := w.Pending()
	if in := HeldIn(rows["c2/"+key], w.AllRows()); in != "c1" {
		t.Errorf("it is said to be in %q", in)
	}
	w.decide(true)
	if got := w.Fakes["c1"].Contents(bkt); len(got) != 1 || got[key] != "" {
		t.Errorf("the primary has %q", got)
	}
	for _, q := range w.asked {
		if q.Copy == at("c3") && q.Allow == 1 {
			return
		}
	}
	t.Errorf("the others are asked for %+v: c3 has to follow", w.asked)
}

// A late delete that users wrote over, or that is not one any more, deletes nothing.
func TestConfirmLateOfWhatChanged(t *testing.T) {
	t.Parallel()
	w, key := late(t)
	w.Fakes["c1"].User(bkt, key, "written since")
	w.decide(true)
	if got := w.Fakes["c1"].Contents(bkt)[key]; got != "written since" {
		t.Errorf("the primary has %q", got)
	}
	w, key = late(t)
	w.amend("c2", func(c *state.Copy) { c.FormerPrimary = true })
	_, err := w.Decisions.Deletes(t.Context(), bkt, true)
	w.WantErr(err, guard.ErrMoving)
	if got := w.Fakes["c1"].Contents(bkt)[key]; got == "" {
		t.Error("the primary lost it while what was written at the former one is carried over")
	}
}

// Late deletes that an event has raised, and no worker has held again, are decided with the others.
func TestRaisedLateDeletesAreDecided(t *testing.T) {
	t.Parallel()
	for _, apply := range []bool{true, false} {
		w, key := late(t)
		w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: key, Cluster: "c2", Since: time.Now()}))
		if n := w.decide(apply); n != 1 {
			t.Errorf("confirmed: %v: decided %d", apply, n)
		}
		w.Settle()
		_, primary := w.Fakes["c1"].Contents(bkt)[key]
		if _, back := w.Fakes["c2"].Contents(bkt)[key]; primary == apply || back == apply {
			t.Errorf("confirmed: %v: the primary has it: %v, the copy has it: %v", apply, primary, back)
		}
		if held, err := w.Objects.HoldsLate(t.Context(), at("c2")); err != nil || held {
			t.Errorf("confirmed: %v: late deletes are held: %v, %v", apply, held, err)
		}
	}
}

// A late delete that is rejected is let go, and copied back from the primary.
func TestRejectLate(t *testing.T) {
	t.Parallel()
	w, key := late(t)
	w.decide(false)
	if n := w.held(state.HoldDeletes); n != 0 {
		t.Errorf("%d are held", n)
	}
	w.Settle()
	if got := w.Fakes["c2"].Contents(bkt)[key]; got != "body of "+key {
		t.Errorf("the copy has %q", got)
	}
}

// Elsewhere a held delete's object is in the copy.
func TestHeldIn(t *testing.T) {
	t.Parallel()
	row := state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Hold: state.HoldDeletes}
	if in := HeldIn(row, []state.Copy{primary("c1")}); in != "c2" {
		t.Errorf("it is said to be in %q", in)
	}
}
