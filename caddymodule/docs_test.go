package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/fado-project/fado/internal/traffic"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

// The tests of this file hold the documentation to the code: what can be read out of
// the code (metrics, reasons, states, events, endpoints, modules, the Caddyfile's
// grammar) stands in the documentation, and nothing that is not there.

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// same reports what one side has and the other lacks.
func same(t *testing.T, what, doc string, inCode, inDoc []string) {
	t.Helper()
	slices.Sort(inCode)
	slices.Sort(inDoc)
	inCode, inDoc = slices.Compact(inCode), slices.Compact(inDoc)
	if len(inCode) == 0 {
		t.Errorf("no %s was found in the code", what)
	}
	for _, c := range inCode {
		if _, ok := slices.BinarySearch(inDoc, c); !ok {
			t.Errorf("%s: %s %s is not documented", doc, what, c)
		}
	}
	for _, d := range inDoc {
		if _, ok := slices.BinarySearch(inCode, d); !ok {
			t.Errorf("%s: %s %s is documented and does not exist", doc, what, d)
		}
	}
}

// all returns the first group of every match.
func all(re, text string) (found []string) {
	for _, m := range regexp.MustCompile(re).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// firstColumn returns what stands in backticks in the first column of the table whose
// head begins with such a cell.
func firstColumn(t *testing.T, doc, head string) []string {
	t.Helper()
	_, table, ok := strings.Cut(read(t, doc), "\n| "+head+" |")
	if !ok {
		t.Fatalf("%s has no table %q", doc, head)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	return all("(?m)^\\| `([^`]+)` \\|", table)
}

func TestDocsListTheMetrics(t *testing.T) {
	ch := make(chan *prometheus.Desc, 1000)
	for _, c := range collectors(new(App)) {
		c.Describe(ch)
	}
	close(ch)
	desc := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	var metrics []string
	for d := range ch {
		m := desc.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("%s is not understood", d)
		}
		if m[2] != "" {
			m[1] += "{" + m[2] + "}"
		}
		metrics = append(metrics, m[1])
	}
	same(t, "metric", "docs/operations.md", metrics, firstColumn(t, "docs/operations.md", "metric"))

	names := make(map[string]bool)
	for _, m := range metrics {
		name, _, _ := strings.Cut(m, "{")
		names[name] = true
	}
	for _, doc := range documents(t) {
		for _, name := range all(`\b(caddy_fado_[a-z0-9_]+)`, read(t, doc)) {
			if !names[name] && !names[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s: metric %s does not exist", doc, name)
			}
		}
	}
}

// documents are all pages for people.
func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no documentation: %v", err)
	}
	out := []string{"README.md", "examples/prometheus/alerts.yml", "examples/grafana/fado.json"}
	for _, d := range docs {
		out = append(out, strings.TrimPrefix(filepath.ToSlash(d), "../"))
	}
	return out
}

// The alert rules and the dashboard can be loaded, and ask for labels that the metrics have.
func TestAlertRulesAndDashboardLoad(t *testing.T) {
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "examples/prometheus/alerts.yml")), &rules); err != nil || len(rules.Groups) != 1 {
		t.Fatalf("%d groups: %v", len(rules.Groups), err)
	}
	seen := make(map[string]bool)
	for _, r := range rules.Groups[0].Rules {
		if r.Alert == "" || r.Expr == "" || r.Annotations["summary"] == "" || r.Labels["severity"] == "" || seen[r.Alert] {
			t.Errorf("rule %+v: expected a name of its own, an expression, a severity and a summary", r)
		}
		seen[r.Alert] = true
		for _, label := range all(`\$labels\.([a-z]+)`, r.Annotations["summary"]+r.Annotations["description"]) {
			if !strings.Contains(r.Expr, label) {
				t.Errorf("%s tells of label %s, which its expression does not keep", r.Alert, label)
			}
		}
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
			cmd := exec.Command(promtool, args...)
			cmd.Dir = "../examples/prometheus"
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("promtool %v: %v: %s", args, err, out)
			}
		}
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "examples/grafana/fado.json")), &dashboard); err != nil || len(dashboard.Panels) == 0 {
		t.Fatalf("%d panels: %v", len(dashboard.Panels), err)
	}
	for _, p := range dashboard.Panels {
		if p.Title == "" || len(p.Targets) == 0 || strings.Count(p.Targets[0].Expr, "(") != strings.Count(p.Targets[0].Expr, ")") {
			t.Errorf("panel %+v", p)
		}
	}
}

