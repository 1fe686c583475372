package checks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	module = "github.com/fado-project/fado"
	root   = "../.."
	config = ".golangci.yml"
)

// forbidden are imports that a rule has to refuse, each in a room of its own making.
var forbidden = []struct{ room, imports string }{
	{"catalog", module + "/state"},
	{"catalog", "net/http"},
	{"catalog", "database/sql"},
	{"placement", "net/http"},
	{"routing", module + "/state"},
	{"health", module + "/control"},
	{"health", module + "/lbpolicy"},
	{"state", module + "/control"},
	{"state/transfer", "modernc.org/sqlite"},
	{"state/postgres", module + "/storage"},
	{"storage", module + "/catalog"},
	{"storage", "github.com/minio/minio-go/v7"},
	{"storage/s3", "github.com/caddyserver/caddy/v2"},
	{"storage/internal/kind", module + "/storage"},
	{"storage/internal/sums", module + "/storage/s3"},
	{"control", module + "/storage"},
	{"control", module + "/state/sqlite"},
	{"control/follow", "github.com/caddyserver/caddy/v2"},
	{"replication", "github.com/minio/minio-go/v7"},
	{"replication", module + "/admin"},
	{"replication/internal/walk", "github.com/caddyserver/caddy/v2"},
	{"replication/internal/walk", module + "/replication/internal/evict"},
	{"replication/internal/evict", module + "/replication/internal/move"},
	{"replication/internal/purge", module + "/replication/internal/queue"},
	{"replication/internal/purge", module + "/replication"},
	{"replication/internal/jobs", module + "/replication"},
	{"replication/internal/jobs", module + "/replication/internal/move"},
	{"lbpolicy", module + "/state"},
	{"lbpolicy", module + "/caddymodule"},
	{"admin", module + "/caddymodule"},
	{"admin/internal/request", module + "/admin"},
	{"admin/internal/secrets", "net/http"},
	{"admin/internal/schema", module + "/catalog"},
	{"admin/internal/documents", module + "/admin/internal/events"},
	{"admin/internal/events", module + "/replication"},
	{"admin/console", module + "/lbpolicy"},
	{"eventhook", module + "/storage"},
	{"caddymodule", module + "/admin"},
	{"caddymodule", module + "/internal/testenv"},
	{"caddymodule", "github.com/minio/madmin-go/v3"},
	{"internal/traffic", module + "/lbpolicy"},
	{"internal/stretch", module + "/state"},
	{"control", module + "/internal/stretch"},
	{"caddymodule", module + "/internal/stretch"},
	{"cmd/caddy", module + "/control"},
}

// allowed are imports that no rule may refuse: the rules above do not bite blindly.
var allowed = []struct{ room, imports string }{
	{"catalog", "net/url"},
	{"lbpolicy", module + "/catalog"},
	{"control", module + "/state"},
	{"admin/internal/documents", module + "/document"},
	{"replication/internal/walk", module + "/storage"},
	{"caddymodule", "github.com/caddyserver/caddy/v2/caddyconfig"},
	{"internal/chaos", module + "/internal/testenv"},
}

