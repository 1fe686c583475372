package catalog_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/catalog/catalogtest"
)

func decode(t *testing.T, k catalog.Kind, body string) catalog.Resource {
	t.Helper()
	r, err := catalog.DecodeResource(k, []byte(body))
	if err != nil {
		t.Fatalf("decoding %s: %v", body, err)
	}
	return r
}

func TestDecodeFillsDefaultsIn(t *testing.T) {
	for _, c := range []struct {
		kind       catalog.Kind
		body, want string
	}{
		{catalog.KindZone, `{"name":"eu"}`, `{"name":"eu"}`},
		{catalog.KindZone, ` {"parent":"eu","name":"de","labels":{"b":"2","a":"1"}} `, `{"name":"de","parent":"eu","labels":{"a":"1","b":"2"}}`},
		{
			catalog.KindCluster, `{"name":"c1","zones":["de"],"storage":{"endpoint":"http://h"},"functions":[{"url":"http://f"}],"labels":{}}`,
			`{"name":"c1","zones":["de"],"storage":{"endpoint":"http://h","region":"us-east-1"},"functions":[{"url":"http://f","weight":1}],"drain":false}`,
		},
		{
			catalog.KindPolicy, `{"name":"p"}`,
			`{"name":"p","copies":1,"zones":[],"exclude_zones":[],"clusters":[],"prefer":[],"spread":"zone","writes":"primary","versions":"all","primary":"follow","on_miss":"remote","pull_timeout":"10s","pull_ttl":"1h0m0s"}`,
		},
		{
			catalog.KindPolicy, `{"name":"p","copies":"all","zones":null,"balance":null,"pull_ttl":null}`,
			`{"name":"p","copies":"all","zones":[],"exclude_zones":[],"clusters":[],"prefer":[],"spread":"zone","writes":"primary","versions":"all","primary":"follow","on_miss":"remote","pull_timeout":"10s","pull_ttl":"1h0m0s"}`,
		},
		{
			catalog.KindBucket, `{"name":"b-1","status":{"state":"ok"},"origin":"api","prefixes":[{"prefix":"logs/","policy":"p"}]}`,
			`{"name":"b-1","prefixes":[{"prefix":"logs/","policy":"p"}]}`,
		},
		{catalog.KindZone, `{"name":"eu","origin":7,"status":null}`, `{"name":"eu"}`},
	} {
		got, err := catalog.EncodeResource(decode(t, c.kind, c.body))
		if err != nil || string(got) != c.want {
			t.Errorf("%s\n reads as %s (%v)\n    want %s", c.body, got, err, c.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const (
		zoneFields    = "a known field: name, parent, labels"
		clusterFields = "a known field: name, zones, storage, functions, egress_price, storage_price, links, labels, drain"
		storageFields = "a known field: endpoint, access_key, secret_key, region, bucket_prefix, virtual_host, ca_file, insecure_skip_verify, capacity, bandwidth"
	)
	for _, c := range []struct {
		kind       catalog.Kind
		body, want string
	}{
		// What is no JSON object at all.
		{catalog.KindZone, ``, `zone: body: "at byte 0: unexpected end of JSON input": expected one JSON object`},
		{catalog.KindZone, `{"name":"eu"`, `zone: body: "at byte 12: unexpected end of JSON input": expected one JSON object`},
		{catalog.KindZone, `{"name":"eu"}{}`, `zone: body: "at byte 14: invalid character '{' after top-level value": expected one JSON object`},
		{catalog.KindZone, `{"name":"eu",}`, `zone: body: "at byte 14: invalid character '}' looking for beginning of object key string": expected one JSON object`},
		{catalog.KindZone, `[{"name":"eu"}]`, `zone: body: "an array": expected one JSON object`},
		{catalog.KindZone, `null`, `zone: body: "null": expected one JSON object`},
		{catalog.KindZone, "{\"name\":\"\xff\"}", `zone: body: "not UTF-8": expected one JSON object in UTF-8`},
		// Unknown and repeated members, at every level; their values are not shown.
		{catalog.KindZone, `{"name":"eu","colour":"secret"}`, `zone eu: "colour": expected ` + zoneFields},
		{catalog.KindZone, `{"Name":"eu"}`, `zone: "Name": expected ` + zoneFields},
		{catalog.KindZone, `{"name":"eu","":1}`, `zone eu: "": expected ` + zoneFields},
		{catalog.KindZone, `{"name":"eu","name":"us"}`, `zone eu: name: "us": expected the field only once`},
		{catalog.KindZone, `{"name":"eu","labels":{"a":"1","a":"2"}}`, `zone eu: labels.a: "2": expected the field only once`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"secret_key":"hush"}`, `cluster c1: "secret_key": expected ` + clusterFields},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"storage":{"endpoint":"http://h","secretkey":"hush"}}`, `cluster c1: storage: "secretkey": expected ` + storageFields},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"functions":[{"url":"http://f"},{"url":"http://g","port":1}]}`, `cluster c1: functions[1]: "port": expected a known field: url, weight, max_requests, health_path, ca_file, insecure_skip_verify, host, header, sign`},
		{catalog.KindBucket, `{"name":"b-1","prefixes":[{"prefix":"a","policies":"p","policy":"q"}]}`, `bucket b-1: prefixes[0]: "policies": expected a known field: prefix, policy`},
		// Wrong types.
		{catalog.KindZone, `{"name":5}`, `zone: name: "5": expected a string, not a number`},
		{catalog.KindZone, `{"name":"eu","labels":["a"]}`, `zone eu: labels: "[…]": expected an object, not an array`},
		{catalog.KindZone, `{"name":"eu","labels":{"a":null}}`, `zone eu: labels.a: "null": expected a string, not null`},
		{catalog.KindCluster, `{"name":"c1","zones":"de"}`, `cluster c1: zones: "de": expected an array, not a string`},
		{catalog.KindCluster, `{"name":"c1","zones":["de",null]}`, `cluster c1: zones[1]: "null": expected a string, not null`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"storage":"http://u:hush@h/?k=hush"}`, `cluster c1: storage: "http://***@h/?***": expected an object, not a string`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"storage":{"endpoint":"http://h","access_key":12345,"secret_key":["hush"]}}`, `cluster c1: storage.access_key: "***": expected a string, not a number; cluster c1: storage.secret_key: "***": expected a string, not an array`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"storage":{"endpoint":"http://h","virtual_host":"yes"}}`, `cluster c1: storage.virtual_host: "yes": expected true or false, not a string`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"storage":{"endpoint":"http://h","capacity":-1}}`, `cluster c1: storage.capacity: "-1": expected a size such as 500GiB, 2TB or a number of bytes`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"storage":{"endpoint":"http://h","capacity":"lots"}}`, `cluster c1: storage.capacity: "lots": expected a size such as 500GiB, 2TB or a number of bytes`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"functions":{"url":"http://f"}}`, `cluster c1: functions: "{…}": expected an array, not an object`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"functions":["http://f"]}`, `cluster c1: functions[0]: "http://f": expected an object, not a string`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"functions":[{"url":"http://f","weight":"2"}]}`, `cluster c1: functions[0].weight: "2": expected a whole number, not a string`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"functions":[{"url":"http://f","max_requests":1.5}]}`, `cluster c1: functions[0].max_requests: "1.5": expected a whole number`},
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"drain":1}`, `cluster c1: drain: "1": expected true or false, not a number`},
		{catalog.KindPolicy, `{"name":"p","copies":"three"}`, `policy p: copies: "three": expected a number from 1 to 10000 or "all"`},
		{catalog.KindPolicy, `{"name":"p","copies":1.5}`, `policy p: copies: "1.5": expected a number from 1 to 10000 or "all"`},
		{catalog.KindPolicy, `{"name":"p","copies":true}`, `policy p: copies: "true": expected a number from 1 to 10000 or "all"`},
		{catalog.KindPolicy, `{"name":"p","pull_ttl":"soon"}`, `policy p: pull_ttl: "soon": expected a duration such as 10s, 1h or 7d`},
		{catalog.KindPolicy, `{"name":"p","balance":"least_conn"}`, `policy p: balance: "least_conn": expected a JSON object`},
		// Zeros that would become defaults.
		{catalog.KindCluster, `{"name":"c1","zones":["de"],"functions":[{"url":"http://f","weight":0}]}`, `cluster c1: functions[0].weight: "0": expected a whole number from 1 to 1000`},
		{catalog.KindPolicy, `{"name":"p","pull_timeout":"0s"}`, `policy p: pull_timeout: "0s": expected a duration longer than 0, such as 10s or 1h`},
		{catalog.KindPolicy, `{"name":"p","pull_ttl":0}`, `policy p: pull_ttl: "0": expected a duration longer than 0, such as 10s or 1h`},
		{catalog.KindPolicy, `{"name":"p","spread":""}`, `policy p: spread: "": expected zone or cluster`},
		{catalog.KindPolicy, `{"name":"p","writes":"","on_miss":""}`, `policy p: writes: "": expected primary or anywhere; policy p: on_miss: "": expected remote, reject or pull`},
		// What the values that do decode are worth is told in the same answer.
		{
			catalog.KindPolicy, `{"name":"P","copies":0,"zones":"de","spread":"wide","pull_ttl":"-1s","x":1}`,
			`policy P: zones: "de": expected an array, not a string; ` +
				`policy P: "x": expected a known field: name, copies, zones, exclude_zones, clusters, prefer, spread, writes, versions, primary, max_staleness, balance, on_miss, pull_timeout, pull_ttl; ` +
				`policy P: name: "P": expected a name of 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit; ` +
				`policy P: copies: "0": expected a number from 1 to 10000 or "all"; ` +
				`policy P: spread: "wide": expected zone or cluster; ` +
				`policy P: pull_ttl: "-1s": expected a duration longer than 0, such as 10s or 1h`,
		},
		{
			catalog.KindCluster, `{"storage":{"endpoint":5},"functions":[{"url":"ftp://f","weight":true}]}`,
			`cluster: storage.endpoint: "5": expected a string, not a number; ` +
				`cluster: functions[0].weight: "true": expected a whole number, not true or false; ` +
				`cluster: zones: "": expected at least one zone, the first being the cluster's failure domain; ` +
				`cluster: functions[0].url: "ftp://f": expected an http:// or https:// URL`,
		},
	} {
		r, err := catalog.DecodeResource(c.kind, []byte(c.body))
		var invalid *catalog.ValidationError
		if !errors.As(err, &invalid) || err.Error() != c.want {
			t.Errorf("%s\n gives %v\n  want %s", c.body, err, c.want)
		}
		if r != nil {
			t.Errorf("%s: a refused body gave %v", c.body, r)
		}
	}
	if _, err := catalog.DecodeResource("planet", []byte(`{}`)); err == nil {
		t.Error("an unknown kind was decoded")
	}
}

