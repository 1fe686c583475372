package secrets

import (
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
)

func cluster(s catalog.Storage, functions ...catalog.Function) *catalog.Cluster {
	return &catalog.Cluster{Name: "c1", Storage: &s, Functions: functions}
}

// Literal secrets are not shown, and placeholders are, since they hold none.
func TestRedact(t *testing.T) {
	for secret, want := range map[string]string{"": "", "literal": Redacted, "{env.X}": "{env.X}", "{file./run/s}": "{file./run/s}", "{env.X}literal": Redacted, "{http.x}": Redacted} {
		c := cluster(catalog.Storage{AccessKey: "a", SecretKey: secret})
		Redact(c)
		if c.Storage.SecretKey != want || c.Storage.AccessKey != "a" {
			t.Errorf("%q is shown as %q", secret, c.Storage.SecretKey)
		}
	}
	key := &catalog.Key{Name: "k", Secret: "literal"}
	Redact(key)
	f := &catalog.Cluster{Functions: []catalog.Function{{
		Header: []catalog.HeaderField{{Name: "X-Api-Key", Value: "literal"}, {Name: "Authorization", Value: "Bearer {env.X}"}},
		Sign:   &catalog.Sign{AccessKey: "a", SecretKey: "literal"},
	}, {
		Host:   "literal",
		Header: []catalog.HeaderField{{Name: "Region", Value: "literal"}, {Name: "Cookie", Value: ""}, {Name: "Cookie", Value: "literal"}},
	}}}
	Redact(f)
	Redact(&catalog.Zone{Name: "z"})
	Redact(cluster(catalog.Storage{}))
	fn, second := f.Functions[0], f.Functions[1]
	if second.Host != "literal" || second.Header[0].Value != "literal" || second.Header[1].Value != "" || second.Header[2].Value != Redacted || fn.Sign.AccessKey != "a" || fn.Sign.SessionToken != "" {
		t.Errorf("functions %+v %+v", fn, second)
	}
	if key.Secret != Redacted || fn.Header[0].Value != Redacted || fn.Header[1].Value != "Bearer {env.X}" || fn.Sign.SecretKey != Redacted {
		t.Errorf("key %q, function %+v %+v", key.Secret, fn.Header, fn.Sign)
	}
}

