package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"
)

const document = "fado: 1\nzones:\n- name: eu\n"

// fits fails where a line is wider than a table may be. Sentences may be longer.
func fits(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if n := utf8.RuneCountInString(line); n > 100 && !strings.HasSuffix(line, ".") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// many repeats an item of a JSON array, with its number in place of %d.
func many(n int, item string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = strings.ReplaceAll(item, "%d", fmt.Sprint(i))
	}
	return "[" + strings.Join(items, ",") + "]"
}

// bigPlan has more of everything than people are shown.
var bigPlan = `{"revision":7,"changes_total":150,"changes_next":"more","changes":[
	{"kind":"zone","name":"eu","action":"create","fields":[{"path":"labels","to":{"a":"b"}}]},
	{"kind":"policy","name":"keep","action":"update","fields":[{"path":"zones","from":null,"to":["eu"]},{"path":"max_staleness","from":"10s","to":null},
		{"path":"prefer","from":[],"to":["` + strings.Repeat("a-very-long-name", 20) + `"]}]},
	{"kind":"bucket","name":"old\u001b[31m","action":"delete","fields":[]}],
	"moves":{"total":{"buckets":30,"copies":1,"objects":1,"bytes":1500000,"estimated":true,"seconds":{"low":0.5,"high":5400},"egress":1.5,"storage_per_month":0.126},
		"removed":{"copies":2,"objects":3,"bytes":999},
		"links":` + many(25, `{"from":"c%d","to":"paris","bytes":1000,"rate":2000000,"rate_source":"measured","seconds":61,"egress":0.25}`) + `,
		"buckets":` + many(25, `{"bucket":"b-%d","prefix":"","add":["paris","berlin"],"remove":[],"primary":{"from":"","to":"paris"},"objects":4,"bytes":2048}`) + `,"next":"b-25"},
	"violations":` + many(24, `{"kind":"copies","resource":"bucket b-%d","detail":"one copy\nis missing","blocking":false}`) + `,
	"routes":{"changed":1,"local":{"before":3,"after":2},"refused":{"before":0,"after":1}},"blocked":false}`

// People are shown what would change, move, cost and break, with how much of it is left out.
func TestPlansAreShown(t *testing.T) {
	address, asked := api(t, map[string]string{"POST /fado/plan": bigPlan})
	out, _, err := fado(document, "plan", "-f", "-", "--address", address)
	if err == nil || err.Error() != "exiting with status 2" || !strings.HasPrefix(asked(), "POST /fado/plan ") {
		t.Errorf("%v", err)
	}
	has(t, out,
		"+ zone eu\n    labels: {\"a\":\"b\"}", "~ policy keep\n    zones: (none) → [\"eu\"]\n    max_staleness: \"10s\" → (none)\n", "- bucket old",
		"and 147 changes more; plan --json lists them",
		"Moves: 1 copy of 30 buckets: 1 object, 1.5 MB (estimated: not everything was counted yet); 500ms to 1h30m.",
		"Removes: 2 copies: 3 objects, 999 B.",
		"Costs: 1.50 once for what leaves clusters, 0.13 more a month for storage.",
		"measured", "2 MB/s", "1m1s", "0.25", "c19", "b-19", "paris berlin", "– → paris", "There are more; plan --json lists them.",
		"Routing changes for 1 rule: 3 → 2 can be served where their data is, 0 → 1 are refused.",
		"note: bucket b-19: one copy is missing", "and 4 more; --json lists them",
	)
	for _, not := range []string{"c20 ", "b-20", "\x1b", "blocks"} {
		if strings.Contains(out, not) {
			t.Errorf("it shows %q:\n%s", not, out)
		}
	}
	fits(t, out)
}