// What alert rules and the dashboard select series by are values that their labels have.
func TestAlertRulesAndDashboardSelectWhatThereIs(t *testing.T) {
	doc := openAPI(t)
	localities := []string{"local", "remote", "none"}
	values := map[string][]string{
		"caddy_fado_buckets state":                          doc.enum(t, "state", "copies", "primary"),
		"caddy_fado_copies state":                           doc.enum(t, "state", "role", "cluster"),
		"caddy_fado_feed kind":                              {replication.FeedListener, replication.FeedWebhook, replication.FeedScan},
		"caddy_fado_route_decisions_total locality":         localities,
		"caddy_fado_route_cluster_decisions_total locality": localities,
		"caddy_fado_replication_errors_total kind":          {"conflict"},
		"caddy_fado_s3_requests_total code":                 {"OK", "InternalError", "ServiceUnavailable", "SlowDown"},
	}
	selector := regexp.MustCompile(`(caddy_fado_[a-z0-9_]+)\{([a-z]+)(?:!=|=~|=)\\?"([a-zA-Z|]+)\\?"\}`)
	found := 0
	for _, file := range []string{"examples/prometheus/alerts.yml", "examples/grafana/fado.json"} {
		text := read(t, file)
		for _, m := range selector.FindAllStringSubmatch(text, -1) {
			found++
			for v := range strings.SplitSeq(m[3], "|") {
				if !slices.Contains(values[m[1]+" "+m[2]], v) {
					t.Errorf("%s: %s is never %s", file, m[0], v)
				}
			}
		}
		if n := len(regexp.MustCompile(`caddy_fado_[a-z0-9_]+\{`).FindAllString(text, -1)); n != len(selector.FindAllString(text, -1)) {
			t.Errorf("%s: of %d selections, some are not understood", file, n)
		}
	}
	if found < 10 {
		t.Errorf("only %d selections were found", found)
	}
}

func TestDocsListTheReasons(t *testing.T) {
	var reasons []string
	for _, r := range traffic.Reasons() {
		reasons = append(reasons, string(r))
	}
	same(t, "reason", "docs/routing.md", reasons, firstColumn(t, "docs/routing.md", "reason"))
	// What a request is refused for before the router is asked is not for this to say.
	reasons = slices.DeleteFunc(reasons, func(r string) bool {
		return r == string(routing.ReasonBadInput) || r == string(routing.ReasonBadPath) || r == string(routing.ReasonBadMethod)
	})
	same(t, "reason", "GET /fado/route", reasons, slices.DeleteFunc(
		openAPI(t).enum(t, "reason", "decision", "candidates"), func(r string) bool { return r == "" }))
}

func TestDocsListTheStates(t *testing.T) {
	doc := openAPI(t)
	same(t, "state of a bucket", "docs/operations.md",
		doc.enum(t, "state", "copies", "primary"), firstColumn(t, "docs/operations.md", "bucket state"))
	same(t, "state of a copy", "docs/replication.md",
		doc.enum(t, "state", "role", "cluster"), firstColumn(t, "docs/replication.md", "state"))
}

func TestDocsListTheEvents(t *testing.T) {
	source := read(t, "caddymodule/events.go")
	same(t, "Caddy event", "docs/operations.md", all(`"(fado_[a-z_]+)"`, source), all("`(fado_(?:copy|storage|bucket|primary)[a-z_]*)`", read(t, "docs/operations.md")))

	types := openAPI(t).enum(t, "type", "time", "cluster", "bucket")
	types = append(types, "missed") // of the stream itself
	same(t, "event", "docs/api.md", types, firstColumn(t, "docs/api.md", "event"))
}

// TestReleasedModules: what .ci/run looks for in the released binary is what there is.
func TestReleasedModules(t *testing.T) {
	var modules []string
	for _, id := range caddy.Modules() {
		if strings.Contains(id, "fado") && !strings.Contains(id, "fado_test") || strings.HasSuffix(id, ".data_aware") {
			modules = append(modules, id)
		}
	}
	_, list, _ := strings.Cut(read(t, ".ci/run"), "\nfor m in ")
	list, _, _ = strings.Cut(list, "; do\n")
	same(t, "module", ".ci/run", modules, strings.Fields(strings.ReplaceAll(list, "\\\n", " ")))
}