func TestLongValuesAreShownShortened(t *testing.T) {
	_, err := catalog.DecodeResource(catalog.KindZone, []byte(`{"name":"eu","parent":{},"labels":"`+strings.Repeat("é", 5000)+`"}`))
	if err == nil || len(err.Error()) > 400 || !strings.Contains(err.Error(), "éé…\"") {
		t.Errorf("got %v", err)
	}
}

// What EncodeResource writes, DecodeResource reads back to the same, whatever the
// resource.
func TestResourcesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyResource().Draw(t, "resource")
		r.Normalize()
		body, err := catalog.EncodeResource(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := catalog.DecodeResource(r.ResourceKind(), body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if !reflect.DeepEqual(back, r) {
			t.Fatalf("%s\nreads back as %#v\n       it was %#v", body, back, r)
		}
		again, err := catalog.EncodeResource(back.Clone())
		if err != nil || string(again) != string(body) {
			t.Fatalf("written again as %s, %v\n          it was %s", again, err, body)
		}
	})
}

func TestCloneSharesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyResource().Draw(t, "resource")
		r.Normalize()
		before, err := catalog.EncodeResource(r)
		if err != nil {
			t.Fatal(err)
		}
		switch c := r.Clone().(type) {
		case *catalog.Zone:
			overwrite(c.Labels)
		case *catalog.Cluster:
			overwrite(c.Labels)
			fill(c.Zones, "changed")
			fill(c.Functions, catalog.Function{})
			if c.Storage != nil {
				*c.Storage = catalog.Storage{}
			}
		case *catalog.Policy:
			fill(c.Zones, "changed")
			fill(c.ExcludeZones, "changed")
			fill(c.Clusters, "changed")
			fill(c.Prefer, "changed")
			fill(c.Balance, ' ')
		case *catalog.Bucket:
			fill(c.Prefixes, catalog.PrefixRule{})
		}
		if after, err := catalog.EncodeResource(r); err != nil || string(after) != string(before) {
			t.Fatalf("changing a clone made %s (%v) of %s", after, err, before)
		}
	})
}

