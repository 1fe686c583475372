package guides

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/fado-project/fado"
	"github.com/fado-project/fado/internal/testenv"
)

// caddyEnv makes this program Caddy with FaDO.
const caddyEnv = "FADO_TEST_IS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(caddyEnv) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(testenv.Main(m).Run())
}

// block is a fenced block of a page.
type block struct {
	info, text string
	line       int
}

// blocks returns the fenced blocks of a page of docs, which has some.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	all := fencedBlocks(t, filepath.Join("../../docs", page))
	if len(all) == 0 {
		t.Fatalf("%s has no blocks", page)
	}
	return all
}

// fencedBlocks returns the fenced blocks of a file.
func fencedBlocks(t *testing.T, file string) (all []block) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```(\\S[^\\n]*)\\n(.*?)^```$")
	for _, m := range fence.FindAllSubmatchIndex(b, -1) {
		all = append(all, block{string(b[m[2]:m[3]]), string(b[m[4]:m[5]]), 1 + bytes.Count(b[:m[0]], []byte("\n"))})
	}
	return all
}

// bin makes a directory of programs: caddy (this one), fn, and the storages that make tools
// built.
func bin(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	shim := fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", caddyEnv, self)
	if err := os.WriteFile(filepath.Join(dir, "caddy"), []byte(shim), 0o755); err != nil {
		t.Fatal(err)
	}
	build(t, "../demo/function", filepath.Join(dir, "fn"))
	minio, err := testenv.Binary("minio")
	if err != nil {
		if os.Getenv("FADO_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err := os.Symlink(minio, filepath.Join(dir, "minio")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// build builds the program in a directory, which may be of another module.
func build(t *testing.T, dir, to string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", to, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", dir, err, out)
	}
}

// freePort is a port that nothing listens at.
func freePort(t *testing.T) string {
	t.Helper()
	p, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(p)
}

// start runs a program until the test ends, and waits until its address takes connections.
func start(t *testing.T, address string, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(cmd.Path), out.Bytes())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			return
		}
		select {
		case <-exited:
			t.Fatalf("%s ended at once", cmd.Path)
		case <-ctx.Done():
			t.Fatalf("%s does not answer at %s: %v", cmd.Path, address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// matches says whether a line is what a page says it is, where … stands for anything and
// blanks for any blanks.
func matches(want, line string) bool {
	parts := strings.Split(want, "…")
	for i, p := range parts {
		fields := strings.Fields(p)
		for j, f := range fields {
			fields[j] = regexp.QuoteMeta(f)
		}
		parts[i] = strings.Join(fields, `\s+`)
		if i > 0 && strings.HasPrefix(p, " ") {
			parts[i] = `\s*` + parts[i]
		}
		if i < len(parts)-1 && strings.HasSuffix(p, " ") {
			parts[i] += `\s*`
		}
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + `\s*$`).MatchString(line)
}
