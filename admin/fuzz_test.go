package admin

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/fado-project/fado/admin/internal/secrets"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// mergedAsWritten is RFC 7396's own procedure, section 2, written down.
func mergedAsWritten(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = make(map[string]any)
	}
	for name, value := range p {
		if value == nil {
			delete(t, name)
		} else {
			t[name] = mergedAsWritten(t[name], value)
		}
	}
	return t
}

func parsed(t *testing.T, body []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

// FuzzMergePatch holds that whatever a client patches a cluster with, a stored secret stays
// with the server it was given for and is never told, and that what is accepted is what RFC
// 7396 makes of it.
func FuzzMergePatch(f *testing.F) {
	for _, patch := range []string{
		`{}`, `{"storage":{"secret_key":"***"}}`, `{"storage":{"endpoint":"http://elsewhere"}}`, `{"storage":null}`, `{"storage":{"ca_file":"/x"}}`,
		`{"storage":{"Endpoint":"http://elsewhere","endpoint":"http://s"}}`, `{"labels":{"a":null,"b":"c"},"drain":true}`, `[]`, `{"storage":{"access_key":"{env.HOME}"}}`,
		`{"storage":{"endpoint":"http://S:80"}}`, `{"zones":["z"],"functions":[{"url":"http://f"}]}`, `{"name":"other"}`,
	} {
		f.Add([]byte(patch))
	}
	const access, secret = "the-stored-access-key", "the-stored-secret-key"
	h := start(f, control.Config{})
	now := &catalog.Cluster{Name: "c1", Labels: map[string]string{"a": "b"}, Storage: &catalog.Storage{Endpoint: "http://s", AccessKey: access, SecretKey: secret}}
	now.Normalize()
	d := draftsOf(&h.backend)
	f.Fuzz(func(t *testing.T, patch []byte) {
		if checkObject(patch) != nil {
			return // refused before
		}
		next, err := d.merged(now, patch)
		if err != nil {
			if bytes.Contains([]byte(err.Error()), []byte(secret)) {
				t.Fatalf("the error tells the secret: %v", err)
			}
			return
		}
		cl := next.(*catalog.Cluster)
		if s := cl.Storage; s != nil && s.SecretKey == secret && !bytes.Contains(patch, []byte(secret)) && secrets.Reaching(s, now.Storage) != "" {
			t.Fatalf("the stored secret goes to another place: %+v", s)
		}
		shown := now.Clone()
		secrets.Redact(shown)
		doc, err := catalog.EncodeResource(shown)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(mergedAsWritten(parsed(t, doc), parsed(t, patch)))
		if err != nil {
			t.Fatal(err)
		}
		wanted, err := catalog.DecodeNamed(catalog.KindCluster, want, "c1", d.declared)
		if err != nil {
			t.Fatalf("accepted, but as RFC 7396 has it it is refused: %v", err)
		}
		secrets.Redact(cl)
		secrets.Redact(wanted)
		got, _ := catalog.EncodeResource(cl)
		if want, _ = catalog.EncodeResource(wanted); !bytes.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
