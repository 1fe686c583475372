package admin

import (
	"testing"
	"time"

	"github.com/fado-project/fado/admin/internal/secrets"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// prepared makes a bucket whose move to c2 is prepared.
func prepared(h *harness) {
	h.t.Helper()
	h.do("POST", "/fado/clusters", `{"name":"c2","zones":["eu"],"storage":{"endpoint":"http://10.9.9.9:9000"}}`).want(201)
	h.do("POST", "/fado/policies", `{"name":"moves","copies":1}`).want(201)
	h.do("POST", "/fado/buckets", `{"name":"moving","policy":"moves","primary":"c1"}`).want(201)
	h.do("POST", "/fado/buckets/moving/promote", "").want(409)
	h.do("PATCH", "/fado/buckets/moving", `{"promote":"soon"}`).want(400)
	h.do("PATCH", "/fado/buckets/moving", `{"primary":"c2","promote":"manual"}`).want(200)
	h.rows("moving", catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}, catalog.Copy{Cluster: "c2", State: catalog.CopySyncing})
	h.do("POST", "/fado/buckets/moving/promote", "").want(409)
	h.rows("moving", catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}, catalog.Copy{Cluster: "c2", State: catalog.CopySynced})
}

func (h *harness) rows(bucket string, copies ...catalog.Copy) {
	h.t.Helper()
	err := h.ctl.Copies.Update(h.t.Context(), bucket, func([]state.Copy) (rows []state.Copy, err error) {
		for _, c := range copies {
			rows = append(rows, state.Copy{Bucket: bucket, Copy: c})
		}
		return rows, nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// A move is promoted once its copy is ready, and once only.
func TestPromote(t *testing.T) {
	h := withCluster(t)
	prepared(h)
	if got := h.do("GET", "/fado/buckets/moving", "").want(200); got.at("status", "promotion", "to") != "c2" || got.at("status", "promotion", "ready") != true {
		t.Errorf("before: %s", got.body)
	}
	if got := h.do("POST", "/fado/buckets/moving/promote", "").want(202); got.at("primary") != "c2" || got.at("promote") != nil {
		t.Errorf("promoted: %s", got.body)
	}
	h.do("POST", "/fado/buckets/moving/promote", "").want(409)
	h.do("POST", "/fado/buckets/nowhere/promote", "").want(404)
}

func TestRebalanceAPI(t *testing.T) {
	h := start(t, control.Config{})
	h.engine.rebalance = replication.RebalanceStatus{
		Buckets: 1, Primaries: 1, Copies: 1, Objects: 2, Bytes: 3, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Moves: []replication.RebalanceMove{{Bucket: "photos", Add: []string{"c3"}, Remove: []string{"c1"}, From: "c1", To: "c3", Objects: 2, Bytes: 3}},
	}
	dry := h.do("POST", "/fado/rebalance?dry_run=true", "").want(200)
	if dry.at("running") != false || dry.at("since") != nil || dry.at("moves", 0, "primary", "to") != "c3" || dry.at("moves", 0, "add", 0) != "c3" {
		t.Errorf("dry run: %s", dry.body)
	}
	if got := h.do("POST", "/fado/rebalance", "").want(202); got.at("running") != true || got.at("since") != "2026-01-02T03:04:05Z" {
		t.Errorf("running: %s", got.body)
	}
	h.do("POST", "/fado/rebalance?dry_run=perhaps", "").want(400)
	if got := h.do("DELETE", "/fado/rebalance", "").want(200); got.at("running") != false {
		t.Errorf("stopped: %s", got.body)
	}
}

// A storage that is lost is given up after it was said what is lost with it, by its name.
func TestAbandonAPI(t *testing.T) {
	h := withCluster(t)
	h.engine.abandoned = replication.Abandonment{
		Objects: 7, Bytes: 70, Buckets: []replication.AbandonedBucket{{Bucket: "photos", Primary: true, Heir: "c2", Objects: 7, Bytes: 70, Reason: "changes that had not reached c2"}},
	}
	got := h.do("DELETE", "/fado/clusters/c1?abandon=true", "").want(409)
	if got.at("objects") != 7.0 || got.at("buckets", 0, "heir") != "c2" || got.at("error") == nil {
		t.Errorf("asked: %s", got.body)
	}
	h.do("DELETE", "/fado/clusters/c1?abandon=true&confirm=c2", "").want(400)
	h.do("DELETE", "/fado/clusters/c1?confirm=c1", "").want(400)
	h.do("DELETE", "/fado/clusters/c1?abandon=true&confirm=c1", "").want(204)
	if n := len(h.engine.asked); n != 1 || h.engine.asked[0] != "abandon c1 []" {
		t.Errorf("the engine was asked for %q", h.engine.asked)
	}
}

// Secrets of function endpoints are placeholders that the configuration allows, or not kept.
func TestFunctionSecrets(t *testing.T) {
	h := withCluster(t)
	body := func(header, secret string) string {
		return `{"name":"lambda","zones":["eu"],"functions":[{"url":"https://f.example.org","header":[{"name":"Authorization","value":"` + header + `"},{"name":"X-Env","value":"prod"}],` +
			`"sign":{"type":"aws","service":"lambda","region":"eu-central-1","access_key":"AKID","secret_key":"` + secret + `"}}]}`
	}
	h.do("POST", "/fado/clusters", body("Bearer abc", "{env.FADO_X}")).want(400)
	h.do("POST", "/fado/clusters", body("Bearer {env.FADO_T}", "literal")).want(400)
	h.do("POST", "/fado/clusters", body("Bearer {env.HOME}", "{env.FADO_X}")).want(400)
	got := h.do("POST", "/fado/clusters", body("Bearer {env.FADO_T}", "{env.FADO_X}")).want(201)
	if got.at("functions", 0, "header", 0, "value") != "Bearer {env.FADO_T}" || got.at("functions", 0, "sign", "secret_key") != "{env.FADO_X}" {
		t.Errorf("made: %s", got.body)
	}
	literal := &catalog.Cluster{Functions: []catalog.Function{{Header: []catalog.HeaderField{{Name: "X-Api-Key", Value: "abc"}}, Sign: &catalog.Sign{SecretKey: "def"}}}}
	secrets.Redact(literal)
	if f := literal.Functions[0]; f.Header[0].Value != secrets.Redacted || f.Sign.SecretKey != secrets.Redacted {
		t.Errorf("shown: %+v %+v", f.Header, f.Sign)
	}
}
