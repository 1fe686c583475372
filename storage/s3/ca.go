package s3

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxCAFile bounds a ca_file: the bundle of all public authorities has 250 KiB.
const maxCAFile = 1 << 20

// A caError says that a ca_file can't be used, and no more: the reason would tell who may
// name a file, and not read it, what is there. Unwrap has it for the log.
type caError struct {
	path  string
	cause error
}

func (e *caError) Error() string {
	return fmt.Sprintf("ca_file %q: not a file of at most 1 MiB with a PEM certificate that FaDO can read", e.path)
}

func (e *caError) Unwrap() error { return e.cause }

// certPool is the system's certificate authorities and those in a file.
func certPool(path string) (*x509.CertPool, error) {
	pem, err := readRegular(path)
	if err != nil {
		return nil, &caError{path, err}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &caError{path, errors.New("no certificate in it")}
	}
	return pool, nil
}

// readRegular reads a file that is one: a device may never end, and opening a pipe waits
// for its other end.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCAFile+1))
	if err == nil && len(b) > maxCAFile {
		err = errors.New("larger than 1 MiB")
	}
	return b, err
}
