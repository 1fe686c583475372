package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// api answers requests as the API does, and notes them.
func api(t *testing.T, answers map[string]string) (address string, asked func() string) {
	t.Helper()
	var all []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.URL.String()
		all = append(all, request)
		if body, _ := io.ReadAll(r.Body); len(body) > 0 {
			all = append(all, string(body))
		}
		answer, ok := answers[request]
		switch status, rest, special := strings.Cut(answer, "|"); {
		case !ok:
			http.Error(w, `{"error": "not expected"}`, http.StatusBadRequest)
		case special && status == "204":
			w.WriteHeader(http.StatusNoContent)
		case special && status == "409":
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, rest)
		default:
			fmt.Fprint(w, answer)
		}
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://"), func() string {
		defer func() { all = nil }()
		return strings.Join(all, " ")
	}
}

const lostWithParis = `409|{"error":"abandoning cluster \"paris\" gives up","cluster":"paris","answers":true,"objects":2,"bytes":2048,
	"buckets":[{"bucket":"photos","primary":true,"heir":"berlin","objects":2,"bytes":2048,"reason":"not copied yet"}]}`

// What can't be taken back is asked about, and done as it was asked for.
func TestDecisions(t *testing.T) {
	address, asked := api(t, map[string]string{
		"POST /fado/buckets/photos/trust?cluster=paris":          `{"bucket":"photos","cluster":"paris"}`,
		"POST /fado/buckets/photos/release":                      `{"bucket":"photos","cluster":"paris","objects":7}`,
		"DELETE /fado/buckets/photos":                            "204|",
		"DELETE /fado/buckets/photos?purge=all":                  `{"bucket":"photos","purge":"all","removes":"all of its data"}`,
		"DELETE /fado/clusters/paris?abandon=true":               lostWithParis,
		"DELETE /fado/clusters/paris?abandon=true&confirm=paris": "204|",
	})
	for _, tc := range []struct {
		args, asked string
		says        []string
	}{
		{"trust photos paris", "POST /fado/buckets/photos/trust?cluster=paris", []string{"photos goes on by what paris has"}},
		{"release photos paris", `POST /fado/buckets/photos/release {"cluster":"paris","purge":"history"}`, []string{"Versions of 7 objects are gone from paris"}},
		{"forget photos", "DELETE /fado/buckets/photos", []string{"photos is forgotten."}},
		{"forget photos --purge all", "DELETE /fado/buckets/photos?purge=all", []string{"photos is forgotten; being removed: all of its data."}},
		{
			"abandon paris", "DELETE /fado/clusters/paris?abandon=true DELETE /fado/clusters/paris?abandon=true&confirm=paris",
			[]string{"caddy fado drain paris loses nothing", "photos", "berlin", "not copied yet", "paris is given up."},
		},
	} {
		args := append(strings.Fields(tc.args), "--address", address)
		if _, _, err := fado("", args...); err == nil || !strings.Contains(err.Error(), "--yes") {
			t.Errorf("%s without --yes: %v", tc.args, err)
		}
		if before := asked(); strings.Contains(before, "confirm=") || !strings.Contains(before, "abandon=true") && before != "" {
			t.Errorf("%s without --yes asked %s", tc.args, before)
		}
		out, _, err := fado("", append(args, "--yes")...)
		if got := asked(); err != nil || got != tc.asked {
			t.Errorf("%s asks %s: %v", tc.args, got, err)
		}
		has(t, out, tc.says...)
	}
	if _, _, err := fado("", "forget", "photos", "--purge", "some", "--yes", "--address", address); err == nil || err.Error() != `--purge: "some": expected copies or all` {
		t.Error(err)
	}
	if got := asked(); got != "" {
		t.Errorf("a purge of nothing known asked %s", got)
	}
	if out, _, err := fado("", "abandon", "paris", "--yes", "--json", "--address", address); err != nil || strings.TrimSpace(out) != "{}" {
		t.Errorf("%q %v", out, err)
	}
}

// A cluster is checked as it is declared, its secret unsaid.
func TestCheck(t *testing.T) {
	item := `{"name":"paris","zones":["eu"],"storage":{"endpoint":"http://s3.test","secret_key":"***"},"status":{},"origin":"api"}`
	for found, tc := range map[string]struct {
		status string // as an error, which Caddy's command makes the exit status of
		says   []string
	}{
		`{"ok":true,"storage":{"state":"up","error":"","capabilities":{"provider":"MinIO"},"clock_skew_s":1.5,"took_ms":5},
			"functions":[{"url":"http://f.test","healthy":true,"error":""}]}`: {"<nil>", []string{"MinIO, answered in 5 ms, its clock is +1.5 s off", "http://f.test", "healthy"}},
		`{"ok":false,"storage":{"state":"down","error":"no route to host","capabilities":{},"clock_skew_s":null,"took_ms":5},
			"functions":[{"url":"http://f.test","healthy":false,"error":"503"}]}`: {"exiting with status 2", []string{"down", "no route to host", "unhealthy", "503"}},
		`{"ok":true,"storage":null,"functions":[]}`: {"<nil>", []string{"FOUND"}},
	} {
		address, asked := api(t, map[string]string{"GET /fado/clusters/paris": item, "POST /fado/clusters/check": found})
		out, _, err := fado("", "check", "paris", "--address", address)
		if fmt.Sprint(err) != tc.status || asked() != "GET /fado/clusters/paris POST /fado/clusters/check "+item {
			t.Errorf("%v\n%s", err, out)
		}
		has(t, out, tc.says...)
	}
}

