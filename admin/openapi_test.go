package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// TestOpenAPISchemasCompile; that the whole of it is OpenAPI, internal/checks holds.
func TestOpenAPISchemasCompile(t *testing.T) {
	h := start(t, control.Config{})
	served := h.do("GET", "/fado/openapi.json", "").want(200)
	var doc struct {
		OpenAPI    string `json:"openapi"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(served.body, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %s", doc.OpenAPI)
	}
	// Every schema compiles as JSON Schema 2020-12.
	if len(doc.Components.Schemas) == 0 {
		t.Error("no schemas")
	}
	for name := range doc.Components.Schemas {
		if _, err := schemaCompiler().Compile("http://fado/openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
		for property, p := range doc.Components.Schemas[name].(map[string]any)["properties"].(map[string]any) {
			if about, _ := p.(map[string]any)["description"].(string); about == "" {
				t.Errorf("%s of %s is not described", property, name)
			}
		}
	}
}

// documented yields every method and path of the document.
func documented(t *testing.T) (calls []string, methods map[string][]string) {
	t.Helper()
	methods = make(map[string][]string)
	for path, item := range lookup(openAPIJSON(), "/paths").(map[string]any) {
		for method := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			calls = append(calls, strings.ToUpper(method)+" "+path)
			methods[path] = append(methods[path], strings.ToUpper(method))
		}
	}
	slices.Sort(calls)
	return calls, methods
}

// Every documented path and method has a handler, and every other method is refused.
func TestOpenAPIAgainstHandlers(t *testing.T) {
	calls, methods := documented(t)
	if len(calls) < 35 {
		t.Fatalf("only %d operations", len(calls))
	}
	for path, has := range methods {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, strings.ReplaceAll(path, "{name}", "x"), nil)
			op, err := table().find(w, r)
			want := slices.Contains(has, method) || method == "HEAD" && slices.Contains(has, "GET")
			if err == nil && op.pattern != path && !want {
				continue // an item of a name that is also an endpoint
			}
			if (err == nil) != want {
				t.Errorf("%s %s: %v, documented: %v", method, path, err, want)
			}
			if err != nil && request.StatusOf(err) != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
	}
	for _, op := range table().operations {
		if !slices.Contains(calls, op.method+" "+op.pattern) {
			t.Errorf("%s %s is served and not documented", op.method, op.pattern)
		}
	}
}

// The contract's endpoints, so that none can vanish from table and document together.
func TestContractEndpoints(t *testing.T) {
	calls, _ := documented(t)
	want := strings.Split(`GET /fado/
GET /fado/route
GET /fado/events
GET /fado/openapi.json
GET /fado/buckets/{name}/objects
GET /fado/buckets/{name}/placement
GET /fado/buckets/{name}/conflicts
POST /fado/buckets/{name}/conflicts/resolve
POST /fado/buckets/{name}/sync
POST /fado/buckets/{name}/verify
GET /fado/buckets/{name}/verify
POST /fado/buckets/{name}/promote
GET /fado/rebalance
POST /fado/rebalance
DELETE /fado/rebalance
GET /fado/replication
GET /fado/replication/failures
GET /fado/replication/purges
POST /fado/replication/failures/retry
POST /fado/replication/pause
POST /fado/replication/resume
GET /fado/summary
GET /fado/events/log
GET /fado/nodes
GET /fado/matrix
GET /fado/history
GET /fado/flows
POST /fado/clusters/check
POST /fado/policies/check
POST /fado/route
GET /fado/buckets/{name}/deletes
GET /fado/buckets/{name}/pending
GET /fado/history/series
POST /fado/console/links`, "\n")
	for _, c := range []string{"zones", "clusters", "policies", "buckets", "keys"} {
		want = append(want, "GET /fado/"+c, "POST /fado/"+c)
		for _, m := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			want = append(want, m+" /fado/"+c+"/{name}")
		}
	}
	for _, call := range want {
		if !slices.Contains(calls, call) {
			t.Errorf("%s is missing", call)
		}
	}
}

// Every operation is called and answers with each status that is not an error; the
// harness holds every answer's body against its schema.
func TestEveryOperation(t *testing.T) {
	h := withCopies(t)
	for _, c := range []struct{ path, name, body string }{
		{"/fado/zones", "z9", `{"labels":{"a":"b"}}`},
		{"/fado/clusters", "c9", `{"zones":["eu"],"storage":{"endpoint":"https://s3.example.org","capacity":"1GiB"},"functions":[{"url":"https://f.example.org/p","weight":2,"max_requests":3,"health_path":"/"}],"labels":{"a":"b"}}`},
		{"/fado/policies", "p9", `{"copies":"all","balance":{"policy":"random"},"pull_ttl":"2h"}`},
		{"/fado/buckets", "b99", `{"prefixes":[{"prefix":"x/","policy":"p9"}]}`},
		{"/fado/keys", "AKIA9", `{"secret":"secret-nine","buckets":["x*"],"read_only":true,"expires":"2030-01-01T00:00:00Z"}`},
	} {
		item := c.path + "/" + c.name
		made := h.do("POST", c.path, `{"name":"`+c.name+`",`+c.body[1:]).want(201)
		h.do("GET", c.path, "").want(200)
		h.do("GET", item, "").want(200)
		h.do("GET", item+plain(c.path), "", "If-None-Match", made.etag()).want(304)
		h.do("PUT", item, c.body).want(200)
		h.do("PUT", item+"2", strings.Replace(c.body, "s3.", "s4.", 1)).want(201)
		h.do("PATCH", item, `{}`).want(200)
		h.do("DELETE", item+"2", "").want(204)
	}
	h.do("DELETE", "/fado/buckets/b99?purge=all", "").want(202)
	h.do("POST", "/fado/console/links", `{}`).want(201)
	h.do("POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"newest"}`).want(200)
	h.do("POST", "/fado/clusters/check", `{"name":"c10","zones":["eu"],"storage":{"endpoint":"https://s9.example.org"}}`).want(200)
	h.do("POST", "/fado/policies/check", `{"name":"p10","zones":["eu"]}`).want(200)
	h.do("POST", "/fado/route", `{"bucket":["photos"]}`).want(200)
	h.do("POST", "/fado/buckets/photos/trust?cluster=c2", "").want(200)
	h.do("POST", "/fado/buckets/photos/release", `{"purge":"history","cluster":"c2"}`).want(200)
	h.do("POST", "/fado/plan", `{"fado":1,"zones":[{"name":"z10"}]}`).want(200)
	h.do("POST", "/fado/apply", `{"fado":1,"zones":[{"name":"z10"}]}`).want(200)
	h.do("POST", "/fado/rebalance?dry_run=true", "").want(200)
	h.do("DELETE", "/fado/clusters/c1?abandon=true", "").want(409)
	prepared(h)
	h.do("POST", "/fado/buckets/moving/promote", "").want(202)
	for _, op := range table().operations {
		if strings.Contains(op.pattern, "{name}") && op.request == nil && op.method != "DELETE" || !strings.Contains(op.pattern, "{") {
			if op.request == nil && op.pattern != "/fado/events" {
				h.do(op.method, strings.ReplaceAll(op.pattern, "{name}", "photos"), "")
			}
		}
	}
	_, closeStream := h.watch()
	closeStream()
	for _, op := range table().operations {
		for _, r := range op.replies {
			if key := fmt.Sprintf("%s %s %d", op.method, op.pattern, r.status); !h.seen[key] {
				t.Errorf("%s was never answered", key)
			}
		}
	}
}

// plain is the query that leaves the status out, where there is one.
func plain(path string) string {
	if path == "/fado/clusters" || path == "/fado/buckets" {
		return "?status=false"
	}
	return ""
}

// What requests may say is in the document too: every field of a resource, with its
// type, and no other.
func TestInputSchemas(t *testing.T) {
	for _, k := range catalog.Kinds {
		schema := "/components/schemas/" + strings.ToUpper(string(k[:1])) + string(k[1:]) + "Input"
		res := catalog.NewResource(k)
		res.Normalize()
		body, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, body); err != nil {
			t.Errorf("%s refuses %s: %v", schema, body, err)
		}
		for _, bad := range []string{`{"title":"x"}`, `{"name":7}`, `[]`} {
			if validate(schema, []byte(bad)) == nil {
				t.Errorf("%s accepts %s", schema, bad)
			}
		}
	}
}
