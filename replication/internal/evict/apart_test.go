package evict

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/storage"
)

// sameStorage has two clusters be names for one storage.
func (w *world) sameStorage(a, b string) {
	w.Helper()
	w.Fakes[b] = w.Fakes[a]
}

// A copy in another name for the primary's storage is never begun, and one that is on record
// from before never loses an object: with or without birth dates, and where marks can't be
// placed at the copy.
func TestOneStorage(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(context.Context, string, string, string) error{
		"births":    nil,
		"no births": walktest.Refusing(storage.ErrUnsupported, "births"),
		"no list":   walktest.Refusing(storage.ErrDenied, "births"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.sameStorage("c1", "c2")
			w.Fakes["c1"].SetFault(fault)
			w.Fakes["c1"].User(bkt, "a", "precious")
			w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
			w.WantErr(w.Syncer.Sync(t.Context(), at("c2")), buckets.ErrOneStorage)
			if st := w.Row("c2").State; st == catalog.CopySynced {
				t.Fatal("the copy counts as synced")
			}

			known := copyOf("c2", catalog.CopyRemoving)
			known.VerifiedAt, known.OwnedUntil = time.Now(), time.Now()
			w.Rows(primary("c1"), known)
			err := w.Evictor.Evict(t.Context(), at("c2"))
			w.WantErr(err, buckets.ErrOneStorage)
			if !strings.Contains(err.Error(), "c1") || !strings.Contains(err.Error(), "c2") {
				t.Errorf("the reason does not name both clusters: %v", err)
			}
			if len(w.Fakes["c1"].Contents(bkt)) != 1 {
				t.Fatal("the only object is gone")
			}

			known.VerifiedAt = time.Time{} // it never was a copy: its row goes, and nothing else
			w.Rows(primary("c1"), known)
			w.Must(w.Evictor.Evict(t.Context(), at("c2")))
			if w.HasRow("c2") || len(w.Fakes["c1"].Contents(bkt)) != 1 {
				t.Error("the row stayed, or the object went")
			}
		})
	}
}

// The copies that stay count as well: one of them may be the other name.
func TestOneStorageOfTwoCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sameStorage("c2", "c3")
	w.synced("a")
	leaving := copyOf("c3", catalog.CopyRemoving)
	leaving.VerifiedAt = time.Now()
	w.Rows(w.Row("c1"), w.Row("c2"), leaving)
	w.WantErr(w.Evictor.Evict(t.Context(), at("c3")), buckets.ErrOneStorage)
	if len(w.Fakes["c2"].Contents(bkt)) != 1 {
		t.Error("the copy that stays lost its object")
	}
}

// Two storages are told apart before a removal where one of them takes no mark, and nothing is
// removed where nothing tells. A copy is begun all the same.
func TestTellApart(t *testing.T) {
	t.Parallel()
	births := walktest.Refusing(storage.ErrUnsupported, "births")
	for _, tc := range []struct {
		name   string
		c1, c2 []string // calls that are refused
		why    error
		want   error
	}{
		{name: "a mark at the copy"},
		{name: "the copy's storage is full", c2: []string{"mark"}, why: storage.ErrFull},
		{name: "the primary may not be asked", c1: []string{"hasmark"}, why: storage.ErrDenied},
		{name: "the primary is read-only", c1: []string{"mark"}, why: storage.ErrDenied},
		{name: "nothing tells", c1: []string{"mark", "hasmark"}, why: storage.ErrDenied, want: object.ErrBlocked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			faults := func(ops []string) func(context.Context, string, string, string) error {
				return func(ctx context.Context, op, b, k string) error {
					return errors.Join(births(ctx, op, b, k), walktest.Refusing(tc.why, ops...)(ctx, op, b, k))
				}
			}
			w.Fakes["c1"].SetFault(faults(tc.c1))
			w.Fakes["c2"].SetFault(faults(tc.c2))
			w.synced("a", "b")
			w.SetState("c2", catalog.CopyRemoving)
			err := w.Evictor.Evict(t.Context(), at("c2"))
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Fatalf("%v, want %v", err, tc.want)
			}
			if gone := !w.HasRow("c2"); gone != (tc.want == nil) || len(w.Fakes["c1"].Contents(bkt)) != 2 {
				t.Errorf("the copy is gone: %v; the primary has %q", gone, w.Fakes["c1"].Contents(bkt))
			}
		})
	}
}

// A copy whose bucket was made again is an import: nothing of what lies there is FaDO's.
func TestCopyMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced(walktest.Keys(3)...)
	w.Reborn("c2")
	w.Fakes["c2"].User(bkt, "k000", "another")
	w.Fakes["c2"].User(bkt, "precious", "someone's")
	w.WantErr(w.Scanner.Scan(t.Context(), at("c2")), object.ErrChanged)
	if row := w.Row("c2"); row.State != catalog.CopyWaiting || !row.VerifiedAt.IsZero() || row.MadeBucket {
		t.Fatalf("the copy's row: %+v", row)
	}
	w.Must(w.Syncer.Sync(t.Context(), at("c2")))
	w.WantKeys(w.Pending(), "c2/k000", "c2/precious")
	if got := w.Fakes["c2"].Contents(bkt); got["k000"] != "another" || got["precious"] != "someone's" || got["k001"] == "" {
		t.Errorf("c2 has %q", got)
	}

	w.Reborn("c2")
	w.Fakes["c2"].User(bkt, "k001", "someone's")
	w.SetState("c2", catalog.CopyRemoving)
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.HasRow("c2") || len(w.Fakes["c2"].Contents(bkt)) != 1 {
		t.Error("the row stayed, or what lies in another bucket was removed")
	}
}
