package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/cli"
)

// status answers for a FaDO that is well, or for one that is not and works.
func status(well bool) map[string]string {
	if well {
		return map[string]string{
			"GET /fado/":            `{"version":"v1","node":"n1","store":"sqlite","status":"ok","counts":{"zones":1,"clusters":2,"policies":3,"buckets":1},"snapshot_age_s":0.1}`,
			"GET /fado/replication": `{"paused":false,"queue":{"objects":0,"bytes":0},"rate":{"objects":0,"bytes":0},"lag_ms":{"p50":1.4,"p99":20.6},"transfers":[]}`,
		}
	}
	return map[string]string{
		"GET /fado/": `{"version":"v1","node":"n1","store":"postgres","status":"degraded","reason":"storage paris: no route\nto host","counts":{}}`,
		"GET /fado/replication": `{"paused":true,"queue":{"objects":1,"bytes":1500},"rate":{"objects":2.6,"bytes":2500000},"lag_ms":{},
			"transfers":` + many(22, `{"bucket":"photos","key":"`+strings.Repeat("long/", 40)+`%d","from":"paris","to":"berlin","done":50,"total":100}`) + `}`,
	}
}

// How FaDO is can be read from the text, from JSON and from the exit status.
func TestStatusIsShown(t *testing.T) {
	address, _ := api(t, status(true))
	out, _, err := fado("", "status", "--address", address)
	if err != nil {
		t.Errorf("a FaDO that is well: %v", err)
	}
	has(t, out, "FaDO v1 on n1, store sqlite: ok\n", "1 bucket, 2 clusters, 1 zone, 3 policies\n",
		"Replication: 0 objects waiting (0 B); 0 objects/s, 0 B/s; lag p50 1 ms, p99 21 ms\n")
	if strings.Contains(out, "BUCKET") {
		t.Errorf("transfers are shown where there are none:\n%s", out)
	}

	address, _ = api(t, status(false))
	out, _, err = fado("", "status", "--address", address)
	if err == nil || err.Error() != "exiting with status 2" {
		t.Errorf("a FaDO that is not: %v", err)
	}
	has(t, out, "degraded: storage paris: no route to host\n", "Replication, paused: 1 object waiting (1.5 KB); 3 objects/s, 2.5 MB/s", "#####----- 50 % of 100 B")
	if n := strings.Count(out, "berlin"); n != 20 {
		t.Errorf("%d transfers are shown, want 20", n)
	}
	fits(t, out)

	out, _, err = fado("", "status", "--json", "--address", address)
	var all struct {
		Overview    struct{ Status string }
		Replication struct{ Transfers []any }
	}
	if json.Unmarshal([]byte(out), &all) != nil || all.Overview.Status != "degraded" || len(all.Replication.Transfers) != 22 {
		t.Errorf("for programs: %s", out)
	}
	if err == nil || err.Error() != "exiting with status 2" {
		t.Errorf("for programs: %v", err)
	}
}

