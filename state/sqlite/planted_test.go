//go:build unix

package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/state"
)

// TestLockIsNoLink: who may make files in the store's directory can't have FaDO write to
// another one, or wait.
func TestLockIsNoLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "precious")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	linked, piped := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	if err := os.Symlink(target, linked+".lock"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(piped+".lock", 0o600); err != nil {
		t.Skip(err)
	}
	openErr(t, Options{Path: linked, Log: zap.NewNop()}, state.ErrUnavailable, "a.db.lock is a link")
	if text, _ := os.ReadFile(target); string(text) != "precious" {
		t.Errorf("the link's target holds %q now", text)
	}
	openErr(t, Options{Path: piped, Log: zap.NewNop()}, state.ErrUnavailable, "b.db.lock is not a regular file")
}

// TestOpenWarnsOfADirectoryThatOthersWriteTo, and opens.
func TestOpenWarnsOfADirectoryThatOthersWriteTo(t *testing.T) {
	for mode, want := range map[os.FileMode]int{0o700: 0, 0o755: 0, 0o770: 1, 0o777: 1} {
		dir := filepath.Join(t.TempDir(), "store")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.WarnLevel)
		s, err := Open(t.Context(), Options{Path: filepath.Join(dir, "fado.db"), Log: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
		warned := 0
		for _, l := range logs.All() {
			if strings.Contains(l.Message, "others may write to the store's directory") {
				warned++
			}
		}
		if warned != want {
			t.Errorf("mode %04o: %d warnings, want %d", mode, warned, want)
		}
	}
}
