package testenv

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

func TestServersKeepDataAcrossRestart(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...Options) *Server{"minio": MinIO, "versitygw": VersityGW} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			s := start(t)
			t.Logf("started in %v", time.Since(began))
			ctx, c := t.Context(), s.NewClient(t)
			if err := c.MakeBucket(ctx, "bucket", minio.MakeBucketOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.PutObject(ctx, "bucket", "k", bytes.NewReader([]byte("x")), 1, minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			s.Kill()
			if s.Running() {
				t.Fatal("it runs after Kill")
			}
			if _, err := c.StatObject(ctx, "bucket", "k", minio.StatObjectOptions{}); err == nil {
				t.Fatal("a killed server answers")
			}
			if err := s.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := c.StatObject(ctx, "bucket", "k", minio.StatObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPauseHangsUntilResume(t *testing.T) {
	s := VersityGW(t)
	c := s.NewClient(t)
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.ListBuckets(ctx); err == nil {
		t.Fatal("a paused server answers")
	}
	s.Resume()
	if _, err := c.ListBuckets(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestServerDiesWithItsParent starts a server from a process of its own, kills that
// one, and expects the server gone.
func TestServerDiesWithItsParent(t *testing.T) {
	if os.Getenv("FADO_TESTENV_CHILD") == "1" {
		s, err := Start(context.Background(), KindVersityGW, Options{Dir: os.Getenv("FADO_TESTENV_DIR")})
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("PID " + strconv.Itoa(s.Cmd.Process.Pid) + "\n")
		select {}
	}
	if _, err := Binary(string(KindVersityGW)); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsParent$")
	cmd.Env = append(os.Environ(), "FADO_TESTENV_CHILD=1", "FADO_TESTENV_DIR="+t.TempDir(), "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	buf := make([]byte, 256)
	for !strings.Contains(seen.String(), "\n") {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("reading the child: %v (%s)", err, seen.String())
		}
		seen.Write(buf[:n])
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(strings.SplitN(seen.String(), "\n", 2)[0], "PID ")))
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	deadline := time.Now().Add(time.Minute)
	for alive(pid) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d outlived its parent", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive says whether a process runs; a zombie that waits for init does not.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestProxyFaults(t *testing.T) {
	s := VersityGW(t)
	p := StartProxy(t, s.Endpoint)
	through := &Server{Kind: s.Kind, Endpoint: p.Endpoint(), AccessKey: s.AccessKey, SecretKey: s.SecretKey}
	c := through.NewClient(t)
	ctx := t.Context()
	if _, err := c.ListBuckets(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.MakeBucket(ctx, "bucket", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}

	if err := p.Refuse(true); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ListBuckets(ctx); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("refusing: %v", err)
	}
	p.Heal()

	p.CutAfter(Up, 1<<16)
	body := bytes.Repeat([]byte("x"), 1<<20)
	once := io.LimitReader(bytes.NewReader(body), int64(len(body))) // can't be rewound, so the client does not try again
	if _, err := c.PutObject(ctx, "bucket", "k", once, int64(len(body)), minio.PutObjectOptions{}); err == nil {
		t.Fatal("a cut upload succeeded")
	}
	if _, err := c.PutObject(ctx, "bucket", "k", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
		t.Fatal("after the cut:", err)
	}

	p.Hang(true)
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := c.ListBuckets(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("hanging: %v", err)
	}
	p.Heal()
	if _, err := c.ListBuckets(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestFixedPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Start(t.Context(), KindVersityGW, Options{Port: l.Addr().(*net.TCPAddr).Port})
	if err == nil {
		t.Fatal("it started on a port that is taken")
	}
	if errors.Is(err, ErrNoBinary) {
		t.Skip(err)
	}
}

// A port that the kernel also gives to outgoing connections may be taken by one while
// its server is away: a restart would fail by chance.
func TestFreePortsAreNotThoseOfOutgoingConnections(t *testing.T) {
	t.Parallel()
	for range 50 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if port < lowestPort || port >= ephemeralPorts() {
			t.Fatalf("port %d lies outside of %d to %d", port, lowestPort, ephemeralPorts()-1)
		}
	}
}
