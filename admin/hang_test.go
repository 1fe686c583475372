package admin

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

// hangingStore is a store whose writes of the catalogue hang when they are told to.
type hangingStore struct {
	state.Store
	hang atomic.Pointer[held]
}

// held is a write that hangs: begun closes when it does, and it goes on when released does.
type held struct{ begun, released chan struct{} }

func (s *hangingStore) Catalogue() state.Catalogue {
	return hangingStoreCatalogue{s.Store.Catalogue(), s}
}

type hangingStoreCatalogue struct {
	state.Catalogue
	of *hangingStore
}

func (s hangingStoreCatalogue) Update(ctx context.Context, f func(state.Tx) error) (state.Seq, error) {
	if h := s.of.hang.Swap(nil); h != nil {
		close(h.begun)
		<-h.released
	}
	return s.Catalogue.Update(ctx, f)
}

// While the write of one resource hangs, every GET is answered, and other resources can be
// changed.
func TestReadsAreAnsweredWhileAWriteHangs(t *testing.T) {
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store := &hangingStore{Store: db}
	h := startOn(t, store, control.Config{})
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(201)
	h.do("POST", "/fado/clusters", `{"name":"c1","zones":["eu"],"storage":{"endpoint":"http://c1.test"}}`).want(201)
	h.do("POST", "/fado/buckets", `{"name":"photos"}`).want(201)

	hang := &held{make(chan struct{}), make(chan struct{})}
	store.hang.Store(hang)
	put := make(chan answer, 1)
	go func() { put <- h.do("PUT", "/fado/buckets/slow", `{}`) }()
	<-hang.begun
	for _, path := range []string{
		"/fado/zones", "/fado/zones/eu", "/fado/clusters", "/fado/clusters/c1", "/fado/buckets", "/fado/buckets/photos", "/fado/policies", "/fado/",
	} {
		h.do("GET", path, "").want(200)
	}
	h.do("GET", "/fado/buckets/slow", "").want(404)
	h.do("POST", "/fado/zones", `{"name":"us"}`).want(201)
	close(hang.released)
	(<-put).want(201)
	h.do("GET", "/fado/buckets/slow", "").want(200)
}
