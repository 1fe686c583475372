package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fado-project/fado/client"
)

// answering is a server that answers as a test says, and a client of it.
func answering(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &client.Client{URL: s.URL + "/", Header: http.Header{"Authorization": {"Bearer token"}}}
}

// Errors are the API's own words, with their status; what is no error of the API is told as
// it came.
func TestErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"error":"zone \"x\": not found"}`: `zone "x": not found`,
		"<html>gateway</html>\n":            "status 404: <html>gateway</html>",
		`{"other":1}`:                       `status 404: {"other":1}`,
		"":                                  "status 404: an answer without a text; is there a FaDO at this address?",
		"\x1b[2Ja\n\tb\xff":                 "status 404: [2Ja b",
		strings.Repeat("é", 100_000):        "status 404: " + strings.Repeat("é", 300) + "…",
	} {
		c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, body)
		})
		err := c.Get(t.Context(), client.Path("zones", "x"), nil, nil)
		told := new(client.Error)
		if !errors.As(err, &told) || told.Status != http.StatusNotFound || told.Error() != want {
			t.Errorf("%s becomes %v", body, err)
		}
	}
	none := client.Client{URL: "http://127.0.0.1:1"}
	if err := none.Get(t.Context(), "/fado/", nil, nil); err == nil || errors.As(err, new(*client.Error)) {
		t.Errorf("nobody there: %v", err)
	}
	if err := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{") }).Get(t.Context(), "/fado/", nil, new(any)); err == nil {
		t.Error("half an answer is one")
	}
}

// A request says what it was told to: path, query, body, type, condition, header.
func TestRequests(t *testing.T) {
	t.Parallel()
	var got []string
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, strings.Join([]string{r.Method, r.URL.String(), r.Header.Get("Content-Type"), r.Header.Get("If-Match"), r.Header.Get("Authorization"), string(body)}, "|"))
		w.Header().Set("ETag", `"7"`)
		if r.URL.Path == "/fado/plan" {
			_, _ = io.WriteString(w, `{"revision":7,"changes":[{"kind":"zone","name":"eu","action":"create","fields":[]}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"revision":8,"changes":1}`)
	})
	doc := client.Document{Body: []byte("fado: 1"), ContentType: "application/yaml"}
	p, err := c.Plan(t.Context(), doc, client.PlanPage{Limit: 5, MovesAfter: "a/b c"})
	if err != nil || p.Revision != 7 || p.ETag != `"7"` || p.Changes[0].Name != "eu" {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = c.Apply(t.Context(), doc, p.ETag)
	err = errors.Join(err, c.Export(t.Context(), io.Discard, "yaml", true), c.Post(t.Context(), client.Path("buckets", "a/b", "sync"), nil, nil),
		c.Patch(t.Context(), client.Path("clusters", "c"), map[string]bool{"drain": true}, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`POST|/fado/plan?after=a%2Fb+c&limit=5|application/yaml||Bearer token|fado: 1`,
		`POST|/fado/apply|application/yaml|"7"|Bearer token|fado: 1`,
		`GET|/fado/export?format=yaml&origin=all|||Bearer token|`,
		`POST|/fado/buckets/a%2Fb/sync|||Bearer token|`,
		`PATCH|/fado/clusters/c|application/json||Bearer token|{"drain":true}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A whole plan is its pages put together, each change and move once, and none of another
// catalogue.
func TestWholePlan(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"":                                  `{"revision":7,"changes":[{"name":"a"}],"changes_next":"zone/a","moves":{"buckets":[{"bucket":"x"}],"next":"x/"}}`,
		"after=x%2F&changes_after=zone%2Fa": `{"revision":7,"changes":[{"name":"b"}],"changes_next":"","moves":{"buckets":[{"bucket":"y"}],"next":"y/"}}`,
		"after=y%2F":                        `{"revision":7,"changes":[{"name":"a"}],"changes_next":"zone/a","moves":{"buckets":[{"bucket":"z"}],"next":""}}`,
	}
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"7"`)
		_, _ = io.WriteString(w, pages[r.URL.RawQuery])
	})
	p, err := c.WholePlan(t.Context(), client.Document{})
	if err != nil || len(p.Changes) != 2 || p.Changes[1].Name != "b" || len(p.Moves.Buckets) != 3 || p.Moves.Buckets[2].Bucket != "z" || p.Moves.Next+p.ChangesNext != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	next := 0
	c = answering(t, func(w http.ResponseWriter, r *http.Request) {
		next++
		w.Header().Set("ETag", `"`+strings.Repeat("7", next)+`"`)
		_, _ = io.WriteString(w, pages[r.URL.RawQuery])
	})
	if _, err := c.WholePlan(t.Context(), client.Document{}); err == nil || !strings.Contains(err.Error(), "has changed between two pages") {
		t.Errorf("pages of two catalogues make one: %v", err)
	}
}