func overwrite(labels map[string]string) {
	for k := range labels {
		labels[k] = "changed"
	}
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// anyResource draws resources with every field in use, most of them invalid.
func anyResource() *rapid.Generator[catalog.Resource] {
	return rapid.Custom(func(t *rapid.T) catalog.Resource {
		text, list := rapid.String(), rapid.SliceOfN(rapid.String(), 0, 3)
		labels := rapid.MapOfN(rapid.String(), rapid.String(), 0, 3)
		word := func(label string) string { return text.Draw(t, label) }
		switch rapid.SampledFrom(catalog.Kinds).Draw(t, "kind") {
		case catalog.KindZone:
			return &catalog.Zone{Name: word("name"), Parent: word("parent"), Labels: labels.Draw(t, "labels")}
		case catalog.KindCluster:
			c := &catalog.Cluster{
				Name: word("name"), Zones: list.Draw(t, "zones"), Labels: labels.Draw(t, "labels"), Drain: rapid.Bool().Draw(t, "drain"),
				Functions: rapid.SliceOfN(rapid.Make[catalog.Function](), 0, 3).Draw(t, "functions"),
			}
			if rapid.Bool().Draw(t, "storage") {
				c.Storage = &catalog.Storage{
					Endpoint: word("endpoint"), AccessKey: word("access"), SecretKey: word("secret"), Region: word("region"),
					BucketPrefix: word("prefix"), VirtualHost: true, CAFile: word("ca"), Capacity: catalog.Size(rapid.Int64Min(0).Draw(t, "capacity")),
				}
			}
			return c
		case catalog.KindPolicy:
			return &catalog.Policy{
				Name: word("name"), Copies: catalog.Copies{N: rapid.IntRange(1, 9).Draw(t, "copies")},
				Zones: list.Draw(t, "zones"), ExcludeZones: list.Draw(t, "exclude"), Clusters: list.Draw(t, "clusters"), Prefer: list.Draw(t, "prefer"),
				Spread: catalog.Spread(word("spread")), Writes: catalog.Writes(word("writes")), Versions: catalog.Versions(word("versions")), Primary: catalog.PrimaryMoves(word("primary")), OnMiss: catalog.OnMiss(word("on_miss")),
				Balance:     catalog.RawObject(rapid.SampledFrom([]string{"", `{}`, `{"policy":"a<b"}`}).Draw(t, "balance")),
				PullTimeout: catalog.Duration(rapid.Int64().Draw(t, "timeout")), PullTTL: catalog.Duration(rapid.Int64().Draw(t, "ttl")),
			}
		default:
			return &catalog.Bucket{
				Name: word("name"), Policy: word("policy"), Primary: word("primary"),
				Prefixes: rapid.SliceOfN(rapid.Make[catalog.PrefixRule](), 0, 3).Draw(t, "prefixes"),
			}
		}
	})
}

// Whatever is wrong with a body, no error shows a secret in it.
func TestErrorsShowNoSecret(t *testing.T) {
	const secret = "hunter2"
	places := []string{
		`"storage":{"endpoint":"http://h","access_key":"hunter2"}`,
		`"storage":{"endpoint":"http://h","secret_key":"hunter2"}`,
		`"storage":{"endpoint":"http://h","secret_key":{"value":"hunter2"}}`,
		`"storage":{"endpoint":"http://h","secret_key":"a","secret_key":"hunter2"}`,
		`"storage":{"endpoint":"http://key:hunter2@h"}`,
		`"storage":{"endpoint":"http://key:hunter2 @h"}`,
		`"storage":{"endpoint":"http://key:a/b?hunter2#c@h:x"}`,
		`"storage":{"endpoint":"key:hunter2@h"}`,
		`"storage":{"endpoint":"http://h","password":"hunter2"}`,
		`"storage":["hunter2"]`,
		`"storage":"https://h?key=hunter2"`,
		`"functions":[{"url":"http://f?code=hunter2"}]`,
		`"functions":[{"url":"ftp://f?code=hunter2"}]`,
		`"functions":[{"url":"http://u:hunter2@f"}]`,
		`"functions":[{"url":"http://f","health_path":"x?code=hunter2"}]`,
		`"functions":[{"url":"http://f","token":"hunter2"}]`,
		`"balance":{"policy":"cookie","secret":"hunter2"}`,
		`"balance":{"policy":5,"secret":"hunter2"}`,
		`"balance":{"secret":"hunter2"}`,
		`"secret_key":"hunter2"`,
	}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(catalog.Kinds).Draw(t, "kind")
		body := `{"name":"x",` + rapid.SampledFrom(places).Draw(t, "place") +
			rapid.SampledFrom([]string{`}`, `,"extra":1}`, `,"zones":5}`, `}}`, ``}).Draw(t, "end")
		r, err := catalog.DecodeResource(kind, []byte(body))
		if err == nil {
			err = catalog.ValidateResource(r, catalogtest.New())
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Fatalf("%s\nshows the secret: %v", body, err)
		}
	})
}

