package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
	"github.com/fado-project/fado/state/sqlite"
)

const catalogueYAML = `
fado: 1
zones:
- {name: eu}
clusters:
- name: paris
  zones: [eu]
  storage: {endpoint: "http://paris.test", access_key: a, secret_key: hidden}
  functions: [{url: "http://f.paris.test"}]
- name: berlin
  zones: [eu]
  storage: {endpoint: "http://berlin.test"}
policies:
- {name: keep, copies: 2, zones: [eu]}
buckets:
- {name: photos, policy: keep, primary: paris}
- {name: other, policy: keep, primary: paris}
`

// stores opens an empty store of each kind.
func stores(t *testing.T, f func(t *testing.T, s state.Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		f(t, s)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		s, err := postgres.Open(t.Context(), postgres.Options{DSN: testenv.PostgresDatabase(t), Key: []byte("a passphrase of the tests")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		f(t, s)
	})
}

// A document is planned, applied, read back by the API and exported, and says the same
// everywhere.
func TestDocumentFromPlanToExport(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s state.Store) {
		h := startOn(t, s, control.Config{Zones: []*catalog.Zone{{Name: "declared"}}})
		yaml := []string{"Content-Type", "application/yaml"}
		plan := h.do("POST", "/fado/plan", catalogueYAML, yaml...).want(200)
		if plan.at("changes", 0, "kind") != "zone" || plan.at("changes", 5, "name") != "photos" || plan.at("blocked") != false || plan.at("moves", "total", "buckets") != 2.0 {
			t.Errorf("%s", plan.body)
		}
		h.do("GET", "/fado/zones/eu", "").want(404)

		applied := h.do("POST", "/fado/apply", catalogueYAML, append(yaml, "If-Match", plan.etag())...).want(200)
		if applied.at("changes") != 6.0 || applied.etag() == plan.etag() {
			t.Errorf("%s", applied.body)
		}
		again := h.do("POST", "/fado/apply", catalogueYAML, yaml...).want(200)
		if again.at("changes") != 0.0 || again.etag() != applied.etag() {
			t.Errorf("%s", again.body)
		}
		h.do("POST", "/fado/apply", catalogueYAML, append(yaml, "If-Match", plan.etag())...).want(412).says("revision")

		for _, format := range []string{"json", "yaml"} {
			for _, origin := range []string{"api", "all"} {
				export := h.do("GET", "/fado/export?format="+format+"&origin="+origin, "").want(200)
				if strings.Contains(string(export.body), "hidden") || strings.Contains(string(export.body), "declared") != (origin == "all") {
					t.Errorf("%s", export.body)
				}
				plan := h.do("POST", "/fado/plan", string(export.body), "Content-Type", export.header.Get("Content-Type")).want(200)
				if changes := plan.at("changes").([]any); len(changes) > 0 || plan.etag() != applied.etag() {
					t.Errorf("an export changes %v", changes)
				}
			}
		}
		sameAsItems(h)
		if cl, err := h.ctl.Resources.Get(t.Context(), catalog.KindCluster, "paris"); err != nil || cl.Resource.(*catalog.Cluster).Storage.SecretKey != "hidden" {
			t.Errorf("%+v, %v", cl, err)
		}
	})
}

// sameAsItems holds an export against what the collections answer.
func sameAsItems(h *harness) {
	h.t.Helper()
	var doc map[string]json.RawMessage
	h.do("GET", "/fado/export?origin=all", "").want(200).json(&doc)
	for _, name := range []string{"zones", "clusters", "policies", "buckets"} {
		var items, exported []map[string]any
		h.do("GET", "/fado/"+name+"?limit=100", "").want(200).json(&items)
		if err := json.Unmarshal(doc[name], &exported); err != nil {
			h.t.Fatal(err)
		}
		for _, it := range items {
			delete(it, "origin")
			delete(it, "status")
		}
		a, _ := json.Marshal(items)
		b, _ := json.Marshal(exported)
		if string(a) != string(b) {
			h.t.Errorf("%s: the collection has\n%s\nthe export\n%s", name, a, b)
		}
	}
}

