package admin

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/fado-project/fado/control"
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
