package caddymodule

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// must_exist makes no store where there is none, and opens one that is there.
func TestMustExist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "volume", "fado.db")
	open := func(mustExist bool) error {
		s := &SQLite{Path: path, MustExist: mustExist}
		if err := s.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		store, err := s.Open(t.Context(), StoreOptions{Node: "n"})
		if err == nil {
			err = store.Close()
		}
		return err
	}
	if err := open(true); err == nil {
		t.Error("a store was made")
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("its directory was made")
	}
	for _, mustExist := range []bool{false, true} {
		if err := open(mustExist); err != nil {
			t.Errorf("must_exist %v: %v", mustExist, err)
		}
	}
}
