//go:build unix

package s3

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCAFileIsAFile: what never ends, what waits for its other end and what is no file of
// certificates is refused, at once and by the same words.
func TestCAFileIsAFile(t *testing.T) {
	dir := t.TempDir()
	fifo, empty, large := filepath.Join(dir, "fifo"), filepath.Join(dir, "empty"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	if err := errors.Join(os.WriteFile(empty, nil, 0o600), os.WriteFile(large, bytes.Repeat([]byte("A"), maxCAFile+1), 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, cause := range map[string]string{
		"/dev/zero": "not a regular file", fifo: "not a regular file", dir: "not a regular file",
		empty: "no certificate", large: "larger than 1 MiB", filepath.Join(dir, "nothing"): "no such file",
	} {
		_, err := Open(Config{Name: "c", Endpoint: "https://host", CAFile: path})
		var ca *caError
		if !errors.As(err, &ca) {
			t.Fatalf("%s: %v", path, err)
		}
		if strings.Contains(err.Error(), cause) || !strings.Contains(ca.Unwrap().Error(), cause) {
			t.Errorf("%s: the error is %q because of %q, want %q in the latter only", path, err, ca.Unwrap(), cause)
		}
	}
	if _, err := Open(Config{Name: "c", Endpoint: "https://host", CAFile: filepath.Join(dir, "nothing")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is gone: %v", err)
	}
}
