package move

import (
	"context"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// mixed is a bucket of three clusters, of which one rule is written anywhere, and the rest at the primary.
func mixed(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.KeepTimes()
	w.Apply(&catalog.Policy{Name: "any", Copies: catalog.Copies{N: 3}, Writes: catalog.WritesAnywhere})
	w.Apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "any"}}})
	w.Fakes["c1"].User(bkt, "a", "the rest")
	w.Fakes["c1"].User(bkt, "p/old", "old")
	rows := []state.Copy{primary("c1"), copyOf("c2", catalog.CopyWaiting), primary("c1"), copyOf("c2", catalog.CopyWaiting), copyOf("c3", catalog.CopyWaiting)}
	for i := range rows[2:] {
		rows[2+i].Prefix, rows[2+i].Anywhere = "p/", true
	}
	w.Rows(rows...)
	for _, id := range []ids.Copy{at("c2"), ids.CopyIn(bkt, "p/", "c2"), ids.CopyIn(bkt, "p/", "c3")} {
		w.Must(w.Syncer.Sync(t.Context(), id))
	}
	w.Settle()
	return w
}

// movesWhile moves the primary from c1 to c2 and carries over; users write while it moves, behind its scan.
func (w *world) movesWhile(users func()) {
	w.Helper()
	w.o.Hooks.Leaves = func(context.Context, string, string, time.Time) error { users(); return nil }
	w.Moves = New(w.o)
	w.Must(w.Mover.MovePrimary(w.Context(), bkt, "c2"))
	w.Must(w.Carrier.CarryOver(w.Context(), bkt, "c1"))
	_ = w.TryAll()
	_ = w.TryAll()
}

// settled has a worker bring a key in step in a cluster.
func (w *world) settled(key, cluster string) {
	w.Helper()
	_, err := w.Objects.Settle(w.Context(), object.Task{Object: ids.ObjectIn(bkt, key, cluster), Size: -1})
	w.Must(err)
}

// What users write in a third cluster, where a rule is written anywhere, while the primary moves, and has come to the
// next one and not to the former one yet, is not taken for what they deleted there.
func TestCarryOverDeletesNothingWrittenAnywhere(t *testing.T) {
	t.Parallel()
	w := mixed(t)
	w.movesWhile(func() {
		w.Fakes["c3"].User(bkt, "p/new", "a user's")
		w.settled("p/new", "c2") // the row for c1 waits
	})
	for _, c := range []string{"c2", "c3"} {
		if got := w.Fakes[c].Contents(bkt)["p/new"]; got != "a user's" {
			t.Errorf("%s shows %q of what a user wrote; its versions are %q", c, got, w.Fakes[c].Bodies(bkt, "p/new"))
		}
	}
}

// Nor is an older write at the former primary brought over a later one of a third cluster.
func TestCarryOverReplacesNothingWrittenAnywhere(t *testing.T) {
	t.Parallel()
	w := mixed(t)
	w.movesWhile(func() {
		w.Fakes["c1"].User(bkt, "p/old", "second")
		for range 10 { // by c3's clock it is later
			w.Fakes["c3"].User(bkt, "p/old", "third, the last")
		}
		w.settled("p/old", "c2")
	})
	for _, c := range []string{"c2", "c3"} {
		if got := w.Fakes[c].Contents(bkt)["p/old"]; got != "third, the last" {
			t.Errorf("%s shows %q, the last write was %q; its versions are %q", c, got, "third, the last", w.Fakes[c].Bodies(bkt, "p/old"))
		}
	}
}
