package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fado-project/fado/admin/internal/schema"
)

var update = flag.Bool("update", false, "write fielddocs.json again from the source")

// The descriptions in the OpenAPI document are the doc comments in the source: run
// "go test ./admin -run TestFieldDocs -update" after changing one.
func TestFieldDocs(t *testing.T) {
	docs := make(map[string]string)
	for _, dir := range []string{"admin", "admin/internal/backlog", "admin/internal/clusters", "admin/internal/documents", "admin/internal/events", "admin/internal/fleet", "admin/internal/residency", "admin/internal/sides", "catalog"} {
		collectDocs(t, dir, docs)
	}
	used := make(map[string]string)
	for _, name := range shownFields(t) {
		if used[name] = docs[name]; docs[name] == "" {
			t.Errorf("%s has no comment: the OpenAPI document describes every property", name)
		}
	}
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(used); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("fielddocs.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want.Bytes(), fieldDocsJSON) {
		t.Error("fielddocs.json is not what the source says: run go test ./admin -run TestFieldDocs -update")
	}
}

// collectDocs reads the comments of all struct fields of a package.
func collectDocs(t *testing.T, dir string, docs map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			fields, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, f := range fields.Fields.List {
				for _, name := range f.Names {
					text := f.Doc.Text()
					if text == "" {
						text = f.Comment.Text()
					}
					docs[filepath.Base(dir)+"."+spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(text), " ")
				}
			}
			return true
		})
	}
}

// shownFields names the struct fields that appear in the API.
func shownFields(t *testing.T) (names []string) {
	t.Helper()
	seen := make(map[reflect.Type]bool)
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		if _, own := ownSchema(typ); own || seen[typ] {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(typ.Elem())
		case reflect.Struct:
			for f := range schema.Fields(typ) {
				if !f.Anonymous {
					names = append(names, typ.String()+"."+f.Name)
				}
				visit(f.Type)
			}
		default: // nothing in it
		}
	}
	for _, op := range table().operations {
		if op.request != nil {
			visit(reflect.TypeOf(op.request))
		}
		for _, r := range op.replies {
			if r.body != nil {
				visit(reflect.TypeOf(r.body))
			}
		}
	}
	return names
}
