package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

const cluster1 = `{"name":"c1","zones":["eu"],"storage":{"endpoint":"http://127.0.0.1:9010","access_key":"AK","secret_key":"hunter2"},"functions":[{"url":"http://127.0.0.1:9101"}]}`

// withCluster returns a harness with a zone, a cluster, a policy and a bucket.
func withCluster(t *testing.T) *harness {
	t.Helper()
	h := start(t, control.Config{})
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(201)
	h.do("POST", "/fado/clusters", cluster1).want(201)
	h.do("POST", "/fado/policies", `{"name":"p1","copies":2,"zones":["eu"]}`).want(201)
	h.do("POST", "/fado/buckets", `{"name":"photos","policy":"p1"}`).want(201)
	return h
}

func TestLifeOfAnItem(t *testing.T) {
	h := start(t, control.Config{})
	if got := string(h.do("GET", "/fado/zones", "").want(200).body); got != "[]\n" {
		t.Errorf("an empty collection is %q", got)
	}
	made := h.do("POST", "/fado/zones", `{"name":"eu","labels":{"country":"<de>"}}`).want(201)
	if loc := made.header.Get("Location"); loc != "/fado/zones/eu" {
		t.Errorf("Location %q", loc)
	}
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(409).says(`zone "eu"`, "already exists")
	got := h.do("GET", "/fado/zones/eu", "").want(200)
	if string(got.body) != string(made.body) || got.etag() != made.etag() {
		t.Errorf("GET gives %s %s, POST gave %s %s", got.etag(), got.body, made.etag(), made.body)
	}
	if !strings.Contains(string(got.body), "<de>") {
		t.Errorf("%s: characters are escaped for HTML", got.body)
	}
	if got.at("origin") != "api" {
		t.Errorf("origin %v", got.at("origin"))
	}
	h.do("PUT", "/fado/zones/de", `{"parent":"eu"}`).want(201)
	again := h.do("PUT", "/fado/zones/de", `{"name":"de","parent":"eu","origin":"api","status":{}}`).want(200)
	changed := h.do("PUT", "/fado/zones/de", `{}`).want(200)
	if again.etag() == changed.etag() {
		t.Error("a change left the ETag as it was")
	}
	if head := h.do("HEAD", "/fado/zones/de", "").want(200); head.etag() != changed.etag() {
		t.Errorf("HEAD has ETag %s, want %s", head.etag(), changed.etag())
	}
	if n := len(h.do("GET", "/fado/zones", "").want(200).at().([]any)); n != 2 {
		t.Errorf("%d zones", n)
	}
	h.do("DELETE", "/fado/zones/de", "").want(204)
	h.do("GET", "/fado/zones/de", "").want(404).says(`zone "de"`)
	h.do("DELETE", "/fado/zones/de", "").want(404)
	h.do("PATCH", "/fado/zones/de", `{}`).want(404)
}

// What a GET gives can be PUT back, and changes nothing.
func TestRoundTrip(t *testing.T) {
	h := withCluster(t)
	for _, path := range []string{"/fado/zones/eu", "/fado/clusters/c1", "/fado/policies/p1", "/fado/buckets/photos"} {
		got := h.do("GET", path, "").want(200)
		put := h.do("PUT", path, string(got.body), "If-Match", got.etag()).want(200)
		if put.etag() != got.etag() {
			t.Errorf("%s: the ETag went from %s to %s", path, got.etag(), put.etag())
		}
		patched := h.do("PATCH", path, `{"origin":"config","status":{"state":"ok"}}`).want(200)
		if patched.etag() != got.etag() {
			t.Errorf("%s: an empty patch changed the ETag", path)
		}
	}
	cl, err := h.ctl.Resources.Get(t.Context(), catalog.KindCluster, "c1")
	if err != nil || cl.Resource.(*catalog.Cluster).Storage.SecretKey != "hunter2" {
		t.Errorf("the secret did not survive: %+v, %v", cl.Resource, err)
	}
}

