// Package testenv starts the real parts that tests, benchmarks and the demo work on:
// MinIO, versitygw and PostgreSQL servers on free loopback ports, and a TCP proxy that
// breaks connections on demand.
//
// [Start], [StartPostgres] and [NewProxy] return errors and need no testing.T; [MinIO], [VersityGW]
// and the other functions that take a testing.TB wrap them, clean up with the test,
// and skip where a binary is missing. Every server dies with the process that
// started it, however that ends.
package testenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Kind names a program that can be started.
type Kind string

// The kinds of server. They are the names of the binaries, too.
const (
	KindMinIO Kind = "minio"
	// KindMuteMinIO is a later MinIO, whose notification listener never flushes.
	KindMuteMinIO Kind = "minio-mute"
	KindVersityGW Kind = "versitygw"
)

// ErrNoBinary says that a server's program is not installed; `make tools` builds it.
var ErrNoBinary = errors.New("binary not found (run make tools)")

const (
	startTimeout  = 3 * time.Minute
	stopTimeout   = 30 * time.Second
	startAttempts = 5
	portAttempts  = 100
	lowestPort    = 12_000 // above what servers have by default
)

// Options say how a server is started. The zero value is good: free ports, a new
// temporary directory, random keys.
type Options struct {
	// Dir holds the server's data; default: a new temporary directory, which Close
	// removes.
	Dir string
	// Port and ConsolePort of the server on 127.0.0.1; default: free ones.
	Port, ConsolePort int
	// AccessKey and SecretKey of the root user; default: random ones.
	AccessKey, SecretKey string
	// Versioning lets versitygw keep versions; MinIO always can.
	Versioning bool
	// CertsDir holds public.crt and private.key for TLS; default: plain HTTP.
	CertsDir string
	// Env is added to the server's environment.
	Env []string
}

// Server is a running S3 server. Its methods are safe for concurrent use.
type Server struct {
	Kind      Kind
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string
	// Dir holds the data: <Dir>/<bucket>/<key> with versitygw, and
	// <Dir>/<bucket>/<key>/xl.meta with MinIO.
	Dir string
	// LogFile receives what the server prints.
	LogFile string

	opts  Options
	owned string // temporary directory to remove

	mu     sync.Mutex
	Cmd    *exec.Cmd     // the running process; nil when stopped
	exited chan struct{} // closed when Cmd has ended
}

// Start starts a server and returns when it answers an authenticated request. The
// context bounds the start only.
func Start(ctx context.Context, kind Kind, o Options) (*Server, error) {
	if _, err := Binary(string(kind)); err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, AccessKey: o.AccessKey, SecretKey: o.SecretKey, opts: o}
	if s.AccessKey == "" {
		s.AccessKey, s.SecretKey = randomHex(8), randomHex(16)
	}
	if err := s.makeDirs(); err != nil {
		return nil, err
	}
	var err error
	for range startAttempts {
		if err = s.choosePorts(); err != nil {
			break
		}
		if err = s.launch(ctx); err == nil {
			return s, nil
		}
		if ctx.Err() != nil || o.Port != 0 {
			break // a free port may be taken before the server binds it; a fixed one stays so
		}
	}
	s.Close()
	return nil, err
}

func (s *Server) makeDirs() error {
	work, err := os.MkdirTemp("", "fado-"+string(s.Kind)+"-")
	if err != nil {
		return fmt.Errorf("making a directory for %s: %w", s.Kind, err)
	}
	s.owned, s.LogFile = work, filepath.Join(work, "server.log")
	s.Dir = s.opts.Dir
	if s.Dir == "" {
		s.Dir = filepath.Join(work, "data")
	}
	for _, d := range []string{s.Dir, s.versionsDir()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("making a directory for %s: %w", s.Kind, err)
		}
	}
	return nil
}

func (s *Server) versionsDir() string { return filepath.Join(s.owned, "versions") }

func (s *Server) choosePorts() error {
	port := s.opts.Port
	if port == 0 {
		var err error
		if port, err = FreePort(); err != nil {
			return err
		}
	}
	scheme := "http"
	if s.opts.CertsDir != "" {
		scheme = "https"
	}
	s.Endpoint = scheme + "://127.0.0.1:" + strconv.Itoa(port)
	return nil
}