// Nothing is changed by a document with a mistake, and every mistake is named.
func TestDocumentsRefused(t *testing.T) {
	t.Parallel()
	h := start(t, control.Config{Zones: []*catalog.Zone{{Name: "declared"}}, Clusters: []*catalog.Cluster{{Name: "own", Zones: []string{"declared"}, Storage: &catalog.Storage{Endpoint: "http://own.test", AccessKey: "a", SecretKey: "s"}}}})
	h.do("POST", "/fado/apply", catalogueYAML, "Content-Type", "application/yaml").want(200)
	before := h.do("GET", "/fado/export?origin=all", "").want(200)
	for _, tc := range []struct {
		status int
		body   string
		says   []string
	}{
		{400, `{"fado":1,"zones":[{"name":"ok"},{"name":"NO","parent":"none"}],"x":1}`, []string{"zones[1].name", "x: "}},
		{400, `{"fado":1,"zones":[{"name":"ok"}],"buckets":[{"name":"abc","policy":"none"}]}`, []string{"buckets[0].policy"}},
		{400, `{"fado":1,"clusters":[{"name":"new","zones":["eu"],"storage":{"endpoint":"http://x","access_key":"a","secret_key":"***"}}]}`, []string{"clusters[0].storage.secret_key"}},
		{400, `{"fado":1,"clusters":[{"name":"paris","zones":["eu"],"storage":{"endpoint":"http://thief","access_key":"a","secret_key":"***"}}]}`, []string{"clusters[0].storage.secret_key", "endpoint changes"}},
		{400, `{"fado":1,"clusters":[{"name":"paris","zones":["eu"],"storage":{"endpoint":"http://paris.test","access_key":"a","secret_key":"{file./etc/passwd}"}}]}`, []string{"clusters[0].storage.secret_key"}},
		{409, `{"fado":1,"zones":[{"name":"ok"},{"name":"declared","parent":"eu"}]}`, []string{"zones[1]", "configuration"}},
		{409, `{"fado":1,"delete":{"policies":["keep"]}}`, []string{"delete.policies[0]", "bucket photos"}},
		{413, strings.Repeat(" ", document.MaxBytes+1), []string{"16777216 bytes"}},
	} {
		h.do("POST", "/fado/plan", tc.body).want(tc.status).says(tc.says...)
		h.do("POST", "/fado/apply", tc.body).want(tc.status).says(tc.says...)
	}
	blocked := `{"fado":1,"zones":[{"name":"us"}],"policies":[{"name":"keep","copies":2,"zones":["us"]}]}`
	if plan := h.do("POST", "/fado/plan", blocked).want(200); plan.at("blocked") != true || plan.at("violations", 0, "kind") != "primary-outside" && plan.at("violations", 1, "kind") != "primary-outside" {
		t.Errorf("%s", plan.body)
	}
	h.do("POST", "/fado/apply", blocked).want(409).says("primary-outside", "bucket photos")
	h.do("POST", "/fado/plan?limit=0", `{"fado":1}`).want(400)
	if after := h.do("GET", "/fado/export?origin=all", "").want(200); string(after.body) != string(before.body) || after.etag() != before.etag() {
		t.Errorf("it was\n%s\nand is\n%s", before.body, after.body)
	}
	own := `{"fado":1,"clusters":[{"name":"own","zones":["declared"],"storage":{"endpoint":"http://own.test","access_key":"a","secret_key":"***"}}]}`
	if plan := h.do("POST", "/fado/plan", own).want(200); len(plan.at("changes").([]any)) != 0 {
		t.Errorf("%s", plan.body)
	}
	h.do("POST", "/fado/apply", strings.Replace(own, "***", "another", 1)).want(409).says("clusters[0]")
}

// The audit is listed, filtered and exported; it says who made a change.
func TestAudit(t *testing.T) {
	t.Parallel()
	h := start(t, control.Config{AuditKeep: time.Hour})
	h.do("POST", "/fado/apply", catalogueYAML, "Content-Type", "application/yaml").want(200)
	all := h.do("GET", "/fado/audit", "").want(200)
	if all.at(0, "kind") != "change" || !strings.HasPrefix(all.at(0, "actor").(string), "admin 127.0.0.1") || strings.Contains(string(all.body), "hidden") {
		t.Errorf("%s", all.body)
	}
	var some []map[string]any
	for path, n := range map[string]int{
		"?bucket=photos": 1, "?kind=allowed": 2, "?limit=2": 2, "?after=7": 1, "?since=2100-01-01T00:00:00Z": 0, "?until=2100-01-01T00:00:00Z": 8,
		"?before=3": 2, "?newest=true&before=8": 7,
	} {
		if h.do("GET", "/fado/audit"+path, "").want(200).json(&some); len(some) != n {
			t.Errorf("%s lists %d records, want %d", path, len(some), n)
		}
	}
	if last := h.do("GET", "/fado/audit?newest=true&limit=1", ""); last.at(0, "seq") != 8.0 {
		t.Errorf("the newest is %s", last.body)
	}
	for _, bad := range []string{"?since=yesterday", "?after=x", "?before=0", "?kind=none", "?limit=0"} {
		h.do("GET", "/fado/audit"+bad, "").want(400)
	}
	export := h.do("GET", "/fado/audit/export", "").want(200)
	report, err := audit.Verify(bytes.NewReader(export.body), audit.Head{}, nil)
	if err != nil || len(report.Problems) > 0 || report.Records != 8 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A revision belongs to one version of the catalogue: whatever changes it, and nothing else.
func TestRevision(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s state.Store) {
		h := startOn(t, s, control.Config{})
		h.do("POST", "/fado/apply", catalogueYAML, "Content-Type", "application/yaml").want(200)
		revision := func() string { return h.do("POST", "/fado/plan", `{"fado":1}`).want(200).etag() }
		was := revision()
		err := h.ctl.Copies.Update(t.Context(), "photos", func([]state.Copy) ([]state.Copy, error) {
			return []state.Copy{{Copy: catalog.Copy{Cluster: "paris", Primary: true, State: catalog.CopySynced}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		h.do("POST", "/fado/keys", `{"name":"AKIAEXAMPLE"}`).want(201)
		if now := revision(); now != was {
			t.Errorf("copies and keys raise the revision from %s to %s", was, now)
		}
		for _, change := range [][3]string{
			{"PATCH", "/fado/zones/eu", `{"labels":{"a":"b"}}`}, {"PUT", "/fado/buckets/third", `{"policy":"keep"}`}, {"DELETE", "/fado/buckets/third", ""},
		} {
			if a := h.do(change[0], change[1], change[2]); a.status >= http.StatusBadRequest {
				t.Fatalf("%s: %s", a.what, a.body)
			}
			if now := revision(); now == was {
				t.Errorf("%v leaves the revision at %s", change, was)
			} else {
				was = now
			}
		}
	})
}

// Clients that send their documents slowly hold up no other.
func TestSlowDocumentsHoldUpNobody(t *testing.T) {
	t.Parallel()
	h := start(t, control.Config{})
	for range cap(documentRoom) + 1 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /fado/plan HTTP/1.1\r\nHost: fado\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); len(bodyRoom) <= cap(documentRoom); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("their bodies are not read")
		}
	}
	h.do("POST", "/fado/plan", `{"fado":1}`).want(200)
}