// Lists show what there is of each item and a dash for what there is not, within 100 columns,
// whatever names and errors hold.
func TestListsAreShown(t *testing.T) {
	wide, drawing := strings.Repeat("w", 150), `\u001b[2J\r\n`
	for args, tc := range map[string]struct {
		asks, answer string
		shows        []string
	}{
		"buckets": {
			"GET /fado/buckets?limit=1000", `[{"name":"photos","policy":"keep","status":{"state":"syncing","reason":"` + drawing + wide + `","primary":"paris","copies":[
				{"cluster":"paris","role":"primary"},{"cluster":"berlin","role":"copy"},{"cluster":"rome","role":"copy"}]}},{"name":"new","status":{"state":"stuck"}}]`,
			[]string{"BUCKET  POLICY  STATE    PRIMARY  COPIES       REASON", "photos  keep    syncing  paris    berlin rome  ", "new     –       stuck    –        –\n"},
		},
		"bucket photos": {
			"GET /fado/buckets/photos", `{"name":"photos","policy":"","status":{"state":"stuck","reason":"` + wide + `","copies":[
				{"cluster":"paris","role":"primary","state":"synced","objects":12,"bytes":2048},
				{"cluster":"berlin","role":"copy","state":"failed","objects":2,"pending":{"objects":10},"error":"` + drawing + `refused"}],
				"prefixes":[{"prefix":"logs/","copies":[{"cluster":"rome","role":"copy","state":"synced","objects":7,"bytes":700}]}]}}`,
			[]string{"photos, policy –: stuck: www", "12       2 KB", "10       –", "refused", "rome     logs/", "700 B  –", "10 objects left\n"},
		},
		"clusters": {
			"GET /fado/clusters?limit=1000", `[{"name":"paris","zones":["fr","eu"],"drain":true,"status":{"storage":{"state":"down","error":"` + wide + `","used_bytes":1000000},
				"functions":[{"healthy":true,"in_flight":2},{"healthy":false,"in_flight":3}],"drain":{"state":"stuck"}}},
				{"name":"edge","zones":["us"],"drain":true,"status":{}},{"name":"none","zones":["us"],"status":{}}]`,
			[]string{"paris    fr eu  down     1 MB  1 of 2 up  5          stuck", "edge     us     none     –     0 of 0 up  0          draining", "none     us     none     –     0 of 0 up  0          –\n"},
		},
		"policies": {
			"GET /fado/policies?limit=1000", `[{"name":"all","copies":"all","zones":[],"writes":"anywhere","versions":"all","on_miss":"pull","origin":"api"},
				{"name":"keep","copies":3,"zones":["eu"],"exclude_zones":["de"],"clusters":["paris"],"prefer":["rome"],"writes":"primary","versions":"current","on_miss":"remote","origin":"config"}]`,
			[]string{"all     all     –      –", "anywhere  all", "keep    3       eu     de        paris     rome    primary   current   remote   config"},
		},
		"zones": {"GET /fado/zones?limit=1000", `[{"name":"de","parent":"eu","origin":"api"},{"name":"eu","origin":"config"}]`, []string{"de    eu      api\n", "eu    –       config\n"}},
		"keys": {
			"GET /fado/keys?limit=1000", `[{"name":"team","buckets":["a-*","b"],"read_only":true,"expires":"2027-01-31T00:00:00Z","origin":"api"},{"name":"root","buckets":[],"origin":"config"}]`,
			[]string{"team           a-* b    read            2027-01-31T00:00:00Z  api", "root           all      read and write  never                 config"},
		},
		"nodes": {
			"GET /fado/nodes", `{"trouble":"` + drawing + `the store does not answer","instances":[{"node":"n1","cluster":"","version":"v1","this":true,"replicates":true,"parts":7,"behind":2}]}`,
			[]string{"n1    –        v1       yes         7      2       yes\n", "the store does not answer"},
		},
		"conflicts photos": {
			"GET /fado/buckets/photos/conflicts?limit=10000", `[{"key":"a","reason":"no version of FaDO's","copies":[{"cluster":"paris","size":1000,"last_modified":"2027-01-31T10:00:00Z"},
				{"cluster":"berlin","size":2000,"last_modified":"2027-01-31T11:00:00Z"}]}]`,
			[]string{"a    paris    1 KB  2027-01-31T10:00:00Z  no version of FaDO's", "a    berlin   2 KB  2027-01-31T11:00:00Z"},
		},
		"failures": {
			"GET /fado/replication/failures?limit=10000", `[{"bucket":"photos","key":"` + wide + `","cluster":"berlin","error":"` + wide + `","attempts":12,"since":"0001-01-01T00:00:00Z"}]`,
			[]string{"photos", "…", "berlin   12        –"},
		},
		"route photos a b --data s3://logs/x": {
			"GET /fado/route?bucket=photos&data=s3%3A%2F%2Flogs%2Fx&object=a&object=b", `{"decision":{"cluster":"paris","locality":"local","url":"http://f"},"candidates":[
				{"cluster":"paris","zone":"fr","url":"http://f","locality":"local","fresh":true,"healthy":true,"in_flight":3},{"cluster":"rome","zone":"it","reason":"not current"}]}`,
			[]string{"paris: http://f (local)\n", "paris    fr    http://f  local     yes    yes      3", "rome     it    –         –         no     no       0          not current"},
		},
		"placement photos --prefix logs/": {
			"GET /fado/buckets/photos/placement?prefix=logs%2F", `{"policy":"keep","clusters":[{"cluster":"paris","zone":"fr","chosen":true,"reason":"first"},{"cluster":"rome","zone":"it","reason":"excluded"}]}`,
			[]string{"photos, policy keep\n", "paris    fr    yes     first", "rome     it    no      excluded"},
		},
	} {
		address, asked := api(t, map[string]string{tc.asks: tc.answer})
		out, _, err := fado("", append(strings.Fields(args), "--address", address)...)
		if got := asked(); err != nil || got != tc.asks {
			t.Errorf("%s asks %s, want %s: %v", args, got, tc.asks, err)
		}
		has(t, out, tc.shows...)
		fits(t, out)
		if strings.ContainsAny(out, "\x1b\r") {
			t.Errorf("%s draws: %q", args, out)
		}
		// For programs, the API's answer is neither cut nor rounded.
		out, _, err = fado("", append(strings.Fields(args), "--json", "--address", address)...)
		var got, want any
		if err != nil || json.Unmarshal([]byte(out), &got) != nil || json.Unmarshal([]byte(tc.answer), &want) != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s --json: %v\n%s", args, err, out)
		}
	}
}

