//go:build linux

package cli_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/fado-project/fado/cli"
)

// screen is a terminal that a command runs at.
type screen struct {
	keys *os.File // what is typed, and what is shown
	tty  *os.File
	done chan struct{}

	mu    sync.Mutex
	shown strings.Builder
}

// newScreen makes a pseudo-terminal of so many columns.
func newScreen(t *testing.T, columns uint16) *screen {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err == nil {
		err = unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{keys: keys, tty: tty, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			s.mu.Lock()
			s.shown.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = keys.Close() })
	return s
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// run runs a command at the terminal; asked is called when it asks for something.
func (s *screen) run(ctx context.Context, asked func(), args ...string) (string, error) {
	cmd := &cobra.Command{Use: "fado", SilenceUsage: true}
	cmd.AddCommand(cli.Commands()...)
	cmd.SetArgs(args)
	cmd.SetIn(s.tty)
	cmd.SetOut(s.tty)
	cmd.SetErr(s.tty)
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	for {
		select {
		case err := <-ended:
			_, _ = io.WriteString(s.tty, "\x04end")
			for !strings.Contains(s.text(), "\x04end") {
				time.Sleep(time.Millisecond)
			}
			return s.text(), err
		case <-time.After(time.Millisecond):
			if asked != nil && strings.Contains(s.text(), "[y/N]") {
				asked()
				asked = nil
			}
		}
	}
}

const zoneYAML = "fado: 1\nzones:\n- name: eu\n"

// At a terminal a person is asked, and only a yes is one. Ctrl-C ends the question.
func TestApplyAsks(t *testing.T) {
	address, file := serve(t), t.TempDir()+"/zone.yaml"
	write(t, file, zoneYAML)
	for _, tc := range []struct {
		typed string
		says  string
	}{
		{"\n", "not confirmed: nothing was changed"},
		{"n\n", "not confirmed: nothing was changed"},
		{"yep\n", "not confirmed: nothing was changed"},
		{"", "not confirmed: nothing was changed"}, // Ctrl-C
		{"Yes\n", "Applied: 1 change"},
		{"y\n", "Applied: 0 changes"}, // nothing is asked where nothing is to be done
	} {
		s := newScreen(t, 80)
		ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
		out, err := s.run(ctx, func() {
			if tc.typed == "" {
				interrupt()
			}
			_, _ = io.WriteString(s.keys, tc.typed)
		}, "apply", "-f", file, "--address", address)
		if !strings.Contains(out+fmt.Sprint(err), tc.says) || t.Context().Err() != nil {
			t.Errorf("%q: %v\n%s", tc.typed, err, out)
		}
		interrupt()
	}
}

// Of two people who look at a plan each, the second is told that the first was quicker, and changes
// nothing.
func TestTwoApply(t *testing.T) {
	address, file := serve(t), t.TempDir()+"/zone.yaml"
	write(t, file, zoneYAML)
	s := newScreen(t, 80)
	out, err := s.run(t.Context(), func() {
		if _, _, err := fado("fado: 1\nzones:\n- {name: eu, labels: {by: another}}\n", "apply", "-f", "-", "--yes", "--address", address); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(s.keys, "y\n")
	}, "apply", "-f", file, "--address", address)
	if err == nil || !strings.Contains(err.Error(), "the catalogue was changed since this plan was made, for revision 0: nothing was done") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err := fado("", "export", "--address", address); err != nil || !strings.Contains(out, "by: another") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Standard input that is the null device is no terminal: nobody is asked there.
func TestNobodyIsAsked(t *testing.T) {
	address, file := serve(t), t.TempDir()+"/zone.yaml"
	write(t, file, zoneYAML)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd := &cobra.Command{Use: "fado", SilenceUsage: true, SilenceErrors: true}
	cmd.AddCommand(cli.Commands()...)
	cmd.SetArgs([]string{"apply", "-f", file, "--address", address})
	cmd.SetIn(null)
	cmd.SetOut(io.Discard)
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "give --yes") {
		t.Errorf("%v", err)
	}
}

// Colours are for terminals, and for people who want them. Tables fit a terminal that is narrow.
func TestTerminals(t *testing.T) {
	address := serve(t)
	if _, _, err := fado(documentYAML+"buckets:\n- {name: a-bucket-with-a-name-that-is-quite-long, policy: keep}\n", "apply", "-f", "-", "--yes", "--address", address); err != nil {
		t.Fatal(err)
	}
	const coloured = "\x1b["
	for _, tc := range []struct {
		noColor string
		colours bool
	}{{"", true}, {"1", false}} {
		t.Setenv("NO_COLOR", tc.noColor)
		if out, _ := newScreen(t, 80).run(t.Context(), nil, "status", "--address", address); strings.Contains(out, coloured) != tc.colours {
			t.Errorf("NO_COLOR=%s: %q", tc.noColor, out)
		}
	}
	t.Setenv("NO_COLOR", "")
	if out, _, _ := fado("", "status", "--address", address); strings.Contains(out, coloured) {
		t.Errorf("colours where nobody looks: %q", out)
	}
	for columns, most := range map[uint16]int{60: 60, 80: 80, 200: 100, 10: 40} {
		for _, list := range []string{"buckets", "clusters", "policies"} {
			out, err := newScreen(t, columns).run(t.Context(), nil, list, "--address", address)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(strings.TrimSuffix(out, "\x04end")) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")); n > most {
					t.Errorf("%s at %d columns has a line of %d: %s", list, columns, n, line)
				}
			}
		}
	}
}

// A shell is told the names that there are, and the words of a choice.
func TestCompletion(t *testing.T) {
	at := serve(t)
	document := documentYAML + "buckets:\n- {name: photos, policy: keep, primary: paris}\n- {name: reports, policy: keep, primary: paris}\n"
	if _, _, err := fado(document, "apply", "-f", "-", "--yes", "--address", at); err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"sync ":                "photos reports :4",
		"sync ph":              "photos :4",
		"sync hotos":           ":4", // names are completed, not found
		"drain ":               "paris :4",
		"trust photos ":        "paris :4",
		"deletes photos ":      "confirm reject :4",
		"rebalance s":          "start stop :4",
		"trust photos paris x": ":4",
		"audit verify ":        ":0", // files
	} {
		args := strings.Split(typed, " ")
		last := len(args) - 1
		args = append(append([]string{"__complete"}, args[:last]...), "--address", at, args[last])
		out, _, err := fado("", args...)
		if got := strings.Join(strings.Fields(out), " "); err != nil || got != want {
			t.Errorf("%q is completed by %q, want %q: %v", typed, got, want, err)
		}
	}
	if out, _, err := fado("", "__complete", "sync", "--address", "127.0.0.1:1", ""); err != nil || strings.TrimSpace(out) != ":4" {
		t.Errorf("without FaDO: %q %v", out, err)
	}
}
