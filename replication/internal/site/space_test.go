package site

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/storage"
)

func full(cluster string) error {
	return &storage.Error{Storage: cluster, Kind: storage.ErrFull}
}

// While a storage is full, one object at a time probes it; everything else waits, without a
// request. The first write that succeeds ends it.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		w.declare("a", "c1")
		s := w.Get("c1")
		if err := s.Space.Admit(); err != nil {
			t.Fatalf("a storage with space: %v", err)
		}
		s.Space.Wrote(full("c2")) // someone else's
		if s.Status().Full {
			t.Error("full because of another storage")
		}
		s.Space.Wrote(nil)
		w.wantNews(t)
		began := time.Now()
		s.Space.Wrote(full("c1"))
		time.Sleep(time.Second)
		s.Space.Wrote(full("c1"))
		w.wantNews(t, "c1 full")
		if st := s.Status(); !st.Full || st.Error == "" || !st.FullSince.Equal(began) {
			t.Errorf("status %+v", st)
		}
		if err := s.Space.Admit(); !errors.Is(err, ErrFullWait) || !errors.Is(err, storage.ErrFull) {
			t.Errorf("at once: %v, want %v and %v", err, ErrFullWait, storage.ErrFull)
		}
		wait, waits := s.Space.Waits()
		if wait += time.Second; !waits || wait < fullProbe*8/10 || wait > fullProbe*12/10 {
			t.Errorf("waits %v, %v", wait, waits)
		}
		time.Sleep(wait)
		admitted := 0
		for range 5 {
			if s.Space.Admit() == nil {
				admitted++
			}
		}
		if admitted != 1 {
			t.Errorf("%d objects probe a full storage, want 1", admitted)
		}
		s.Space.Wrote(errors.New("another failure"))
		if !s.Status().Full {
			t.Error("a failure of another kind is no proof of space")
		}
		s.Space.Wrote(nil)
		w.wantNews(t, "c1 space", "Space c1")
		if _, waits := s.Space.Waits(); waits || s.Space.Admit() != nil || s.Status().Full || !s.Status().FullSince.IsZero() {
			t.Error("it still waits")
		}
	})
}

func TestFullError(t *testing.T) {
	t.Parallel()
	s := Absent("c1")
	if err := s.Space.Error(ErrFullWait); !errors.Is(err, ErrFullWait) || !errors.Is(err, storage.ErrFull) {
		t.Errorf("what was not tried: %v", err)
	}
	if err := s.Space.Error(full("c1")); errors.Is(err, ErrFullWait) || !errors.Is(err, storage.ErrFull) {
		t.Errorf("what was tried: %v", err)
	}
}
