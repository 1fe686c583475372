package admin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/storage"
)

// A cluster is looked at before it is declared, and nothing is kept of it.
func TestCheckCluster(t *testing.T) {
	h := start(t, control.Config{})
	skew := 2 * time.Second
	h.engine.check = replication.StorageCheck{
		State: "up", Capabilities: &storage.Capabilities{Provider: "MinIO", Versioning: true}, Skew: &skew, Took: 5 * time.Millisecond,
	}
	h.backend.checkFunction = func(_ context.Context, cluster string, f catalog.Function) error {
		if cluster != "c1" || f.URL == "http://gone" {
			return errors.New("connecting: refused")
		}
		return nil
	}
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(201)
	a := h.do("POST", "/fado/clusters/check", `{"name":"c1","zones":["eu"],"storage":{"endpoint":"http://s3:9000","access_key":"a","secret_key":"b"},"functions":[{"url":"http://here"},{"url":"http://gone"}]}`).want(200)
	if a.at("ok") != false || a.at("storage", "state") != "up" || a.at("storage", "clock_skew_s") != 2.0 || a.at("storage", "took_ms") != 5.0 {
		t.Errorf("%s", a.body)
	}
	if a.at("storage", "capabilities", "provider") != "MinIO" || a.at("functions", 0, "healthy") != true || a.at("functions", 1, "error") != "connecting: refused" {
		t.Errorf("%s", a.body)
	}
	if s := h.engine.checked; s == nil || s.SecretKey != "b" || s.Region != "us-east-1" {
		t.Errorf("checked: %+v", s)
	}
	h.do("GET", "/fado/clusters/c1", "").want(404)
	h.do("POST", "/fado/clusters/check", `{"name":"No_Good","zones":["eu"]}`).want(400).says("No_Good")
}

// A stored secret is used for the storage it was given for, and told to no other.
func TestCheckClusterKeepsSecrets(t *testing.T) {
	h := start(t, control.Config{})
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(201)
	const secret = "the-stored-secret-key"
	h.do("POST", "/fado/clusters", `{"name":"c1","zones":["eu"],"storage":{"endpoint":"http://s3:9000","access_key":"a","secret_key":"`+secret+`"}}`).want(201)
	same := `{"name":"c1","zones":["eu"],"storage":{"endpoint":"http://s3:9000","access_key":"a","secret_key":"***"}}`
	a := h.do("POST", "/fado/clusters/check", same).want(200)
	if h.engine.checked == nil || h.engine.checked.SecretKey != secret {
		t.Errorf("checked: %+v", h.engine.checked)
	}
	if strings.Contains(string(a.body), secret) {
		t.Errorf("the answer has the secret: %s", a.body)
	}
	h.engine.checked = nil
	for _, other := range []string{
		strings.Replace(same, "s3:9000", "evil:9000", 1), strings.Replace(same, `"c1"`, `"c2"`, 1),
		strings.Replace(same, `"access_key"`, `"insecure_skip_verify":true,"access_key"`, 1),
		strings.Replace(same, "***", "{env.HOME}", 1),
	} {
		if a := h.do("POST", "/fado/clusters/check", other).want(400); strings.Contains(string(a.body), secret) {
			t.Errorf("the answer has the secret: %s", a.body)
		}
	}
	if h.engine.checked != nil {
		t.Errorf("a storage was asked with a secret that is not its own: %+v", h.engine.checked)
	}
}
