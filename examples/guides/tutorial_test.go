package guides

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTutorial types what docs/tutorial.md says, block after block in one shell, and looks for
// the lines that it says are printed. Ports are other ones, so that it runs beside a demo.
func TestTutorial(t *testing.T) {
	dir, path := t.TempDir(), bin(t)
	ports := []string{"localhost:2019", "localhost:" + freePort(t)}
	for _, p := range []string{":9010", ":9020", ":9101", ":9102", ":6000", ":9000"} {
		ports = append(ports, p, ":"+freePort(t))
	}
	other := strings.NewReplacer(ports...)
	const marker = "==== block "
	script := "set -eu\ntrap 'caddy stop >/dev/null 2>&1 || true; kill $(jobs -p) 2>/dev/null || true' EXIT\n"
	expected := make(map[int][]string) // by the line of the block before
	last, typed := 0, 0
	for _, b := range blocks(t, "tutorial.md") {
		switch b.info {
		case "sh":
			last = b.line
			typed++
			script += "echo '" + marker + strconv.Itoa(last) + "'\n" + other.Replace(b.text)
		case "text":
			expected[last] = append(expected[last], slices.Collect(strings.Lines(other.Replace(b.text)))...)
		case "sh setup": // this test has the parts
		default:
			t.Errorf("line %d: a block of %q, which this test does not know", b.line, b.info)
		}
	}
	if typed < 10 || len(expected) < 8 {
		t.Fatalf("%d blocks to type, %d with what is printed", typed, len(expected))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		"CADDY_ADMIN="+ports[1], "GOCOVERDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "caddy.log"))
		t.Fatalf("%v after:\n%s\ncaddy.log:\n%s", err, out, log)
	}
	printed := make(map[int]string)
	for _, part := range strings.Split(string(out), marker)[1:] {
		line, text, _ := strings.Cut(part, "\n")
		n, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		printed[n] = text
	}
	for line, lines := range expected {
		for _, want := range lines {
			if want = strings.TrimSpace(want); !slices.ContainsFunc(strings.Split(printed[line], "\n"), func(l string) bool { return matches(want, l) }) {
				t.Errorf("the block in line %d does not print %q, but:\n%s", line, want, printed[line])
			}
		}
	}
}

// What is expected is told from what is not.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		want, line string
		is         bool
	}{
		{"berlin   eu  up …", "berlin   eu     up       42 B", true},
		{"berlin   eu  up …", "paris   eu     up       42 B", false},
		{"reports: ok", "reports: ok", true},
		{"reports: ok", "reports: ok, nearly", false},
		{`…"bytes":26,…`, `{"a":1,"bytes":26,"c":2}`, true},
		{`…"bytes":26,…`, `{"a":1,"bytes":261,"c":2}`, false},
		{"a (b) …", "a xbx c", false},
	} {
		if matches(c.want, c.line) != c.is {
			t.Errorf("%q, %q: expected %v", c.want, c.line, c.is)
		}
	}
}
