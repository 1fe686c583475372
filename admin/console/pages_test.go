package console

import (
	"compress/gzip"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// Deep links get the page, which knows where it is mounted; files are kept by browsers.
func TestPages(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct{ base, path, href string }{
		{"", "/", "/"},
		{"", "/buckets/reports?tab=placement", "/"},
		{"/console", "/console/", "/console/"},
		{"/console", "/console/buckets/x", "/console/"},
		{`/a"b`, "/a%22b/x", "/a%22b/"},
	} {
		b := w.browser(w.console(&Handler{BasePath: tc.base}))
		resp := b.do("GET", tc.path, "")
		if page := b.want(200, resp); !strings.Contains(page, `<base href="`+tc.href+`">`) {
			t.Errorf("%s: %.300s", tc.path, page)
		}
		tag := resp.Header.Get("ETag")
		if tag == "" || resp.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", tc.path, resp.Header)
		}
		b.want(304, b.do("GET", tc.path, "", "If-None-Match", tag))
	}
	b := w.browser(w.console(&Handler{BasePath: "/console"}))
	if resp := b.do("GET", "/console", ""); resp.StatusCode != 308 || resp.Header.Get("Location") != "/console/" {
		t.Errorf("%d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	b.want(404, b.do("GET", "/consoles/", ""))
	b.want(404, b.do("GET", "/console/assets/none.js", ""))
	b.want(405, b.do("POST", "/console/", ""))
}

// Assets carry hashes in their names, and are sent compressed.
func TestAssets(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(nil))
	n := 0
	for name, pg := range b.h.pages.files {
		if !pg.hashed {
			continue
		}
		if n++; !regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.(js|css)$`).MatchString(name) {
			t.Errorf("%s has no hash in its name", name)
		}
		resp := b.do("GET", name, "", "Accept-Encoding", "gzip")
		if got := resp.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %s", name, got)
		}
		body := io.Reader(resp.Body)
		if resp.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		if text, _ := io.ReadAll(body); string(text) != string(pg.raw) {
			t.Errorf("%s is not what it is", name)
		}
	}
	if n < 2 {
		t.Errorf("%d assets", n)
	}
}

// Budgets of what browsers load, compressed: the page to the overview, and everything.
func TestBudgets(t *testing.T) {
	p := embedded()
	var all, raw int
	for name, pg := range p.files {
		size := len(pg.raw)
		if pg.gzipped != nil {
			size = len(pg.gzipped)
		}
		if strings.HasPrefix(name, "/assets/") {
			all, raw = all+size, raw+len(pg.raw)
		}
	}
	first, files := p.weight(t, true)
	entry, _ := p.weight(t, false)
	if files++; files > 15 { // with the page itself
		t.Errorf("%d files for the first load to the overview, expected 15 at most", files)
	}
	t.Logf("sign-in %d KiB, overview %d KiB in %d files, everything %d KiB (%d KiB raw)", entry>>10, first>>10, files, all>>10, raw>>10)
	for what, tc := range map[string][2]int{
		"sign-in": {entry, 90 << 10}, "the first load to the overview": {first, 220 << 10},
		"everything": {all, 600 << 10}, "everything, raw": {raw, 2 << 20},
	} {
		if tc[0] > tc[1] {
			t.Errorf("%s: %d bytes, expected %d at most", what, tc[0], tc[1])
		}
	}
	err := fs.WalkDir(dist, "dist", func(name string, _ fs.DirEntry, err error) error {
		if regexp.MustCompile(`\.(woff2?|ttf|map)$`).MatchString(name) {
			t.Errorf("%s: no fonts, no maps", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// weight is how many bytes a browser loads for the page itself, and with app for the overview:
// the entry, what it names at once, and for the overview the application's own chunk with what
// that imports; and how many files these are.
func (p *pages) weight(t *testing.T, app bool) (bytes, files int) {
	t.Helper()
	seen := make(map[string]bool)
	var load func(name string)
	load = func(name string) {
		pg := p.files[name]
		if pg == nil || seen[name] {
			return
		}
		seen[name] = true
		if bytes += len(pg.raw); pg.gzipped != nil {
			bytes += len(pg.gzipped) - len(pg.raw)
		}
		// Static imports only: import"./x.js", from"./x.js".
		for _, m := range regexp.MustCompile(`(?:from|import)\s*"\./([^"]+)"`).FindAllStringSubmatch(string(pg.raw), -1) {
			load("/assets/" + m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="(?:\./)?(assets/[^"]+)"`).FindAllStringSubmatch(string(p.index), -1) {
		load("/" + m[1])
	}
	if !app {
		return bytes, len(seen)
	}
	for name := range p.files {
		if regexp.MustCompile(`^/assets/(App|Overview)-[^/]+\.(js|css)$`).MatchString(name) {
			load(name)
		}
	}
	return bytes, len(seen)
}

// A further page loads little more than what the overview has loaded.
func TestBudgetOfFurtherPages(t *testing.T) {
	p := embedded()
	first := make(map[string]bool)
	for name := range p.files {
		if regexp.MustCompile(`^/assets/(index|App|Overview)-[^/]+\.js$`).MatchString(name) {
			p.imports(name, first)
		}
	}
	for name := range p.files {
		if !strings.HasSuffix(name, ".js") || first[name] {
			continue
		}
		all, size := make(map[string]bool), 0
		p.imports(name, all)
		for part := range all {
			if !first[part] {
				size += p.files[part].sent()
			}
		}
		t.Logf("%s: %d KiB", name, size>>10)
		if size > 60<<10 {
			t.Errorf("%s: %d bytes more than the overview, expected 60 KiB at most", name, size)
		}
	}
}

// sent is how many bytes a browser gets.
func (pg *page) sent() int {
	if pg.gzipped != nil {
		return len(pg.gzipped)
	}
	return len(pg.raw)
}

// imports adds a script and all that it imports at once.
func (p *pages) imports(name string, to map[string]bool) {
	pg := p.files[name]
	if pg == nil || to[name] {
		return
	}
	to[name] = true
	for _, m := range regexp.MustCompile(`(?:from|import)\s*"\./([^"]+)"`).FindAllStringSubmatch(string(pg.raw), -1) {
		p.imports("/assets/"+m[1], to)
	}
}

// Nothing of the page is inline, and nothing comes from elsewhere.
func TestPageObeysItsPolicy(t *testing.T) {
	index := string(embedded().index)
	if !strings.Contains(index, baseMark) {
		t.Error("the page does not say where its base goes")
	}
	for _, bad := range []string{"<style", " style=", " onload=", "http://", "https://"} {
		if strings.Contains(index, bad) {
			t.Errorf("the page has %s in it", bad)
		}
	}
	if regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(index) {
		t.Error("the page has an inline script")
	}
}
