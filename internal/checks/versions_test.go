package checks

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func glob(t *testing.T, pattern string) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		rel, err := filepath.Rel(root, p)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.ToSlash(rel))
	}
	return names
}

// TestOneCaddyVersion: the Makefile, go.mod, the Dockerfiles and the pages for people
// name the same version of Caddy.
func TestOneCaddyVersion(t *testing.T) {
	m := regexp.MustCompile(`(?m)^CADDY_VERSION\s*:=\s*v(\S+)$`).FindStringSubmatch(read(t, "Makefile"))
	if m == nil {
		t.Fatal("the Makefile names no CADDY_VERSION")
	}
	want := m[1]
	if !strings.Contains(read(t, "go.mod"), "github.com/caddyserver/caddy/v2 v"+want+"\n") {
		t.Errorf("go.mod does not require Caddy v%s", want)
	}
	named := regexp.MustCompile(`(?:xcaddy build v|Caddy v|FROM caddy:)(\d+\.\d+\.\d+)`)
	files := []string{"README.md", "SECURITY.md", "CONTRIBUTING.md", "Dockerfile", "imports.go"}
	for _, name := range append(files, glob(t, "docs/*.md")...) {
		for _, m := range named.FindAllStringSubmatch(read(t, name), -1) {
			if m[1] != want {
				t.Errorf("%s names Caddy %s, the Makefile builds %s", name, m[1], want)
			}
		}
	}
}

// TestActionsArePinned: a workflow runs no action by a name that someone else can move.
func TestActionsArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v\d`)
	names := glob(t, ".github/workflows/*.yml")
	if len(names) == 0 {
		t.Fatal("no workflows")
	}
	for _, name := range names {
		text := read(t, name)
		if err := yaml.Unmarshal([]byte(text), new(map[string]any)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, m := range regexp.MustCompile(`(?m)uses:\s*(.*)$`).FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: %q is not pinned by the hash of a commit with its version behind it", name, m[1])
			}
		}
	}
}

// TestLinksLeadSomewhere: the pages for people link to files that are there, and to headings
// that these have.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]*)(?:#([^)\s]*))?\)`)
	for _, name := range append(glob(t, "*.md"), glob(t, "docs/*.md")...) {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			if strings.Contains(m[1], "security/advisories") {
				continue
			}
			to := name
			if m[1] != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(name), m[1]))
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			} else if m[2] != "" && !slices.Contains(anchors(read(t, to)), m[2]) {
				t.Errorf("%s links to %s#%s: %s has no such heading", name, m[1], m[2], to)
			}
		}
	}
}

// anchors are the headings of a page as GitHub names them in links.
func anchors(page string) (all []string) {
	code := regexp.MustCompile("(?ms)^ *```.*?^ *```")
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(code.ReplaceAllString(page, ""), -1) {
		anchor := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		all = append(all, regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(anchor, ""))
	}
	return all
}
