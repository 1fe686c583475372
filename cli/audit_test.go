package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// auditOf serves n audit records as the API pages them.
func auditOf(t *testing.T, n int, body func(seq int) string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, page := r.URL.Query(), []json.RawMessage{}
		limit, err := strconv.Atoi(q.Get("limit"))
		if err != nil || limit < 1 || limit > 10_000 || r.URL.Path != "/fado/audit" {
			http.Error(w, r.URL.String(), http.StatusBadRequest)
			return
		}
		after, _ := strconv.Atoi(q.Get("after"))
		before, _ := strconv.Atoi(q.Get("before"))
		if before == 0 {
			before = n + 1
		}
		for i := after + 1; i < before && len(page) < limit; i++ {
			seq := i
			if q.Get("newest") == "true" {
				seq = before - 1 - (i - after - 1)
			}
			page = append(page, json.RawMessage(fmt.Sprintf(`{"seq":%d,"at":"2027-01-31T10:00:00.000Z","node":"n1","actor":"admin 127.0.0.1",%s,"prev":"","hash":""}`, seq, body(seq))))
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// What is asked for of the audit is listed as a whole, however many pages of the API that is.
func TestAuditIsListedAsAWhole(t *testing.T) {
	address := auditOf(t, 2500, func(seq int) string { return fmt.Sprintf(`"kind":"change","body":{"name":"b%d"}`, seq) })
	for _, tc := range []struct {
		args        []string
		n           int
		first, last int
	}{
		{nil, 2500, 1, 2500},
		{[]string{"--newest"}, 2500, 2500, 1},
		{[]string{"--limit", "1000"}, 1000, 1, 1000},
		{[]string{"--limit", "1500", "--newest"}, 1500, 2500, 1001},
		{[]string{"--after", "2498"}, 2, 2499, 2500},
	} {
		out, _, err := fado("", append(append([]string{"audit", "--json"}, tc.args...), "--address", address)...)
		var all []struct{ Seq int }
		if err != nil || json.Unmarshal([]byte(out), &all) != nil || len(all) != tc.n || all[0].Seq != tc.first || all[len(all)-1].Seq != tc.last {
			t.Errorf("%q: %d records, %v", tc.args, len(all), err)
		}
	}
	for _, limit := range []string{"0", "-1", "x"} {
		if _, _, err := fado("", "audit", "--limit", limit, "--address", address); err == nil {
			t.Errorf("--limit %s is one", limit)
		}
	}
}

// A record says what it is about before a table cuts it.
func TestRecordsForPeople(t *testing.T) {
	const digest = `"digest":"9f86d081884c7d65"`
	bodies := []struct{ text, says string }{
		{`"kind":"change","body":{"action":"created","after":"144b5287c02dc8b5","before":"","name":"photos","resource":"bucket"}`, "bucket photos created"},
		{`"kind":"allowed","body":{"clusters":["berlin","paris"],` + digest + `,"policy":"eu"}`, "policy eu: berlin paris"},
		{`"kind":"copy","body":{"bucket":"photos","bytes":1000,` + digest + `,"event":"synced","from":"paris","objects":8,"policy":"eu","prefix":"a/","to":"berlin","via":"n1"}`, "photos a/ synced in berlin, from"},
		{`"kind":"copy","body":{"bucket":"photos","bytes":0,"event":"removed","from":"","objects":0,"policy":"eu","prefix":"","to":"berlin","via":""}`, "  photos removed in berlin"},
		{`"kind":"pull","body":{"bucket":"photos","bytes":10,"from":"paris","objects":1,"prefix":"","to":"berlin","via":"n1"}`, "photos pulled to berlin, from p"},
		{`"kind":"invocations","body":{"bucket":"photos","count":12,"prefix":"","run":"berlin","read":"paris"}`, "  photos: 12 ran in berlin, reading"},
		{`"kind":"refused","body":{"bucket":"photos","by":"routing","cluster":"ny","count":3,"prefix":""}`, "photos: 3 refused by routing in ny"},
		{`"kind":"session","body":{"event":"signed-in","how":"link","role":"admin","session":"x","user":"ann"}`, "ann signed-in admin by link"},
		{`"kind":"action","body":{"action":"delete-bucket","name":"b1","resource":"bucket","state":"begun","with":{"purge":"all"}}`, "bucket b1 delete-bucket purge=all"},
		{`"kind":"checkpoint","body":{"allowed":{"eu":["berlin","paris"]},"head":"ab","note":"signed","size":11}`, "of the records up to 11, signed"},
		{`"kind":"later","body":{"x":1}`, `{"x":1}`},
	}
	out, _, err := fado("", "audit", "--address", auditOf(t, len(bodies), func(seq int) string { return bodies[seq-1].text }))
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(out, "\n")[1:]
	for i, b := range bodies {
		if !strings.Contains(rows[i], b.says) || utf8.RuneCountInString(rows[i]) > 100 {
			t.Errorf("%s\nis shown as %s", b.text, rows[i])
		}
	}
}

// An export that is empty proves nothing. The result in JSON has the API's names, and a head as
// --head takes it.
func TestVerifiedForScripts(t *testing.T) {
	out, _, err := fado("", "audit", "verify", "-")
	if err == nil || err.Error() != "exiting with status 2" || !strings.Contains(out, "there are no records") || strings.Contains(out, "Nothing is wrong") {
		t.Errorf("of nothing: %v\n%s", err, out)
	}
	address := serve(t)
	if _, _, err := fado("fado: 1\nzones:\n- name: eu\n", "apply", "-f", "-", "--yes", "--address", address); err != nil {
		t.Fatal(err)
	}
	exported, _, err := fado("", "audit", "export", "--address", address)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err = fado(exported, "audit", "verify", "-", "--json")
	var r struct {
		Records  int64  `json:"records"`
		Head     string `json:"head"`
		Problems []any  `json:"problems"`
	}
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || r.Records == 0 || r.Problems == nil || strings.Contains(out, `"Records"`) {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, _, err := fado(exported, "audit", "verify", "-", "--head", r.Head); err != nil {
		t.Errorf("--head %s: %v", r.Head, err)
	}
	cut := exported[:strings.LastIndex(strings.TrimSpace(exported), "\n")+1]
	if out, _, err := fado(cut, "audit", "verify", "-", "--head", r.Head); err == nil || !strings.Contains(out, "is missing") {
		t.Errorf("without its end: %v\n%s", err, out)
	}
}

// What an export is narrowed to is asked for of the API, and nothing is where nothing is said.
func TestAuditExportIsNarrowed(t *testing.T) {
	var asked string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.RequestURI() }))
	t.Cleanup(srv.Close)
	address := strings.TrimPrefix(srv.URL, "http://")
	for want, args := range map[string][]string{
		"/fado/audit/export":                                nil,
		"/fado/audit/export?bucket=photos&kind=copy":        {"--bucket", "photos", "--kind", "copy"},
		"/fado/audit/export?since=2027-01-31T00%3A00%3A00Z": {"--since", "2027-01-31T00:00:00Z"},
	} {
		if _, _, err := fado("", append(append([]string{"audit", "export"}, args...), "--address", address)...); err != nil || asked != want {
			t.Errorf("%q asks for %s, %v; want %s", args, asked, err, want)
		}
	}
}
