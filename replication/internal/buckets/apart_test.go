package buckets

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// unborn has storages not tell when their buckets were made.
var unborn = walktest.Refusing(storage.ErrUnsupported, "births")

// pairOf is the bucket in c1 and c2, with storages that don't tell births and refuse some calls.
func pairOf(t *testing.T, why error, refused map[string][]string) *world {
	t.Helper()
	w := newWorld(t)
	for _, c := range []string{"c1", "c2"} {
		w.Fakes[c].User(bkt, "a", "the same in both")
		refuses := walktest.Refusing(why, refused[c]...)
		w.Fakes[c].SetFault(func(ctx context.Context, op, b, k string) error {
			return errors.Join(unborn(ctx, op, b, k), refuses(ctx, op, b, k))
		})
	}
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySynced))
	return w
}

// Two storages are told apart before a removal where one of them takes no mark; where nothing
// tells, nothing may be removed, and a copy is begun all the same.
func TestMustDiffer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		refused map[string][]string
		why     error
		want    error // of MustDiffer
		begun   error // of Distinct
	}{
		{name: "a mark at the copy"},
		{name: "the copy's storage is full", refused: map[string][]string{"c2": {"mark"}}, why: storage.ErrFull},
		{name: "the primary may not be asked", refused: map[string][]string{"c1": {"hasmark"}}, why: storage.ErrDenied},
		{name: "nothing tells", refused: map[string][]string{"c1": {"mark", "hasmark"}}, why: storage.ErrDenied, want: object.ErrBlocked},
		{
			name: "a storage is away", refused: map[string][]string{"c2": {"mark"}}, why: storage.ErrUnavailable,
			want: storage.ErrUnavailable, begun: storage.ErrUnavailable,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := pairOf(t, tc.why, tc.refused)
			if err := w.Apart.MustDiffer(t.Context(), bkt, w.Site("c2"), w.Site("c1")); !errors.Is(err, tc.want) {
				t.Errorf("before a removal: %v, want %v", err, tc.want)
			}
			if err := w.Apart.Distinct(t.Context(), bkt, w.Site("c2"), w.Site("c1")); !errors.Is(err, tc.begun) {
				t.Errorf("before a copy: %v, want %v", err, tc.begun)
			}
		})
	}
}

// Two names for one storage are found out, with birth dates or without, and said with both names.
func TestOneStorageByTwoNames(t *testing.T) {
	t.Parallel()
	for name, births := range map[string]bool{"births": true, "no births": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Fakes["c2"] = w.Fakes["c1"]
			if !births {
				w.Fakes["c1"].SetFault(unborn)
			}
			w.Fakes["c1"].User(bkt, "a", "precious")
			w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
			_, err := w.Ensure(t.Context(), at("c2"))
			w.WantErr(err, ErrOneStorage)
			for _, cluster := range []string{"cluster c1", "cluster c2"} {
				if !strings.Contains(err.Error(), cluster) {
					t.Errorf("%v does not name %s", err, cluster)
				}
			}
		})
	}
}

// That two buckets are two is asked once before copies, and every time before removals.
func TestDistinctIsRemembered(t *testing.T) {
	t.Parallel()
	w := pairOf(t, nil, nil)
	marks := 0
	w.Fakes["c2"].SetFault(func(ctx context.Context, op, b, k string) error {
		if op == "mark" {
			marks++
		}
		return unborn(ctx, op, b, k)
	})
	for range 3 {
		w.Must(w.Apart.Distinct(t.Context(), bkt, w.Site("c2"), w.Site("c1")))
	}
	if marks != 1 {
		t.Errorf("%d marks were placed for three copies, want 1", marks)
	}
	for range 2 {
		w.Must(w.Apart.MustDiffer(t.Context(), bkt, w.Site("c2"), w.Site("c1")))
	}
	if marks != 3 {
		t.Errorf("%d marks were placed, want 3: each removal asks", marks)
	}
}

// Birth dates that differ prove it without a mark.
func TestBirthsTellApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c1"].User(bkt, "a", "x")
	w.Fakes["c1"].User(bkt, "b", "for its clock to be another")
	w.Fakes["c2"].User(bkt, "a", "x")
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "mark" {
			t.Error("a mark was placed")
		}
		return nil
	})
	w.Must(w.Apart.MustDiffer(t.Context(), bkt, w.Site("c2"), w.Site("c1")))
}

// A mark is taken away and its record with it; one that can't be taken away is on record, so that
// it is swept away later.
func TestMarkIsOnRecord(t *testing.T) {
	t.Parallel()
	w := pairOf(t, storage.ErrUnavailable, nil)
	uploads := func() (all []state.Upload) {
		w.Must(w.Store.Uploads().EachUpload(t.Context(), func(u state.Upload) error {
			all = append(all, u)
			return nil
		}))
		return all
	}
	w.Must(w.Apart.MustDiffer(t.Context(), bkt, w.Site("c2"), w.Site("c1")))
	if got := uploads(); len(got) != 0 {
		t.Fatalf("a mark stayed on record: %+v", got)
	}
	stays := walktest.Refusing(storage.ErrUnavailable, "unmark")
	w.Fakes["c2"].SetFault(func(ctx context.Context, op, b, k string) error {
		return errors.Join(unborn(ctx, op, b, k), stays(ctx, op, b, k))
	})
	w.Must(w.Apart.MustDiffer(t.Context(), bkt, w.Site("c2"), w.Site("c1")))
	if got := uploads(); len(got) != 1 || got[0].Cluster != "c2" || !strings.HasPrefix(got[0].Key, markPrefix) {
		t.Errorf("on record: %+v, want one mark in c2", got)
	}
}