// TestRulesBite runs the linter, with the repository's configuration, on a module in
// which every room imports what it must not.
func TestRulesBite(t *testing.T) {
	bin, err := linter()
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("FADO_REQUIRE_LINT") != "1" {
		t.Skipf("make lint builds it: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyFile(t, filepath.Join(root, config), filepath.Join(dir, config))
	s := stubs{t: t, dir: dir}
	for _, f := range forbidden {
		s.imports("refused", f.room, f.imports)
	}
	for _, a := range allowed {
		s.imports("allowed", a.room, a.imports)
	}
	s.finish()

	cmd := exec.CommandContext(t.Context(), bin, "run", "--enable-only", "depguard", "--allow-serial-runners",
		"--output.text.path", "stderr", "--output.json.path", "stdout", "--show-stats=false", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOLANGCI_LINT_CACHE="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	if jsonErr := json.Unmarshal(out, &report); jsonErr != nil {
		t.Fatalf("golangci-lint: %v, %v\n%s%s", err, jsonErr, out, stderr.Bytes())
	}
	found := make(map[string]bool)
	for _, i := range report.Issues {
		if i.FromLinter != "depguard" {
			t.Fatalf("the linter could not read the module: %s: %s: %s", i.Pos.Filename, i.FromLinter, i.Text)
		}
		found[filepath.ToSlash(i.Pos.Filename)] = true
	}
	for _, f := range forbidden {
		if !found[s.file("refused", f.room, f.imports)] {
			t.Errorf("no rule keeps %s from importing %s", f.room, f.imports)
		}
	}
	for _, a := range allowed {
		if found[s.file("allowed", a.room, a.imports)] {
			t.Errorf("a rule keeps %s from importing %s", a.room, a.imports)
		}
	}
}

// linter is where make lint keeps it.
func linter() (string, error) {
	dir := os.Getenv("FADO_TOOLS")
	if dir == "" {
		dir = filepath.Join(root, ".tools", "bin")
	}
	path, err := filepath.Abs(filepath.Join(dir, "golangci-lint"))
	if err == nil {
		_, err = os.Stat(path)
	}
	return path, err
}

// stubs writes a module whose packages are empty but for their imports.
type stubs struct {
	t    *testing.T
	dir  string
	seen map[string]bool // import paths that are there
	mods []string        // other modules
}

// file is where a room's import is written, relative to the module. A package of its
// own below the room keeps import cycles away.
func (s *stubs) file(kind, room, imports string) string {
	return room + "/" + kind + strings.NewReplacer("/", "_", ".", "_", "-", "_").Replace(imports) + "/x.go"
}

func (s *stubs) imports(kind, room, imports string) {
	file := s.file(kind, room, imports)
	s.write(file, "import _ "+fmt.Sprintf("%q", imports))
	s.stub(imports)
}

// stub makes an empty package for an import path that is not of the standard library.
func (s *stubs) stub(path string) {
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	if s.seen[path] || !strings.Contains(path, ".") {
		return
	}
	s.seen[path] = true
	if dir, ok := strings.CutPrefix(path, module+"/"); ok {
		s.write(dir+"/stub.go", "")
		return
	}
	s.write("others/"+path+"/stub.go", "")
	parts := strings.Split(path, "/")
	mod := strings.Join(parts[:min(len(parts), 3)], "/")
	if len(parts) > 3 && strings.HasPrefix(parts[3], "v") {
		mod += "/" + parts[3]
	}
	if !slices.Contains(s.mods, mod) {
		s.mods = append(s.mods, mod)
	}
}

func (s *stubs) write(file, body string) {
	s.t.Helper()
	path := filepath.Join(s.dir, filepath.FromSlash(file))
	pkg := strings.NewReplacer("-", "", ".", "").Replace(filepath.Base(filepath.Dir(path)))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("package "+pkg+"\n\n"+body+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// finish writes the go.mod of the module and of those beside it.
func (s *stubs) finish() {
	s.t.Helper()
	text := "module " + module + "\n\ngo 1.26\n"
	for _, mod := range s.mods {
		version := "v0.0.0"
		if base := filepath.Base(mod); len(base) > 1 && base[0] == 'v' && base[1] >= '2' && base[1] <= '9' {
			version = base + ".0.0"
		}
		text += fmt.Sprintf("\nrequire %s %s\nreplace %s => ./others/%s\n", mod, version, mod, mod)
		s.goMod("others/"+mod, "module "+mod+"\n\ngo 1.26\n")
	}
	s.goMod(".", text)
}

func (s *stubs) goMod(dir, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, filepath.FromSlash(dir), "go.mod"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// notRooms are folders that no rule has to speak of: programs and tests.
var notRooms = []string{"bench", "examples", "internal", "docs"}

// inner has rooms of its own, each with a rule of its own.
const inner = "replication/internal"

// TestEveryRoomHasARule finds folders with Go code that no strict rule speaks of.
func TestEveryRoomHasARule(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, config))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]struct {
						Mode  string   `yaml:"list-mode"`
						Files []string `yaml:"files"`
						Allow []string `yaml:"allow"`
					} `yaml:"rules"`
				} `yaml:"depguard"`
			} `yaml:"settings"`
		} `yaml:"linters"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	ruled := make(map[string]bool)
	for name, rule := range c.Linters.Settings.Depguard.Rules {
		if rule.Mode != "strict" {
			if name != "product" {
				t.Errorf("rule %s is no strict list of what is allowed", name)
			}
			continue
		}
		for _, f := range rule.Files {
			if room, ok := strings.CutPrefix(f, "${config-path}/"); ok {
				ruled[strings.SplitN(room, "/", 2)[0]] = true
				ruled[filepath.ToSlash(filepath.Dir(room))] = true
			}
		}
	}
	for _, room := range append(rooms(t, "."), rooms(t, inner)...) {
		if !ruled[room] {
			t.Errorf("no rule of depguard in %s speaks of %s", config, room)
		}
	}
}

// rooms returns the folders with Go code in a folder, relative to the root.
func rooms(t *testing.T, in string) (rooms []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, in))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		room := filepath.ToSlash(filepath.Join(in, e.Name()))
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(notRooms, room) && hasGo(t, room) {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

func hasGo(t *testing.T, dir string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
		found = found || strings.HasSuffix(path, ".go")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