func TestConditions(t *testing.T) {
	h := withCluster(t)
	old := h.do("GET", "/fado/zones/eu", "").want(200).etag()
	now := h.do("PUT", "/fado/zones/eu", `{"labels":{"a":"b"}}`, "If-Match", old).want(200).etag()
	for _, stale := range []string{old, "W/" + now, `"x", "y"`} {
		h.do("PUT", "/fado/zones/eu", `{}`, "If-Match", stale).want(412).says(`zone "eu"`)
		h.do("PATCH", "/fado/zones/eu", `{}`, "If-Match", stale).want(412)
		h.do("DELETE", "/fado/zones/eu", "", "If-Match", stale).want(412)
	}
	h.do("PUT", "/fado/zones/eu", `{}`, "If-None-Match", "*").want(412)
	h.do("PUT", "/fado/zones/us", `{}`, "If-Match", "*").want(412)
	h.do("PUT", "/fado/zones/us", `{}`, "If-None-Match", "*").want(201)
	h.do("PUT", "/fado/zones/us", `{}`, "If-Match", "eu").want(400).says("If-Match")
	h.do("PATCH", "/fado/zones/us", `{}`, "If-Match", "eu").want(400)
	h.do("DELETE", "/fado/zones/us", ``, "If-Match", "eu").want(400)
	h.do("DELETE", "/fado/zones/us", "", "If-Match", `"x"`, "If-Match", "W/\"y\", "+h.do("GET", "/fado/zones/us", "").etag()).want(204)

	h.do("GET", "/fado/zones/eu", "", "If-Match", now).want(200)
	h.do("GET", "/fado/zones/eu", "", "If-Match", "*").want(200)
	h.do("GET", "/fado/zones/eu", "", "If-Match", old).want(412)
	h.do("GET", "/fado/zones/eu", "", "If-Match", "W/"+now, "If-None-Match", now).want(412)
	h.do("GET", "/fado/zones/eu", "", "If-Match", "eu").want(400)
	h.do("GET", "/fado/zones/eu", "", "If-None-Match", "W/"+now).want(304)
	h.do("GET", "/fado/zones/eu", "", "If-None-Match", old).want(200)
	h.do("GET", "/fado/zones/eu", "", "If-None-Match", "rubbish").want(400)
	bucket := h.do("GET", "/fado/buckets/photos", "").want(200)
	// The status may have changed under the same tag, so it is sent.
	h.do("GET", "/fado/buckets/photos", "", "If-None-Match", bucket.etag()).want(200)
	h.do("GET", "/fado/buckets/photos?status=false", "", "If-None-Match", bucket.etag()).want(304)
}

func TestMergePatch(t *testing.T) {
	h := withCluster(t)
	const p = "/fado/policies/p1"
	patched := h.do("PATCH", p, `{"copies":"all","prefer":["c1"],"on_miss":"reject"}`, "Content-Type", "application/merge-patch+json").want(200)
	if patched.at("copies") != "all" || patched.at("prefer", 0) != "c1" || patched.at("zones", 0) != "eu" {
		t.Errorf("patched: %s", patched.body)
	}
	reset := h.do("PATCH", p, `{"copies":null,"prefer":null,"on_miss":null}`, "Content-Type", "application/json").want(200)
	if reset.at("copies") != 1.0 || len(reset.at("prefer").([]any)) != 0 || reset.at("on_miss") != "remote" {
		t.Errorf("null does not reset: %s", reset.body)
	}
	deep := h.do("PATCH", "/fado/clusters/c1", `{"storage":{"region":"eu-central-1","access_key":null,"secret_key":null},"drain":true}`).want(200)
	if deep.at("storage", "region") != "eu-central-1" || deep.at("storage", "endpoint") != "http://127.0.0.1:9010" || deep.at("drain") != true {
		t.Errorf("patched: %s", deep.body)
	}
	if _, still := deep.at("storage").(map[string]any)["access_key"]; still {
		t.Errorf("null did not remove access_key: %s", deep.body)
	}
	before := h.do("GET", p, "").want(200)
	for body, want := range map[string]string{
		``:                  "empty",
		`[]`:                "not a JSON object",
		`null`:              "not a JSON object",
		`{`:                 "not JSON",
		`{"copys":3}`:       "copys",
		`{"name":"p2"}`:     `"p1"`,
		`{"copies":"some"}`: "copies",
		`{"zones":["xx"]}`:  "xx",
		`{"spread":""}`:     "spread",
	} {
		h.do("PATCH", p, body).want(400).says(want)
	}
	h.do("PATCH", p, `[{"op":"replace"}]`, "Content-Type", "application/json-patch+json").want(400).says("merge-patch+json")
	if after := h.do("GET", p, "").want(200); after.etag() != before.etag() {
		t.Error("a refused patch changed the item")
	}
}

