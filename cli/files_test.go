package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// link makes a symbolic link.
func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// A directory is read as people lay it out: as a checkout, as a mounted ConfigMap, by a link, and as
// editors of other systems write.
func TestDirectoriesOfDocuments(t *testing.T) {
	address := serve(t)
	const eu, us = "fado: 1\nzones:\n- name: eu\n", "fado: 1\nzones:\n- name: us\n"
	for name, tc := range map[string]struct {
		lay  func(dir string)
		want []string
		not  string
	}{
		"a checkout": {func(dir string) {
			write(t, filepath.Join(dir, "zones.yaml"), eu)
			write(t, filepath.Join(dir, ".github", "workflows", "ci.yml"), "on: push\n")
			write(t, filepath.Join(dir, ".pre-commit-config.yaml"), "repos: []\n")
			write(t, filepath.Join(dir, "README.md"), "# Zones\n")
			write(t, filepath.Join(dir, "zones.yaml~"), us)
		}, []string{"+ zone eu"}, "zone us"},
		"a mounted ConfigMap": {func(dir string) {
			write(t, filepath.Join(dir, "..2026_11_30", "zones.yaml"), eu)
			link(t, "..2026_11_30", filepath.Join(dir, "..data"))
			link(t, filepath.Join("..data", "zones.yaml"), filepath.Join(dir, "zones.yaml"))
		}, []string{"+ zone eu"}, "zone us"},
		"links": {func(dir string) {
			elsewhere := t.TempDir()
			write(t, filepath.Join(elsewhere, "us.yaml"), us)
			write(t, filepath.Join(dir, "eu.yaml"), eu)
			link(t, filepath.Join(elsewhere, "us.yaml"), filepath.Join(dir, "us.yaml"))
			link(t, elsewhere, filepath.Join(dir, "below"))
			link(t, elsewhere, filepath.Join(dir, "below.yaml"))
		}, []string{"+ zone eu", "+ zone us"}, "declared once"},
		"another system's": {func(dir string) {
			write(t, filepath.Join(dir, "EU.YAML"), "\ufeff"+strings.ReplaceAll(eu, "\n", "\r\n"))
			write(t, filepath.Join(dir, "US.JSON"), "\ufeff{\"fado\": 1,\r\n\t\"zones\": [{\"name\": \"us\"}]}\r\n")
		}, []string{"+ zone eu", "+ zone us"}, "document"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "catalogue")
			tc.lay(dir)
			named := filepath.Join(t.TempDir(), "link")
			link(t, dir, named)
			for _, path := range []string{dir, dir + string(filepath.Separator), named} {
				out, _, err := fado("", "plan", "-f", path, "--address", address)
				if err == nil || err.Error() != "exiting with status 2" || strings.Contains(out, tc.not) {
					t.Errorf("%s: %v\n%s", path, err, out)
				}
				has(t, out, tc.want...)
			}
			t.Chdir(dir)
			if out, _, err := fado("", "plan", "-f", ".", "--address", address); err == nil || err.Error() != "exiting with status 2" {
				t.Errorf("as the working directory: %v\n%s", err, out)
			}
		})
	}
}

// What can't be read as documents is told by its own name, also below a link.
func TestFilesThatCantBeRead(t *testing.T) {
	address, dir := serve(t), t.TempDir()
	at := filepath.Join(t.TempDir(), "link")
	link(t, dir, at)
	link(t, "nowhere", filepath.Join(dir, "a.yaml"))
	write(t, filepath.Join(dir, "b.yaml"), "# nothing yet\n")
	write(t, filepath.Join(dir, "c.json"), "{\xff}")
	write(t, filepath.Join(dir, "d.yaml"), "fado: 1\n---\nfado: 1\n")
	write(t, filepath.Join(dir, "below", "e.yaml"), "kind: Kustomization\n")
	_, _, err := fado("", "plan", "-f", at, "--address", address)
	if err == nil {
		t.Fatal("it is a document")
	}
	for _, name := range []string{"a.yaml", "b.yaml", "c.json", "d.yaml", filepath.Join("below", "e.yaml")} {
		has(t, err.Error(), filepath.Join(at, name)+": ")
	}
	if _, _, err := fado("\ufeff {\"fado\": 1,\n\t\"zones\": []}", "plan", "-f", "-", "--address", address); err != nil {
		t.Errorf("JSON behind a byte order mark: %v", err)
	}
}