// A body that is wrong throughout is read as far as makes sense: what is wrong with it costs no
// more than a body that is right.
func TestDecodeEndsWhereAllIsWrong(t *testing.T) {
	for name, body := range map[string]string{
		"fields":       `{"name":"x"` + strings.Repeat(`,"f":1`, 5_000) + `}`,
		"items":        `{"name":"x","functions":[1` + strings.Repeat(`,1`, 5_000) + `]}`,
		"items' items": `{"name":"x","functions":[{"url":1}` + strings.Repeat(`,{"url":1}`, 5_000) + `]}`,
	} {
		_, err := catalog.DecodeResource(catalog.KindCluster, []byte(body))
		bad, ok := errors.AsType[*catalog.ValidationError](err)
		if !ok || len(bad.Violations) != 1_001 {
			t.Errorf("%s: %.200v", name, err)
			continue
		}
		if last := bad.Violations[1_000].String(); !strings.Contains(last, "fewer than 1000 violations") {
			t.Errorf("%s: the last says %q", name, last)
		}
	}
}

// What is wrong with a body is told with what its references are about, under the name
// it is known by.
func TestDecodeNamed(t *testing.T) {
	in := europe()
	for _, c := range []struct{ name, body, want string }{
		{"de", `{"parent":"mars","colour":1}`, `zone de: "colour": expected a known field: name, parent, labels; zone de: parent: "mars": expected a declared zone`},
		{"de", `{"name":"fr","parent":"mars"}`, `zone de: name: "fr": expected "de", which it is addressed by, or none; zone de: parent: "mars": expected a declared zone`},
		{"", `{"parent":"mars","labels":7}`, `zone: labels: "7": expected an object, not a number; zone: name: "": expected `},
		{"de", `[]`, `zone de: body: "an array": expected one JSON object`},
	} {
		_, err := catalog.DecodeNamed(catalog.KindZone, []byte(c.body), c.name, in)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.body, err, c.want)
		}
	}
	// References of a body without a fault are for the transaction that stores it.
	r, err := catalog.DecodeNamed(catalog.KindZone, []byte(`{"parent":"mars"}`), "de", in)
	if err != nil || r.ResourceName() != "de" {
		t.Errorf("%v (%v)", r, err)
	}
}

func TestErrorsNameTheFirstHundred(t *testing.T) {
	e := &catalog.ValidationError{}
	for i := range 102 {
		e.Violations = append(e.Violations, catalog.Violation{Field: fmt.Sprint("f", i)})
		if more := strings.Contains(e.Error(), " more"); more != (i >= 100) {
			t.Errorf("%d violations: %s", i+1, e)
		}
	}
	if text := e.Error(); !strings.HasSuffix(text, "; and 2 more") || !strings.Contains(text, "f99:") || strings.Contains(text, "f100:") {
		t.Error(text)
	}
}