// Numbers and names are given to programs as the API wrote them.
func TestJSONIsTheAPIs(t *testing.T) {
	address, _ := api(t, map[string]string{
		"GET /fado/zones?limit=1000":                 `[{"name":"<eu> & ü","size":9007199254740993,"unknown":{"a":1.50}}]`,
		"GET /fado/buckets/photos":                   `{"name":"photos","bytes":18446744073709551615,"status":{"state":"ok"}}`,
		"GET /fado/clusters?limit=1000":              `[]`,
		"POST /fado/replication/pause":               `{"paused":true}`,
		"PATCH /fado/clusters/paris":                 `{}`,
		"POST /fado/buckets/photos/sync":             `{}`,
		"DELETE /fado/keys/team":                     "204|",
		"GET /fado/replication/failures?limit=10000": `[]`,
		"GET /fado/buckets/photos/verify":            `{"state":"never"}`,
	})
	for args, want := range map[string]string{
		"zones":                `[{"name":"<eu> & ü","size":9007199254740993,"unknown":{"a":1.50}}]`,
		"bucket photos":        `{"name":"photos","bytes":18446744073709551615,"status":{"state":"ok"}}`,
		"clusters":             `[]`,
		"pause":                `{"paused":true}`,
		"undrain paris":        `{"cluster":"paris","drain":false}`,
		"sync photos":          `{"bucket":"photos","state":"accepted"}`,
		"keys remove team":     `{"name":"team","state":"removed"}`,
		"failures":             `[]`,
		"verify photos --show": `{"state":"never"}`,
	} {
		out, errOut, err := fado("", append(strings.Fields(args), "--json", "--address", address)...)
		if got := strings.NewReplacer("\n", "", "  ", "", `": `, `":`).Replace(out); err != nil || errOut != "" || got != want {
			t.Errorf("%s prints %s, want %s: %v %s", args, got, want, err, errOut)
		}
	}
}