func TestSecrets(t *testing.T) {
	h := withCluster(t)
	const c = "/fado/clusters/c1"
	stored := func() string {
		t.Helper()
		it, err := h.ctl.Resources.Get(t.Context(), catalog.KindCluster, "c1")
		if err != nil {
			t.Fatal(err)
		}
		return it.Resource.(*catalog.Cluster).Storage.SecretKey
	}
	for _, a := range []answer{h.do("GET", c, ""), h.do("GET", "/fado/clusters", ""), h.do("PATCH", c, `{"drain":true}`)} {
		if a.want(200); strings.Contains(string(a.body), "hunter2") || !strings.Contains(string(a.body), `"secret_key":"***"`) {
			t.Errorf("%s shows %s", a.what, a.body)
		}
	}
	h.do("PATCH", c, `{"storage":{"secret_key":"***","region":"r"}}`).want(200)
	if got := stored(); got != "hunter2" {
		t.Errorf(`"***" in a patch made the secret %q`, got)
	}
	h.do("PATCH", c, `{"storage":{"secret_key":"new"}}`).want(200)
	if got := stored(); got != "new" {
		t.Errorf("the new secret is %q", got)
	}
	placeholder := h.do("PATCH", c, `{"storage":{"secret_key":"{env.FADO_S3_SECRET}"}}`).want(200)
	if got := placeholder.at("storage", "secret_key"); got != "{env.FADO_S3_SECRET}" {
		t.Errorf("a placeholder reads %v", got)
	}
	// What only begins as a placeholder is a secret.
	mixed := h.do("PATCH", c, `{"storage":{"secret_key":"{env.FADO_A}b"}}`).want(200)
	if got := mixed.at("storage", "secret_key"); got != "***" {
		t.Errorf("a literal with a placeholder in it reads %v", got)
	}

	second := strings.NewReplacer("c1", "c2", "hunter2", "***", "9010", "9020").Replace(cluster1)
	h.do("POST", "/fado/clusters", second).want(400).says("storage.secret_key", "***")
	h.do("PUT", "/fado/clusters/c2", second).want(400).says("storage.secret_key", "***")
	h.do("PATCH", c, `{"storage":{"secret_key":null,"access_key":null}}`).want(200)
	h.do("PATCH", c, `{"storage":{"secret_key":"***"}}`).want(400).says("storage.secret_key", "there is none")
}

// A stored secret stays with the server it was given for, reached as it was then.
func TestSecretsStayWithTheirStorage(t *testing.T) {
	h := withCluster(t)
	const c = "/fado/clusters/c1"
	before := h.do("GET", c, "").want(200)
	for setting, value := range map[string]string{
		"endpoint": `"http://127.0.0.1:9011"`, "virtual_host": "true", "ca_file": `"/tmp/ca.pem"`, "insecure_skip_verify": "true",
	} {
		change := `"` + setting + `":` + value
		// Unnamed in a patch, or named as it reads: it is the stored one either way.
		for _, storage := range []string{`{` + change + `}`, `{` + change + `,"secret_key":"***"}`} {
			h.do("PATCH", c, `{"storage":`+storage+`}`).want(400).says("storage.secret_key", setting+" changes")
		}
		body := strings.Replace(string(before.body), `"secret_key"`, change+`,"secret_key"`, 1)
		if setting == "endpoint" {
			body = strings.Replace(string(before.body), `"http://127.0.0.1:9010"`, value, 1)
		}
		h.do("PUT", c, body).want(400).says("storage.secret_key", setting+" changes")
	}
	for _, endpoint := range []string{"https://127.0.0.1:9010", "http://127.0.0.1", "http://localhost:9010"} {
		h.do("PATCH", c, `{"storage":{"endpoint":"`+endpoint+`"}}`).want(400).says("endpoint changes")
	}
	if after := h.do("GET", c, "").want(200); after.etag() != before.etag() {
		t.Error("a refused change changed the cluster")
	}
	// The same server, spelled otherwise, and everything that is no matter of whom it is sent to.
	h.do("PATCH", c, `{"storage":{"endpoint":"HTTP://127.0.0.1:9010/","region":"r","capacity":"1TB","bucket_prefix":"p-"}}`).want(200)
	// With the secret named again, anything may change.
	h.do("PATCH", c, `{"storage":{"endpoint":"https://s3.example.org","virtual_host":true,"secret_key":"other"}}`).want(200)
	h.do("PATCH", c, `{"storage":{"endpoint":"https://S3.example.org:443"}}`).want(200)
	it, err := h.ctl.Resources.Get(t.Context(), catalog.KindCluster, "c1")
	if err != nil || it.Resource.(*catalog.Cluster).Storage.SecretKey != "other" {
		t.Errorf("the stored secret is not the one given (%v)", err)
	}
	// A placeholder is no secret: it goes where it is sent, as it would if it were named.
	h.do("PATCH", c, `{"storage":{"secret_key":"{env.FADO_S3_SECRET}"}}`).want(200)
	h.do("PATCH", c, `{"storage":{"endpoint":"https://s3.example.net"}}`).want(200)
}