// A plan that moves nothing says so; one that is blocked says by what, and nothing is asked before
// the API has refused it.
func TestPlansThatAreBlocked(t *testing.T) {
	const plan = `{"revision":7,"changes_total":1,"changes":[{"kind":"zone","name":"eu","action":"create","fields":[]}],"moves":{},"routes":{},"blocked":true,
		"violations":[{"kind":"residency","resource":"bucket photos","detail":"no cluster is allowed","blocking":true}]}`
	address, asked := api(t, map[string]string{"POST /fado/plan": plan, "POST /fado/apply": `409|{"error":"bucket photos: no cluster is allowed"}`})
	out, _, err := fado(document, "plan", "-f", "-", "--address", address)
	if err == nil || err.Error() != "exiting with status 2" {
		t.Errorf("%v", err)
	}
	has(t, out, "No data moves.", "blocks: bucket photos: no cluster is allowed")
	asked()
	if _, _, err = fado(document, "apply", "-f", "-", "--address", address); err == nil || err.Error() != "bucket photos: no cluster is allowed" {
		t.Errorf("%v", err)
	}
	if got := asked(); strings.Count(got, "POST /fado/plan") != 1 || strings.Count(got, "POST /fado/apply") != 1 {
		t.Errorf("it asks %s", got)
	}
}

// Programs are given the whole plan, page by page of one revision.
func TestWholePlansForPrograms(t *testing.T) {
	etags := []string{`"1"`, `"1"`, `"1"`, `"2"`}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etags[0])
		etags = etags[1:]
		page := `{"revision":7,"changes_total":2,"changes":[{"kind":"zone","name":"eu","action":"create","fields":[]}],"changes_next":"n","moves":{"buckets":[{"bucket":"a"}],"next":""}}`
		if r.URL.Query().Get("changes_after") == "n" {
			page = `{"revision":8,"changes_total":2,"changes":[{"kind":"zone","name":"us","action":"create","fields":[]}],"changes_next":"","moves":{"buckets":[{"bucket":"a"}]}}`
		}
		fmt.Fprint(w, page)
	}))
	defer srv.Close()
	args := []string{"plan", "-f", "-", "--json", "--address", strings.TrimPrefix(srv.URL, "http://")}
	out, _, err := fado(document, args...)
	var whole struct {
		Changes []struct{ Name string }
		Moves   struct{ Buckets []struct{ Bucket string } }
	}
	if json.Unmarshal([]byte(out), &whole) != nil || len(whole.Changes) != 2 || whole.Changes[1].Name != "us" || len(whole.Moves.Buckets) != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	if err == nil || err.Error() != "exiting with status 2" {
		t.Errorf("with changes: %v", err)
	}
	if out, _, err = fado(document, args...); err == nil || out != "" || !strings.Contains(err.Error(), "its revision was 7 and is 8") {
		t.Errorf("the catalogue changes between two pages: %v\n%s", err, out)
	}
}

// Exactly the plan that was shown is carried out: by its ETag, and where the catalogue was changed
// in between, nothing is done.
func TestApplyCarriesOutThePlanThatWasShown(t *testing.T) {
	var match []string
	refuse := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/fado/plan":
			w.Header().Set("ETag", `"of 7"`)
			fmt.Fprint(w, `{"revision":7,"changes_total":1,"changes":[{"kind":"zone","name":"eu","action":"create","fields":[]}],"moves":{},"routes":{}}`)
		case refuse:
			w.WriteHeader(http.StatusPreconditionFailed)
			fmt.Fprint(w, `{"error":"the revision is 8"}`)
		default:
			match = append(match, r.Header.Get("If-Match"))
			fmt.Fprint(w, `{"revision":8,"changes":1,"moves":{}}`)
		}
	}))
	defer srv.Close()
	args := []string{"apply", "-f", "-", "--yes", "--address", strings.TrimPrefix(srv.URL, "http://")}
	out, _, err := fado(document, args...)
	if err != nil || strings.Join(match, " ") != `"of 7"` {
		t.Errorf("applied with %q: %v", match, err)
	}
	has(t, out, "+ zone eu", "Applied: 1 change. The catalogue's revision is 8.")
	out, _, err = fado(document, append(args, "--json")...)
	if err != nil || !json.Valid([]byte(out)) || strings.Contains(out, "+ zone") {
		t.Errorf("for programs: %v\n%s", err, out)
	}
	refuse = true
	const want = "the catalogue was changed since this plan was made, for revision 7: nothing was done; look at a new plan"
	if _, _, err = fado(document, args...); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "the revision is 8") {
		t.Errorf("%v", err)
	}
}