// Each command asks for what its flags say, and tells what became of it.
func TestRequests(t *testing.T) {
	const verified = `{"state":"running","objects":0,"total":0,"bytes":0,"keys":[]}`
	for args, tc := range map[string]struct{ asks, answer, says string }{
		"sync photos":                 {"POST /fado/buckets/photos/sync", `{}`, "caddy fado bucket photos --watch shows how far that is"},
		"verify photos":               {"POST /fado/buckets/photos/verify?deep=false", verified, "running: ---------- 0 objects, 0 B; 0 mismatches, 0 repaired, 0 not"},
		"verify photos --deep":        {"POST /fado/buckets/photos/verify?deep=true", verified, "running"},
		"verify a/b --show":           {"GET /fado/buckets/a%2Fb/verify", verified, "running"},
		"undrain paris":               {`PATCH /fado/clusters/paris {"drain":false}`, `{}`, "paris is in use."},
		"pause":                       {"POST /fado/replication/pause", `{"paused":true}`, "paused: true"},
		"resume":                      {"POST /fado/replication/resume", `{"paused":false}`, "paused: false"},
		"failures --retry":            {"POST /fado/replication/failures/retry", `{"retried":2}`, "retried: 2"},
		"deletes photos confirm":      {"POST /fado/buckets/photos/deletes/confirm", `{"bucket":"photos"}`, `bucket: "photos"`},
		"deletes photos reject":       {"POST /fado/buckets/photos/deletes/reject", `{"bucket":"photos"}`, `bucket: "photos"`},
		"keys remove team":            {"DELETE /fado/keys/team", "204|", "Key team is removed."},
		"keys add":                    {`POST /fado/keys {"read_only":false}`, `{"name":"made","secret":"s3"}`, "AWS_ACCESS_KEY_ID=made\nAWS_SECRET_ACCESS_KEY=s3\n"},
		"keys add x --buckets a,b":    {`POST /fado/keys {"buckets":["a","b"],"name":"x","read_only":false}`, `{"name":"x"}`, "AWS_ACCESS_KEY_ID=x"},
		"promote photos":              {"POST /fado/buckets/photos/promote", `{"name":"photos"}`, "photos moves its primary; caddy fado bucket photos shows when it has."},
		"conflicts photos --winner b": {`POST /fado/buckets/photos/conflicts/resolve {"discard":false,"winner":"b"}`, `{"keys":3}`, "keys: 3"},
		"conflicts photos --winner newest --key a/b --discard": {
			`POST /fado/buckets/photos/conflicts/resolve {"discard":true,"key":"a/b","winner":"newest"}`, `{"keys":1}`, "keys: 1",
		},
	} {
		request, _, _ := strings.Cut(tc.asks, " {")
		address, asked := api(t, map[string]string{request: tc.answer})
		out, errOut, err := fado("", append(strings.Fields(args), "--address", address)...)
		if got := asked(); err != nil || errOut != "" || got != tc.asks {
			t.Errorf("%s asks %s, want %s: %v %s", args, got, tc.asks, err, errOut)
		}
		has(t, out, tc.says)
		// What the API refuses is an error in its words, and nothing is printed as if it were done.
		address, _ = api(t, nil)
		if out, _, err := fado("", append(strings.Fields(args), "--address", address)...); err == nil || err.Error() != "not expected" || out != "" {
			t.Errorf("%s that is refused: %v %s", args, err, out)
		}
	}
}

// A verification that left something unrepaired, or failed, is told by the exit status, with the keys.
func TestVerificationsEnd(t *testing.T) {
	const rest = `"objects":2,"total":2,"bytes":10,"keys":[{"key":"a","cluster":"berlin","state":"unrepairable","reason":"no good copy"}]`
	for answer, want := range map[string]string{
		`{"state":"done","mismatches":1,"repaired":1,"unrepairable":0,` + rest + `}`: "<nil>",
		`{"state":"done","mismatches":1,"repaired":0,"unrepairable":1,` + rest + `}`: "exiting with status 2",
		`{"state":"failed","error":"paris is\ndown",` + rest + `}`:                   "exiting with status 2",
	} {
		address, _ := api(t, map[string]string{"GET /fado/buckets/photos/verify": answer, "POST /fado/buckets/photos/verify?deep=false": answer})
		for _, flag := range []string{"--show", "--watch"} { // which ends with it
			out, _, err := fado("", "verify", "photos", flag, "--address", address)
			if fmt.Sprint(err) != want {
				t.Errorf("%s %s: %v", answer, flag, err)
			}
			has(t, out, "########## 100 %", "a    berlin   unrepairable  no good copy")
			if strings.Contains(answer, "error") {
				has(t, out, "paris is down\n")
			}
		}
	}
}

