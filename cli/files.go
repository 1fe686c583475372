package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/client"
	"github.com/fado-project/fado/document"
)

// part is one file of a document.
type part struct {
	name string
	doc  *document.Document
}

// readDocument reads what is given by -f: files, directories (see [documentsBelow]), "-" for
// standard input. Several files are one document. where turns paths in errors about the whole
// into files and paths in them.
func readDocument(names []string, stdin io.Reader) (d client.Document, where func(error) error, err error) {
	files, err := listFiles(names)
	if err != nil {
		return d, nil, err
	}
	var parts []part
	var errs []error
	for _, f := range files {
		p, err := readPart(f, stdin)
		parts, errs = append(parts, p), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return d, nil, err
	}
	return mergeParts(parts)
}

func isDocument(name string) bool {
	return slices.Contains([]string{".json", ".yaml", ".yml"}, strings.ToLower(filepath.Ext(name)))
}

func listFiles(names []string) (files []string, err error) {
	for _, name := range names {
		info, err := os.Stat(name)
		if name == "-" || err == nil && !info.IsDir() {
			files = append(files, name)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("-f: %w", err)
		}
		below, err := documentsBelow(name)
		if err != nil {
			return nil, fmt.Errorf("-f: %w", err)
		}
		if len(below) == 0 {
			return nil, fmt.Errorf("-f: %s has no .json, .yaml or .yml files", name)
		}
		files = append(files, below...)
	}
	return files, nil
}

// documentsBelow lists the .json, .yaml and .yml files of a directory and of those below it, in
// lexical order. What is hidden is left out: a repository's own files (.github), and the copies
// to which a mounted Kubernetes ConfigMap links (..data). Links to files are followed, links to
// directories only where the directory itself is one.
func documentsBelow(dir string) (files []string, err error) {
	root := dir
	if info, err := os.Lstat(dir); err == nil && info.Mode()&os.ModeSymlink != 0 {
		if root, err = filepath.EvalSymlinks(dir); err != nil {
			return nil, err
		}
	}
	err = filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		hidden := path != root && strings.HasPrefix(e.Name(), ".")
		switch {
		case err != nil:
			return err
		case e.IsDir() && hidden:
			return filepath.SkipDir
		case e.IsDir() || hidden || !isDocument(path):
			return nil
		}
		below, err := filepath.Rel(root, path)
		if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() { // an error is told when it is read
			files = append(files, filepath.Join(dir, below))
		}
		return err
	})
	return files, err
}

// byteOrderMark is what some editors begin UTF-8 with; it means nothing (RFC 8259, section 8.1).
var byteOrderMark = []byte("\ufeff")

func readPart(name string, stdin io.Reader) (part, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return part{}, fmt.Errorf("-f: %w", err)
		}
		defer f.Close()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, document.MaxBytes+1))
	if err != nil {
		return part{}, fmt.Errorf("-f: %w", err)
	}
	format := document.YAML
	if name == "-" {
		if text := bytes.TrimLeft(bytes.TrimPrefix(body, byteOrderMark), " \t\r\n"); len(text) > 0 && text[0] == '{' {
			format = document.JSON
		}
	} else if strings.EqualFold(filepath.Ext(name), ".json") {
		format = document.JSON
	}
	doc, err := document.Parse(body, format)
	if err != nil {
		return part{}, fmt.Errorf("%s: %w", name, err)
	}
	return part{name, doc}, nil
}

// merged is the JSON of a document made of parts.
type merged struct {
	Fado     int                 `json:"fado"`
	Zones    []catalog.Resource  `json:"zones"`
	Clusters []catalog.Resource  `json:"clusters"`
	Policies []catalog.Resource  `json:"policies"`
	Buckets  []catalog.Resource  `json:"buckets"`
	Delete   map[string][]string `json:"delete,omitempty"`
	Prune    bool                `json:"prune,omitempty"`
}

// list returns the list of a kind and the name of its member.
func (m *merged) list(k catalog.Kind) (*[]catalog.Resource, string) {
	switch k {
	case catalog.KindZone:
		return &m.Zones, "zones"
	case catalog.KindCluster:
		return &m.Clusters, "clusters"
	case catalog.KindPolicy:
		return &m.Policies, "policies"
	default:
		return &m.Buckets, "buckets"
	}
}

func mergeParts(parts []part) (client.Document, func(error) error, error) {
	m := merged{Fado: document.Version, Zones: []catalog.Resource{}, Clusters: []catalog.Resource{}, Policies: []catalog.Resource{}, Buckets: []catalog.Resource{}, Delete: make(map[string][]string)}
	origins := make(map[string]string) // path in the whole → file and path in it
	for _, p := range parts {
		for _, it := range p.doc.Items {
			list, name := m.list(it.Resource.ResourceKind())
			origins[name+"["+strconv.Itoa(len(*list))+"]"] = p.name + ": " + it.Path
			*list = append(*list, it.Resource)
		}
		for _, d := range p.doc.Deletes {
			_, name := m.list(d.Kind)
			origins["delete."+name+"["+strconv.Itoa(len(m.Delete[name]))+"]"] = p.name + ": " + d.Path
			m.Delete[name] = append(m.Delete[name], d.Name)
		}
		m.Prune = m.Prune || p.doc.Prune
	}
	body, err := json.Marshal(m)
	if err != nil {
		return client.Document{}, nil, fmt.Errorf("putting the files together: %w", err)
	}
	return client.Document{Body: body}, func(err error) error { return located(err, origins) }, nil
}

var itemPath = regexp.MustCompile(`(?:delete\.)?(?:zones|clusters|policies|buckets)\[\d+\]`)

// located puts files and the paths in them where an error names paths in the whole.
func located(err error, origins map[string]string) error {
	told, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	text := itemPath.ReplaceAllStringFunc(told.Message, func(path string) string {
		if at, known := origins[path]; known {
			return at
		}
		return path
	})
	return &client.Error{Status: told.Status, Message: strings.TrimSpace(text)}
}
