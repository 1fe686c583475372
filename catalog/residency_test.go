package catalog_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
)

// Which clusters a policy allows, and what it says of those it does not.
func TestAllowedClusters(t *testing.T) {
	t.Parallel()
	in := europe()
	in.Put(&catalog.Cluster{Name: "c-lost", Zones: []string{"nowhere"}})
	in.Put(&catalog.Cluster{Name: "c-both", Zones: []string{"us", "de"}})
	for name, tc := range map[string]struct {
		policy  catalog.Policy
		allowed string
		why     map[string]string
	}{
		"all": {allowed: "c-both c-de c-fn c-fr c-lost c-us"},
		"a zone and what lies in it": {
			policy: catalog.Policy{Zones: []string{"eu"}}, allowed: "c-both c-de c-fn c-fr",
			why: map[string]string{"c-us": "not in the policy's zones eu", "c-lost": "not in the policy's zones eu"},
		},
		"a zone excluded": {
			policy: catalog.Policy{ExcludeZones: []string{"eu"}}, allowed: "c-us",
			why: map[string]string{
				"c-de":   "zone de is in zone eu, which is excluded by the policy",
				"c-both": "zone de is in zone eu, which is excluded by the policy",
				"c-lost": "zone nowhere or one it lies in is not declared, so it may be in one that is excluded by the policy",
			},
		},
		"a zone excluded of those named": {
			policy: catalog.Policy{Zones: []string{"eu"}, ExcludeZones: []string{"de"}}, allowed: "c-fr",
			why: map[string]string{"c-de": "zone de is excluded by the policy"},
		},
		"clusters of a zone": {
			policy: catalog.Policy{Zones: []string{"eu"}, Clusters: []string{"c-fr", "c-us"}}, allowed: "c-fr",
			why: map[string]string{"c-de": "not among the policy's clusters c-fr, c-us"},
		},
	} {
		got := catalog.AllowedClusters(&tc.policy, in.ZoneMap, in.ClusterMap)
		if names := strings.Join(slices.Sorted(maps.Keys(got)), " "); names != tc.allowed {
			t.Errorf("%s: %s, want %s", name, names, tc.allowed)
		}
		for cluster, c := range in.ClusterMap {
			if allows := catalog.PolicyAllows(&tc.policy, c, in); allows != got[cluster] {
				t.Errorf("%s: of %s alone it says %t", name, cluster, allows)
			}
			want, asked := tc.why[cluster]
			if why := catalog.Deny(&tc.policy, c, in.Zone).Reason(&tc.policy); asked && why != want {
				t.Errorf("%s: %s is refused for %q, want %q", name, cluster, why, want)
			}
		}
	}
}

// A long list is not all told.
func TestReasonsAreShort(t *testing.T) {
	t.Parallel()
	p := &catalog.Policy{}
	for i := range 30 {
		p.Clusters = append(p.Clusters, fmt.Sprint("c", i))
	}
	why := catalog.Deny(p, &catalog.Cluster{Name: "other"}, europe().Zone).Reason(p)
	if !strings.HasSuffix(why, "c8, c9 and 20 more") {
		t.Errorf("%q", why)
	}
}

// Every name that a resource refers to is told, as often as it is named, and no empty one.
func TestReferences(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]catalog.Resource{
		"":        &catalog.Zone{Name: "eu"},
		"zone eu": &catalog.Zone{Name: "de", Parent: "eu"},
		"zone de, zone eu, cluster b": &catalog.Cluster{
			Name: "a", Zones: []string{"de", "eu"}, Links: []catalog.Link{{To: "b"}},
		},
		"zone eu, zone de, cluster a, cluster b": &catalog.Policy{
			Name: "p", Zones: []string{"eu"}, ExcludeZones: []string{"de"}, Clusters: []string{"a"}, Prefer: []string{"b"},
		},
		"policy p, cluster a, policy q, policy p": &catalog.Bucket{
			Name: "b", Policy: "p", Primary: "a", Prefixes: []catalog.PrefixRule{{Prefix: "x/", Policy: "q"}, {Prefix: "y/", Policy: "p"}},
		},
		// The default policy is none.
		" ": &catalog.Bucket{Name: "b", Prefixes: []catalog.PrefixRule{{Prefix: "x/"}}},
	} {
		var got []string
		catalog.References(r, func(k catalog.Kind, name string) { got = append(got, string(k)+" "+name) })
		if text := strings.Join(got, ", "); text != strings.TrimSpace(want) {
			t.Errorf("%+v refers to %s, want %s", r, text, want)
		}
	}
}

