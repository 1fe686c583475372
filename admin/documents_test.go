package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/admintest"
	"github.com/fado-project/fado/state"
)

// A document is planned, applied, read back by the API and exported, and says the same
// everywhere.
func TestDocumentFromPlanToExport(t *testing.T) {
	t.Parallel()
	admintest.Stores(t, func(t *testing.T, s state.Store) {
		h := startOn(t, s, control.Config{Zones: []*catalog.Zone{{Name: "declared"}}})
		yaml := []string{"Content-Type", "application/yaml"}
		plan := h.do("POST", "/fado/plan", admintest.Catalogue, yaml...).want(200)
		if plan.at("changes", 0, "kind") != "zone" || plan.at("changes", 5, "name") != "photos" || plan.at("blocked") != false || plan.at("moves", "total", "buckets") != 2.0 {
			t.Errorf("%s", plan.body)
		}
		h.do("GET", "/fado/zones/eu", "").want(404)

		applied := h.do("POST", "/fado/apply", admintest.Catalogue, append(yaml, "If-Match", plan.etag())...).want(200)
		if applied.at("changes") != 6.0 || applied.etag() == plan.etag() {
			t.Errorf("%s", applied.body)
		}
		again := h.do("POST", "/fado/apply", admintest.Catalogue, yaml...).want(200)
		if again.at("changes") != 0.0 || again.etag() != applied.etag() {
			t.Errorf("%s", again.body)
		}
		h.do("POST", "/fado/apply", admintest.Catalogue, append(yaml, "If-Match", plan.etag())...).want(412).says("revision")

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

// The audit is listed, filtered and exported; it says who made a change.
func TestAudit(t *testing.T) {
	t.Parallel()
	h := start(t, control.Config{AuditKeep: time.Hour})
	h.do("POST", "/fado/apply", admintest.Catalogue, "Content-Type", "application/yaml").want(200)
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
	for query, n := range map[string]int{
		"?bucket=photos": 1, "?kind=allowed": 2, "?since=2100-01-01T00:00:00Z": 0, "?until=2100-01-01T00:00:00Z": 8, "?how=endpoint&kind=change": 6, "?result=failed": 0, "?role=admin": 0,
	} {
		if got := bytes.Count(h.do("GET", "/fado/audit/export"+query, "").want(200).body, []byte("\n")); got != n {
			t.Errorf("%s exports %d records, want %d", query, got, n)
		}
	}
	for _, bad := range []string{"?until=tomorrow", "?kind=none", "?result=good", "?limit=1"} {
		h.do("GET", "/fado/audit/export"+bad, "").want(400)
	}
	export := h.do("GET", "/fado/audit/export", "").want(200)
	report, err := audit.Verify(bytes.NewReader(export.body), audit.Head{}, nil)
	if err != nil || len(report.Problems) > 0 || report.Records != 8 {
		t.Errorf("%+v, %v", report, err)
	}
}

// An export has what one read of the store does not, filtered or not.
func TestAuditExportIsWhole(t *testing.T) {
	t.Parallel()
	h := start(t, control.Config{AuditKeep: time.Hour})
	var doc strings.Builder
	const zones = 2*listChunk + 1
	for i := range zones {
		fmt.Fprintf(&doc, ",{\"name\":\"z%d\"}", i)
	}
	h.do("POST", "/fado/apply", `{"fado":1,"zones":[`+doc.String()[1:]+`]}`, "Content-Type", "application/json").want(200)
	h.do("DELETE", "/fado/zones/z7", "").want(204)
	for query, n := range map[string]int{"": zones + 1, "?how=endpoint": zones + 1, "?kind=change": zones + 1, "?kind=copy": 0} {
		if got := bytes.Count(h.do("GET", "/fado/audit/export"+query, "").want(200).body, []byte("\n")); got != n {
			t.Errorf("%q exports %d records, want %d", query, got, n)
		}
	}
}

// A revision belongs to one version of the catalogue: whatever changes it, and nothing else.
func TestRevision(t *testing.T) {
	t.Parallel()
	admintest.Stores(t, func(t *testing.T, s state.Store) {
		h := startOn(t, s, control.Config{})
		h.do("POST", "/fado/apply", admintest.Catalogue, "Content-Type", "application/yaml").want(200)
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
