package walk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// walked is a bucket that users change at both ends while walks go over it, and what must be
// there in the end.
type walked struct {
	*world
	foreign map[string]string // what users put into the copy, by key
}

// keysFor are the few keys that users change, so that changes meet; some are prefixes of others.
var keysFor = []string{"a", "a/", "a/b", "b", "ü"}

func (w *walked) step(rt *rapid.T, i int) {
	c1, c2 := w.Fakes["c1"], w.Fakes["c2"]
	key := rapid.SampledFrom(keysFor).Draw(rt, "key")
	body := fmt.Sprint("body ", i)
	switch rapid.SampledFrom([]string{"write", "write", "delete", "foreign", "lost", "scan", "settle"}).Draw(rt, "step") {
	case "write":
		c1.User(bkt, key, body)
	case "delete":
		c1.UserDelete(bkt, key)
	case "foreign":
		if _, there := c2.Contents(bkt)[key]; !there {
			c2.User(bkt, key, body)
			w.foreign[key] = body
		}
	case "lost":
		if _, theirs := w.foreign[key]; !theirs {
			c2.UserDelete(bkt, key)
		}
	case "scan":
		wrote := c2.Writes()
		w.Must(w.Scanner.Scan(w.Context(), at("c2")))
		if now := c2.Writes(); !slices.Equal(now, wrote) {
			rt.Fatalf("a scan wrote %q", now[len(wrote):])
		}
	case "settle":
		w.workOff()
	}
}

// workOff settles what is pending, as workers do: what is a conflict is held.
func (w *walked) workOff() {
	for _, r := range w.Pending() {
		if r.Hold != state.HoldNone {
			continue
		}
		_, err := w.Objects.Settle(w.Context(), object.Task{Object: ids.ObjectIn(bkt, r.Key, "c2"), Size: r.Size})
		if err != nil && !errors.Is(err, object.ErrConflict) {
			w.Fatal(err)
		}
		if err == nil {
			w.Must(w.Ctl.Pending.Finish(w.Context(), r.RowKey()))
		}
	}
}

// Whatever users change at both ends, and whenever walks go over it: a scan and the work that
// it raises bring the copy in step, but for what users put there themselves, which stays.
func TestScanConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := &walked{world: newWorld(t), foreign: make(map[string]string)}
		for i := range rapid.IntRange(0, 3).Draw(rt, "objects at first") {
			w.Fakes["c1"].User(bkt, keysFor[i], "body at first")
		}
		if rapid.Bool().Draw(rt, "the copy's bucket is there") {
			w.Fakes["c2"].User(bkt, "b", "a user's")
			w.foreign["b"] = "a user's"
		}
		w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
		w.Must(w.Syncer.Sync(w.Context(), at("c2")))
		for i := range rapid.IntRange(0, 12).Draw(rt, "steps") {
			w.step(rt, i)
		}
		for range 2 { // what the first finds, and that there is nothing left for the second
			w.Must(w.Scanner.Scan(w.Context(), at("c2")))
			w.workOff()
		}
		want := w.Fakes["c1"].Contents(bkt)
		maps.Copy(want, w.foreign)
		if got := w.Fakes["c2"].Contents(bkt); !maps.Equal(got, want) {
			rt.Fatalf("the copy has %q, want %q; pending: %v", got, want, w.Pending())
		}
		for k, r := range w.Pending() {
			if _, theirs := w.foreign[r.Key]; !theirs {
				rt.Fatalf("%s is pending still: %+v", k, r)
			}
		}
	})
}

// A sync that a storage cuts off at any object goes on behind its cursor: in the end all is
// there, and nothing before the cursor was copied twice.
func TestSyncGoesOnAtItsCursor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.Slots.Resize(1)
		const objects = 8
		for i := range objects {
			w.Fakes["c1"].User(bkt, fmt.Sprint("k", i), "x")
		}
		w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
		puts, cut := 0, rapid.IntRange(1, objects).Draw(rt, "cut off at")
		w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
			if op != "put" {
				return nil
			}
			if puts++; puts < cut {
				return nil
			}
			return fmt.Errorf("no space: %w", storage.ErrFull)
		})
		w.WantErr(w.Syncer.Sync(t.Context(), at("c2")), storage.ErrFull)
		row := w.Row("c2")
		if row.State == catalog.CopySynced {
			rt.Fatal("it is synced, and an object is missing")
		}
		for i := range objects {
			if _, there := w.Fakes["c2"].Contents(bkt)[fmt.Sprint("k", i)]; fmt.Sprint("k", i) <= row.Cursor && !there {
				rt.Fatalf("the cursor %q is past k%d, which is not there", row.Cursor, i)
			}
		}
		w.Fakes["c2"].SetFault(nil)
		w.Sites.Get("c2").Space.Wrote(nil)
		before := len(w.Fakes["c2"].Writes())
		w.Must(w.Syncer.Sync(t.Context(), at("c2")))
		w.WantSame("c1", "c2")
		for _, write := range w.Fakes["c2"].Writes()[before:] {
			if write <= "put "+bkt+"/"+row.Cursor && row.Cursor != "" {
				rt.Fatalf("%s, which is behind the cursor %q", write, row.Cursor)
			}
		}
	})
}
