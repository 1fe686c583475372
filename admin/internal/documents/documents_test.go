package documents

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/internal/admintest"
)

// Nothing is changed by a document with a mistake, and every mistake is named.
func TestDocumentsRefused(t *testing.T) {
	t.Parallel()
	h := start(t, control.Config{Zones: []*catalog.Zone{{Name: "declared"}}, Clusters: []*catalog.Cluster{{
		Name: "own", Zones: []string{"declared"}, Storage: &catalog.Storage{Endpoint: "http://own.test", AccessKey: "a", SecretKey: "s"},
		Functions: []catalog.Function{{URL: "http://f.test", Header: []catalog.HeaderField{{Name: "X-Env", Value: "prod"}, {Name: "X-Api-Key", Value: "k"}}}},
	}}})
	h.do("POST", "/fado/apply", admintest.Catalogue, "Content-Type", "application/yaml").want(200)
	before := h.do("GET", "/fado/export?origin=all", "").want(200)
	for _, tc := range []struct {
		status int
		body   string
		says   []string
	}{
		{400, `{"fado":1,"zones":[{"name":"ok"},{"name":"NO","parent":"none"}],"x":1}`, []string{"zones[1].name", "x: "}},
		{400, `{"fado":1,"zones":[{"name":"ok"}],"buckets":[{"name":"abc","policy":"none"}]}`, []string{"buckets[0].policy"}},
		{400, `{"fado":1,"clusters":[{"name":"new","zones":["eu"],"storage":{"endpoint":"http://x","access_key":"a","secret_key":"***"}}]}`, []string{"clusters[0].storage.secret_key"}},
		{400, `{"fado":1,"clusters":[{"name":"paris","zones":["eu"],"storage":{"endpoint":"http://thief","access_key":"a","secret_key":"***"}}]}`, []string{"clusters[0].storage.secret_key", "endpoint changes"}},
		{400, `{"fado":1,"clusters":[{"name":"paris","zones":["eu"],"storage":{"endpoint":"http://paris.test","access_key":"a","secret_key":"{file./etc/passwd}"}}]}`, []string{"clusters[0].storage.secret_key"}},
		{409, `{"fado":1,"zones":[{"name":"ok"},{"name":"declared","parent":"eu"}]}`, []string{"zones[1]", "configuration"}},
		{409, `{"fado":1,"delete":{"policies":["keep"]}}`, []string{"delete.policies[0]", "bucket photos"}},
		{413, strings.Repeat(" ", document.MaxBytes+1), []string{"16777216 bytes"}},
	} {
		h.do("POST", "/fado/plan", tc.body).want(tc.status).says(tc.says...)
		h.do("POST", "/fado/apply", tc.body).want(tc.status).says(tc.says...)
	}
	blocked := `{"fado":1,"zones":[{"name":"us"}],"policies":[{"name":"keep","copies":2,"zones":["us"]}]}`
	if plan := h.do("POST", "/fado/plan", blocked).want(200); plan.at("blocked") != true || plan.at("violations", 0, "kind") != "primary-outside" && plan.at("violations", 1, "kind") != "primary-outside" {
		t.Errorf("%s", plan.body)
	}
	h.do("POST", "/fado/apply", blocked).want(409).says("primary-outside", "bucket photos")
	h.do("POST", "/fado/plan?limit=0", `{"fado":1}`).want(400)
	if after := h.do("GET", "/fado/export?origin=all", "").want(200); string(after.body) != string(before.body) || after.etag() != before.etag() {
		t.Errorf("it was\n%s\nand is\n%s", before.body, after.body)
	}
	own := `{"fado":1,"clusters":[{"name":"own","zones":["declared"],"storage":{"endpoint":"http://own.test","access_key":"a","secret_key":"***"},
		"functions":[{"url":"http://f.test","header":[{"name":"X-Env","value":"prod"},{"name":"X-Api-Key","value":"***"}]}]}]}`
	if plan := h.do("POST", "/fado/plan", own).want(200); len(plan.at("changes").([]any)) != 0 {
		t.Errorf("%s", plan.body)
	}
	h.do("POST", "/fado/apply", strings.Replace(own, "***", "another", 1)).want(409).says("clusters[0]", "storage.secret_key")
	h.do("POST", "/fado/apply", strings.Replace(own, `"X-Api-Key","value":"***"`, `"X-Api-Key","value":"another"`, 1)).want(409).says("clusters[0]", "functions[0].header[1].value")
}

// A place in a room is waited for until the client goes, and is another one's once it was left.
func TestRoom(t *testing.T) {
	r := make(room, 1)
	leave, err := r.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.enter(gone); request.StatusOf(err) != http.StatusServiceUnavailable {
		t.Errorf("a client that has gone got a place: %v", err)
	}
	leave()
	if leave, err = r.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	leave()
}

// Clients that send their documents slowly hold up no other.
func TestSlowDocumentsHoldUpNobody(t *testing.T) {
	t.Parallel()
	h := start(t, control.Config{})
	for range cap(documentRoom) + 1 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /fado/plan HTTP/1.1\r\nHost: fado\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); len(bodyRoom) <= cap(documentRoom); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("their bodies are not read")
		}
	}
	h.do("POST", "/fado/plan", `{"fado":1}`).want(200)
}
