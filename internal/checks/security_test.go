package checks

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatsAreHeldByTests: every test that docs/security.md names is there, and every
// threat has one.
func TestThreatsAreHeldByTests(t *testing.T) {
	_, table, ok := strings.Cut(read(t, "docs/security.md"), "| who | can | cannot | held by |\n|---|---|---|---|\n")
	if !ok {
		t.Fatal("docs/security.md has no table of threats")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	named := regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)\\w+)`")
	parties := make(map[string]bool)
	for line := range strings.Lines(table) {
		tests := named.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("no test holds %s", line)
		}
		for _, m := range tests {
			if !declares(t, m[1], m[2]) {
				t.Errorf("%s has no %s", m[1], m[2])
			}
		}
		if who := regexp.MustCompile(`^\| ([A-Z]): `).FindStringSubmatch(line); who != nil {
			parties[who[1]] = true
		}
	}
	for _, p := range []string{"C", "F", "S", "N", "A", "E", "L", "B", "P", "V"} {
		if !parties[p] {
			t.Errorf("the table says nothing of %s", p)
		}
	}
}

// declares reports whether a package has a test or a fuzz target.
func declares(t *testing.T, pkg, name string) bool {
	t.Helper()
	files := glob(t, filepath.Join(pkg, "*_test.go"))
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
