package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/statetest"
)

var ctx = context.Background()

func TestMain(m *testing.M) { goleak.VerifyTestMain(testenv.Main(m)) }

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(ctx, Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	statetest.Run(t, func(t *testing.T) statetest.Fixture {
		path := filepath.Join(t.TempDir(), "fado.db")
		return statetest.Fixture{
			Store:  openAt(t, path),
			Reopen: func() state.Store { return openAt(t, path) },
		}
	})
}
