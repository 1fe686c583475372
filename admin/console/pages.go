package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
)

// dist is what "make web" built from web. It is committed: who builds FaDO needs no Node.
//
//go:embed all:dist
var dist embed.FS

// pages are the static files, each as it is and compressed.
type pages struct {
	files map[string]*page
	// index is the page itself, which knows where it is mounted.
	index []byte
}

// page is one file.
type page struct {
	raw, gzipped []byte
	media, etag  string
	// hashed names carry a hash of the content, and stay what they are.
	hashed bool
}

// embedded reads the files once.
var embedded = sync.OnceValue(func() *pages {
	p, err := readPages(dist)
	if err != nil {
		panic("console: reading what is embedded: " + err.Error()) // can't be: it is in the binary
	}
	return p
})

func readPages(from fs.FS) (*pages, error) {
	p := &pages{files: make(map[string]*page)}
	err := fs.WalkDir(from, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "dist/")
		p.files["/"+name] = newPage(name, raw)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if index := p.files["/index.html"]; index != nil {
		p.index = index.raw
	}
	delete(p.files, "/index.html")
	return p, nil
}

func newPage(name string, raw []byte) *page {
	sum := sha256.Sum256(raw)
	pg := &page{raw: raw, media: mediaOf(name), etag: hex.EncodeToString(sum[:8]), hashed: strings.HasPrefix(name, "assets/")}
	var buf bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if _, err := zw.Write(raw); err == nil && zw.Close() == nil && buf.Len() < len(raw)*9/10 {
		pg.gzipped = buf.Bytes()
	}
	return pg
}

// mediaOf tells a file's type by its name, whatever the system thinks of it.
func mediaOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	if m := mime.TypeByExtension(path.Ext(name)); m != "" {
		return m
	}
	return "application/octet-stream"
}

// baseMark is what stands in the page where the path goes that it is mounted at.
const baseMark = `<base href="/">`

// serve answers with a file, or for every other path with the page: it shows what the path
// names.
func (p *pages) serve(w http.ResponseWriter, r *http.Request, name, base string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if pg := p.files[name]; pg != nil {
		if pg.hashed {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			w.Header().Set("Cache-Control", "no-cache")
		}
		pg.write(w, r)
		return
	}
	if strings.HasPrefix(name, "/assets/") || p.index == nil {
		http.NotFound(w, r)
		return
	}
	href := html.EscapeString((&url.URL{Path: base}).EscapedPath())
	w.Header().Set("Cache-Control", "no-cache")
	newPage("index.html", bytes.Replace(p.index, []byte(baseMark), []byte(`<base href="`+href+`">`), 1)).write(w, r)
}

// write answers with the page, compressed where the client takes that.
func (pg *page) write(w http.ResponseWriter, r *http.Request) {
	h, body, etag := w.Header(), pg.raw, pg.etag
	h.Set("Content-Type", pg.media)
	h.Add("Vary", "Accept-Encoding")
	if pg.gzipped != nil && takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body, etag = pg.gzipped, etag+"-gzip"
	}
	etag = `"` + etag + `"`
	h.Set("ETag", etag)
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == etag {
			h.Del("Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // the client is gone if this fails
}

func takesGzip(r *http.Request) bool {
	for enc := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(enc), ";")
		if strings.EqualFold(name, "gzip") && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
