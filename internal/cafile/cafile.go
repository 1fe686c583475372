package cafile

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sync/singleflight"
)

// maxSize bounds a ca_file: the bundle of all public authorities has 250 KiB.
const maxSize = 1 << 20

// An Error says that a ca_file can't be used, and no more: the reason would tell who may
// name a file, and not read it, what is there. Unwrap has it for the log.
type Error struct {
	Path  string
	cause error
}

func (e *Error) Error() string {
	return fmt.Sprintf("ca_file %q: not a file of at most 1 MiB with a PEM certificate that FaDO can read", e.Path)
}

func (e *Error) Unwrap() error { return e.cause }

// reading has one read of a path at a time, however many wait for it.
var reading singleflight.Group

// Read returns the certificates in a file, at least one. The error is an [*Error].
func Read(ctx context.Context, path string) ([]*x509.Certificate, error) {
	done := reading.DoChan(path, func() (any, error) { return read(path) })
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, &Error{path, r.Err}
		}
		return r.Val.([]*x509.Certificate), nil
	case <-ctx.Done():
		return nil, &Error{path, fmt.Errorf("reading it takes too long: %w", context.Cause(ctx))}
	}
}

// Pool returns a pool of the certificates in a file, and of others' if base is not nil.
func Pool(ctx context.Context, path string, base *x509.CertPool) (*x509.CertPool, error) {
	certs, err := Read(ctx, path)
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = x509.NewCertPool()
	}
	for _, c := range certs {
		base.AddCert(c)
	}
	return base, nil
}

// read takes what x509.CertPool would of a PEM file, and passes over the rest.
func read(path string) ([]*x509.Certificate, error) {
	text, err := readRegular(path)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			certs = append(certs, cert)
		}
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return certs, nil
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
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(b) > maxSize {
		err = errors.New("larger than 1 MiB")
	}
	return b, err
}
