package catalog_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/catalog/catalogtest"
)

// europe is a small valid catalogue: de and fr in eu, us beside it.
func europe() *catalogtest.Declared {
	storage := func(host, prefix string) *catalog.Storage {
		return &catalog.Storage{Endpoint: "http://" + host + ":9000", BucketPrefix: prefix}
	}
	return catalogtest.New(
		&catalog.Zone{Name: "eu"}, &catalog.Zone{Name: "us"},
		&catalog.Zone{Name: "de", Parent: "eu"}, &catalog.Zone{Name: "fr", Parent: "eu"},
		&catalog.Cluster{Name: "c-de", Zones: []string{"de"}, Storage: storage("de.example", "")},
		&catalog.Cluster{Name: "c-fr", Zones: []string{"fr"}, Storage: storage("fr.example", "fado-")},
		&catalog.Cluster{Name: "c-us", Zones: []string{"us"}, Storage: storage("us.example", strings.Repeat("u", 40))},
		&catalog.Cluster{Name: "c-fn", Zones: []string{"de"}},
		&catalog.Policy{Name: "eu-only", Zones: []string{"eu"}},
		&catalog.Policy{Name: "not-de", ExcludeZones: []string{"de"}},
		&catalog.Policy{Name: "not-eu", ExcludeZones: []string{"eu"}},
		&catalog.Policy{Name: "just-fr", Clusters: []string{"c-fr"}},
		&catalog.Bucket{Name: "photos", Policy: "eu-only"},
	)
}

// violations checks that validation says exactly this; nothing for a valid resource.
func violations(t *testing.T, in catalog.Lookup, r catalog.Resource, want ...string) *catalog.ValidationError {
	t.Helper()
	r.Normalize()
	err := catalog.ValidateResource(r, in)
	var invalid *catalog.ValidationError
	if errors.As(err, &invalid); err != nil && invalid == nil {
		t.Fatalf("the error is a %T", err)
	}
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != strings.Join(want, "; ") {
		t.Errorf("%+v\n gives %s\n  want %s", r, strings.ReplaceAll(got, "; ", ";\n       "), strings.Join(want, ";\n       "))
	}
	return invalid
}

const wantName = "expected a name of 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit"

func TestValidCatalogueHasNoViolation(t *testing.T) {
	in := europe()
	for _, r := range everything(in) {
		violations(t, in, r)
		violations(t, nil, r)
	}
}

func everything(in *catalogtest.Declared) (all []catalog.Resource) {
	for _, z := range in.ZoneMap {
		all = append(all, z)
	}
	for _, c := range in.ClusterMap {
		all = append(all, c)
	}
	for _, p := range in.PolicyMap {
		all = append(all, p)
	}
	for _, b := range in.BucketMap {
		all = append(all, b)
	}
	return all
}

func TestValidateZone(t *testing.T) {
	in := europe()
	violations(t, in, &catalog.Zone{Name: "it", Parent: "eu"})
	violations(t, in, &catalog.Zone{Name: "de"}) // replaces de: no parent any more
	violations(t, in, &catalog.Zone{}, `zone: name: "": `+wantName)
	violations(t, in, &catalog.Zone{Name: "It", Parent: "asia", Labels: map[string]string{"": "x"}},
		`zone It: name: "It": `+wantName, `zone It: labels: "": expected every label to have a name`, `zone It: parent: "asia": expected a declared zone`)
	violations(t, nil, &catalog.Zone{Name: "it", Parent: "asia"})
	violations(t, nil, &catalog.Zone{Name: "it", Parent: "As ia"}, `zone it: parent: "As ia": expected a declared zone`)
	violations(t, in, &catalog.Zone{Name: "it", Parent: "it"}, `zone it: parent: "it": expected a zone other than the zone itself`)
	violations(t, in, &catalog.Zone{Name: "eu", Parent: "de"}, `zone eu: parent: "de": expected a zone that is not inside this one (eu in de in eu)`)

	// A replacement's own old parent does not count: fr moves below de, which is no circle.
	violations(t, in, &catalog.Zone{Name: "fr", Parent: "de"})
	in.Put(&catalog.Zone{Name: "paris", Parent: "fr"})
	violations(t, in, &catalog.Zone{Name: "eu", Parent: "paris"}, `zone eu: parent: "paris": expected a zone that is not inside this one (eu in paris in fr in eu)`)

	for i := range 100 {
		z := &catalog.Zone{Name: fmt.Sprintf("z%d", i)}
		if i > 0 {
			z.Parent = fmt.Sprintf("z%d", i-1)
		}
		in.Put(z)
	}
	violations(t, in, &catalog.Zone{Name: "deep", Parent: "z98"})
	violations(t, in, &catalog.Zone{Name: "deep", Parent: "z99"}, `zone deep: parent: "z99": expected zones nested at most 100 levels deep`)
}

