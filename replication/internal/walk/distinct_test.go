package walk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// refusing has storages refuse some calls for good.
func refusing(why error, ops ...string) func(context.Context, string, string, string) error {
	return func(_ context.Context, op, _, _ string) error {
		if slices.Contains(ops, op) {
			return why
		}
		return nil
	}
}

// sameStorage has two clusters be names for one storage.
func (w *world) sameStorage(a, b string) {
	w.Helper()
	w.fakes[b] = w.fakes[a]
}

// A copy in another name for the primary's storage is never begun, and one that is on record
// from before never loses an object: with or without birth dates, and where marks can't be
// placed at the copy.
func TestOneStorage(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(context.Context, string, string, string) error{
		"births":    nil,
		"no births": refusing(storage.ErrUnsupported, "births"),
		"no list":   refusing(storage.ErrDenied, "births"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.sameStorage("c1", "c2")
			w.fakes["c1"].SetFault(fault)
			w.fakes["c1"].User(bkt, "a", "precious")
			w.rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
			w.wantErr(w.Syncer.Sync(t.Context(), at("c2")), ErrOneStorage)
			if st := w.row("c2").State; st == catalog.CopySynced {
				t.Fatal("the copy counts as synced")
			}

			known := copyOf("c2", catalog.CopyRemoving)
			known.VerifiedAt, known.OwnedUntil = w.o.Now(), w.o.Now()
			w.rows(primary("c1"), known)
			err := w.Evictor.Evict(t.Context(), at("c2"))
			w.wantErr(err, ErrOneStorage)
			if !strings.Contains(err.Error(), "c1") || !strings.Contains(err.Error(), "c2") {
				t.Errorf("the reason does not name both clusters: %v", err)
			}
			if len(w.fakes["c1"].Contents(bkt)) != 1 {
				t.Fatal("the only object is gone")
			}

			known.VerifiedAt = time.Time{} // it never was a copy: its row goes, and nothing else
			w.rows(primary("c1"), known)
			w.must(w.Evictor.Evict(t.Context(), at("c2")))
			if w.hasRow("c2") || len(w.fakes["c1"].Contents(bkt)) != 1 {
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
	leaving.VerifiedAt = w.o.Now()
	w.rows(w.row("c1"), w.row("c2"), leaving)
	w.wantErr(w.Evictor.Evict(t.Context(), at("c3")), ErrOneStorage)
	if len(w.fakes["c2"].Contents(bkt)) != 1 {
		t.Error("the copy that stays lost its object")
	}
}

// Two storages are told apart before a removal where one of them takes no mark, and nothing is
// removed where nothing tells. A copy is begun all the same.
func TestTellApart(t *testing.T) {
	t.Parallel()
	births := refusing(storage.ErrUnsupported, "births")
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
		{name: "nothing tells", c1: []string{"mark", "hasmark"}, why: storage.ErrDenied, want: ErrBlocked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			faults := func(ops []string) func(context.Context, string, string, string) error {
				return func(ctx context.Context, op, b, k string) error {
					return errors.Join(births(ctx, op, b, k), refusing(tc.why, ops...)(ctx, op, b, k))
				}
			}
			w.fakes["c1"].SetFault(faults(tc.c1))
			w.fakes["c2"].SetFault(faults(tc.c2))
			w.synced("a", "b")
			w.leaving(catalog.CopyRemoving)
			err := w.Evictor.Evict(t.Context(), at("c2"))
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Fatalf("%v, want %v", err, tc.want)
			}
			if gone := !w.hasRow("c2"); gone != (tc.want == nil) || len(w.fakes["c1"].Contents(bkt)) != 2 {
				t.Errorf("the copy is gone: %v; the primary has %q", gone, w.fakes["c1"].Contents(bkt))
			}
		})
	}
}

// A mark that can't be taken away is on record, so that it is swept away later.
func TestMarkIsOnRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []string{"c1", "c2"} {
		w.fakes[c].SetFault(refusing(storage.ErrUnsupported, "births"))
	}
	w.synced("a")
	uploads := func() (all []state.Upload) {
		w.must(w.store.EachUpload(t.Context(), func(u state.Upload) error {
			all = append(all, u)
			return nil
		}))
		return all
	}
	if got := uploads(); len(got) != 0 {
		t.Fatalf("a mark stayed on record: %+v", got)
	}
	w.fakes["c2"].SetFault(refusing(storage.ErrUnavailable, "unmark"))
	c1, err := w.sites.Usable("c1")
	w.must(err)
	c2, err := w.sites.Usable("c2")
	w.must(err)
	w.fakes["c1"].SetFault(refusing(storage.ErrUnsupported, "births"))
	c1.BornNow(t.Context(), bkt) // what was remembered is forgotten
	w.must(w.Buckets.MustDiffer(t.Context(), bkt, c2, c1))
	if got := uploads(); len(got) != 1 || got[0].Cluster != "c2" || !strings.HasPrefix(got[0].Key, markPrefix) {
		t.Errorf("on record: %+v, want one mark in c2", got)
	}
}