// A placeholder of the API's is one that the configuration allows: any other would have the
// process's environment and files sent to whatever server the caller names.
func TestPlaceholdersAreThoseAllowed(t *testing.T) {
	h := withCluster(t)
	const c = "/fado/clusters/c1"
	for _, value := range []string{"{env.HOME}", "{file./etc/hostname}", "{file./run/secrets/../../etc/hostname}", "x{env.FADO_KEY}{env.HOME}"} {
		for _, field := range []string{"access_key", "secret_key"} {
			h.do("PATCH", c, `{"storage":{"`+field+`":"`+value+`"}}`).want(400).says("cluster c1: storage."+field, "{env.FADO_*} {file./run/secrets/*}")
		}
		other := strings.NewReplacer("c1", "c2", "hunter2", value, "9010", "9020").Replace(cluster1)
		h.do("POST", "/fado/clusters", other).want(400).says("storage.secret_key")
		h.do("PUT", "/fado/clusters/c2", other).want(400).says("storage.secret_key")
	}
	h.do("PATCH", c, `{"storage":{"access_key":"{env.FADO_KEY}","secret_key":"{file./run/secrets/s3}"}}`).want(200)
	// Other patterns are in force: what was allowed stays, as long as it is sent to where it was.
	h.backend.secrets = catalog.SecretPatterns{"{env.S3_*}"}
	h.do("PATCH", c, `{"storage":{"region":"r"}}`).want(200)
	h.do("PUT", c, string(h.do("GET", c, "").want(200).body)).want(200)
	h.do("PATCH", c, `{"storage":{"endpoint":"http://127.0.0.1:9012"}}`).want(400).says("storage.access_key", "storage.secret_key", "{env.S3_*}")
	h.do("PATCH", c, `{"storage":{"access_key":"{env.S3_KEY}","secret_key":"{env.S3_SECRET}","endpoint":"http://127.0.0.1:9012"}}`).want(200)
}

// One answer names everything, whatever finds it: the body, its values, its references,
// the path, the secrets.
func TestEveryViolationInOneAnswer(t *testing.T) {
	h := withCluster(t)
	h.do("POST", "/fado/buckets", `{"polcy":1,"policy":"nobody","primary":"nowhere","prefixes":[{"prefix":"","policy":"p9"}]}`).want(400).
		says("polcy", `bucket: name: ""`, "nobody", "nowhere", "p9", "prefixes[0].prefix")
	h.do("PUT", "/fado/zones/de", `{"name":"fr","parent":"nowhere"}`).want(400).says(`zone de: name: "fr": expected "de"`, "nowhere")
	h.do("PATCH", "/fado/policies/p1", `{"copies":0,"zones":["nowhere"]}`).want(400).says("copies", "nowhere")
	h.do("PATCH", "/fado/clusters/c1", `{"zones":["nowhere"],"storage":{"endpoint":"http://other"}}`).want(400).
		says("nowhere", "storage.secret_key", "endpoint changes")
	h.do("POST", "/fado/clusters", `{"name":"c2","zones":["nowhere"],"storage":{"endpoint":"http://x","access_key":"***","secret_key":"***"}}`).want(400).
		says("storage.access_key", "storage.secret_key", "nowhere")
}

