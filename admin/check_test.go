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

// A policy is looked at before it is declared: which clusters it allows, and why not the others.
func TestCheckPolicy(t *testing.T) {
	h := start(t, control.Config{})
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(201)
	h.do("POST", "/fado/zones", `{"name":"de","parent":"eu"}`).want(201)
	h.do("POST", "/fado/zones", `{"name":"us"}`).want(201)
	const storage = `"storage":{"endpoint":"http://NAME:9000","access_key":"a","secret_key":"b"}`
	for name, body := range map[string]string{
		"berlin":   `"zones":["de"],` + storage,
		"virginia": `"zones":["us"],` + storage,
		"munich":   `"zones":["de"],"drain":true,` + storage,
		"edge":     `"zones":["de"],"functions":[{"url":"http://edge"}]`,
	} {
		h.do("POST", "/fado/clusters", `{"name":"`+name+`",`+strings.ReplaceAll(body, "NAME", name)+`}`).want(201)
	}
	for body, want := range map[string]string{
		`{"name":"p"}`:                           "berlin+ edge munich virginia+",
		`{"name":"p","zones":["eu"]}`:            "berlin+ edge munich",
		`{"name":"p","exclude_zones":["eu"]}`:    "virginia+",
		`{"name":"p","clusters":["munich"]}`:     "munich",
		`{"name":"p","zones":["us"],"copies":9}`: "virginia+",
	} {
		a := h.do("POST", "/fado/policies/check", body).want(200)
		var got []string
		for _, c := range a.at("clusters").([]any) {
			c := c.(map[string]any)
			if name := c["cluster"].(string); c["allowed"] == true {
				if c["takes_copies"] == true {
					name += "+"
				}
				got = append(got, name)
			} else if c["reason"] == "" || c["reason"] == "allowed" {
				t.Errorf("%s does not say why not %s: %v", body, name, c["reason"])
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s allows %q, want %q", body, s, want)
		}
	}
	h.do("POST", "/fado/policies/check", `{"name":"p","zones":["nowhere"]}`).want(400).says("nowhere")
	h.do("GET", "/fado/policies/p", "").want(404)
}