// A verification that goes on has a bar and FaDO's own estimate.
func TestVerificationsAreShown(t *testing.T) {
	address, _ := api(t, map[string]string{
		"GET /fado/buckets/photos/verify": `{"state":"running","objects":5,"total":10,"bytes":2048,"mismatches":1,"repaired":1,"unrepairable":0,"estimate":"2100-01-01T00:00:00Z","keys":[]}`,
	})
	out, _, err := fado("", "verify", "photos", "--show", "--address", address)
	if err != nil {
		t.Fatal(err)
	}
	has(t, out, "running: #####----- 50 % 5 objects", " left; 1 mismatch, 1 repaired")
}

// A refusal for another reason is told in the API's words.
func TestDecisionsThatAreRefused(t *testing.T) {
	address, _ := api(t, map[string]string{
		"DELETE /fado/clusters/paris?abandon=true": `409|{"error": "cluster paris: declared by the configuration"}`,
		"DELETE /fado/buckets/photos":              `409|{"error": "bucket photos: declared by the configuration"}`,
	})
	for _, args := range []string{"abandon paris --yes", "forget photos --yes"} {
		_, _, err := fado("", append(strings.Fields(args), "--address", address)...)
		if err == nil || !strings.HasSuffix(err.Error(), "declared by the configuration") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// Lists that come in pages are printed to their end.
func TestPagedLists(t *testing.T) {
	address, asked := api(t, map[string]string{
		"GET /fado/buckets/photos/objects?limit=1000&prefix=":            `{"objects":[{"key":"a","size":2048,"last_modified":"2026-01-02T03:04:05Z","clusters":["paris","berlin"]}],"common_prefixes":[],"next":"a"}`,
		"GET /fado/buckets/photos/objects?after=a&limit=1000&prefix=":    `{"objects":[{"key":"b","size":1,"last_modified":"2026-01-02T03:04:05Z","clusters":["paris"]}],"common_prefixes":[],"next":""}`,
		"GET /fado/buckets/photos/pending?cluster=berlin&limit=1000":     `{"pending":[{"key":"b","cluster":"berlin","size":1,"since":"2026-01-02T03:04:05Z","hold":"conflict","attempts":3,"error":"refused"}],"next":""}`,
		"GET /fado/buckets/photos/pending?limit=1000":                    `{"pending":[],"next":""}`,
		"GET /fado/replication/purges":                                   `[{"bucket":"old","mode":"all","primary":"paris","since":"2026-01-02T03:04:05Z","clusters":["paris","berlin"],"error":""}]`,
		"GET /fado/buckets/photos/objects?limit=1000&prefix=raw%2F2026+": `{"objects":[],"common_prefixes":[],"next":""}`,
	})
	for args, says := range map[string][]string{
		"objects photos":                  {"CURRENT IN", "2 KB", "2026-01-02T03:04:05Z", "paris, berlin", "b"},
		"pending photos --cluster berlin": {"people: a conflict", "3", "refused"},
		"pending photos":                  {"WAITS FOR"},
		"purges":                          {"old", "all", "paris, berlin"},
	} {
		out, _, err := fado("", append(strings.Fields(args), "--address", address)...)
		if err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		has(t, out, says...)
	}
	if _, _, err := fado("", "objects", "photos", "--prefix", "raw/2026 ", "--address", address); err != nil {
		t.Error(err)
	}
	asked()
	out, _, err := fado("", "objects", "photos", "--json", "--address", address)
	var all []struct{ Key string }
	if err != nil || json.Unmarshal([]byte(out), &all) != nil || len(all) != 2 || all[1].Key != "b" {
		t.Errorf("%s %v", out, err)
	}
}

// A bucket of a running FaDO is forgotten, and one that there is not is an error.
func TestForget(t *testing.T) {
	at := []string{"--address", serve(t)}
	if _, _, err := fado(documentYAML+"buckets:\n- {name: photos, policy: keep, primary: paris}\n", append([]string{"apply", "-f", "-", "--yes"}, at...)...); err != nil {
		t.Fatal(err)
	}
	if out, _, err := fado("", append([]string{"forget", "photos", "--yes"}, at...)...); err != nil || out != "photos is forgotten.\n" {
		t.Errorf("%q %v", out, err)
	}
	if _, _, err := fado("", append([]string{"forget", "photos", "--yes"}, at...)...); err == nil || !strings.Contains(err.Error(), "photos") {
		t.Error(err)
	}
	if out, _, err := fado("", append([]string{"purges"}, at...)...); err != nil || !strings.HasPrefix(out, "BUCKET") {
		t.Errorf("%q %v", out, err)
	}
}
