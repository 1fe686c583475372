package admin

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// Each cluster's part in each bucket is a letter, by pages and as narrowed.
func TestMatrix(t *testing.T) {
	h := start(t, control.Config{})
	for _, zone := range []string{"eu", "us"} {
		h.do("POST", "/fado/zones", fmt.Sprintf(`{"name":%q}`, zone)).want(201)
	}
	for name, zone := range map[string]string{"c1": "us", "c2": "eu", "c3": "eu", "c4": "eu"} {
		h.do("POST", "/fado/clusters", fmt.Sprintf(`{"name":%q,"zones":[%q],"storage":{"endpoint":"https://%s.example"}}`, name, zone, name)).want(201)
	}
	h.do("POST", "/fado/clusters", `{"name":"functions-only","zones":["eu"]}`).want(201)
	h.do("POST", "/fado/policies", `{"name":"eu","copies":2,"zones":["eu"]}`).want(201)
	h.do("POST", "/fado/buckets", `{"name":"aaa","policy":"eu"}`).want(201)
	h.do("POST", "/fado/buckets", `{"name":"bbb"}`).want(201)
	h.do("POST", "/fado/buckets", `{"name":"ccc","policy":"eu","prefixes":[{"prefix":"x/","policy":"default"}]}`).want(201)
	err := h.ctl.Copies.Update(t.Context(), "aaa", func([]state.Copy) ([]state.Copy, error) {
		return []state.Copy{
			{Bucket: "aaa", Copy: catalog.Copy{Cluster: "c2", Primary: true, State: catalog.CopySynced}},
			{Bucket: "aaa", Copy: catalog.Copy{Cluster: "c3", State: catalog.CopySyncing}},
		}, nil
	})
	if err == nil {
		err = h.ctl.Pending.Add(t.Context(), state.Pending{Bucket: "aaa", Key: "k", Cluster: "c3"})
	}
	if err != nil {
		t.Fatal(err)
	}
	list := func(query string) (rows, next, total string) {
		t.Helper()
		var m struct {
			Clusters []struct{ Cluster string }
			Rows     []struct {
				Bucket, Policy, Cells string
				Behind                []struct {
					Cluster string
					Objects int64
				}
			}
			Next string
		}
		a := h.do("GET", "/fado/matrix"+query, "").want(200)
		a.json(&m)
		if fmt.Sprint(m.Clusters) != "[{c2} {c3} {c4} {c1}]" {
			t.Fatalf("columns: %v", m.Clusters)
		}
		for _, r := range m.Rows {
			rows += fmt.Sprintf(" %s/%s:%s", r.Bucket, r.Policy, r.Cells)
			for _, b := range r.Behind {
				rows += fmt.Sprintf("(%s %d)", b.Cluster, b.Objects)
			}
		}
		return rows, m.Next, a.header.Get("X-Total-Count")
	}
	byPolicy := func(query, want string) {
		t.Helper()
		var m struct {
			Rows     []any
			Policies []struct {
				Policy  string
				Buckets int
				Cells   []struct {
					Allowed bool
					Buckets int
				}
			}
		}
		if h.do("GET", "/fado/matrix?by=policy"+query, "").want(200).json(&m); fmt.Sprint(m.Policies, m.Rows) != want {
			t.Errorf("by policy%s: %v %v, want %s", query, m.Policies, m.Rows, want)
		}
	}
	byPolicy("", "[{default 2 [{true 0} {true 0} {true 0} {true 0}]} {eu 2 [{true 1} {true 1} {true 0} {false 0}]}] []")
	byPolicy("&q=bbb", "[{default 1 [{true 0} {true 0} {true 0} {true 0}]}] []")
	byPolicy("&q=nothing", "[] []")
	h.do("GET", "/fado/matrix?by=zone", "").want(400)
	for query, want := range map[string][3]string{
		"":                {" aaa/eu:PY-X(c3 1) bbb/default:---- ccc/eu:----", "", "3"},
		"?limit=1":        {" aaa/eu:PY-X(c3 1)", "aaa", "3"},
		"?after=bbb":      {" ccc/eu:----", "", "3"},
		"?policy=eu&q=aa": {" aaa/eu:PY-X(c3 1)", "", "1"},
		"?cluster=c3":     {" aaa/eu:PY-X(c3 1)", "", "1"},
		"?policy=nothing": {"", "", "0"},
	} {
		if rows, next, total := list(query); [3]string{rows, next, total} != want {
			t.Errorf("%s: %q, want %q", query, [3]string{rows, next, total}, want)
		}
	}
}
