//go:build unix

package cafile

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReadTakesAFileOnly: what never ends, what waits for its other end and what is no
// file of certificates is refused, at once and by the same words.
func TestReadTakesAFileOnly(t *testing.T) {
	dir := t.TempDir()
	fifo, empty, large := filepath.Join(dir, "fifo"), filepath.Join(dir, "empty"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	if err := errors.Join(os.WriteFile(empty, nil, 0o600), os.WriteFile(large, bytes.Repeat([]byte("A"), maxSize+1), 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, cause := range map[string]string{
		"/dev/zero": "not a regular file", fifo: "not a regular file", dir: "not a regular file",
		empty: "no certificate", large: "larger than 1 MiB", filepath.Join(dir, "nothing"): "no such file",
	} {
		_, err := Read(t.Context(), path)
		ca, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("%s: %v", path, err)
		}
		if strings.Contains(err.Error(), cause) || !strings.Contains(ca.Unwrap().Error(), cause) {
			t.Errorf("%s: the error is %q because of %q, want %q in the latter only", path, err, ca.Unwrap(), cause)
		}
	}
	if _, err := Read(t.Context(), filepath.Join(dir, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is gone: %v", err)
	}
}

// TestReadPassesOverWhatIsNoCertificate: a bundle may hold keys and comments.
func TestReadPassesOverWhatIsNoCertificate(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	text := append([]byte("# our authority\n"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})...)
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("broken")})...)
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})...)
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	certs, err := Read(t.Context(), path)
	if err != nil || len(certs) != 1 || !certs[0].Equal(s.Certificate()) {
		t.Errorf("got %d certificates and %v, want the server's", len(certs), err)
	}
}

// TestReadEndsWithItsContext: a path that hangs holds its callers no longer than they wish.
func TestReadEndsWithItsContext(t *testing.T) {
	const path = "a path that hangs"
	hang := make(chan struct{})
	hung := reading.DoChan(path, func() (any, error) { <-hang; return nil, errors.New("it came back") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
	close(hang)
	<-hung
}