// An answer has its bounds, and so has what is logged of it, however much is wrong.
func TestLongErrorsAreCut(t *testing.T) {
	h := withCluster(t)
	var many strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&many, `,"field%d":1`, i)
	}
	a := h.do("POST", "/fado/zones", `{"name":"de"`+many.String()+`}`).want(400)
	a.says(`"field99"`, "and 901 more")
	if len(a.body) > 2*request.MaxText {
		t.Errorf("%d bytes of answer", len(a.body))
	}
	long := strings.Repeat("é", 500_000)
	for _, a := range []answer{
		h.do("PUT", "/fado/zones/de", `{"name":"`+long+`"}`),
		h.do("POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"c1","`+long+`":1}`),
	} {
		if a.want(400); len(a.body) > 2*request.MaxText || !utf8.Valid(a.body) {
			t.Errorf("%s: %d bytes of answer", a.what, len(a.body))
		}
	}
}

func TestBadBodies(t *testing.T) {
	h := withCluster(t)
	for body, want := range map[string][]string{
		``:                                {"body"},
		`{"name":"b1"`:                    {"body"},
		`[]`:                              {"body"},
		`{"name":"b1"} {}`:                {"body"},
		`{"name":"b1","polcy":"p1"}`:      {"polcy"},
		`{"name":"b1","policy":7}`:        {"policy", "string"},
		`{"policy":"p1"}`:                 {"name"},
		`{"name":"B1","policy":"nobody"}`: {"B1", "nobody"}, // every violation at once
	} {
		h.do("POST", "/fado/buckets", body).want(400).says(want...)
	}
	h.do("PUT", "/fado/buckets/b1", `{"name":"b2"}`).want(400).says(`"b2"`, `"b1"`)
	h.do("PUT", "/fado/buckets/B1", `{}`).want(400).says("B1")
	huge := `{"name":"` + strings.Repeat("x", request.MaxBody) + `"}`
	for _, a := range []answer{
		h.do("POST", "/fado/buckets", huge), h.do("PUT", "/fado/buckets/b1", huge), h.do("PATCH", "/fado/buckets/photos", huge),
	} {
		a.want(413).says("1048576")
	}
	if n := len(h.do("GET", "/fado/buckets", "").at().([]any)); n != 1 {
		t.Errorf("%d buckets after refused requests", n)
	}
}

func TestConflicts(t *testing.T) {
	h := withCluster(t)
	h.do("DELETE", "/fado/zones/eu", "").want(409).says("cluster c1", "policy p1")
	h.do("DELETE", "/fado/policies/p1", "").want(409).says("bucket photos")
	shared := strings.Replace(cluster1, `"c1"`, `"c2"`, 1)
	h.do("POST", "/fado/clusters", shared).want(409).says("c1")
	// Beside a value that is bad by itself, the answer is 400 and names both.
	h.do("POST", "/fado/clusters", strings.Replace(shared, `"eu"`, `"xx"`, 1)).want(400).says("c1", "xx")
	h.do("DELETE", "/fado/buckets/photos", "").want(204)
	h.do("DELETE", "/fado/policies/p1", "").want(204)
}

func TestConfigOwned(t *testing.T) {
	h := start(t, control.Config{Zones: []*catalog.Zone{{Name: "eu"}}})
	got := h.do("GET", "/fado/zones/eu", "").want(200)
	if got.at("origin") != "config" {
		t.Errorf("origin %v", got.at("origin"))
	}
	got.etag()
	h.do("PUT", "/fado/zones/eu", `{}`).want(409).says("configuration")
	h.do("PATCH", "/fado/zones/eu", `{}`).want(409).says("configuration")
	h.do("DELETE", "/fado/zones/eu", "").want(409).says("configuration")
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(409)
	h.do("POST", "/fado/zones", `{"name":"de","parent":"eu"}`).want(201)
}

