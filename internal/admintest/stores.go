package admintest

import (
	"path/filepath"
	"testing"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
)

// Catalogue is a document of two clusters, a policy and two buckets.
const Catalogue = `
fado: 1
zones:
- {name: eu}
clusters:
- name: paris
  zones: [eu]
  storage: {endpoint: "http://paris.test", access_key: a, secret_key: hidden}
  functions: [{url: "http://f.paris.test"}]
- name: berlin
  zones: [eu]
  storage: {endpoint: "http://berlin.test"}
policies:
- {name: keep, copies: 2, zones: [eu]}
buckets:
- {name: photos, policy: keep, primary: paris}
- {name: other, policy: keep, primary: paris}
`

// Stores has f test with an empty store of each kind.
func Stores(t *testing.T, f func(t *testing.T, s state.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, Store(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		s, err := postgres.Open(t.Context(), postgres.Options{DSN: testenv.PostgresDatabase(t), Key: []byte("a passphrase of the tests")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		f(t, s)
	})
}

// Store opens an empty SQLite store, until the test ends.
func Store(t testing.TB) state.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Control runs a control on a store, with what a configuration declares, until the test ends.
func Control(t testing.TB, store state.Store, declared control.Config) *control.Control {
	t.Helper()
	ctl, err := control.New(control.Options{Store: store, Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ctl.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ctl.Close)
	at, err := ctl.Attach(t.Context(), declared)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.Detach)
	return ctl
}
