package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// TestFindBuckets: lists narrow by state, policy, cluster and name, by pages, with a count.
func TestFindBuckets(t *testing.T) {
	h := start(t, control.Config{})
	h.do("POST", "/fado/policies", `{"name":"gold"}`).want(201)
	for i := range 25 {
		policy := "default"
		if i%5 == 0 {
			policy = "gold"
		}
		h.do("POST", "/fado/buckets", fmt.Sprintf(`{"name":"b-%02d","policy":%q}`, i, policy)).want(201)
	}
	h.ctl.Issues.Set("b-03", control.Source{Finder: control.FinderPlanner}, control.Issue{Reason: "no cluster will do"})
	for query, want := range map[string][]string{
		"q=b-2":                   {"5", "b-20", "b-21", "b-22", "b-23", "b-24"},
		"q=B-24":                  {"1", "b-24"},
		"q=zzz":                   {"0"},
		"policy=gold&limit=2":     {"5", "b-00", "b-05"},
		"policy=gold&after=b-05":  {"5", "b-10", "b-15", "b-20"},
		"state=stuck":             {"1", "b-03"},
		"state=stuck&q=b-1":       {"0"},
		"state=ok":                {"0"},
		"state=syncing&q=-0":      {"9", "b-00", "b-01", "b-02", "b-04", "b-05", "b-06", "b-07", "b-08", "b-09"},
		"cluster=nowhere":         {"0"},
		"limit=1":                 {"25", "b-00"},
		"q=b-&limit=3&after=b-21": {"25", "b-22", "b-23", "b-24"},
	} {
		a := h.do("GET", "/fado/buckets?"+query, "").want(200)
		var got []struct{ Name string }
		a.json(&got)
		names := []string{a.header.Get("X-Total-Count")}
		for _, b := range got {
			names = append(names, b.Name)
		}
		if fmt.Sprint(names) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", query, names, want)
		}
	}
	if link := h.do("GET", "/fado/buckets?policy=gold&limit=2", "").header.Get("Link"); link != `</fado/buckets?after=b-05&limit=2&policy=gold>; rel="next"` {
		t.Errorf("next page: %s", link)
	}
	h.do("GET", "/fado/buckets?state=bad", "").want(400).says("state")
}

// TestSummary: what needs people is told with its reason and what helps.
func TestSummary(t *testing.T) {
	h := withCopies(t)
	h.ctl.Issues.Set("photos", control.Source{Finder: control.FinderPlanner}, control.Issue{Reason: "no cluster will do"})
	h.engine.paused = true
	a := h.do("GET", "/fado/summary", "").want(200)
	if a.at("status") != "degraded" || a.at("paused") != true || a.at("buckets", "stuck") != 1.0 {
		t.Errorf("the summary is %s", a.body)
	}
	if _, told := a.at().(map[string]any)["copies"]; told {
		t.Errorf("copies that nobody asked for: %s", a.body)
	}
	if by := h.do("GET", "/fado/summary?by=policy", "").want(200); by.at("copies", 0, "policy") != "p1" || by.at("copies", 0, "synced") != 1.0 {
		t.Errorf("copies by policy: %s", by.body)
	}
	h.do("GET", "/fado/summary?by=cluster", "").want(400).says("by")
	if a.at("attention", 0, "reasons", 0, "action") != "resume-replication" {
		t.Errorf("attention: %s", a.body)
	}
	var all struct {
		Attention []struct{ Kind, Name, State string }
		Clusters  []struct{ Name string }
	}
	a.json(&all)
	last := all.Attention[len(all.Attention)-1]
	if last.Kind != "bucket" || last.Name != "photos" || last.State != "stuck" || len(all.Clusters) == 0 {
		t.Errorf("the summary is %s", a.body)
	}
	for _, action := range actions {
		found := false
		for _, op := range table().operations {
			found = found || op.name == action && op.method == http.MethodPost
		}
		if !found {
			t.Errorf("no operation %s", action)
		}
	}
}

// Buckets are told in the order asked for, those of an origin only, and are counted by facets.
func TestOrderOriginFacets(t *testing.T) {
	h := start(t, control.Config{
		Zones:    []*catalog.Zone{{Name: "eu"}},
		Clusters: []*catalog.Cluster{{Name: "c1", Zones: []string{"eu"}, Storage: &catalog.Storage{Endpoint: "http://127.0.0.1:9"}}},
		Buckets:  []*catalog.Bucket{{Name: "declared"}},
	})
	h.do("POST", "/fado/buckets", `{"name": "made"}`).want(201)
	for bucket, size := range map[string]int64{"declared": 1, "made": 2} {
		err := h.ctl.Copies.Update(t.Context(), bucket, func([]state.Copy) ([]state.Copy, error) {
			return []state.Copy{{Bucket: bucket, Bytes: size, Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string][]string{
		"?order=bytes":               {"made", "declared"},
		"?order=state":               {"declared", "made"},
		"?order=bytes&after=made":    {"declared"},
		"?order=bytes&after=unknown": {},
		"?origin=config":             {"declared"},
		"?origin=api&order=pending":  {"made"},
	} {
		a := h.do("GET", "/fado/buckets"+query, "").want(200)
		var got []struct{ Name string }
		if err := json.Unmarshal(a.body, &got); err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, b := range got {
			names = append(names, b.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", query, names, want)
		}
	}
	h.do("GET", "/fado/buckets?order=color", "").want(400)
	a := h.do("GET", "/fado/facets?origin=api", "").want(200)
	if a.at("total") != 1.0 || a.at("origins", 0, "buckets") != 1.0 || a.at("clusters", 0, "value") != "c1" || a.at("policies", 0, "buckets") != 1.0 {
		t.Errorf("%s", a.body)
	}
}

// Every answer has its request's ID in a header, and that of a failure in its body, too; the audit has it with
// how the request came.
func TestRequestID(t *testing.T) {
	h := start(t, control.Config{AuditKeep: time.Hour})
	a := h.do("GET", "/fado/buckets/none", "").want(404)
	if id := a.header.Get(RequestHeader); id == "" || a.at("request_id") != id {
		t.Errorf("%q: %s", id, a.body)
	}
	id := h.do("POST", "/fado/buckets", `{"name": "made"}`).want(201).header.Get(RequestHeader)
	a = h.do("GET", "/fado/audit?kind=change&how=endpoint&newest=true", "").want(200)
	if id == "" || a.at(0, "body", "request") != id || a.at(0, "body", "how") != "endpoint" {
		t.Errorf("%q: %s", id, a.body)
	}
	if a = h.do("GET", "/fado/audit?role=admin", "").want(200); string(a.body) != "[]\n" {
		t.Errorf("the admin endpoint knows no roles: %s", a.body)
	}
}

// The sides of a bucket that nobody stopped can be read, and the bucket says that there is nothing to say.
func TestSides(t *testing.T) {
	h := start(t, control.Config{})
	h.do("POST", "/fado/buckets", `{"name": "made"}`).want(201)
	if a := h.do("GET", "/fado/buckets/made/trust", "").want(200); a.at("stopped") != false {
		t.Errorf("%s", a.body)
	}
	h.do("GET", "/fado/buckets/none/trust", "").want(404)
}