// apiDoc is the OpenAPI document the API serves.
type apiDoc struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"` // operations, and "parameters" of all
	Components struct {
		Schemas map[string]struct {
			Properties map[string]struct {
				Enum []string `json:"enum"`
			} `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

func openAPI(t *testing.T) *apiDoc {
	t.Helper()
	info, err := caddy.GetModule("admin.api.fado")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	routes := info.New().(caddy.AdminRouter).Routes()
	if err := routes[0].Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/fado/openapi.json", nil)); err != nil {
		t.Fatal(err)
	}
	doc := new(apiDoc)
	if err := json.Unmarshal(w.Body.Bytes(), doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// enum returns the values of a property of the one schema that has the others, too.
func (d *apiDoc) enum(t *testing.T, property string, beside ...string) []string {
	t.Helper()
	for _, s := range d.Components.Schemas {
		values := s.Properties[property].Enum
		for _, other := range beside {
			if _, ok := s.Properties[other]; !ok {
				values = nil
			}
		}
		if len(values) > 0 {
			return values
		}
	}
	t.Fatalf("no schema has %s with a list of values beside %v", property, beside)
	return nil
}

// endpoint is one as the documentation writes it: "GET /fado/x/{}?a=&b=".
func endpoint(method, path string, query []string) string {
	path = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "{}")
	for _, c := range []string{"zones", "clusters", "policies", "keys"} { // documented once, with buckets
		if path == "/fado/"+c || path == "/fado/"+c+"/{}" {
			path = strings.Replace(path, c, "buckets", 1)
		}
	}
	slices.Sort(query)
	return strings.TrimSuffix(method+" "+path+"?"+strings.Join(slices.Compact(query), "&"), "?")
}

// TestDocsListTheEndpoints: docs/api.md has every operation with its parameters, in
// cells such as `GET /fado/buckets?limit=&after=` or `GET`, `PUT /fado/buckets/{name}`.
func TestDocsListTheEndpoints(t *testing.T) {
	queries := make(map[string][]string)
	for path, ops := range openAPI(t).Paths {
		for method, raw := range ops {
			var op struct {
				Parameters []struct{ Name, In string } `json:"parameters"`
			}
			if method == "parameters" || json.Unmarshal(raw, &op) != nil {
				continue
			}
			e := endpoint(strings.ToUpper(method), path, nil)
			queries[e] = append(queries[e], []string{}...)
			for _, p := range op.Parameters {
				if p.In == "query" {
					queries[e] = append(queries[e], p.Name)
				}
			}
		}
	}
	documented := make(map[string][]string)
	for _, cell := range all(`(?m)^\| ([^|]*/fado/[^|]*) \|`, read(t, "docs/api.md")) {
		var methods []string
		for _, code := range all("`([^`]*)`", cell) {
			words := strings.Fields(code)
			methods = append(methods, words[0])
			if len(words) == 1 {
				continue
			}
			path, query, _ := strings.Cut(words[1], "?")
			for _, m := range methods {
				e := endpoint(m, path, nil)
				documented[e] = append(documented[e], all(`(\w+)=`, query)...)
			}
			methods = nil
		}
	}
	list := func(of map[string][]string) (out []string) {
		for e, query := range of {
			method, path, _ := strings.Cut(e, " ")
			out = append(out, endpoint(method, path, query))
		}
		return out
	}
	same(t, "endpoint", "docs/api.md", list(queries), list(documented))
}

// TestCommandsOfTheDocs: every curl command of the documentation calls an endpoint that there
// is, with parameters that it has, and sends JSON.
func TestCommandsOfTheDocs(t *testing.T) {
	command := regexp.MustCompile(`(?m)curl ([^\x60\n]*?(?:\\\n[^\x60\n]*?)*?)["']?(?:\$A|localhost:2019|http://localhost:2019)(/fado/[^\s"'\x60\\]*)((?:[^\x60\n]|\\\n)*)`)
	found := 0
	for _, doc := range documents(t) {
		for _, m := range command.FindAllStringSubmatch(read(t, doc), -1) {
			found++
			args := m[1] + " " + m[3]
			method := http.MethodGet
			body := regexp.MustCompile(`(?:--json|-d) '([^']*)'`).FindStringSubmatch(args)
			if x := regexp.MustCompile(`-X (\w+)`).FindStringSubmatch(args); x != nil {
				method = x[1]
			} else if body != nil {
				method = http.MethodPost
			}
			if body != nil && !strings.Contains(body[1], "…") && !json.Valid([]byte(body[1])) {
				t.Errorf("%s: %s sends %s, which is no JSON", doc, m[2], body[1])
			}
			path, query, _ := strings.Cut(m[2], "?")
			if !callable(openAPI(t), method, path, query) {
				t.Errorf("%s: %s %s is no endpoint with such parameters", doc, method, m[2])
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d commands were found", found)
	}
}

// callable says whether an endpoint takes a method and the parameters of a query.
func callable(doc *apiDoc, method, path, query string) bool {
	for pattern, ops := range doc.Paths {
		raw, ok := ops[strings.ToLower(method)]
		template := "^" + regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(regexp.QuoteMeta(pattern), `[^/]+`) + "$"
		if !ok || !regexp.MustCompile(template).MatchString(path) {
			continue
		}
		var op struct{ Parameters []struct{ Name string } }
		if json.Unmarshal(raw, &op) != nil {
			return false
		}
		names := make(map[string]bool)
		for _, p := range op.Parameters {
			names[p.Name] = true
		}
		for _, p := range all(`(\w+)=`, query) {
			if !names[p] {
				return false
			}
		}
		return true
	}
	return false
}

// words are those of a line of Caddyfile, without what is for people.
func words(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.Join(strings.Fields(line), " ")
}

// grammar returns the blocks of Caddyfile in the comments of a file.
func grammar(t *testing.T, file string) (blocks [][]string) {
	t.Helper()
	var block []string
	depth := 0
	for line := range strings.Lines(read(t, file)) {
		text, ok := strings.CutPrefix(line, "//\t")
		if text = words(text); ok && text != "" {
			block = append(block, text)
			depth += strings.Count(text, "{") - strings.Count(text, "}")
		}
		if ok || depth > 0 {
			continue
		}
		if len(block) > 1 {
			blocks = append(blocks, block)
		}
		block = nil
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no grammar", file)
	}
	return blocks
}

// TestDocsHaveTheGrammar: the grammar of each directive reads the same in the code and
// in docs/configuration.md.
func TestDocsHaveTheGrammar(t *testing.T) {
	var doc []string
	for line := range strings.Lines(read(t, "docs/configuration.md")) {
		if line = words(line); line != "" {
			doc = append(doc, line)
		}
	}
	text := "\n" + strings.Join(doc, "\n") + "\n"
	for _, file := range []string{"caddymodule/caddyfile.go", "lbpolicy/caddyfile.go", "eventhook/caddyfile.go", "s3gateway/caddyfile.go", "admin/console/caddyfile.go"} {
		for _, block := range grammar(t, file) {
			if strings.Contains(text, "\n"+strings.Join(block, "\n")+"\n") {
				continue
			}
			for i := range block { // the first line that does not fit
				if !strings.Contains(text, "\n"+strings.Join(block[:i+1], "\n")+"\n") {
					t.Errorf("docs/configuration.md: the grammar of %s differs from that in %s at %q", block[0], file, block[i])
					break
				}
			}
		}
	}
}

// TestDocsListTheDirectives: every directive for sites has its grammar in docs/configuration.md,
// and its place in the order of directives in README.md.
func TestDocsListTheDirectives(t *testing.T) {
	var directives []string
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../*/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, more...) {
		if !strings.HasSuffix(file, "_test.go") {
			directives = append(directives, all(`RegisterHandlerDirective\("([a-z0-9_]+)"`, read(t, strings.TrimPrefix(file, "../")))...)
		}
	}
	same(t, "directive", "docs/configuration.md", directives, all(`(?m)^([a-z0-9_]+) \[<matcher>\]`, read(t, "docs/configuration.md")))
	_, order, _ := strings.Cut(read(t, "README.md"), "\nDirective order: ")
	order, _, _ = strings.Cut(order, " run before `reverse_proxy`")
	same(t, "directive", "the order of README.md", directives, all("`([a-z0-9_]+)`", order))
}

// TestParserHasTheGrammar asks the parser, in every block, which options it knows, by
// giving it one that it can't, and compares with the grammar in its comment.
func TestParserHasTheGrammar(t *testing.T) {
	options := make(map[string][]string) // by the heads of the blocks around them
	var path []string
	for _, line := range grammar(t, "caddymodule/caddyfile.go")[0] {
		if line == "}" {
			path = path[:len(path)-1]
			continue
		}
		if len(path) > 0 {
			at := strings.Join(path, "\n")
			options[at] = append(options[at], strings.Fields(line)[0])
		}
		if strings.HasSuffix(line, "{") {
			path = append(path, line)
		}
	}
	values := strings.NewReplacer("<name>", "n-1", "<url>", "http://h", "<dsn>", "postgres://h/d", "<n>", "1")
	for at, want := range options {
		heads := strings.Split(at, "\n")
		tokens, err := caddyfile.Tokenize([]byte(values.Replace(at)+"\nno_such_option\n"+strings.Repeat("}\n", len(heads))), "Caddyfile")
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseGlobalOption(caddyfile.NewDispenser(tokens), nil)
		_, names, ok := strings.Cut(fmt.Sprint(err), "expected one of ")
		if !ok {
			t.Errorf("in %s: %v", heads[len(heads)-1], err)
			continue
		}
		names, _, _ = strings.Cut(names, ", at ")
		same(t, "option", "the grammar of "+heads[len(heads)-1], strings.Split(names, ", "), want)
	}
	if len(options) < 8 {
		t.Errorf("only the blocks %v were found", slices.Collect(maps.Keys(options)))
	}
}
