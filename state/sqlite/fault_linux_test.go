package sqlite

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// unprivileged makes a command run as nobody if this is root, whom no mode stops.
func unprivileged(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
}

// TestFileSystemFull fills a real, small file system, log and side files included.
func TestFileSystemFull(t *testing.T) {
	for name := range writes(nil) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
				t.Skipf("can't mount a small file system here: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			})
			path, ballast := filepath.Join(dir, "fado.db"), filepath.Join(dir, "ballast")
			s := openAt(t, path)
			putCluster(t, s, "a", "b")
			if err := os.WriteFile(ballast, []byte(strings.Repeat("x", 1<<20)), 0o600); err != nil {
				t.Fatal(err)
			}
			write := writes(s)[name]
			fillUp(t, s, write)
			fillUp(t, s, write)
			before := contents(t, s)
			closeStore(t, s)
			s = openAt(t, path) // still full
			if contents(t, s) != before {
				t.Error("opened again, the store holds something else")
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if err := writes(s)[name](3000); err != nil {
				t.Errorf("with space again: %v", err)
			}
			closeStore(t, s)
		})
	}
}
