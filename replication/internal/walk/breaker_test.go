package walk

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// countedControl looks at the rows that a walk stores, before they are.
type countedControl struct {
	Control
	before func(rows []state.Pending)
}

func (c countedControl) AddPending(ctx context.Context, rows ...state.Pending) error {
	c.before(rows)
	return c.Control.AddPending(ctx, rows...)
}

// However many deletes a scan finds, and however few of them it keeps in memory, none is
// stored before they are held if they are too many, and all are if they are not.
func TestScanCountsAllDeletes(t *testing.T) {
	t.Parallel()
	const n = 2*listingWindow + 100
	for _, c := range []struct {
		name   string
		keep   int
		bounds object.MaxDeletes
		held   bool
	}{
		{"more than memory keeps, too many", 10, object.MaxDeletes{Objects: n - 1}, true},
		{"more than memory keeps, too many by share", 10, object.MaxDeletes{Objects: 5, Percent: 99}, true},
		{"more than memory keeps, not too many", 10, object.MaxDeletes{Objects: n}, false},
		{"too many before memory is full", 1000, object.MaxDeletes{Objects: 100}, true},
		{"not too many", 2 * n, object.MaxDeletes{Objects: n}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			keys := make([]string, n)
			for i := range keys {
				keys[i] = fmt.Sprintf("%05d", i)
			}
			w.synced(keys...)
			w.Deletes.Bounds = func() object.MaxDeletes { return c.bounds }
			for _, k := range keys {
				w.Fakes["c1"].UserDelete(bkt, k)
			}
			w.Fakes["c1"].User(bkt, "00000a", "what a scan stores on its way")
			var stored atomic.Int64
			w.o.ScanExtras = c.keep
			w.o.Control = countedControl{w.o.Control, func(rows []state.Pending) {
				for _, r := range rows {
					if r.Key == "00000a" {
						continue
					}
					if stored.Add(1); c.held && !w.Row("c2").HeldDeletes {
						t.Fatalf("the delete of %s is stored, and not held", r.Key)
					}
				}
			}}
			w.Walks = New(w.o)
			w.Must(w.Scanner.Scan(t.Context(), at("c2")))
			if held := w.Row("c2").HeldDeletes; held != c.held || stored.Load() != n {
				t.Errorf("held: %t, want %t; %d deletes are pending, want %d", held, c.held, stored.Load(), n)
			}
		})
	}
}

// What others write at a copy holds no delete, however much it is; nor does it make a few deletes too many.
func TestOthersWritesAreNoDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("gone 1", "gone 2", "stays")
	w.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 5} }
	for i := range 20 {
		w.Fakes["c2"].User(bkt, fmt.Sprintf("others %02d", i), "x")
	}
	for _, key := range []string{"gone 1", "gone 2"} {
		w.Fakes["c1"].UserDelete(bkt, key)
	}
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	if w.Row("c2").HeldDeletes {
		t.Error("deletes are held")
	}
	w.WantErr(w.TryAll(), object.ErrConflict)
	got := w.Fakes["c2"].Contents(bkt)
	if _, there := got["gone 1"]; there || len(got) != 21 {
		t.Errorf("the copy has %d objects: %q", len(got), got)
	}
}

// seen is a [Watch] that calls a function for every key that a scan meets.
type seen func(key string)

func (s seen) Saw(p listing.Pair)         { s(p.Key) }
func (seen) Differs(string, listing.Pair) {}
func (seen) Lacks(string, string, int)    {}

// Nor do others' writes count whose rows go while a scan is under way, between the key and the end of the
// scan; FaDO's own objects do.
func TestOthersWritesAreNoDeletesWithoutRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		others bool
	}{{"others", true}, {"FaDO's", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			alone := []string{"a", "b", "c", "d"}
			if c.others {
				w.synced("last")
			} else {
				w.synced(append(alone, "last")...)
			}
			w.Deletes.Bounds = func() object.MaxDeletes { return object.MaxDeletes{Objects: 2} }
			for _, key := range alone {
				if c.others {
					w.Fakes["c2"].User(bkt, key, "someone else's")
				} else {
					w.Fakes["c1"].UserDelete(bkt, key)
				}
				w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: key, Cluster: "c2", Since: w.o.Now()}))
			}
			rows := w.Pending()
			w.Must(w.Scanner.ScanWatched(t.Context(), at("c2"), false, seen(func(key string) {
				for _, r := range rows {
					if key == "last" { // all before it were met, and had rows
						w.Must(w.Ctl.Pending.Finish(t.Context(), r.RowKey()))
					}
				}
			})))
			if held := w.Row("c2").HeldDeletes; held == c.others {
				t.Errorf("deletes are held: %t", held)
			}
			w.WantKeys(w.Pending(), "c2/a", "c2/b", "c2/c", "c2/d")
		})
	}
}