func TestPaging(t *testing.T) {
	h := start(t, control.Config{Zones: []*catalog.Zone{{Name: "z3"}}})
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("z%d", i)
		want = append(want, name)
		if i != 3 {
			h.do("POST", "/fado/zones", `{"name":"`+name+`"}`).want(201)
		}
	}
	for limit := 1; limit <= 8; limit++ {
		var got []string
		for next := fmt.Sprintf("/fado/zones?limit=%d", limit); next != ""; {
			page := h.do("GET", next, "").want(200)
			var zones []catalog.Zone
			page.json(&zoneNames{&zones})
			if len(zones) > limit {
				t.Fatalf("%d items on a page of %d", len(zones), limit)
			}
			for _, z := range zones {
				got = append(got, z.Name)
			}
			next = strings.TrimSuffix(strings.TrimPrefix(page.header.Get("Link"), "<"), `>; rel="next"`)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
	for _, bad := range []string{"0", "-1", "10001", "x", "", "1e3"} {
		h.do("GET", "/fado/zones?limit="+bad, "").want(400).says("limit", "10000")
	}
	h.do("GET", "/fado/zones?limt=3", "").want(400).says("limt", "limit, after")
	h.do("GET", "/fado/zones?limit=3&limit=4", "").want(400).says("once")
	h.do("GET", "/fado/buckets?status=maybe", "").want(400).says("status")
	if got := string(h.do("GET", "/fado/zones?after=z6", "").want(200).body); got != "[]\n" {
		t.Errorf("after the last: %s", got)
	}
}

// zoneNames reads an array of zones with whatever else is in them.
type zoneNames struct{ zones *[]catalog.Zone }

func (z *zoneNames) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, z.zones) }

// A list without limit has all items, however many chunks that takes.
func TestLongList(t *testing.T) {
	const n = 2*listChunk + 500
	cfg := control.Config{}
	for i := range n {
		cfg.Buckets = append(cfg.Buckets, &catalog.Bucket{Name: fmt.Sprintf("bucket-%05d", i)})
	}
	h := start(t, cfg)
	var all []struct {
		Name   string
		Status *struct{ State string }
	}
	h.do("GET", "/fado/buckets", "").want(200).json(&all)
	if len(all) != n {
		t.Fatalf("%d buckets, want %d", len(all), n)
	}
	for i, b := range all {
		if want := fmt.Sprintf("bucket-%05d", i); b.Name != want || b.Status == nil || b.Status.State == "" {
			t.Fatalf("item %d: %+v", i, b)
		}
	}
	without := h.do("GET", "/fado/buckets?status=false", "").want(200)
	if strings.Contains(string(without.body), "status") {
		t.Error("status=false shows a status")
	}
}

// faltering answers one chunk of a list and fails at the next.
type faltering struct{ catalogue }

func (f faltering) List(_ context.Context, k catalog.Kind, after string, limit int) ([]control.Item, error) {
	if after != "" {
		return nil, errors.New("gone")
	}
	items := make([]control.Item, limit)
	for i := range items {
		items[i] = control.Item{Resource: &catalog.Zone{Name: fmt.Sprintf("z%04d", i)}, Origin: control.OriginAPI}
	}
	return items, nil
}

// A list that can't be finished must not look like a whole one.
func TestLongListCutShort(t *testing.T) {
	h := start(t, control.Config{})
	h.backend.catalogue = faltering{catalogueOf(h.ctl)}
	resp, err := http.Get(h.url + "/fado/zones")
	if err != nil {
		return // cut before the header
	}
	defer resp.Body.Close()
	var v any
	if err := json.NewDecoder(resp.Body).Decode(&v); err == nil {
		t.Error("half a list reads as JSON")
	}
}

func TestStoreUnavailable(t *testing.T) {
	h := start(t, control.Config{})
	h.backend.catalogue = failingCatalogue{catalogueOf(h.ctl), fmt.Errorf("writing: disk full: %w", state.ErrUnavailable)}
	h.do("GET", "/fado/zones", "").want(503).says("disk full")
	h.do("GET", "/fado/zones/eu", "").want(503)
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(503).says("disk full")
	h.do("DELETE", "/fado/zones/eu", "").want(503)
}

// Details of failures that are nobody's fault but ours stay in the log.
func TestInternalErrors(t *testing.T) {
	h := start(t, control.Config{})
	h.backend.catalogue = failingCatalogue{catalogueOf(h.ctl), errors.New("at /var/lib/x: bad")}
	if a := h.do("GET", "/fado/zones/eu", ""); a.status != 500 || strings.Contains(string(a.body), "/var/lib") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
