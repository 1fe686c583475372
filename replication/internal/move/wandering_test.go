package move

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
)

// wandering is a bucket whose copies come and leave and whose primary moves, in storages of which
// some keep no versions with times of their own.
type wandering struct {
	*world
	wrote map[string]string // every body that users wrote, and its key
}

func (w *wandering) primaryNow() string {
	return copyrows.PrimaryOf(w.AllRows())
}

// others returns the clusters in a state; no state: those without a copy.
func (w *wandering) others(states ...catalog.CopyState) (in []string) {
	rows := w.AllRows()
	for _, c := range []string{"c1", "c2", "c3"} {
		i := copyrows.Index(rows, "", c)
		if i < 0 && len(states) == 0 || i >= 0 && !rows[i].Primary && slices.Contains(states, rows[i].State) {
			in = append(in, c)
		}
	}
	return in
}

// latest is the time of the newest version anywhere.
func (w *wandering) latest() (t time.Time) {
	for _, f := range w.Fakes {
		for h, err := range f.Reader().Histories(w.Context(), bkt, "") {
			w.Must(err)
			for _, v := range h.Versions {
				if v.LastModified.After(t) {
					t = v.LastModified
				}
			}
		}
	}
	return t
}

func (w *wandering) step(rt *rapid.T, i int) {
	at := w.primaryNow()
	f, key := w.Fakes[at], rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key")
	for now, latest := (time.Time{}), w.latest(); !now.After(latest); { // the clocks agree
		var err error
		now, err = f.Reader().Now(w.Context())
		w.Must(err)
	}
	pick := func(of []string) string {
		if len(of) == 0 {
			return ""
		}
		return rapid.SampledFrom(of).Draw(rt, "cluster")
	}
	switch rapid.SampledFrom([]string{"write", "write", "delete", "copy", "scan", "move", "move", "leave", "leave"}).Draw(rt, "step") {
	case "write":
		body := fmt.Sprint("body ", i)
		f.User(bkt, key, body)
		w.wrote[body] = key
	case "delete":
		f.UserDelete(bkt, key)
	case "copy":
		if c := pick(w.others()); c != "" {
			w.AddRow(copyOf(c, catalog.CopyWaiting))
			_ = w.Syncer.Sync(w.Context(), ids.CopyIn(bkt, "", c))
		}
	case "scan":
		if c := pick(w.others(catalog.CopySynced)); c != "" {
			_ = w.Scanner.Scan(w.Context(), ids.CopyIn(bkt, "", c))
			_ = w.TryAll()
		}
	case "move":
		if c := pick(w.others(catalog.CopySynced)); c != "" {
			_ = w.Scanner.Scan(w.Context(), ids.CopyIn(bkt, "", c))
			_ = w.TryAll()
			if w.Mover.MovePrimary(w.Context(), bkt, c) == nil {
				w.Must(w.Carrier.CarryOver(w.Context(), bkt, at))
			}
		}
	case "leave":
		if c := pick(w.others(catalog.CopySynced)); c != "" {
			_ = w.Scanner.Scan(w.Context(), ids.CopyIn(bkt, "", c))
			_ = w.TryAll()
			w.SetState(c, catalog.CopyRemoving)
			if w.Evictor.Evict(w.Context(), ids.CopyIn(bkt, "", c)) != nil {
				w.SetState(c, catalog.CopySynced)
			}
		}
	}
}

// anywhere reports whether a version of a key is in any storage.
func (w *wandering) anywhere(key, body string) bool {
	for _, f := range w.Fakes {
		if slices.Contains(f.Bodies(bkt, key), body) {
			return true
		}
	}
	return false
}

// Whatever leaves and wherever the primary moves, to storages that can't keep its history included:
// every version that users wrote is somewhere at every moment, as long as they remove none.
func TestHistoryOutlivesMoves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := &wandering{world: newWorld(t), wrote: make(map[string]string)}
		for _, c := range []string{"c1", "c2", "c3"} {
			w.Fakes[c].KeepVersions(bkt)
			if rapid.Bool().Draw(rt, c+" keeps times") {
				w.Fakes[c].KeepTimes()
			}
		}
		w.Rows(primary("c1"))
		for i := range rapid.IntRange(5, 25).Draw(rt, "steps") {
			w.step(rt, i)
			for body, key := range w.wrote {
				if !w.anywhere(key, body) {
					rt.Fatalf("%q of %q is nowhere", body, key)
				}
			}
		}
	})
}

// A primary's history that FaDO brought to another one stays there when the primary moves on to a
// storage that can't have it: FaDO's mark on it does not make it FaDO's to remove.
func TestHistoryStaysWhereItIsTheLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for c, f := range w.Fakes {
		f.KeepVersions(bkt)
		if c != "c3" {
			f.KeepTimes()
		}
	}
	move := func(from, to string) {
		t.Helper()
		w.AddRow(copyOf(to, catalog.CopyWaiting))
		w.Must(w.Syncer.Sync(t.Context(), at(to)))
		w.Must(w.Mover.MovePrimary(t.Context(), bkt, to))
		w.Must(w.Carrier.CarryOver(t.Context(), bkt, from))
		w.SetState(from, catalog.CopyRemoving)
		w.Must(w.Evictor.Evict(t.Context(), at(from)))
	}
	w.Fakes["c1"].User(bkt, "a", "first")
	w.Fakes["c1"].User(bkt, "a", "second")
	w.Rows(primary("c1"))
	move("c1", "c2")
	w.WantBodies("c1", "a")
	w.WantBodies("c2", "a", "second", "first")
	move("c2", "c3")
	w.WantBodies("c2", "a", "", "first")
	w.WantBodies("c3", "a", "second")
}
