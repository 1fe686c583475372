package checks

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A shape is what is measured of one package.
type shape struct {
	room      string // relative to the module; "." is its root
	code      int    // lines of its files, those of tests left out
	tests     int    // lines of its tests' files
	functions []int  // lines of each function
	arrows    map[string]map[string]bool
	names     map[arrow][]string // what an arrow's file uses of the other
	methods   map[string]int     // of each type, those of embedded fields included
}

// count is the number of arrows from file to file.
func (s *shape) count() (n int) {
	for _, to := range s.arrows {
		n += len(to)
	}
	return n
}

// tested is how many lines of tests there are for 100 lines of code.
func (s *shape) tested() int { return s.tests * 100 / max(s.code, 1) }

// p90 is the length that nine of ten functions do not exceed.
func (s *shape) p90() int {
	if len(s.functions) == 0 {
		return 0
	}
	slices.Sort(s.functions)
	return s.functions[(len(s.functions)*9-1)/10]
}

// listed is a package as go list describes it.
type listed struct {
	Dir, ImportPath, Export            string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Module                             *struct{ Path string }
}

// shapes measures every package of the module. Types are checked against compiled
// dependencies, so that a call of a method counts for the file that holds the method.
func shapes(t *testing.T) (all []*shape) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-tags", "nobadger,nomysql,nopgx",
		"-json=Dir,ImportPath,Export,GoFiles,TestGoFiles,XTestGoFiles,Module", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	exports := make(map[string]string)
	var rooms []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Path == module {
			rooms = append(rooms, p)
		}
	}
	fset := token.NewFileSet()
	compiled := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range rooms {
		all = append(all, measure(t, fset, compiled, p))
	}
	return all
}

func measure(t *testing.T, fset *token.FileSet, compiled types.Importer, p listed) *shape {
	t.Helper()
	room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
	if room == "" {
		room = "."
	}
	s := &shape{room: room, names: make(map[arrow][]string), arrows: make(map[string]map[string]bool), methods: make(map[string]int)}
	var files []*ast.File
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		s.code += lines(t, path)
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		s.tests += lines(t, filepath.Join(p.Dir, name))
	}
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object), Selections: make(map[*ast.SelectorExpr]*types.Selection)}
	pkg, err := (&types.Config{Importer: compiled}).Check(p.ImportPath, fset, files, info)
	if err != nil {
		t.Fatalf("%s: %v", p.ImportPath, err)
	}
	s.draw(fset, pkg, info)
	s.measureFunctions(fset, files)
	s.countMethods(pkg)
	return s
}

// draw adds an arrow from each file to those whose package-level names, fields and
// methods it uses.
func (s *shape) draw(fset *token.FileSet, pkg *types.Package, info *types.Info) {
	for id, used := range info.Uses {
		if used.Pkg() != pkg || used.Parent() != nil && used.Parent() != pkg.Scope() {
			continue // another package's, or local to a function
		}
		if f, ok := used.(*types.Func); ok {
			used = f.Origin()
		}
		if v, ok := used.(*types.Var); ok {
			used = v.Origin()
		}
		from, to := fset.Position(id.Pos()).Filename, fset.Position(used.Pos()).Filename
		from, to = filepath.Base(from), filepath.Base(to)
		if from == to {
			continue
		}
		s.names[arrow{from, to}] = appendNew(s.names[arrow{from, to}], used.Name())
		if s.arrows[from] == nil {
			s.arrows[from] = make(map[string]bool)
		}
		s.arrows[from][to] = true
	}
}

func (s *shape) measureFunctions(fset *token.FileSet, files []*ast.File) {
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				s.functions = append(s.functions, fset.Position(fn.End()).Line-fset.Position(fn.Pos()).Line+1)
			}
		}
	}
}

// countMethods counts what may be called on a value of each type: its own methods and
// those that embedded fields bring along, as far as they are FaDO's. Of an interface only
// its own count: one that is put together of narrow ones is what it should be.
func (s *shape) countMethods(pkg *types.Package) {
	for _, name := range pkg.Scope().Names() {
		tn, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || tn.IsAlias() {
			continue
		}
		if i, ok := tn.Type().Underlying().(*types.Interface); ok {
			s.methods[name] = i.NumExplicitMethods()
			continue
		}
		for m := range types.NewMethodSet(types.NewPointer(tn.Type())).Methods() {
			if p := m.Obj().Pkg(); p != nil && strings.HasPrefix(p.Path()+"/", module+"/") {
				s.methods[name]++
			}
		}
	}
}

func lines(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

func appendNew(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

func sorted[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
