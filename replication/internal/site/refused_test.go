package site

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/storage"
)

// TestRefusedStorage: a storage that the configuration refuses is not opened, one that is open
// is closed, and one that may be used again comes up: all without another declaration.
func TestRefusedStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.Close()
		var refuse atomic.Bool
		w.o.Refuse = func(cluster string, _ *catalog.Storage) error {
			if refuse.Load() && cluster == "c1" {
				return errors.New("not allowed")
			}
			return nil
		}
		refuse.Store(true)
		w.declare("a", "c1", "c2")
		stop := w.watch(t)
		defer stop()
		synctest.Wait()
		if s := w.Get("c1"); s.Opened() || s.Status().Error != "not allowed" || len(w.opened) != 1 {
			t.Fatalf("refused: opened %v, status %+v, %d opened in all", s.Opened(), s.Status(), len(w.opened))
		}
		if _, err := w.Usable("c1"); !errors.Is(err, ErrDown) {
			t.Errorf("usable: %v", err)
		}
		if _, err := w.writers(w.Get("c1")); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("its writer: %v", err)
		}

		refuse.Store(false)
		w.Redeclared()
		synctest.Wait()
		s := w.Get("c1")
		if !s.Up() || !w.Up("c2") {
			t.Fatalf("allowed again: %+v", s.Status())
		}
		client := w.last()

		refuse.Store(true)
		w.Redeclared()
		synctest.Wait()
		if down, why := w.Get("c1").Down(); !down || why != "not allowed" || !client.closed.Load() {
			t.Errorf("refused while up: down %v because of %q, closed %v", down, why, client.closed.Load())
		}
		if !w.Up("c2") {
			t.Error("another storage went down, too")
		}
	})
}
