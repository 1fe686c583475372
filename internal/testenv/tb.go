package testenv

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// MinIO starts a MinIO that ends with the test. Without the binary the test is
// skipped, or fails if FADO_REQUIRE_TOOLS=1.
func MinIO(tb testing.TB, opts ...Options) *Server {
	tb.Helper()
	return start(tb, KindMinIO, opts)
}

// MuteMinIO starts a MinIO whose notification listener never flushes; see MinIO.
func MuteMinIO(tb testing.TB, opts ...Options) *Server {
	tb.Helper()
	return start(tb, KindMuteMinIO, opts)
}

// VersityGW starts a versitygw that ends with the test; see MinIO. Without Options
// it keeps versions.
func VersityGW(tb testing.TB, opts ...Options) *Server {
	tb.Helper()
	if len(opts) == 0 {
		opts = []Options{{Versioning: true}}
	}
	return start(tb, KindVersityGW, opts)
}

func start(tb testing.TB, kind Kind, opts []Options) *Server {
	tb.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	return StartFor(tb, kind, o)
}

// StartFor starts a server of any kind that ends with the test; see MinIO.
func StartFor(tb testing.TB, kind Kind, o Options) *Server {
	tb.Helper()
	s, err := Start(context.Background(), kind, o)
	skipWithoutBinary(tb, err)
	tb.Cleanup(s.Close)
	return s
}

func skipWithoutBinary(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, ErrNoBinary) && os.Getenv("FADO_REQUIRE_TOOLS") != "1" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// NewClient returns a plain minio-go client for the server.
func (s *Server) NewClient(tb testing.TB) *minio.Client {
	tb.Helper()
	c, err := s.Client()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// StartProxy starts a proxy before a server that ends with the test.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	p, err := NewProxy(target)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	return p
}

// Certs makes a directory with public.crt and private.key of a new self-signed
// certificate for 127.0.0.1, for Options.CertsDir. public.crt is its own CA file.
func Certs(tb testing.TB) (dir, caFile string) {
	tb.Helper()
	dir = tb.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fado test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	caFile = filepath.Join(dir, "public.crt")
	writePEM(tb, caFile, "CERTIFICATE", der)
	writePEM(tb, filepath.Join(dir, "private.key"), "PRIVATE KEY", keyDER)
	return dir, caFile
}

func writePEM(tb testing.TB, path, kind string, der []byte) {
	tb.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
}
