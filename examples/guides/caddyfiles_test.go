package guides

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// whole puts around a block of Caddyfile what the page leaves out.
func whole(text string) string {
	app := func(function string) string {
		return "{\n\tfado {\n\t\tzone eu\n\t\tcluster berlin {\n\t\t\tzones eu\n" + function + "\t\t}\n\t}\n}\n"
	}
	site := func(policy string) string {
		return ":6000 {\n\treverse_proxy {\n\t\tdynamic fado\n\t\ttransport fado\n" + policy + "\t}\n}\n"
	}
	const function, policy = "function http://127.0.0.1:9\n", "lb_policy data_aware\n"
	switch {
	case strings.HasPrefix(text, "{\n"):
		return text
	case strings.HasPrefix(text, "function "):
		return app(text) + site(policy)
	case strings.HasPrefix(text, "lb_policy "):
		return app(function) + site(text)
	default:
		return app(function) + text
	}
}

// TestCaddyfilesOfTheDocs: every block of Caddyfile in the documentation, grammars excepted, is
// part of a valid configuration.
func TestCaddyfilesOfTheDocs(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	placeholder := regexp.MustCompile(`<[a-z]`) // of a grammar
	tried := 0
	for _, page := range append(pages, "../../README.md") {
		for _, b := range fencedBlocks(t, page) {
			if b.info != "caddyfile" || placeholder.MatchString(b.text) || strings.HasPrefix(b.text, "transport fado") {
				continue
			}
			tried++
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(whole(b.text)), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "fado", "validate", "--offline")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), caddyEnv+"=1", "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Valid configuration") {
				t.Errorf("%s, line %d: %v\n%s", filepath.Base(page), b.line, err, out)
			}
		}
	}
	if tried < 15 {
		t.Errorf("only %d blocks were found", tried)
	}
}