// "***" stands for the stored secret as long as that stays where it was given for.
func TestFill(t *testing.T) {
	allowed := catalog.SecretPatterns{"{env.FADO_*}"}
	stored := cluster(catalog.Storage{Endpoint: "http://s:80", AccessKey: "the access", SecretKey: "the secret"})
	for name, tc := range map[string]struct {
		next catalog.Storage
		want string // in what is wrong, "" for nothing
	}{
		"as it is":                 {catalog.Storage{Endpoint: "http://S", AccessKey: Redacted, SecretKey: Redacted}, ""},
		"a new secret":             {catalog.Storage{Endpoint: "http://elsewhere", AccessKey: "b", SecretKey: "c"}, ""},
		"an allowed placeholder":   {catalog.Storage{Endpoint: "http://s", AccessKey: "b", SecretKey: "{env.FADO_S}"}, ""},
		"another placeholder":      {catalog.Storage{Endpoint: "http://s", AccessKey: "b", SecretKey: "{env.HOME}"}, "{env.FADO_*}"},
		"such an access key":       {catalog.Storage{Endpoint: "http://s", AccessKey: "{env.HOME}", SecretKey: "c"}, "{env.FADO_*}"},
		"another server":           {catalog.Storage{Endpoint: "http://elsewhere", AccessKey: "b", SecretKey: Redacted}, "endpoint changes"},
		"another port":             {catalog.Storage{Endpoint: "http://s:81", AccessKey: "b", SecretKey: Redacted}, "endpoint changes"},
		"without TLS":              {catalog.Storage{Endpoint: "https://s:80", AccessKey: "b", SecretKey: Redacted}, "endpoint changes"},
		"by another name":          {catalog.Storage{Endpoint: "http://s", AccessKey: "b", SecretKey: Redacted, VirtualHost: true}, "virtual_host changes"},
		"trusting someone else":    {catalog.Storage{Endpoint: "http://s", AccessKey: "b", SecretKey: Redacted, CAFile: "/x"}, "ca_file changes"},
		"trusting everyone":        {catalog.Storage{Endpoint: "http://s", AccessKey: "b", SecretKey: Redacted, InsecureSkipVerify: true}, "insecure_skip_verify changes"},
		"the access key elsewhere": {catalog.Storage{Endpoint: "http://elsewhere", AccessKey: Redacted, SecretKey: "c"}, "endpoint changes"},
	} {
		next := cluster(tc.next)
		wrong := Fill(next, stored, allowed)
		switch {
		case tc.want == "" && len(wrong) > 0, tc.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0].Expected, tc.want)):
			t.Errorf("%s: %v", name, wrong)
		case tc.want != "" && (wrong[0].Value != Redacted || !strings.HasPrefix(wrong[0].Field, "cluster c1: storage.")):
			t.Errorf("%s: %+v", name, wrong[0])
		case tc.want != "" && (next.Storage.SecretKey == "the secret" || next.Storage.AccessKey == "the access"):
			t.Errorf("%s: the stored secret is used", name)
		case name == "as it is" && (next.Storage.SecretKey != "the secret" || next.Storage.AccessKey != "the access"):
			t.Errorf("%s: %+v", name, next.Storage)
		}
	}
	if wrong := Fill(cluster(catalog.Storage{AccessKey: "a", SecretKey: Redacted}), nil, allowed); len(wrong) != 1 || !strings.Contains(wrong[0].Expected, "there is none") {
		t.Errorf("nothing is stored: %v", wrong)
	}
	// What is stored, and stays, is left alone, whatever is allowed now.
	old := cluster(catalog.Storage{Endpoint: "http://s", AccessKey: "a", SecretKey: "{env.HOME}"})
	if wrong := Fill(old.Clone(), old, allowed); len(wrong) > 0 {
		t.Errorf("what is stored is refused: %v", wrong)
	}
	elsewhere := old.Clone().(*catalog.Cluster)
	elsewhere.Storage.Endpoint = "http://elsewhere"
	if wrong := Fill(elsewhere, old, allowed); len(wrong) != 1 || !strings.Contains(wrong[0].Expected, "{env.FADO_*}") {
		t.Errorf("what is stored, and is sent elsewhere: %v", wrong)
	}
	// Both stand for nothing, and both are named.
	for name, now := range map[string]catalog.Resource{"no cluster": (*catalog.Cluster)(nil), "another kind": &catalog.Zone{}, "no storage": &catalog.Cluster{Name: "c1"}} {
		next := cluster(catalog.Storage{Endpoint: "http://s", AccessKey: Redacted, SecretKey: Redacted})
		if wrong := Fill(next, now, allowed); len(wrong) != 2 || wrong[0].Field != "cluster c1: storage.access_key" || wrong[1].Field != "cluster c1: storage.secret_key" {
			t.Errorf("%s is stored: %v", name, wrong)
		}
	}
	if wrong := Fill(&catalog.Cluster{Name: "c1"}, stored, allowed); len(wrong) > 0 {
		t.Errorf("without a storage: %v", wrong)
	}
}

// An endpoint in another spelling is the same server, and any other one is not.
func TestReaching(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"https://s", "https://s:443", true},
		{"https://s", "https://S/", true},
		{"http://s", "http://s:80", true},
		{"http://s", "https://s", false},
		{"http://s:443", "https://s:443", false},
		{"https://s", "https://s:80", false},
		{"http://[::1]:80", "http://[::1]", true},
		{"http://s%zz", "http://s%zz", true},
		{"http://s%zz", "http://s", false},
	} {
		if changed := Reaching(&catalog.Storage{Endpoint: tc.a}, &catalog.Storage{Endpoint: tc.b}); (changed == "") != tc.same {
			t.Errorf("%s and %s: %q", tc.a, tc.b, changed)
		}
	}
	a := catalog.Storage{Endpoint: "http://s", Region: "eu", BucketPrefix: "x-", AccessKey: "a"}
	if changed := Reaching(&a, &catalog.Storage{Endpoint: "http://s"}); changed != "" {
		t.Errorf("what the server is asked for changes how it is reached: %s", changed)
	}
}