// A part of something larger is told of by its place there.
func TestParts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"name":"eu"}`:              "",
		`{}`:                         "clusters[3].name",
		`{"name":"EU"}`:              "clusters[3].name",
		`{"name":"eu","parent":7}`:   "clusters[3].parent",
		`[]`:                         "clusters[3]",
		`{"name":"eu","colour":"x"}`: "clusters[3]",
	} {
		r, wrong := catalog.DecodePart(catalog.KindZone, []byte(body), "clusters[3]")
		switch {
		case want == "" && (r == nil || len(wrong) > 0):
			t.Errorf("%s: %v, %v", body, r, wrong)
		case want != "" && (r != nil || len(wrong) == 0 || wrong[0].Field != want):
			t.Errorf("%s: %v, %v; want %s", body, r, wrong, want)
		}
	}
	if _, wrong := catalog.DecodePart("colour", []byte(`{}`), "colours[0]"); len(wrong) != 1 || wrong[0].Field != "colours[0]" {
		t.Errorf("a kind that there is not: %v", wrong)
	}
	lost := &catalog.Cluster{Name: "c", Zones: []string{"nowhere"}}
	lost.Normalize()
	if wrong := catalog.ValidatePart(lost, europe(), "clusters[0]"); len(wrong) != 1 || wrong[0].Field != "clusters[0].zones[0]" {
		t.Errorf("a zone that there is not: %v", wrong)
	}
}

// The states of a copy are read as they are written, and no others.
func TestCopyStates(t *testing.T) {
	t.Parallel()
	for s := catalog.CopyWaiting; s <= catalog.CopyFailed; s++ {
		text, err := json.Marshal(s)
		var back catalog.CopyState
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != s {
			t.Errorf("%s becomes %s: %v", s, back, err)
		}
		if want := s == catalog.CopyDraining || s == catalog.CopyRemoving; s.Leaves() != want {
			t.Errorf("%s leaves: %t", s, s.Leaves())
		}
	}
	var s catalog.CopyState
	if err := json.Unmarshal([]byte(`"gone"`), &s); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("of no state: %v", err)
	}
	if got := catalog.CopyState(77).String(); got != "CopyState(77)" {
		t.Errorf("of none that there is: %s", got)
	}
}

// What is wrong with prices, links, and with what is set on requests, is named by its place, and no
// secret is shown.
func TestValidateLinksAndDress(t *testing.T) {
	t.Parallel()
	in, price := europe(), -1.0
	r := &catalog.Cluster{
		Name: "c-new", Zones: []string{"de"}, EgressPrice: -1, StoragePrice: 1e10,
		Links: []catalog.Link{{To: "c-new"}, {To: "c-de", Bandwidth: -1, Latency: -catalog.Duration(time.Second), Price: &price}, {To: "c-de"}, {To: "c-none"}},
		Functions: []catalog.Function{{
			URL: "http://fn.example", Host: "a b", Sign: &catalog.Sign{Type: "gcp", Service: "S 3", Region: "?"},
			Header: []catalog.HeaderField{{Name: "Host"}, {Name: "X-FaDO-Bucket"}, {Name: "a b"}, {Name: "A", Value: "secret\r\nB: c"}, {Name: "a"}},
		}},
	}
	r.Normalize()
	err := catalog.ValidateResource(r, in)
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, field := range []string{
		"egress_price", "storage_price", "links[0].to", "links[1].bandwidth", "links[1].latency", "links[1].price", "links[2].to", "links[3].to",
		"functions[0].host", "functions[0].header[0].name", "functions[0].header[1].name", "functions[0].header[2].name", "functions[0].header[3].value",
		"functions[0].header[4].name", "functions[0].sign.type", "functions[0].sign.service", "functions[0].sign.region", "functions[0].sign.access_key",
		"functions[0].sign.secret_key",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("nothing is said of %s", field)
		}
	}
	if strings.Contains(err.Error(), "B: c") {
		t.Errorf("a header's value is shown: %v", err)
	}
}

// Endpoints are alike only if all that is declared of them is.
func TestFunctionsEqual(t *testing.T) {
	t.Parallel()
	whole := func() *catalog.Function {
		return &catalog.Function{
			URL: "http://fn", Weight: 2, MaxRequests: 3, HealthPath: "/h", CAFile: "/ca", Host: "fn.example", Header: []catalog.HeaderField{{Name: "A", Value: "b"}},
			Sign: &catalog.Sign{Type: catalog.SignAWS, Service: "lambda", Region: "eu-central-1", AccessKey: "k", SecretKey: "s"},
		}
	}
	if !whole().Equal(whole()) {
		t.Error("an endpoint is not like itself")
	}
	for name, change := range map[string]func(f *catalog.Function){
		"url": func(f *catalog.Function) { f.URL = "http://other" }, "weight": func(f *catalog.Function) { f.Weight++ },
		"max_requests": func(f *catalog.Function) { f.MaxRequests++ }, "health_path": func(f *catalog.Function) { f.HealthPath = "/" },
		"ca_file": func(f *catalog.Function) { f.CAFile = "" }, "insecure": func(f *catalog.Function) { f.InsecureSkipVerify = true },
		"host": func(f *catalog.Function) { f.Host = "" }, "header": func(f *catalog.Function) { f.Header[0].Value = "c" },
		"no sign": func(f *catalog.Function) { f.Sign = nil }, "another sign": func(f *catalog.Function) { f.Sign.SecretKey = "t" },
	} {
		other := whole()
		change(other)
		if whole().Equal(other) || other.Equal(whole()) {
			t.Errorf("one with another %s is alike", name)
		}
	}
}

// What is worth hiding of what is set on requests is told by its name.
func TestDressings(t *testing.T) {
	t.Parallel()
	f := &catalog.Function{
		Header: []catalog.HeaderField{{Name: "Accept"}, {Name: "Authorization"}, {Name: "X-Api-Key"}, {Name: "Cookie"}, {Name: "X-Session-Token"}},
		Sign:   &catalog.Sign{},
	}
	var got []string
	for _, d := range f.Dressings() {
		got = append(got, fmt.Sprintf("%s:%t", d.Field, d.Secret))
	}
	want := "host:false header[0].value:false header[1].value:true header[2].value:true header[3].value:true header[4].value:true " +
		"sign.access_key:false sign.secret_key:true sign.session_token:true"
	if strings.Join(got, " ") != want {
		t.Errorf("%q, want %s", got, want)
	}
}

// A storage's keys are refused by the field, and neither value nor placeholder is shown.
func TestRefusedSecrets(t *testing.T) {
	t.Parallel()
	p := catalog.SecretPatterns{"{env.FADO_*}"}
	if err := p.Refuse(&catalog.Storage{AccessKey: "plain", SecretKey: "{env.FADO_S3}"}); err != nil {
		t.Errorf("what is allowed: %v", err)
	}
	err := p.Refuse(&catalog.Storage{AccessKey: "{env.FADO_A}", SecretKey: "{env.HOME}"})
	if err == nil || !strings.HasPrefix(err.Error(), "secret_key ") || strings.Contains(err.Error(), "HOME") || !strings.Contains(err.Error(), "{env.FADO_*}") {
		t.Errorf("what is not: %v", err)
	}
}

// A cluster's failure domain is the first zone that it is in.
func TestFailureDomain(t *testing.T) {
	t.Parallel()
	for want, zones := range map[string][]string{"": nil, "de": {"de", "eu"}} {
		if got := (&catalog.Cluster{Zones: zones}).FailureDomain(); got != want {
			t.Errorf("of %q it is %q", zones, got)
		}
	}
}
