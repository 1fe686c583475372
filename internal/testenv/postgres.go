package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoPostgres says that PostgreSQL's server programs are not installed.
var ErrNoPostgres = errors.New("PostgreSQL's initdb and postgres were found neither in PATH nor in /usr/lib/postgresql (run make prereqs, or install the package postgresql)")

// PostgresOptions say how a PostgreSQL server is started. The zero value is good.
type PostgresOptions struct {
	// Port on 127.0.0.1; default: a free one.
	Port int
	// CertsDir holds public.crt and private.key: the server then speaks TLS, too.
	CertsDir string
	// Durable lets the server sync to disk, for measurements. By default it does not: a
	// killed process loses nothing by that, only a power cut would.
	Durable bool
	// Settings of postgresql.conf to add.
	Settings map[string]string
}

// Postgres is a running PostgreSQL server with databases in UTF-8 whose default
// collation is, where the server can, that of a language: what needs the order of
// bytes has to say so. Its methods are safe for concurrent use.
type Postgres struct {
	// User and Password are the superuser's; there is no other way in than a password.
	User, Password string
	// LogFile receives what the server prints.
	LogFile string

	opts  PostgresOptions
	bin   string // directory of the programs
	dir   string
	port  int
	owner *syscall.Credential // whom the server runs as; nil: as we do

	mu     sync.Mutex
	cmd    *exec.Cmd // the postmaster; nil when stopped
	exited chan struct{}
}

// StartPostgres starts a server on a new directory and returns when it answers. The
// context bounds the start only. Close ends it and removes the directory; it dies with
// the process that started it in any case.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	return startPostgres(ctx, o, nil)
}

// startPostgres starts a server on a copy of another's directory, which is quicker than to
// make one, or on a new one.
func startPostgres(ctx context.Context, o PostgresOptions, like *Postgres) (*Postgres, error) {
	p, err := makePostgres(ctx, o, like)
	if err != nil {
		return nil, err
	}
	for range startAttempts {
		if p.port = o.Port; p.port == 0 {
			if p.port, err = FreePort(); err != nil {
				break
			}
		}
		if err = p.launch(ctx); err == nil {
			return p, nil
		}
		if ctx.Err() != nil || o.Port != 0 {
			break
		}
	}
	p.Close()
	return nil, err
}

// makePostgres makes the directory of a server that does not run yet.
func makePostgres(ctx context.Context, o PostgresOptions, like *Postgres) (*Postgres, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	p := &Postgres{User: "fado", Password: randomHex(12), opts: o, bin: bin}
	if err := p.init(ctx, like); err != nil {
		p.Close()
		return nil, fmt.Errorf("making a PostgreSQL database: %w", err)
	}
	return p, nil
}