// addr is the server's host:port.
func (s *Server) addr() string {
	_, addr, _ := cutScheme(s.Endpoint)
	return addr
}

func (s *Server) command() (*exec.Cmd, error) {
	bin, err := Binary(string(s.Kind))
	if err != nil {
		return nil, err
	}
	var args, env []string
	if s.Kind == KindVersityGW {
		args, env = s.versityArgs()
	} else if args, env, err = s.minioArgs(); err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, args...)
	cmd.Dir = s.owned
	cmd.Env = append(append(os.Environ(), env...), s.opts.Env...)
	// A group of its own keeps Ctrl-C at a terminal away from it, so that the program
	// that started it decides the order of the end; and it dies with that program.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}

func (s *Server) minioArgs() (args, env []string, err error) {
	console := s.opts.ConsolePort
	if console == 0 {
		if console, err = FreePort(); err != nil {
			return nil, nil, err
		}
	}
	args = []string{
		"server", s.Dir, "--quiet", "--address", s.addr(),
		"--console-address", "127.0.0.1:" + strconv.Itoa(console),
	}
	if s.opts.CertsDir != "" {
		args = append(args, "--certs-dir", s.opts.CertsDir)
	}
	browser := "off"
	if s.opts.ConsolePort != 0 {
		browser = "on"
	}
	env = []string{
		"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey,
		"MINIO_BROWSER=" + browser, "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off",
		"MINIO_CI_CD=1",              // data on the root disk is fine here
		"MINIO_SCANNER_SPEED=slow",   // its own housekeeping should not cost the tests their cores
		"MINIO_API_REQUESTS_MAX=512", // by default it is computed from memory, and small on small machines
		"HOME=" + s.owned,            // its config and certificates are not those of the user
	}
	return args, env, nil
}

func (s *Server) versityArgs() (args, env []string) {
	args = []string{"--port", s.addr(), "--quiet", "--health", "/health", "--keep-alive"}
	if d := s.opts.CertsDir; d != "" {
		args = append(args, "--cert", filepath.Join(d, "public.crt"), "--key", filepath.Join(d, "private.key"))
	}
	args = append(args, "posix")
	if s.opts.Versioning {
		args = append(args, "--versioning-dir", s.versionsDir())
	}
	args = append(args, s.Dir)
	return args, []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey}
}

// launch starts the process and waits until it serves.
func (s *Server) launch(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Cmd != nil {
		return fmt.Errorf("%s is running already", s.Kind)
	}
	cmd, err := s.command()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", s.Kind, err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	exited, err := run(cmd)
	log.Close()
	if err != nil {
		return fmt.Errorf("starting %s: %w", s.Kind, err)
	}
	if err := s.awaitReady(ctx, exited); err != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
		return fmt.Errorf("starting %s on %s: %w\n%s", s.Kind, s.Endpoint, err, s.logTail())
	}
	s.Cmd, s.exited = cmd, exited
	return nil
}

// run starts cmd from a thread that lives as long as the process: the kernel sends
// Pdeathsig when the thread that started it ends, not the process (prctl(2)).
func run(cmd *exec.Cmd) (exited chan struct{}, err error) {
	started := make(chan error, 1)
	exited = make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(exited)
	}()
	return exited, <-started
}

// awaitReady asks with the server's own keys, so that another server that happens
// to hold the port is not taken for this one.
func (s *Server) awaitReady(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	go func() { // another holder of the port may never answer
		select {
		case <-exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	c, err := s.Client()
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := c.ListBuckets(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("waiting for it to answer: %w (%w)", err, ctx.Err())
		case <-tick.C:
		}
	}
}

func (s *Server) logTail() []byte {
	b, _ := os.ReadFile(s.LogFile)
	return bytes.TrimSpace(b[max(0, len(b)-2000):])
}

// Credentials are those of the root user, for minio-go.
func (s *Server) Credentials() *credentials.Credentials {
	return credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")
}

// Client returns a plain minio-go client for the server.
func (s *Server) Client() (*minio.Client, error) {
	scheme, addr, _ := cutScheme(s.Endpoint)
	return minio.New(addr, &minio.Options{
		Creds:  s.Credentials(),
		Secure: scheme == "https", Region: "us-east-1", MaxRetries: 3,
		Transport: clientTransport,
	})
}

// clientTransport is shared by all plain clients, and keeps no connection open
// behind a test's back.
var clientTransport = &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: insecureTLS()}

