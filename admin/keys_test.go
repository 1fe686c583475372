package admin

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

func storedSecret(h *harness, name string) string {
	h.t.Helper()
	it, err := h.ctl.Resources.Get(h.t.Context(), catalog.KindKey, name)
	if err != nil {
		h.t.Fatal(err)
	}
	return it.Resource.(*catalog.Key).Secret
}

// POST makes what it is not given, and shows the secret; nothing else ever does.
func TestKeysAreMade(t *testing.T) {
	h := start(t, control.Config{})
	made := h.do("POST", "/fado/keys", `{}`).want(201)
	name, secret := made.at("name").(string), made.at("secret").(string)
	if !regexp.MustCompile(`^FADO[A-Z2-7]{16}$`).MatchString(name) || !regexp.MustCompile(`^[A-Z2-7]{40}$`).MatchString(secret) {
		t.Fatal(name, secret)
	}
	if made.header.Get("Cache-Control") != "no-store" || made.header.Get("Location") != "/fado/keys/"+name || made.at("origin") != "api" {
		t.Fatal(made.header, string(made.body))
	}
	if got := storedSecret(h, name); got != secret {
		t.Fatal(got, secret)
	}
	if k := h.ctl.Router().Snapshot().Key(name); k == nil || k.Secret != secret {
		t.Fatal("the key does not work though it was answered")
	}
	item := "/fado/keys/" + name
	for _, a := range []answer{
		h.do("GET", item, ""), h.do("GET", "/fado/keys", ""), h.do("PATCH", item, `{"read_only":true}`),
		h.do("PUT", item, `{"secret":"***","buckets":["team-*"],"expires":"2030-01-01T00:00:00Z"}`),
	} {
		if a.want(200); strings.Contains(string(a.body), secret) || !strings.Contains(string(a.body), `"secret":"***"`) {
			t.Errorf("%s shows %s", a.what, a.body)
		}
	}
	if got := storedSecret(h, name); got != secret {
		t.Fatal(`"***" changed the secret`)
	}
	body := h.do("GET", item, "").want(200)
	if string(body.body) != `{"name":"`+name+`","secret":"***","buckets":["team-*"],"read_only":false,"expires":"2030-01-01T00:00:00Z","origin":"api"}`+"\n" {
		t.Fatal(string(body.body))
	}
	h.do("PUT", item, string(body.body)).want(200)
	another := h.do("POST", "/fado/keys", `{"name":null,"secret":null}`).want(201)
	if another.at("name") == name || another.at("secret") == secret {
		t.Fatal("two keys are the same")
	}
}

func TestKeysAreACollection(t *testing.T) {
	h := start(t, control.Config{})
	made := h.do("POST", "/fado/keys", `{"name":"AKIA1","secret":"secret-one"}`).want(201)
	if made.at("secret") != "secret-one" {
		t.Fatal(string(made.body))
	}
	h.do("POST", "/fado/keys", `{"name":"AKIA1"}`).want(409)
	tag := made.etag()
	h.do("PATCH", "/fado/keys/AKIA1", `{"read_only":true}`, "If-Match", `"other"`).want(412)
	changed := h.do("PATCH", "/fado/keys/AKIA1", `{"secret":"secret-two"}`, "If-Match", tag).want(200)
	if changed.etag() == tag || strings.Contains(string(changed.body), "secret-two") || storedSecret(h, "AKIA1") != "secret-two" {
		t.Fatal(string(changed.body))
	}
	h.do("GET", "/fado/keys/AKIA1", "", "If-None-Match", changed.etag()).want(304)
	h.do("PUT", "/fado/keys/AKIA2", `{"secret":"secret-two"}`, "If-None-Match", "*").want(201)
	h.do("PUT", "/fado/keys/AKIA2", `{"secret":"secret-two"}`, "If-None-Match", "*").want(412)
	var page []struct{ Name string }
	if err := json.Unmarshal(h.do("GET", "/fado/keys?limit=1&after=AKIA1", "").want(200).body, &page); err != nil || len(page) != 1 || page[0].Name != "AKIA2" {
		t.Fatal(page, err)
	}
	h.do("DELETE", "/fado/keys/AKIA1", "").want(204)
	h.do("GET", "/fado/keys/AKIA1", "").want(404)
	h.do("DELETE", "/fado/keys/AKIA1", "").want(404)
	if h.ctl.Router().Snapshot().Key("AKIA1") != nil {
		t.Fatal("a removed key works")
	}
}

func TestKeysRefused(t *testing.T) {
	h := start(t, control.Config{})
	h.do("POST", "/fado/keys", `{"secret":"***"}`).want(400).says("secret", "there is none")
	h.do("PUT", "/fado/keys/AKIA1", `{"secret":"***"}`).want(400).says("key AKIA1: secret", "there is none")
	h.do("PUT", "/fado/keys/AKIA1", `{}`).want(400).says("key AKIA1: secret", "POST makes one")
	h.do("POST", "/fado/keys", `{"name":"AKIA1","buckets":["[a"],"expires":"soon","bogus":1}`).want(400).says("buckets[0]", "expires", "RFC 3339", "bogus")
	if a := h.do("POST", "/fado/keys", `{"bogus":1}`).want(400); strings.Contains(string(a.body), "secret of") {
		t.Errorf("a secret that would have been made is asked for: %s", a.body)
	}
	a := h.do("POST", "/fado/keys", `{"name":"a/b","secret":"{env.HOME}"}`).want(400)
	if a.says("name", "placeholder"); strings.Contains(string(a.body), "env.HOME") {
		t.Errorf("the secret is in %s", a.body)
	}
	h.do("POST", "/fado/keys", `[]`).want(400)
	h.do("POST", "/fado/keys", ``).want(400)
	h.do("PATCH", "/fado/keys/AKIA9", `{"read_only":true}`).want(404)
}

func TestDeclaredKeysAreShown(t *testing.T) {
	h := start(t, control.Config{Keys: []*catalog.Key{{Name: "AKIA1", Secret: "secret-one"}}})
	a := h.do("GET", "/fado/keys/AKIA1", "").want(200)
	if a.at("origin") != "config" || a.at("secret") != "***" {
		t.Fatal(string(a.body))
	}
	h.do("PUT", "/fado/keys/AKIA1", `{"secret":"secret-two"}`).want(409)
	h.do("PATCH", "/fado/keys/AKIA1", `{"read_only":true}`).want(409)
	h.do("DELETE", "/fado/keys/AKIA1", "").want(409)
	h.do("POST", "/fado/keys", `{"name":"AKIA1"}`).want(409)
}
