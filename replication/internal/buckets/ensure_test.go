package buckets

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/storage"
)

// Buckets that are missing are made, once, and known to be FaDO's.
func TestEnsureMakesWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	for i, want := range []bool{true, false} {
		made, err := w.Ensure(t.Context(), at("c2"))
		w.Must(err)
		if made != want {
			t.Errorf("look %d: the copy's bucket was made: %t, want %t", i+1, made, want)
		}
	}
	for _, c := range []string{"c1", "c2"} {
		if w.Fakes[c].Contents(bkt) == nil || !w.Row(c).MadeBucket {
			t.Errorf("%s: the row is %+v", c, w.Row(c))
		}
	}
	if w.Row("c1").VerifiedAt.IsZero() {
		t.Error("nobody knows that the primary's bucket was seen")
	}
	w.Must(w.Missing())
}

// A primary's bucket that was seen once is not made again, nor is a copy's for it.
func TestEnsureWithoutSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := primary("c1")
	seen.VerifiedAt = w.o.Now()
	w.Rows(seen, copyOf("c2", catalog.CopyWaiting))
	made, err := w.Ensure(t.Context(), at("c2"))
	w.WantErr(err, object.ErrNoSource)
	w.WantErr(w.Missing(), object.ErrNoSource)
	if made || w.Fakes["c1"].Contents(bkt) != nil || w.Fakes["c2"].Contents(bkt) != nil {
		t.Error("a bucket was made")
	}
}

// ensured counts the requests that make buckets, or switch versioning on, at a cluster.
func ensured(w *world, cluster string, answer error) *int {
	n := new(int)
	w.Fakes[cluster].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "ensure" {
			*n++
			return answer
		}
		return nil
	})
	return n
}

// A copy's versioning follows the primary's. A storage that has none is no reason not to copy.
func TestEnsureFollowsVersioning(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		versioned bool
		answer    error
		want      int
	}{
		"plain":                       {},
		"versioned":                   {versioned: true, want: 1},
		"versions are not to be had":  {versioned: true, answer: storage.ErrUnsupported, want: 1},
		"versions are not to be seen": {versioned: true, answer: storage.ErrDenied, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Fakes["c1"].User(bkt, "a", "x")
			w.Fakes["c2"].User(bkt, "a", "x")
			if tc.versioned {
				w.Fakes["c1"].KeepVersions(bkt)
			}
			w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
			n := ensured(w, "c2", tc.answer)
			_, err := w.Ensure(t.Context(), at("c2"))
			if errors.Is(tc.answer, storage.ErrDenied) {
				w.WantErr(err, storage.ErrDenied)
			} else {
				w.Must(err)
			}
			if *n != tc.want {
				t.Errorf("versioning was asked for %d times, want %d", *n, tc.want)
			}
		})
	}
}

// Where users write anywhere, both sides have to keep versions; where one can't, people read why.
func TestEnsureVersionsAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Writes: catalog.WritesAnywhere})
	w.Fakes["c1"].User(bkt, "a", "x")
	w.Fakes["c2"].User(bkt, "a", "x")
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	n := ensured(w, "c1", nil)
	_, err := w.Ensure(t.Context(), at("c2"))
	w.Must(err)
	if *n != 1 {
		t.Errorf("versioning was asked for %d times at the primary, want once", *n)
	}

	ensured(w, "c1", storage.ErrDenied)
	err = w.EnsurePrimary(t.Context(), at("c1"))
	w.WantErr(err, site.ErrUnversioned)
	if !strings.Contains(err.Error(), "bucket bkt in c1") {
		t.Errorf("the reason: %v", err)
	}
}

// Without a policy that says so, a bucket's versioning at its primary is left as it is.
func TestEnsurePrimaryLeavesVersioning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c1"].User(bkt, "a", "x")
	w.Rows(primary("c1"))
	n := ensured(w, "c1", nil)
	w.Must(w.EnsurePrimary(t.Context(), at("c1")))
	if *n != 0 {
		t.Errorf("versioning was asked for %d times", *n)
	}
}

// A copy in a cluster without a storage is said to be in one that can't be used.
func TestEnsureWithoutStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Apply(&catalog.Cluster{Name: "c2", Zones: []string{"c2"}})
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyWaiting))
	made, err := w.Ensure(t.Context(), at("c2"))
	w.WantErr(err, storage.ErrUnavailable)
	if made || w.Row("c2").MadeBucket {
		t.Error("a bucket counts as made")
	}
}
