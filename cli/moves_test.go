package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A rebalance is begun once, watched until it has ended, and stopped.
func TestRebalance(t *testing.T) {
	var asked []string
	running := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		running = r.Method == http.MethodPost
		fmt.Fprintf(w, `{"running":%t,"since":null,"buckets":2,"primaries":1,"copies":3,"objects":12,"bytes":4096,
			"moves":[{"bucket":"photos","prefix":"","add":["berlin"],"remove":["paris"],"primary":{"from":"paris","to":"berlin"},"objects":4,"bytes":1024}]}`, running)
	}))
	defer srv.Close()
	for _, tc := range []struct{ args, asked string }{
		{"rebalance", "GET /fado/rebalance"},
		{"rebalance start", "POST /fado/rebalance"},
		{"rebalance start --watch", "POST /fado/rebalance GET /fado/rebalance"},
		{"rebalance stop", "DELETE /fado/rebalance"},
	} {
		asked = nil
		out, _, err := fado("", append(strings.Fields(tc.args), "--address", strings.TrimPrefix(srv.URL, "http://"))...)
		if err != nil || strings.Join(asked, " ") != tc.asked {
			t.Errorf("%s asks %q: %v", tc.args, asked, err)
		}
		has(t, out, "2 buckets", "3 copies", "12 objects", "photos", "paris → berlin")
	}
	if _, _, err := fado("", "rebalance", "now", "--address", strings.TrimPrefix(srv.URL, "http://")); err == nil || err.Error() != `"now": expected start or stop` {
		t.Errorf("%v", err)
	}
}

// What is watched is told with how far it has come, and how long the rest takes.
func TestProgressOfWatches(t *testing.T) {
	answers := map[string][]string{
		"/fado/clusters/paris": {
			`{"status":{"drain":{"state":"draining","buckets":2,"objects":100,"bytes":4096}}}`,
			`{"status":{"drain":{"state":"draining","buckets":1,"objects":40,"bytes":1024}}}`,
			`{"status":{"drain":{"state":"done","buckets":0,"objects":0,"bytes":0}}}`,
		},
		"/fado/buckets/photos": {
			`{"name":"photos","status":{"state":"syncing","copies":[{"cluster":"paris","role":"primary","objects":10},{"cluster":"berlin","role":"copy","state":"syncing","objects":2},
				{"cluster":"rome","role":"copy","state":"synced","objects":10,"pending":{"objects":2}}]}}`,
			`{"name":"photos","status":{"state":"syncing","copies":[{"cluster":"paris","role":"primary","objects":10},{"cluster":"berlin","role":"copy","state":"syncing","objects":5}]}}`,
			`{"name":"photos","status":{"state":"ok","copies":[{"cluster":"paris","role":"primary","objects":10},{"cluster":"berlin","role":"copy","state":"synced","objects":10}]}}`,
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := answers[r.URL.Path]
		if r.Method == http.MethodGet && len(all) > 1 {
			answers[r.URL.Path] = all[1:]
		}
		fmt.Fprint(w, all[0])
	}))
	defer srv.Close()
	for args, says := range map[string][]string{
		"drain paris --watch":   {"100 objects, 4.1 KB to move; ---------- 0 %", "######---- 60 %, about ", "########## 100 %"},
		"bucket photos --watch": {"10 objects left; ---------- 0 %", "5 objects left; #####----- 50 %, about ", "0 objects left; ########## 100 %"},
	} {
		out, _, err := fado("", append(strings.Fields(args), "--address", strings.TrimPrefix(srv.URL, "http://"))...)
		if err != nil {
			t.Errorf("%s: %v", args, err)
		}
		has(t, out, says...)
	}
}

// Where a bucket is placed, who there is, and that no move is prepared, as a running FaDO tells it.
func TestPlacementNodesPromote(t *testing.T) {
	at := []string{"--address", serve(t)}
	if _, _, err := fado(documentYAML+"buckets:\n- {name: photos, policy: keep, primary: paris}\n", append([]string{"apply", "-f", "-", "--yes"}, at...)...); err != nil {
		t.Fatal(err)
	}
	out, _, err := fado("", append([]string{"placement", "photos"}, at...)...)
	if err != nil {
		t.Fatal(err)
	}
	has(t, out, "photos, policy keep", "paris", "eu", "CHOSEN")
	if out, _, err = fado("", append([]string{"nodes"}, at...)...); err != nil || !strings.Contains(out, "n1") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err = fado("", append([]string{"promote", "photos"}, at...)...); err == nil || !strings.Contains(err.Error(), "no move of the primary is prepared") {
		t.Errorf("%v", err)
	}
}
