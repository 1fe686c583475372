//go:build unix

package health

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fado-project/fado/catalog"
)

// TestCAFileThatIsNone: a device never ends and a pipe waits for its other end; neither is
// read, and the status does not tell what is there.
func TestCAFileThatIsNone(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{"/dev/zero", fifo, fifo + "nothing"} {
		err := check(t, catalog.Function{URL: "https://127.0.0.1:1", HealthPath: "/", CAFile: path})
		if want := "with a PEM certificate that FaDO can read"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want ... %s", path, err, want)
		}
	}
}
