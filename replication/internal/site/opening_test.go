package site

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// handedOut is a storage that is only ever handed out.
type handedOut struct{ closed *bool }

func (handedOut) Reader() storage.Reader { return nil }
func (handedOut) Writer() storage.Writer { return nil }

func (h handedOut) Close() {
	if h.closed != nil {
		*h.closed = true
	}
}

func declared(clusters ...string) *routing.Router {
	router := routing.NewRouter()
	router.Swap(router.Snapshot().Edit(func(e *routing.Editor) {
		for _, name := range clusters {
			c := &catalog.Cluster{Name: name, Storage: &catalog.Storage{Endpoint: "http://" + name}}
			c.Normalize()
			e.PutCluster(c)
		}
	}))
	return router
}

// TestOpeningThatHangs: a path that hangs (a ca_file on a file system that is away) holds up
// no other storage, and its own for a moment only; when it comes back, the storage opens.
func TestOpeningThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		ss, _ := New(Options{
			Router: declared("hung", "well"), Log: zap.NewNop(), Now: time.Now,
			Open: func(cluster string, _ *catalog.Storage) (storage.Storage, error) {
				if cluster == "hung" {
					<-hang
				}
				return handedOut{}, nil
			},
		})
		began := time.Now()
		first := make(chan *Site)
		go func() { first <- ss.Get("hung") }()
		synctest.Wait()
		if s := ss.Get("well"); s == nil || !s.Opened() || time.Since(began) != 0 {
			t.Fatalf("another storage waited %v", time.Since(began))
		}
		s := <-first
		if down, why := s.Down(); !down || why == "" || s.Opened() || time.Since(began) != patience {
			t.Errorf("after %v: down %v because of %q", time.Since(began), down, why)
		}
		if ss.Get("hung"); time.Since(began) != patience {
			t.Error("the second look waited again")
		}
		close(hang)
		synctest.Wait()
		if s := ss.Get("hung"); !s.Opened() {
			t.Error("it can be opened now, and is not")
		}
	})
}

// TestOpeningOfAnOldDeclaration: what opens after the storage was declared differently is
// closed, and not used.
func TestOpeningOfAnOldDeclaration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var closed bool
		router := declared("c")
		ss, _ := New(Options{
			Router: router, Log: zap.NewNop(), Now: time.Now,
			Open: func(_ string, s *catalog.Storage) (storage.Storage, error) {
				if s.Region == "new" {
					return handedOut{}, nil
				}
				<-hang
				return handedOut{closed: &closed}, nil
			},
		})
		ss.Get("c")
		router.Swap(router.Snapshot().Edit(func(e *routing.Editor) {
			c := &catalog.Cluster{Name: "c", Storage: &catalog.Storage{Endpoint: "http://c", Region: "new"}}
			c.Normalize()
			e.PutCluster(c)
		}))
		s := ss.Get("c")
		close(hang)
		synctest.Wait()
		if !s.Opened() || ss.Get("c") != s || !closed {
			t.Errorf("opened %v, still in use %v, the old one closed %v", s.Opened(), ss.Get("c") == s, closed)
		}
	})
}

// TestOpeningThatFails says why, and is tried again after a second.
func TestOpeningThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		ss, _ := New(Options{
			Router: declared("c"), Log: zap.NewNop(), Now: time.Now,
			Open: func(string, *catalog.Storage) (storage.Storage, error) {
				tries++
				return nil, errors.New("no such key")
			},
		})
		for range 3 {
			if _, err := ss.Usable("c"); !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), "no such key") {
				t.Errorf("got %v", err)
			}
		}
		if time.Sleep(2 * time.Second); tries != 1 {
			t.Errorf("%d tries at once, want 1", tries)
		}
		if _, err := ss.Usable("c"); tries != 2 || !strings.Contains(err.Error(), "no such key") {
			t.Errorf("%d tries and %v, want a second one", tries, err)
		}
	})
}