// Nothing seals the secrets of functions: they are placeholders, and such as the configuration allows.
func TestFillFunctions(t *testing.T) {
	allowed := catalog.SecretPatterns{"{env.FADO_*}"}
	for value, want := range map[string]string{"Bearer {env.FADO_T}": "", "Bearer abc": "a placeholder", "Bearer {env.HOME}": "{env.FADO_*}"} {
		c := &catalog.Cluster{Name: "c1", Functions: []catalog.Function{{Header: []catalog.HeaderField{{Name: "Authorization", Value: value}}}}}
		wrong := Fill(c, nil, allowed)
		if (len(wrong) == 0) != (want == "") || want != "" && (!strings.Contains(wrong[0].Expected, want) || wrong[0].Value != Redacted || !strings.Contains(wrong[0].Field, "functions[0]")) {
			t.Errorf("%s: %v", value, wrong)
		}
	}
	// What is no secret may be literal, but names no place where one is.
	c := &catalog.Cluster{Name: "c1", Functions: []catalog.Function{
		{Header: []catalog.HeaderField{{Name: "Region", Value: "eu"}, {Name: "Authorization", Value: ""}}},
		{Host: "{env.HOME}", Header: []catalog.HeaderField{{Name: "Region", Value: "{file./etc/passwd}"}}},
	}}
	wrong := Fill(c, c, allowed)
	if len(wrong) != 2 || wrong[0].Field != "cluster c1: functions[1].host" || wrong[1].Field != "cluster c1: functions[1].header[0].value" {
		t.Errorf("%v", wrong)
	}
}

func TestFillKeys(t *testing.T) {
	k := &catalog.Key{Name: "k", Secret: Redacted}
	if wrong := Fill(k, nil, nil); len(wrong) != 1 {
		t.Errorf("%v", wrong)
	}
	for name, now := range map[string]catalog.Resource{"no key": (*catalog.Key)(nil), "another kind": &catalog.Zone{}, "a key without": &catalog.Key{Name: "k"}} {
		if wrong := Fill(k, now, nil); len(wrong) != 1 || wrong[0].Field != "key k: secret" || k.Secret != Redacted {
			t.Errorf("%s is stored: %v, %q", name, wrong, k.Secret)
		}
	}
	given := &catalog.Key{Name: "k", Secret: "given"}
	if wrong := Fill(given, &catalog.Key{Name: "k", Secret: "stored"}, nil); len(wrong) > 0 || given.Secret != "given" {
		t.Errorf("%v, %q", wrong, given.Secret)
	}
	if wrong := Fill(k, &catalog.Key{Name: "k", Secret: "stored"}, nil); len(wrong) > 0 || k.Secret != "stored" {
		t.Errorf("%v, %q", wrong, k.Secret)
	}
	if wrong := Fill(&catalog.Zone{}, nil, nil); wrong != nil {
		t.Errorf("a zone: %v", wrong)
	}
}

// Of what is declared nothing changes, so its secret stays whatever else a client sent.
func TestKeep(t *testing.T) {
	now := cluster(catalog.Storage{Endpoint: "http://s", SecretKey: "declared"})
	next := cluster(catalog.Storage{Endpoint: "http://elsewhere", SecretKey: Redacted})
	if Keep(next, now); next.Storage.SecretKey != "declared" {
		t.Errorf("%q", next.Storage.SecretKey)
	}
	other := cluster(catalog.Storage{SecretKey: "new"})
	Keep(other, now)
	Keep(&catalog.Zone{}, nil)
	Keep(other, (*catalog.Cluster)(nil))
	Keep(other, &catalog.Cluster{})
	Keep(&catalog.Cluster{}, now)
	if other.Storage.SecretKey != "new" {
		t.Errorf("%q", other.Storage.SecretKey)
	}
	f := func(name, value string) *catalog.Cluster {
		return &catalog.Cluster{Functions: []catalog.Function{{Header: []catalog.HeaderField{{Name: name, Value: value}}, Sign: &catalog.Sign{SecretKey: value}}}}
	}
	for _, tc := range []struct{ name, sent, header, sign string }{
		{"X-Api-Key", Redacted, "declared", "declared"},
		{"X-Api-Key", "new", "new", "new"},
		{"X-Env", Redacted, Redacted, "declared"}, // no secret: clients see its value
	} {
		sent := f(tc.name, tc.sent)
		Keep(sent, f("X-Api-Key", "declared"))
		if got := sent.Functions[0]; got.Header[0].Value != tc.header || got.Sign.SecretKey != tc.sign {
			t.Errorf("%+v: %q %q", tc, got.Header[0].Value, got.Sign.SecretKey)
		}
	}
	Keep(f("X-Api-Key", Redacted), now) // without functions
}
