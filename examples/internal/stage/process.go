package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a program that an example started.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	log    string
}

// StartProcess starts a program whose output goes to a log file.
func StartProcess(log string, env []string, name string, args ...string) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd := exec.Command(name, args...) //nolint:noctx // the example decides when it ends, in an order of its own
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the example to act on
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w (make builds it)", name, err)
	}
	p := &Process{cmd: cmd, exited: make(chan struct{}), log: log}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Await waits until a URL answers 200.
func (p *Process) Await(ctx context.Context, url string) error {
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

// Stop ends the process as an operator would, and waits.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// Kill ends the process as a crash would, and waits.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// ShowLog prints the end of a log, for a step that failed.
func ShowLog(path string) {
	b, _ := os.ReadFile(path)
	if len(b) > 8000 {
		b = b[len(b)-8000:]
	}
	fmt.Fprintf(os.Stderr, "\n--- the end of %s\n%s\n", path, b)
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }
