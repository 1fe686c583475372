package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// env is what the sections share.
type env struct {
	quick    bool
	dir      string // temporary
	out      string // bench/out: one file per section
	backends []*http.Server
	urls     []string // of the backends
}

// backendCount is how many clusters, each with one function server, there are.
const backendCount = 3

func newEnv(quick bool) (*env, error) {
	dir, err := os.MkdirTemp("", "fado-bench-")
	if err != nil {
		return nil, err
	}
	e := &env{quick: quick, dir: dir, out: "bench/out"}
	if err := os.MkdirAll(e.out, 0o755); err != nil {
		return nil, err
	}
	for range backendCount {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello\n")
		}), ReadHeaderTimeout: time.Minute}
		go func() { _ = s.Serve(l) }()
		e.backends = append(e.backends, s)
		e.urls = append(e.urls, "http://"+l.Addr().String())
	}
	return e, nil
}

func (e *env) close() {
	for _, b := range e.backends {
		_ = b.Close()
	}
	_ = os.RemoveAll(e.dir)
}

func totalMemory() string {
	kib, err := procField("/proc/meminfo", "MemTotal:")
	if err != nil {
		return "unknown size"
	}
	return fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
}

// procField reads a figure in KiB from a file of /proc.
func procField(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == name {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// bar says whether a figure reaches what it has to.
func bar(ok bool, text string) string {
	if ok {
		return text
	}
	return text + " **missed**"
}

// caddy is a running bin/caddy.
type caddy struct {
	cmd     *exec.Cmd
	exited  chan struct{}
	admin   string
	started time.Duration // until it answered
}

// startCaddy runs bin/caddy with a JSON configuration and returns once its FaDO
// answers.
func (e *env) startCaddy(ctx context.Context, config map[string]any) (*caddy, error) {
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config["admin"] = map[string]any{"listen": admin, "config": map[string]any{"persist": false}}
	config["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"level": "WARN"}}}
	b, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(e.dir, "config.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(e.dir, "caddy.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c := &caddy{exited: make(chan struct{}), admin: "http://" + admin}
	c.cmd = exec.Command("bin/caddy", "run", "--config", file)
	c.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+e.dir, "XDG_CONFIG_HOME="+e.dir)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	begin := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting bin/caddy: %w (make build)", err)
	}
	go func() { _ = c.cmd.Wait(); close(c.exited) }()
	if err := c.await(ctx); err != nil {
		c.stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	c.started = time.Since(begin)
	return c, nil
}

func (c *caddy) await(ctx context.Context) error {
	deadline := time.After(3 * time.Minute)
	for {
		resp, err := http.Get(c.admin + "/fado/")
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-c.exited:
			return errors.New("caddy ended at once")
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return errors.New("caddy did not answer in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *caddy) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

// rss returns the resident set now and at its highest, in MiB.
func (c *caddy) rss() (now, peak int64, err error) {
	file := fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid)
	if now, err = procField(file, "VmRSS:"); err != nil {
		return 0, 0, err
	}
	peak, err = procField(file, "VmHWM:")
	return now >> 10, peak >> 10, err
}

// api calls the admin API.
func (c *caddy) api(ctx context.Context, method, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.admin+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
