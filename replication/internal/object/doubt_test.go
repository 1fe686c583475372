package object

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Of the objects that only a copy has the latest are kept, in whatever order they come.
func TestDoubtKeepsNoMore(t *testing.T) {
	t.Parallel()
	var d Doubt
	for i := range 5*mostLost + 7 {
		d.Extra(storage.Object{LastModified: time.Unix(int64(i*7919%(5*mostLost+7)), 0)})
		if len(d.lost) > 2*mostLost {
			t.Fatalf("%d are kept", len(d.lost))
		}
	}
	for i, o := range d.latest() {
		if want := int64(5*mostLost + 6 - i); o.LastModified.Unix() != want {
			t.Fatalf("number %d is of %d, want %d", i, o.LastModified.Unix(), want)
		}
	}
}

// The latest of them come first.
func TestDoubtKeepsTheLatest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		written := rapid.SliceOfDistinct(rapid.Int64Range(1, 1000), rapid.ID).Draw(t, "written")
		var d Doubt
		for _, at := range written {
			d.Extra(storage.Object{LastModified: time.Unix(at, 0)})
		}
		slices.Sort(written)
		slices.Reverse(written)
		var kept []int64
		for _, o := range d.latest() {
			kept = append(kept, o.LastModified.Unix())
		}
		if !slices.Equal(kept, written) {
			t.Errorf("kept %v, want %v", kept, written)
		}
	})
}

// The latest are lost if there are enough of them, all of them are later than what the primary has, and its
// bucket does not remember a delete.
func TestLostLatest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lost   int
		newer  bool // the primary has something newer
		went   bool // one of them has gone from the copy, too
		marker bool // the primary remembers that the latest was deleted
		theirs int  // objects that others wrote at the copy later
		want   bool
	}{
		"lost":             {lost: Doubtful, want: true},
		"too few":          {lost: Doubtful - 1},
		"newer ones stay":  {lost: Doubtful, newer: true},
		"gone at the copy": {lost: Doubtful, went: true},
		"deleted by users": {lost: Doubtful, marker: true},
		"lost, and one of more has gone at the copy": {lost: Doubtful + 1, went: true, want: true},
		"others' only":     {theirs: 3 * Doubtful},
		"lost, and others": {lost: Doubtful, theirs: 3 * Doubtful, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			at := Sides{Src: w.o.Sites.Get("c1"), Dst: w.o.Sites.Get("c2")}
			if test.marker {
				w.fakes["c1"].KeepTimes()
				w.fakes["c1"].KeepVersions(bkt)
			}
			var d Doubt
			d.Seen(nil)
			for i := range test.lost {
				key := fmt.Sprintf("k%02d", i)
				w.fakes["c1"].User(bkt, key, "x")
				if _, err := w.Settle(t.Context(), Task{Object: ids.ObjectIn(bkt, key, "c2")}); err != nil {
					t.Fatal(err)
				}
				o, err := w.fakes["c2"].Reader().Stat(t.Context(), bkt, key)
				if err != nil {
					t.Fatal(err)
				}
				w.fakes["c1"].UserDelete(bkt, key)
				d.Extra(o)
			}
			if test.newer {
				w.fakes["c1"].User(bkt, "z", "newer")
				newer, err := w.fakes["c1"].Reader().Stat(t.Context(), bkt, "z")
				if err != nil {
					t.Fatal(err)
				}
				d.Seen(&newer)
			}
			if test.went {
				w.fakes["c2"].UserDelete(bkt, "k00")
			}
			for i := range test.theirs {
				key := fmt.Sprintf("theirs%02d", i)
				w.fakes["c2"].User(bkt, key, "x")
				o, err := w.fakes["c2"].Reader().Stat(t.Context(), bkt, key)
				if err != nil {
					t.Fatal(err)
				}
				d.Extra(o)
			}
			ours := func(_ context.Context, o storage.Object) (bool, error) { return o.Replica, nil }
			if got, err := d.LostLatest(t.Context(), at, bkt, ours); err != nil || got != test.want {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// A copy that FaDO made is newer by what it was made of, whenever it was made.
func TestIsOlder(t *testing.T) {
	t.Parallel()
	at := func(s int64) storage.Object { return storage.Object{LastModified: time.Unix(s, 0)} }
	made := func(of, when int64) storage.Object {
		o := at(when)
		o.Replica, o.Source.ModTime = true, time.Unix(of, 0)
		return o
	}
	kept := at(20) // a copy that has its original's time
	kept.Replica = true
	for name, test := range map[string]struct {
		src, dst storage.Object
		may, is  bool
	}{
		"older":                 {at(10), made(20, 30), true, true},
		"the same":              {at(20), made(20, 30), true, false},
		"newer":                 {at(25), made(20, 30), true, false},
		"newer than the copy":   {at(40), made(20, 30), false, false},
		"older, times are kept": {at(10), kept, true, true},
		"someone else's":        {at(10), at(30), true, false},
	} {
		if may, is := MayBeOlder(&test.src, &test.dst), IsOlder(test.src, test.dst); may != test.may || is != test.is {
			t.Errorf("%s: may be %v, is %v", name, may, is)
		}
	}
	one := at(1)
	if MayBeOlder(nil, &one) || MayBeOlder(&one, nil) {
		t.Error("what is on one side only is not older")
	}
}

// Whether deletes would be let through is asked beforehand, and counts nothing.
func TestBreakerLets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newTestDeletes(&MaxDeletes{Objects: 5}, &now)
	row, id := state.Copy{Objects: 100}, ids.CopyIn("b", "", "c")
	want := func(what string, n int64, want bool) {
		t.Helper()
		for range 2 {
			if got := b.Lets(t.Context(), id, row, n); got != want {
				t.Errorf("%s: %d deletes are let through: %v", what, n, got)
			}
		}
	}
	want("within the bounds", 5, true)
	want("more", 6, false)
	b.Take(t.Context(), id, row)
	want("after one", 5, false)
	row.HeldDeletes = true
	want("while they are held", 1, false)
	b.Allow(id, 8)
	want("as many as were confirmed", 8, true)
	want("more than were confirmed", 9, false)
	now = now.Add(time.Hour)
	want("long after", 1, false)
}
