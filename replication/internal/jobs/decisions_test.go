package jobs

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/evict"
)

// People's word that a primary is right, or that a copy is, has the bucket go on at once.
func TestTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySynced))
	w.Must(w.Decisions.Trust(t.Context(), bkt, "c1"))
	w.wantCalls("trust primary of "+bkt, "is there "+bkt, "sync "+bkt)
	w.Must(w.Decisions.Trust(t.Context(), bkt, "c2"))
	w.wantCalls("trust "+bkt+" in c2", "is there "+bkt, "sync "+bkt)
	w.err = evict.ErrNoneLeaves // any
	w.WantErr(w.Decisions.Trust(t.Context(), bkt, "c2"), w.err)
	w.wantCalls("trust " + bkt + " in c2")
	w.wantNotFound(w.Decisions.Trust(t.Context(), "nobody", "c1"))
	w.off = true
	w.WantErr(w.Decisions.Trust(t.Context(), bkt, "c1"), errOff)
	w.wantCalls()
}

// A copy whose history people let go leaves at once.
func TestReleaseHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopyRemoving))
	if n, err := w.Decisions.ReleaseHistory(t.Context(), bkt, "c2"); n != 3 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	w.wantCalls("release "+bkt+" in c2", "sync "+bkt)
	w.err = evict.ErrNoneLeaves
	_, err := w.Decisions.ReleaseHistory(t.Context(), bkt, "c2")
	w.WantErr(err, evict.ErrNoneLeaves)
	w.wantCalls("release " + bkt + " in c2")
	_, err = w.Decisions.ReleaseHistory(t.Context(), "nobody", "c2")
	w.wantNotFound(err)
	w.off = true
	_, err = w.Decisions.ReleaseHistory(t.Context(), bkt, "c2")
	w.WantErr(err, errOff)
	w.wantCalls()
}

// A verification that reads all bytes is left to an instance that may; others are made here.
func TestVerificationRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Apply(&catalog.Bucket{Name: "far", Policy: "p"})
	for _, c := range []struct {
		bucket, state string
		deep          bool
		calls         []string
	}{
		{bkt, "running", false, []string{"verify bkt false"}},
		{bkt, "running", true, []string{"delegate bkt", "verify bkt true"}},
		{"far", "waiting", true, []string{"delegate far"}},
		{"far", "running", false, []string{"verify far false"}},
	} {
		v, err := w.Verifications.Request(t.Context(), c.bucket, c.deep)
		if err != nil || v.Bucket != c.bucket || v.State != c.state {
			t.Errorf("of %s, deep %v: %+v, %v", c.bucket, c.deep, v, err)
		}
		w.wantCalls(c.calls...)
	}
	w.err = errOff
	_, err := w.Verifications.Request(t.Context(), bkt, true)
	w.WantErr(err, errOff)
	w.wantCalls("delegate bkt")
	_, err = w.Verifications.Request(t.Context(), "nobody", false)
	w.wantNotFound(err)
}

// The last verification is known while the work goes on and, from the store, while it does not.
func TestLastVerification(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if v, err := w.Verifications.Last(t.Context(), bkt); err != nil || v.State != "done" {
		t.Errorf("%+v, %v", v, err)
	}
	w.wantCalls("get bkt")
	w.o.Hooks.Verifier = func() (Verifier, error) { return nil, errOff }
	idle := New(w.o).Verifications
	if v, err := idle.Last(t.Context(), bkt); err == nil && v.State == "done" {
		t.Errorf("%+v", v)
	}
	_, err := idle.Request(t.Context(), bkt, false)
	w.WantErr(err, errOff)
	_, err = idle.Last(t.Context(), "nobody")
	w.wantNotFound(err)
	w.wantCalls()
}