// Running says whether the server's process lives.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running()
}

func (s *Server) running() bool {
	if s.Cmd == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Stop ends the server as an operator would (SIGTERM), and waits. It keeps the data.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server as a power cut would (SIGKILL), and waits. It keeps the data.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Cmd == nil {
		return
	}
	if s.running() {
		s.signal(sig)
		s.signal(syscall.SIGCONT)
	}
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		s.signal(syscall.SIGKILL)
		<-s.exited
	}
	s.Cmd = nil
}

// Pause freezes the server (SIGSTOP): it accepts connections and never answers.
//
// It returns when every thread of the server has stopped: the signal alone reaches them
// one after the other, and one that runs yet may answer.
func (s *Server) Pause() {
	s.lockedSignal(syscall.SIGSTOP)
	for until := time.Now().Add(stopTimeout); !s.stopped() && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
}

// stopped says whether all threads of the server are stopped, or it does not run.
func (s *Server) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return true
	}
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.Cmd.Process.Pid))
	for _, t := range threads {
		stat, err := os.ReadFile(t)
		if err != nil {
			continue // it ended meanwhile
		}
		// The state follows the name, which is in parentheses and may contain any.
		if _, state, ok := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')'):]), ") "); ok && state[0] != 'T' {
			return false
		}
	}
	return true
}

// Resume continues a paused server.
func (s *Server) Resume() { s.lockedSignal(syscall.SIGCONT) }

func (s *Server) lockedSignal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running() {
		s.signal(sig)
	}
}

func (s *Server) signal(sig syscall.Signal) { _ = syscall.Kill(-s.Cmd.Process.Pid, sig) }

// Restart stops the server if it runs and starts it again on the same port, data and
// keys.
func (s *Server) Restart(ctx context.Context) error {
	s.Stop()
	var err error
	for range startAttempts {
		if err = s.launch(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Close ends the server at once and removes its directory if Start made it.
func (s *Server) Close() {
	s.Kill()
	_ = os.RemoveAll(s.owned)
}

// FreePort returns a TCP port of 127.0.0.1 without a listener. It lies below
// those that the kernel gives to outgoing connections, so that none of them takes it
// before a server listens there, or while one that is to come back is away.
func FreePort() (int, error) {
	l, err := listen()
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// listen takes such a port, for what closes it for a while and needs it back.
func listen() (l net.Listener, err error) {
	highest := ephemeralPorts()
	for range portAttempts {
		port := lowestPort + mathrand.IntN(highest-lowestPort)
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("finding a free port from %d to %d: %w", lowestPort, highest-1, err)
}

// ephemeralPorts is the first port that the kernel gives to outgoing connections.
func ephemeralPorts() int {
	b, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if f := strings.Fields(string(b)); len(f) == 2 {
		if low, err := strconv.Atoi(f[0]); err == nil && low > lowestPort {
			return low
		}
	}
	return 32_768 // Linux's default
}

// Binary returns the path of a program in the tools directory; ErrNoBinary if it is
// not there.
func Binary(name string) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if st, err := os.Stat(path); err != nil || st.IsDir() {
		return "", fmt.Errorf("%s: %w", path, ErrNoBinary)
	}
	return path, nil
}

// Dir returns the tools directory: $FADO_TOOLS, else .tools/bin of the module that
// the working directory lies in.
func Dir() (string, error) {
	if d := os.Getenv("FADO_TOOLS"); d != "" {
		return filepath.Abs(d)
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the tools directory: %w", err)
	}
	for d := wd; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return filepath.Join(d, ".tools", "bin"), nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("finding the tools directory: no go.mod above %s: %w", wd, ErrNoBinary)
		}
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

func cutScheme(endpoint string) (scheme, addr string, ok bool) {
	return strings.Cut(endpoint, "://")
}

func insecureTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true} // the plain client of tests on loopback
}