// An answer of another form than the API's is an error that says what was read.
func TestAnswersOfAnotherForm(t *testing.T) {
	for args, tc := range map[string]struct{ asks, says string }{
		"zones":                {"GET /fado/zones?limit=1000", ""},
		"bucket photos":        {"GET /fado/buckets/photos", "reading bucket photos: "},
		"failures":             {"GET /fado/replication/failures?limit=10000", "reading the answer to GET /fado/replication/failures: "},
		"nodes":                {"GET /fado/nodes", "reading the answer to GET /fado/nodes: "},
		"objects photos":       {"GET /fado/buckets/photos/objects?limit=1000&prefix=", "reading /fado/buckets/photos/objects: "},
		"verify photos --show": {"GET /fado/buckets/photos/verify", "reading the answer to GET /fado/buckets/photos/verify: "},
	} {
		address, _ := api(t, map[string]string{tc.asks: `"a string"`})
		out, _, err := fado("", append(strings.Fields(args), "--address", address)...)
		if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "cannot unmarshal") || out != "" {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}

// An event is one line: its time, what happened to what, where and why; for programs, it is as it came.
func TestEventsAreShown(t *testing.T) {
	events := []string{
		`{"type":"copy","time":"2027-01-31T10:00:00Z","bucket":"photos","key":"a\u001b[31m","cluster":"berlin","from":"paris"}`,
		`{"type":"change","op":"update","kind":"policy","name":"keep","reason":"by people"}`,
		`{"type":"storage","cluster":"paris","state":"down","url":"http://s3"}`,
		`no JSON`,
	}
	stream := ": a comment\n\nevent: copy\ndata: " + strings.Join(events, "\n\ndata:") + "\n\n"
	var looked bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if looked = !looked; !looked { // the second stream
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, stream)
	}))
	defer srv.Close()
	args := []string{"events", "--address", strings.TrimPrefix(srv.URL, "http://")}
	out, _, err := fado("", args...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err == nil || len(lines) != 3 || strings.Contains(out, "\x1b") {
		t.Fatalf("%v\n%q", err, out)
	}
	for i, want := range []string{"copy photos a [31m in berlin from paris", "change update policy keep by people", "storage down in paris http://s3"} {
		if !strings.HasSuffix(lines[i], " "+want) {
			t.Errorf("%s, want %s", lines[i], want)
		}
	}
	if out, _, err = fado("", append(args, "--json")...); err == nil || out != strings.Join(events, "\n")+"\n" {
		t.Errorf("for programs: %v\n%s", err, out)
	}
}

// For programs the exit status says what it says to people, and a watch ends when what it waits for is
// done.
func TestStatusForPrograms(t *testing.T) {
	address, _ := api(t, map[string]string{
		"GET /fado/route?bucket=photos":   `{"decision":null,"reason":"unknown-bucket","candidates":[]}`,
		"GET /fado/route?bucket=reports":  `{"decision":{"cluster":"paris"},"candidates":[]}`,
		"GET /fado/buckets/photos/verify": `{"state":"done","unrepairable":1}`,
		"GET /fado/clusters/paris":        `{"status":{"drain":{"state":"done"}}}`,
		"PATCH /fado/clusters/paris":      `{}`,
		"GET /fado/rebalance":             `{"running":false}`,
		"GET /fado/replication/purges":    `[]`,
	})
	const ok, differs = "<nil>", "exiting with status 2"
	for args, want := range map[string]string{
		"route photos":            differs,
		"route reports":           ok,
		"verify photos --show":    differs,
		"verify photos --show -w": differs,
		"drain paris --watch":     ok,
		"rebalance --watch":       ok,
		"purges --watch":          ok,
	} {
		cmd := &cobra.Command{Use: "fado", SilenceUsage: true}
		cmd.AddCommand(cli.Commands()...)
		var out bytes.Buffer
		cmd.SetArgs(append(strings.Fields(args), "--json", "--address", address))
		cmd.SetOut(&out)
		cmd.SetErr(io.Discard)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // looks come every second, each with its JSON
		err := cmd.ExecuteContext(ctx)
		if fmt.Sprint(err) != want || !json.Valid(out.Bytes()) {
			t.Errorf("%s: %v, want %s\n%s", args, err, want, out.String())
		}
		cancel()
	}
}

// Lists that the API cuts have as much as it gives, and where that is not all, it is said.
func TestCutListsSaySo(t *testing.T) {
	for n, says := range map[int]bool{1500: false, 10_500: true} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limit := 1000 // as the API's
			if r.URL.Query().Has("limit") {
				limit, _ = strconv.Atoi(r.URL.Query().Get("limit"))
			}
			fmt.Fprint(w, many(min(n, limit), `{"key":"k%d","copies":[{"cluster":"paris"}]}`))
		}))
		defer srv.Close()
		for _, args := range []string{"failures", "conflicts photos", "failures --json", "conflicts photos --json"} {
			out, errOut, err := fado("", append(strings.Fields(args), "--address", strings.TrimPrefix(srv.URL, "http://"))...)
			if got := regexp.MustCompile(`\bk\d+\b`).FindAllString(out, -1); err != nil || len(got) != min(n, 10_000) {
				t.Errorf("%s of %d lists %d: %v", args, n, len(got), err)
			}
			if strings.Contains(errOut, "there may be more") != says {
				t.Errorf("%s of %d says %q", args, n, errOut)
			}
		}
	}
}
