package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
)

//go:embed Caddyfile
var caddyfile []byte

// The demo's storages all have the same credentials, for loopback only.
const (
	accessKey = "fado-demo"
	secretKey = "fado-demo-secret"
)

// cluster is one place: a MinIO, a function server.
type cluster struct {
	name   string
	minio  *testenv.Server
	s3     *minio.Client
	fnAddr string
	fn     *process
}

// world is all that runs.
type world struct {
	dir      string
	clusters []*cluster
	fado     *process
	fadoURL  string
	adminURL string
	http     *http.Client
	versions map[string]int // of overwritten objects
}

// port returns a port of the demo, overridable by the environment.
func port(name string, def int) (int, error) {
	v := os.Getenv(name)
	if v == "" {
		return def, nil
	}
	p, err := strconv.Atoi(v)
	if err != nil || p < 1 || p > 65535 {
		return 0, fmt.Errorf("%s=%q: expected a port from 1 to 65535", name, v)
	}
	return p, nil
}

func startWorld(ctx context.Context, say *display) (w *world, err error) {
	w = &world{http: &http.Client{Timeout: 30 * time.Second}, versions: make(map[string]int)}
	if w.dir, err = os.MkdirTemp("", "fado-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	env := []string{"DEMO_ACCESS_KEY=" + accessKey, "DEMO_SECRET_KEY=" + secretKey, "FADO_DB=" + filepath.Join(w.dir, "fado.db")}
	for i, name := range []string{"berlin", "paris", "virginia"} {
		say.doing("starting the storage and the function server of %s", name)
		c, err := startCluster(ctx, w.dir, i+1, name)
		if c != nil {
			w.clusters = append(w.clusters, c)
		}
		if err != nil {
			return w, err
		}
		n := strconv.Itoa(i + 1)
		env = append(env, "MINIO_PORT_"+n+"="+portOf(c.minio.Endpoint), "FN_PORT_"+n+"="+portOf(c.fnAddr))
	}
	say.doing("starting FaDO (SQLite state)")
	return w, w.startFaDO(ctx, env)
}

func startCluster(ctx context.Context, dir string, n int, name string) (*cluster, error) {
	minioPort, err := port(fmt.Sprintf("MINIO_PORT_%d", n), 9000+10*n)
	if err != nil {
		return nil, err
	}
	fnPort, err := port(fmt.Sprintf("FN_PORT_%d", n), 9100+n)
	if err != nil {
		return nil, err
	}
	c := &cluster{name: name, fnAddr: fmt.Sprintf("127.0.0.1:%d", fnPort)}
	c.minio, err = testenv.Start(ctx, testenv.KindMinIO, testenv.Options{
		Dir: filepath.Join(dir, name), Port: minioPort, AccessKey: accessKey, SecretKey: secretKey,
	})
	if err != nil {
		return nil, err
	}
	if c.s3, err = c.minio.Client(); err != nil {
		return c, err
	}
	return c, c.startFunction(ctx, dir)
}

// startFunction starts the cluster's function server, again if it was stopped.
func (c *cluster) startFunction(ctx context.Context, dir string) (err error) {
	env := []string{"S3_ACCESS_KEY=" + accessKey, "S3_SECRET_KEY=" + secretKey}
	c.fn, err = startProcess(filepath.Join(dir, "function-"+c.name+".log"), env, "bin/fn", "-name", c.name, "-listen", c.fnAddr)
	if err != nil {
		return err
	}
	return c.fn.await(ctx, "http://"+c.fnAddr+"/healthz")
}

func (w *world) startFaDO(ctx context.Context, env []string) error {
	fadoPort, err := port("FADO_PORT", 6000)
	if err != nil {
		return err
	}
	adminPort, err := port("FADO_ADMIN_PORT", 2019)
	if err != nil {
		return err
	}
	w.fadoURL, w.adminURL = fmt.Sprintf("http://127.0.0.1:%d", fadoPort), fmt.Sprintf("http://127.0.0.1:%d", adminPort)
	file := filepath.Join(w.dir, "Caddyfile")
	if err := os.WriteFile(file, caddyfile, 0o600); err != nil {
		return err
	}
	env = append(env, fmt.Sprintf("FADO_PORT=%d", fadoPort), fmt.Sprintf("FADO_ADMIN_PORT=%d", adminPort),
		"XDG_DATA_HOME="+w.dir, "XDG_CONFIG_HOME="+w.dir)
	w.fado, err = startProcess(filepath.Join(w.dir, "fado.log"), env, "bin/caddy", "run", "--config", file, "--adapter", "caddyfile")
	if err != nil {
		return err
	}
	return w.fado.await(ctx, w.adminURL+"/fado/")
}

func (w *world) cluster(name string) *cluster {
	for _, c := range w.clusters {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (w *world) list(f func(*cluster) string) string {
	var parts []string
	for _, c := range w.clusters {
		parts = append(parts, f(c))
	}
	return strings.Join(parts, ", ")
}

// stop ends everything, FaDO first, and removes the data.
func (w *world) stop() {
	if w.fado != nil {
		w.fado.stop()
	}
	for _, c := range w.clusters {
		if c.fn != nil {
			c.fn.stop()
		}
		c.minio.Stop()
		c.minio.Close()
	}
	_ = os.RemoveAll(w.dir)
}

// showLogs prints the end of FaDO's log, for a step that failed.
func (w *world) showLogs() {
	b, _ := os.ReadFile(filepath.Join(w.dir, "fado.log"))
	if len(b) > 8000 {
		b = b[len(b)-8000:]
	}
	fmt.Fprintf(os.Stderr, "\n--- the end of FaDO's log\n%s\n", b)
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// process is a program the demo started.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	log    string
}

func startProcess(log string, env []string, name string, args ...string) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo to act on
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w (make build bin/fn builds it)", name, err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{}), log: log}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// await waits until a URL answers 200.
func (p *process) await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		select {
		case <-p.exited:
			b, _ := os.ReadFile(p.log)
			return fmt.Errorf("%s ended at once:\n%s", p.cmd.Path, b)
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", url, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the process as an operator would, and waits.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// kill ends the process as a crash would, and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}