// postgresPrograms returns the directory of initdb and postgres, the newest where there
// are several.
func postgresPrograms() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(dirs, func(a, b string) int { return majorOf(b) - majorOf(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append([]string{filepath.Dir(path)}, dirs...)
	}
	for _, dir := range dirs {
		_, noInitdb := os.Stat(filepath.Join(dir, "initdb"))
		_, noServer := os.Stat(filepath.Join(dir, "postgres"))
		if noInitdb == nil && noServer == nil {
			return dir, nil
		}
	}
	return "", ErrNoPostgres
}

func majorOf(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

// init makes the directory and the database cluster in it.
func (p *Postgres) init(ctx context.Context, like *Postgres) error {
	var err error
	if p.owner, err = unprivileged(); err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp(reachableTemp(p.owner), "fado-postgres-"); err != nil {
		return err
	}
	p.LogFile = filepath.Join(p.dir, "server.log")
	if err := p.give(p.dir); err != nil {
		return err
	}
	if err := p.makeData(like); err != nil {
		return err
	}
	if p.opts.CertsDir == "" {
		return nil
	}
	for from, to := range map[string]string{"public.crt": "server.crt", "private.key": "server.key"} {
		b, err := os.ReadFile(filepath.Join(p.opts.CertsDir, from))
		if err != nil {
			return err
		}
		file := filepath.Join(p.data(), to)
		if err := errors.Join(os.WriteFile(file, b, 0o600), p.give(file)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *Postgres) makeData(like *Postgres) error {
	if like != nil {
		p.Password = like.Password
		if out, err := exec.Command("cp", "-a", like.data(), p.data()).CombinedOutput(); err != nil {
			return fmt.Errorf("copying %s: %w\n%s", like.data(), err, out)
		}
		return nil
	}
	secret := filepath.Join(p.dir, "password")
	if err := errors.Join(os.WriteFile(secret, []byte(p.Password), 0o600), p.give(secret)); err != nil {
		return err
	}
	cmd := p.command("initdb", "--pgdata", p.data(), "--username", p.User, "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// unprivileged returns whom to run the server as: it refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}, errors.Join(uidErr, gidErr)
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// reachableTemp is the directory for temporary files, if whom the server runs as can
// walk to it.
func reachableTemp(owner *syscall.Credential) string {
	if owner == nil {
		return ""
	}
	for dir := os.TempDir(); ; dir = filepath.Dir(dir) {
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm()&0o001 == 0 {
			return "/tmp"
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// give makes files the server's own.
func (p *Postgres) give(paths ...string) error {
	var errs []error
	for _, path := range paths {
		if p.owner != nil {
			errs = append(errs, os.Chown(path, int(p.owner.Uid), int(p.owner.Gid)))
		}
	}
	return errors.Join(errs...)
}

// MakeDir makes a directory of the server's own, for a tablespace.
func (p *Postgres) MakeDir(path string) error {
	return errors.Join(os.Mkdir(path, 0o700), p.give(path))
}

func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + p.dir}
	// See Server.command. The credentials are set before the signal of the parent's
	// death, which a change of them would take back.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: p.owner}
	return cmd
}

func (p *Postgres) serverArgs() []string {
	settings := map[string]string{
		"port": strconv.Itoa(p.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
		"max_connections": "200", "shared_buffers": "64MB", "logging_collector": "off",
		"fsync": "off", "full_page_writes": "off",
	}
	if p.opts.Durable {
		settings["fsync"], settings["full_page_writes"] = "on", "on"
	}
	if p.opts.CertsDir != "" {
		settings["ssl"] = "on"
	}
	maps.Copy(settings, p.opts.Settings)
	args := []string{"-D", p.data()}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

func (p *Postgres) launch(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return errors.New("PostgreSQL is running already")
	}
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening PostgreSQL's log: %w", err)
	}
	cmd := p.command("postgres", p.serverArgs()...)
	cmd.Stdout, cmd.Stderr = log, log
	exited, err := run(cmd)
	log.Close()
	if err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	p.cmd, p.exited = cmd, exited
	if err := p.awaitReady(ctx); err != nil {
		p.end(syscall.SIGKILL)
		tail, _ := os.ReadFile(p.LogFile)
		return fmt.Errorf("starting PostgreSQL on port %d: %w\n%s", p.port, err, tail[max(0, len(tail)-2000):])
	}
	return nil
}

// awaitReady asks for the server's own directory, so that no other server that holds the
// port is taken for this one, with the same password or another.
func (p *Postgres) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("waiting for it to answer: %w", err)
		case <-tick.C:
		}
	}
}

func (p *Postgres) answers(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var dir string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&dir); err != nil {
		return err
	}
	if dir != p.data() {
		return fmt.Errorf("the port %d is that of the server in %s", p.port, dir)
	}
	return nil
}

// Addr is the server's host:port, for a Proxy.
func (p *Postgres) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// DSN is the superuser's connection string for a database.
func (p *Postgres) DSN(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(p.User, p.Password), Host: p.Addr(), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// NewDatabase makes an empty database and returns its name.
func (p *Postgres) NewDatabase(ctx context.Context) (string, error) {
	return newDatabase(ctx, p.DSN("postgres"))
}

func newDatabase(ctx context.Context, admin string) (string, error) {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return "", fmt.Errorf("making a database: %w", err)
	}
	defer conn.Close(ctx)
	name := "fado_test_" + randomHex(6)
	create := "CREATE DATABASE " + name + " TEMPLATE template0 ENCODING 'UTF8'"
	if _, err := conn.Exec(ctx, create+" LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'"); err == nil {
		return name, nil
	}
	if _, err = conn.Exec(ctx, create); err != nil { // a server without ICU
		return "", fmt.Errorf("making a database: %w", err)
	}
	return name, nil
}

// dropDatabase removes a database, even with open connections.
func dropDatabase(ctx context.Context, admin, name string) error {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	return err
}

// Running says whether the server's process lives.
func (p *Postgres) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

func (p *Postgres) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Stop ends the server as an operator would (a fast shutdown), and waits.
func (p *Postgres) Stop() { p.lockedEnd(syscall.SIGINT) }

// Kill ends the server as a power cut would (SIGKILL of all its processes), and waits.
func (p *Postgres) Kill() { p.lockedEnd(syscall.SIGKILL) }

func (p *Postgres) lockedEnd(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(sig)
}

func (p *Postgres) end(sig syscall.Signal) {
	if p.cmd == nil {
		return
	}
	all := p.processes()
	if p.running() && sig == syscall.SIGKILL {
		signalAll(all, sig)
	} else if p.running() {
		signalAll(all[:1], sig)
		signalAll(all, syscall.SIGCONT)
	}
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		signalAll(p.processes(), syscall.SIGKILL)
		<-p.exited
	}
	for until := time.Now().Add(stopTimeout); slices.ContainsFunc(all[1:], lives) && time.Now().Before(until); {
		time.Sleep(time.Millisecond) // a backend that lives on keeps the next start from the data
	}
	p.cmd = nil
}

// Pause freezes the server and every backend (SIGSTOP), and returns when they stand.
func (p *Postgres) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return
	}
	signalAll([]int{p.cmd.Process.Pid}, syscall.SIGSTOP) // first: it starts no more of them
	for until := time.Now().Add(stopTimeout); time.Now().Before(until); time.Sleep(time.Millisecond) {
		all := p.processes()
		signalAll(all, syscall.SIGSTOP)
		// One that ended meanwhile waits for the postmaster, which stands, to notice.
		if !slices.ContainsFunc(all, func(pid int) bool { return lives(pid) && processState(pid) != 'T' }) {
			return
		}
	}
}

// Resume continues a paused server.
func (p *Postgres) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		signalAll(p.processes(), syscall.SIGCONT)
	}
}

// Restart stops the server if it runs and starts it again on the same port and data.
func (p *Postgres) Restart(ctx context.Context) error {
	p.Stop()
	var err error
	for range startAttempts {
		if err = p.launch(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Close ends the server at once and removes its directory.
func (p *Postgres) Close() {
	p.lockedEnd(syscall.SIGQUIT) // an immediate shutdown gives its shared memory back
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// processes lists the postmaster and its children. Those have process groups of their
// own, so that a signal to the postmaster's does not reach them.
func (p *Postgres) processes() []int {
	all := []int{p.cmd.Process.Pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if fields := statFields(pid); err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(all[0]) {
			all = append(all, pid)
		}
	}
	return all
}

// statFields are the fields of a process after its name: its state, its parent, ...
func statFields(pid int) []string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// processState is a process's state as in ps, 0 if there is none such.
func processState(pid int) byte {
	fields := statFields(pid)
	if len(fields) == 0 {
		return 0
	}
	return fields[0][0]
}

func lives(pid int) bool {
	st := processState(pid)
	return st != 0 && st != 'Z'
}

func signalAll(pids []int, sig syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}