func TestValidateCluster(t *testing.T) {
	in := europe()
	violations(t, in, &catalog.Cluster{
		Name: "c1", Zones: []string{"de", "us"},
		Storage: &catalog.Storage{
			Endpoint: "https://s3.example/", AccessKey: "{env.KEY}", SecretKey: "{file.secret}", BucketPrefix: "a.b-", Capacity: 5,
		},
		Functions: []catalog.Function{
			{URL: "http://f", Weight: 1000, MaxRequests: 5, HealthPath: "/healthz?deep=1"},
			{URL: "https://f"},
			{URL: "http://f:8080"},
			{URL: "http://f/a/b"},
			{URL: "http://[::1]:9000/"},
		},
	})
	violations(t, in, &catalog.Cluster{Name: "c/1"},
		`cluster c/1: name: "c/1": `+wantName, `cluster c/1: zones: "": expected at least one zone, the first being the cluster's failure domain`)
	violations(t, in, &catalog.Cluster{Name: "c1", Zones: []string{"de", "mars", "de", ""}},
		`cluster c1: zones[1]: "mars": expected a declared zone`, `cluster c1: zones[2]: "de": expected every item only once`, `cluster c1: zones[3]: "": expected a declared zone`)
	violations(t, in, &catalog.Cluster{
		Name: "c1", Zones: []string{"de"},
		Storage: &catalog.Storage{Endpoint: "ftp://x", AccessKey: "a", Region: "eu/1", BucketPrefix: "A", Capacity: -1},
		Functions: []catalog.Function{
			{URL: "f:80", Weight: 1001, MaxRequests: -1, HealthPath: "healthz"},
			{URL: "http://f", Weight: -1, HealthPath: "/a b"},
			{URL: "http://F:080/", HealthPath: "/#x"},
		},
	},
		`cluster c1: storage.endpoint: "ftp://x": expected an http:// or https:// URL`,
		`cluster c1: storage.secret_key: "": expected a secret key beside the access key, or neither`,
		`cluster c1: storage.region: "eu/1": expected a region such as us-east-1, without spaces or slashes`,
		`cluster c1: storage.capacity: "-1": expected a size such as 500GiB, 2TB or a number of bytes`,
		`cluster c1: storage.bucket_prefix: "A": expected what a bucket name can begin with: lower-case letters, digits, dots and hyphens, beginning with a letter or digit, no two dots in a row, and nothing S3 reserves`,
		`cluster c1: functions[0].url: "f:80": expected an http:// or https:// URL`,
		`cluster c1: functions[0].weight: "1001": expected a whole number from 1 to 1000`,
		`cluster c1: functions[0].max_requests: "-1": expected a whole number, 0 for no limit`,
		`cluster c1: functions[0].health_path: "healthz": expected a path that begins with "/"`,
		`cluster c1: functions[1].weight: "-1": expected a whole number from 1 to 1000`,
		`cluster c1: functions[1].health_path: "/a b": expected a path that begins with "/"`,
		`cluster c1: functions[2].url: "http://F:080/": expected a URL that no other function of the cluster has`,
		`cluster c1: functions[2].health_path: "/#***": expected a path that begins with "/"`,
	)
	violations(t, in, &catalog.Cluster{Name: "c1", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://h", SecretKey: "hush"}},
		`cluster c1: storage.access_key: "": expected an access key beside the secret key, or neither`)
	violations(t, in, &catalog.Cluster{Name: "c1", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://h", BucketPrefix: strings.Repeat("a", 61)}},
		`cluster c1: storage.bucket_prefix: "`+strings.Repeat("a", 61)+`": expected at most 60 characters, so that a bucket's name fits behind them into 63`)
}

func TestValidateURLs(t *testing.T) {
	const u = "an http:// or https:// URL"
	for _, c := range []struct{ url, shown, storage, function string }{
		{"http://h", "", "", ""},
		{"https://h:9000", "", "", ""},
		{"HTTP://h", "", "", ""},
		{"http://h/", "", "", ""},
		{"http://127.0.0.1:1", "", "", ""},
		{"http://h/path", "http://h/path", u + " without a path", ""},
		{"", "", u, u},
		{"h", "h", u, u},
		{"h:9000", "h:9000", u, u},
		{"//h", "//h", u, u},
		{"http:h", "http:h", u, u},
		{"http:///x", "http:///x", u + " with a host", u + " with a host"},
		{"http://:80", "http://:80", u + " with a host", u + " with a host"},
		{"http://h:", "http://h:", u + " with a port from 1 to 65535, or none", u + " with a port from 1 to 65535, or none"},
		{"http://h:0", "http://h:0", u + " with a port from 1 to 65535, or none", u + " with a port from 1 to 65535, or none"},
		{"http://h:65536", "http://h:65536", u + " with a port from 1 to 65535, or none", u + " with a port from 1 to 65535, or none"},
		{"http://h:x", "http://h:x", u, u},
		{"http://h h", "http://h h", u, u},
		{"http://{env.HOST}", "http://{env.HOST}", u, u},
		{"http://u:p@h", "http://***@h", u + " without a user name or password", u + " without a user name or password"},
		{"http://h?", "http://h?***", u + " without a query", u + " without a query"},
		{"http://h?a=b", "http://h?***", u + " without a query", u + " without a query"},
		{"http://h#", "http://h#***", u + " without a fragment", u + " without a fragment"},
	} {
		var storage, function []string
		if c.storage != "" {
			storage = []string{fmt.Sprintf("cluster c1: storage.endpoint: %q: expected %s", c.shown, c.storage)}
		}
		if c.function != "" {
			function = []string{fmt.Sprintf("cluster c1: functions[0].url: %q: expected %s", c.shown, c.function)}
		}
		violations(t, europe(), &catalog.Cluster{Name: "c1", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: c.url}}, storage...)
		violations(t, europe(), &catalog.Cluster{Name: "c1", Zones: []string{"de"}, Functions: []catalog.Function{{URL: c.url}}}, function...)
	}
}

func TestSharedStorageIsAConflict(t *testing.T) {
	in := catalogtest.New(
		&catalog.Zone{Name: "de"},
		&catalog.Cluster{Name: "plain", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://S3.example:80/", BucketPrefix: "a-"}},
		&catalog.Cluster{Name: "tls", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "https://s3.example", BucketPrefix: "a-"}},
		&catalog.Cluster{Name: "v6", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://[::1]"}},
		&catalog.Cluster{Name: "no-storage", Zones: []string{"de"}},
	)
	at := func(name, endpoint, prefix string) *catalog.Cluster {
		return &catalog.Cluster{Name: name, Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: endpoint, BucketPrefix: prefix}}
	}
	for _, c := range []struct {
		cluster *catalog.Cluster
		other   string
	}{
		{at("c1", "http://s3.example", "a-"), "plain"},
		{at("c1", "HTTP://s3.EXAMPLE:80", "a-"), "plain"},
		{at("c1", "https://s3.example:443/", "a-"), "tls"},
		{at("c1", "http://[::1]:80", ""), "v6"},
		{at("c1", "http://[0:0:0:0:0:0:0:1]", ""), "v6"},
		{at("c1", "http://s3.example.", "a-"), "plain"},
		{at("c1", "http://s3.example", "b-"), ""},
		{at("c1", "http://s3.example:81", "a-"), ""},
		{at("c1", "http://s3.example:443", "a-"), ""},
		{at("plain", "http://s3.example", "a-"), ""}, // itself
		{&catalog.Cluster{Name: "c1", Zones: []string{"de"}}, ""},
	} {
		if got := catalog.SharedStorage(c.cluster, in); got != c.other {
			t.Errorf("%+v shares the storage of %q, want %q", c.cluster.Storage, got, c.other)
		}
		if c.other == "" {
			violations(t, in, c.cluster)
			continue
		}
		invalid := violations(t, in, c.cluster, fmt.Sprintf(
			"cluster c1: storage.endpoint: %q: expected a storage of its own: cluster %s has the same endpoint and bucket prefix", c.cluster.Storage.Endpoint, c.other))
		if invalid == nil || !invalid.Conflict() {
			t.Errorf("%+v is no conflict", c.cluster.Storage)
		}
	}
	both := at("c1", "http://s3.example", "a-")
	both.Zones = []string{"mars"}
	both.Normalize()
	var invalid *catalog.ValidationError
	if err := catalog.ValidateResource(both, in); !errors.As(err, &invalid) || len(invalid.Violations) != 2 || invalid.Conflict() {
		t.Errorf("a bad reference beside a conflict gives %v, and is not only a conflict", err)
	}
}

// Clusters may share an endpoint under different bucket prefixes, as long as no two
// buckets come to be one physical bucket by it.
func TestTwinBucketsAreAConflict(t *testing.T) {
	in := catalogtest.New(
		&catalog.Zone{Name: "de"},
		&catalog.Cluster{Name: "c1", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://h"}},
		&catalog.Cluster{Name: "c2", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://h:80", BucketPrefix: "a-"}},
		&catalog.Cluster{Name: "c3", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://other", BucketPrefix: "b-"}},
		&catalog.Bucket{Name: "logs"}, &catalog.Bucket{Name: "a-data"},
	)
	violations(t, in, &catalog.Bucket{Name: "logs"})
	violations(t, in, &catalog.Bucket{Name: "b-logs"})
	if v := violations(t, in, &catalog.Bucket{Name: "a-logs"},
		`bucket a-logs: name: "a-logs": expected a name of its own: in cluster c1 its physical bucket would be that of bucket logs in cluster c2`); v != nil && !v.Conflict() {
		t.Error("not a conflict")
	}
	violations(t, in, &catalog.Bucket{Name: "data"},
		`bucket data: name: "data": expected a name of its own: in cluster c2 its physical bucket would be that of bucket a-data in cluster c1`)

	violations(t, in, &catalog.Cluster{Name: "c4", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://h", BucketPrefix: "c-"}})
	in.Put(&catalog.Bucket{Name: "c-logs"})
	if v := violations(t, in, &catalog.Cluster{Name: "c4", Zones: []string{"de"}, Storage: &catalog.Storage{Endpoint: "http://h", BucketPrefix: "c-"}},
		`cluster c4: storage.bucket_prefix: "c-": expected a prefix that keeps buckets apart: bucket logs here and bucket c-logs in cluster c1 would be one`); v != nil && !v.Conflict() {
		t.Error("not a conflict")
	}
}

func TestValidatePolicy(t *testing.T) {
	in := europe()
	violations(t, in, &catalog.Policy{
		Name: "p", Copies: catalog.Copies{All: true}, Zones: []string{"eu", "us"}, ExcludeZones: []string{"de"},
		Clusters: []string{"c-fr", "c-us"}, Prefer: []string{"c-us", "c-de"}, Spread: catalog.SpreadCluster,
		Balance: catalog.RawObject(`{"policy":"least_conn","x":{}}`), OnMiss: catalog.OnMissReject,
	})
	violations(t, in, &catalog.Policy{
		Name: "p!", Copies: catalog.Copies{N: -2}, Zones: []string{"eu", "eu"}, ExcludeZones: []string{"mars"},
		Clusters: []string{"c-de", "c-fr", "c-de"}, Prefer: []string{"c9", "c9"}, Spread: "rack", Writes: "everywhere", Versions: "none", OnMiss: "wait",
		Balance: catalog.RawObject(`{"policy":7}`), PullTimeout: -1, PullTTL: -5,
	},
		`policy p!: name: "p!": `+wantName,
		`policy p!: copies: "-2": expected a number from 1 to 10000 or "all"`,
		`policy p!: zones[1]: "eu": expected every item only once`,
		`policy p!: exclude_zones[0]: "mars": expected a declared zone`,
		`policy p!: clusters[2]: "c-de": expected every item only once`,
		`policy p!: prefer[0]: "c9": expected a declared cluster`,
		`policy p!: prefer[1]: "c9": expected a declared cluster`,
		`policy p!: spread: "rack": expected zone or cluster`,
		`policy p!: writes: "everywhere": expected primary or anywhere`,
		`policy p!: versions: "none": expected all or current`,
		`policy p!: on_miss: "wait": expected remote, reject or pull`,
		`policy p!: pull_timeout: "-1ns": expected a duration longer than 0, such as 10s or 1h`,
		`policy p!: pull_ttl: "-5ns": expected a duration longer than 0, such as 10s or 1h`,
		`policy p!: balance.policy: "7": expected the name of a selection policy, such as least_conn`,
	)
	violations(t, in, &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 10_001}, Balance: catalog.RawObject(`{}`)},
		`policy p: copies: "10001": expected a number from 1 to 10000 or "all"`,
		`policy p: balance: "{…}": expected an object with a member "policy" that names a selection policy`)
	violations(t, in, &catalog.Policy{Name: "p", Balance: catalog.RawObject(`least_conn`)},
		`policy p: balance: "not a JSON object": expected an object with a member "policy" that names a selection policy`)
	violations(t, in, &catalog.Policy{Name: "p", Balance: catalog.RawObject(`{"policy":""}`)},
		`policy p: balance.policy: "": expected the name of a selection policy, such as least_conn`)
}

// An explicit 0 is told beside what else is wrong.
func TestCopiesOutOfRange(t *testing.T) {
	for _, n := range []string{"0", "-1", "-0", "10001"} {
		r := decode(t, catalog.KindPolicy, `{"name":"p","copies":`+n+`,"zones":["mars"]}`)
		if n == "-0" {
			n = "0"
		}
		violations(t, europe(), r,
			`policy p: copies: "`+n+`": expected a number from 1 to 10000 or "all"`, `policy p: zones[0]: "mars": expected a declared zone`)
	}
}

func TestValidateBucket(t *testing.T) {
	in := europe()
	violations(t, in, &catalog.Bucket{Name: "b-1"})
	violations(t, in, &catalog.Bucket{
		Name: "b-1", Policy: "eu-only", Primary: "c-fr",
		Prefixes: []catalog.PrefixRule{{Prefix: "a/", Policy: "not-de"}, {Prefix: "a", Policy: "just-fr"}, {Prefix: strings.Repeat("x", 1024), Policy: "default"}},
	})
	long := strings.Repeat("é", 513)
	violations(t, in, &catalog.Bucket{
		Name: "B", Policy: "nope", Primary: "c9",
		Prefixes: []catalog.PrefixRule{{Policy: "eu-only"}, {Prefix: "a", Policy: ""}, {Prefix: "a", Policy: "gone"}, {Prefix: "\xff", Policy: "eu-only"}, {Prefix: long, Policy: "eu-only"}},
	},
		`bucket B: name: "B": expected a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit`,
		`bucket B: policy: "nope": expected a declared policy`,
		`bucket B: prefixes[1].policy: "": expected a declared policy`,
		`bucket B: prefixes[2].policy: "gone": expected a declared policy`,
		`bucket B: prefixes[0].prefix: "": expected a key prefix of 1 to 1024 bytes in UTF-8`,
		`bucket B: prefixes[2].prefix: "a": expected every prefix only once`,
		`bucket B: prefixes[3].prefix: "\xff": expected a key prefix of 1 to 1024 bytes in UTF-8`,
		`bucket B: prefixes[4].prefix: "`+strings.Repeat("é", 60)+`…": expected a key prefix of 1 to 1024 bytes in UTF-8`,
		`bucket B: primary: "c9": expected a declared cluster`,
	)
	delete(in.PolicyMap, "default")
	violations(t, in, &catalog.Bucket{Name: "b-1"},
		`bucket b-1: policy: "default": expected a declared policy (the bucket names none, so this default would be its policy)`)
}

func TestPrimaryMustBeAllowedByEveryRule(t *testing.T) {
	in := europe()
	for _, c := range []struct {
		bucket catalog.Bucket
		want   []string
	}{
		{catalog.Bucket{}, nil},
		{catalog.Bucket{Primary: "c-us"}, nil},
		{catalog.Bucket{Primary: "c-fr", Policy: "eu-only", Prefixes: []catalog.PrefixRule{{Prefix: "a", Policy: "not-de"}}}, nil},
		{catalog.Bucket{Primary: "c-fn", Policy: "eu-only"}, []string{`bucket b-1: primary: "c-fn": expected a cluster that has a storage`}},
		{catalog.Bucket{Primary: "c-us", Policy: "eu-only"}, []string{`bucket b-1: primary: "c-us": expected a cluster that policy eu-only allows: not in the policy's zones eu`}},
		{catalog.Bucket{Primary: "c-de", Policy: "not-de"}, []string{`bucket b-1: primary: "c-de": expected a cluster that policy not-de allows: zone de is excluded by the policy`}},
		{catalog.Bucket{Primary: "c-fr", Policy: "not-eu"}, []string{`bucket b-1: primary: "c-fr": expected a cluster that policy not-eu allows: zone fr is in zone eu, which is excluded by the policy`}},
		{catalog.Bucket{Primary: "c-de", Policy: "just-fr"}, []string{`bucket b-1: primary: "c-de": expected a cluster that policy just-fr allows: not among the policy's clusters c-fr`}},
		{
			catalog.Bucket{Primary: "c-de", Policy: "eu-only", Prefixes: []catalog.PrefixRule{{Prefix: "a\"", Policy: "not-de"}, {Prefix: "b", Policy: "eu-only"}}},
			[]string{`bucket b-1: primary: "c-de": expected a cluster that policy not-de allows, the policy of prefix "a\"": zone de is excluded by the policy`},
		},
	} {
		c.bucket.Name = "b-1"
		if c.bucket.Policy == "" || c.bucket.Primary != "c-us" {
			violations(t, in, &c.bucket, c.want...)
		}
		got := ""
		if err := catalog.PrimaryAllowed(&c.bucket, in); err != nil {
			got = err.Error()
		}
		if got != strings.Join(c.want, "; ") {
			t.Errorf("PrimaryAllowed(%+v) says %s, want %q", c.bucket, got, c.want)
		}
	}
	if err := catalog.PrimaryAllowed(&catalog.Bucket{Name: "b-1", Primary: "gone"}, in); err == nil {
		t.Error("a primary that is not declared is allowed")
	}
}

// A zone that is not declared any more could lie anywhere: policies that exclude
// zones don't let its clusters in.
func TestUndeclaredZonesAreNotAllowedWhereZonesAreExcluded(t *testing.T) {
	in := europe()
	delete(in.ZoneMap, "fr")
	fr := in.ClusterMap["c-fr"]
	for policy, want := range map[string]bool{"default": true, "just-fr": true, "eu-only": false, "not-de": false, "not-eu": false} {
		if got := catalog.PolicyAllows(in.PolicyMap[policy], fr, in); got != want {
			t.Errorf("policy %s allows c-fr: %v, want %v", policy, got, want)
		}
	}
	err := catalog.PrimaryAllowed(&catalog.Bucket{Name: "b-1", Policy: "not-eu", Primary: "c-fr"}, in)
	const want = `bucket b-1: primary: "c-fr": expected a cluster that policy not-eu allows: zone fr or one it lies in is not declared, so it may be in one that is excluded by the policy`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestPhysicalBucketNamesMustFit(t *testing.T) {
	in := europe() // c-us puts 40 characters before a name
	name := strings.Repeat("b", 24)
	want := fmt.Sprintf(`bucket %s: name: "%s": expected a name that makes a bucket name of at most 63 characters behind the bucket prefix "%s" of cluster c-us`,
		name, name, strings.Repeat("u", 40))
	violations(t, in, &catalog.Bucket{Name: name}, want)
	violations(t, in, &catalog.Bucket{Name: name, Policy: "eu-only", Prefixes: []catalog.PrefixRule{{Prefix: "a", Policy: "not-de"}}}, want)
	violations(t, in, &catalog.Bucket{Name: name, Policy: "eu-only"})
	violations(t, in, &catalog.Bucket{Name: name[1:]})
}

func TestNames(t *testing.T) {
	nameForm := regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	bucketForm := regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	bucketNot := regexp.MustCompile(`\.\.|^\d+\.\d+\.\d+\.\d+$|^xn--|^sthree-|^amzn-s3-demo-|-s3alias$|--ol-s3$|\.mrap$|--x-s3$|--table-s3$`)
	parts := rapid.SampledFrom([]string{"a", "z", "0", "9", "-", ".", "_", "A", "é", "1.2.3.4", "xn--", "sthree-", "amzn-s3-demo-", "-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3", "0123456789012345678901234567890"})
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(parts, 0, 5).Draw(t, "parts"), "")
		if got, want := catalog.ValidName(s), nameForm.MatchString(s); got != want {
			t.Fatalf("ValidName(%q) = %v, want %v", s, got, want)
		}
		if got, want := catalog.ValidBucketName(s), bucketForm.MatchString(s) && !bucketNot.MatchString(s); got != want {
			t.Fatalf("ValidBucketName(%q) = %v, want %v", s, got, want)
		}
	})
}

func TestBucketNameMessages(t *testing.T) {
	const form = "a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit"
	for name, want := range map[string]string{
		"": form, "ab": form, strings.Repeat("a", 64): form, "Photos": form, "a_b": form, "-ab": form, "ab-": form, ".ab": form,
		"a..b":            "a bucket name without two dots in a row",
		"192.168.5.4":     "a bucket name that is not formed like an IP address",
		"999.1.1.1":       "a bucket name that is not formed like an IP address",
		"xn--abc":         "a bucket name that does not begin with xn--, which S3 reserves",
		"sthree-abc":      "a bucket name that does not begin with sthree-, which S3 reserves",
		"amzn-s3-demo-ab": "a bucket name that does not begin with amzn-s3-demo-, which S3 reserves",
		"abc-s3alias":     "a bucket name that does not end with -s3alias, which S3 reserves",
		"abc--ol-s3":      "a bucket name that does not end with --ol-s3, which S3 reserves",
		"abc.mrap":        "a bucket name that does not end with .mrap, which S3 reserves",
		"abc--x-s3":       "a bucket name that does not end with --x-s3, which S3 reserves",
		"abc--table-s3":   "a bucket name that does not end with --table-s3, which S3 reserves",
	} {
		root := "bucket"
		if name != "" {
			root += " " + name
		}
		violations(t, nil, &catalog.Bucket{Name: name}, fmt.Sprintf("%s: name: %q: expected %s", root, name, want))
	}
	for _, name := range []string{"abc", "a.b", "1.2.3", "1.2.3.4.5", "1.2.3.a", strings.Repeat("a", 63), "a-.b", "0a0"} {
		violations(t, nil, &catalog.Bucket{Name: name})
	}
}
