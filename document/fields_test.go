package document_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
)

// changesOf tells the changes of a document, field by field.
func changesOf(c *document.Comparison) string {
	var lines []string
	for _, ch := range c.Changes {
		lines = append(lines, fmt.Sprintf("%s %s %s", ch.Action, ch.Kind, ch.Name))
		for _, f := range c.Fields(&ch) {
			lines = append(lines, fmt.Sprintf("  %s: %s > %s", f.Path, f.From, f.To))
		}
	}
	return strings.Join(lines, "\n")
}

// What differs is told at the smallest place that differs; what means the same is no difference.
func TestDifferencesAreToldWhereTheyAre(t *testing.T) {
	t.Parallel()
	const there = `{"fado":1,"zones":[{"name":"eu","labels":{"a":"1","b":"2"}},{"name":"de"}],
		"clusters":[{"name":"c1","zones":["eu"],"functions":[{"url":"http://f1"},{"url":"http://f2"}],"links":[{"to":"c2","price":0.5}]},{"name":"c2","zones":["eu","de"]}],
		"policies":[{"name":"p","zones":["eu"],"balance":{"policy":"header","field":"X"},"pull_ttl":"60m"}],
		"buckets":[{"name":"photos","policy":"p","prefixes":[{"prefix":"a/","policy":"p"},{"prefix":"b/","policy":"p"}]}]}`
	var rs []catalog.Resource
	for _, it := range parse(t, there).Items {
		rs = append(rs, it.Resource)
	}
	for name, tc := range map[string]struct{ items, want string }{
		"nothing":           {`"zones":[]`, ""},
		"the same":          {`"zones":[{"labels":{"b":"2","a":"1"},"name":"eu","parent":""}]`, ""},
		"written otherwise": {`"policies":[{"name":"p","copies":1,"zones":["eu"],"clusters":[],"balance":{"field":"X",  "policy":"header"},"pull_ttl":"1h"}]`, ""},
		"rules in another order": {
			`"buckets":[{"name":"photos","policy":"p","prefixes":[{"prefix":"b/","policy":"p"},{"prefix":"a/","policy":"p"}]}]`, "",
		},
		"one label of two": {`"zones":[{"name":"eu","labels":{"a":"1","b":"3"}}]`, "update zone eu\n  labels.b: \"2\" > \"3\""},
		"one label less":   {`"zones":[{"name":"eu","labels":{"a":"1"}}]`, "update zone eu\n  labels.b: \"2\" > "},
		"no labels": {
			`"zones":[{"name":"eu","parent":"de"}]`, "update zone eu\n  labels.a: \"1\" > \n  labels.b: \"2\" > \n  parent:  > \"de\"",
		},
		"one function of two": {
			`"clusters":[{"name":"c1","zones":["eu"],"functions":[{"url":"http://f1"},{"url":"http://f2","weight":3}],"links":[{"to":"c2","price":0.5}]}]`,
			"update cluster c1\n  functions[1].weight: 1 > 3",
		},
		"a price that is none": {
			`"clusters":[{"name":"c1","zones":["eu"],"functions":[{"url":"http://f1"},{"url":"http://f2"}],"links":[{"to":"c2"}]}]`,
			"update cluster c1\n  links[0].price: 0.5 > ",
		},
		"zones in another order": {
			`"clusters":[{"name":"c2","zones":["de","eu"]}]`, `update cluster c2` + "\n" + `  zones: ["eu","de"] > ["de","eu"]`,
		},
		"a rule's policy and another rule": {
			`"policies":[{"name":"q"}],"buckets":[{"name":"photos","policy":"p","prefixes":[{"prefix":"a/","policy":"q"},{"prefix":"b/","policy":"p"}]}]`,
			"create policy q\n  copies:  > 1\n  on_miss:  > \"remote\"\n  primary:  > \"follow\"\n  pull_timeout:  > \"10s\"\n  pull_ttl:  > \"1h0m0s\"\n" +
				"  spread:  > \"zone\"\n  versions:  > \"all\"\n  writes:  > \"primary\"\nupdate bucket photos\n  prefixes[0].policy: \"p\" > \"q\"",
		},
		"a rule less": {
			`"buckets":[{"name":"photos","policy":"p","prefixes":[{"prefix":"b/","policy":"p"}]}]`,
			`update bucket photos` + "\n" + `  prefixes: [{"policy":"p","prefix":"a/"},{"policy":"p","prefix":"b/"}] > [{"policy":"p","prefix":"b/"}]`,
		},
		"deleted": {`"delete":{"buckets":["photos"]}`, "delete bucket photos"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := compare(t, []byte(`{"fado":1,`+tc.items+`}`), document.JSON, baseOf(rs...))
			if got := changesOf(c); got != tc.want {
				t.Errorf("it tells\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// A secret that changes is a change, though both are hidden; one that stays "***" is none.
func TestHiddenSecretsThatDiffer(t *testing.T) {
	t.Parallel()
	base := baseOf(eu.Clone(), c1.Clone())
	base.Redact = func(r catalog.Resource) {
		if c, ok := r.(*catalog.Cluster); ok {
			c.Storage.SecretKey = "***"
		}
	}
	base.Complete = func(r, now catalog.Resource) []catalog.Violation {
		c, ok := r.(*catalog.Cluster)
		if !ok || c.Storage == nil || c.Storage.SecretKey != "***" {
			return nil
		}
		if now == nil {
			return []catalog.Violation{{Field: "cluster " + c.Name + ": storage.secret_key", Value: "***", Expected: "a secret"}, {Field: "cluster", Expected: "more"}}
		}
		c.Storage.SecretKey = now.(*catalog.Cluster).Storage.SecretKey
		return nil
	}
	body := func(name, secret string) string {
		return fmt.Sprintf(`{"fado":1,"zones":[{"name":"de"}],"clusters":[{"name":%q,"zones":["eu"],"storage":{"endpoint":"http://%[1]s","access_key":"a","secret_key":%q}}]}`, name, secret)
	}
	for secret, want := range map[string]string{
		"***":     "create zone de",
		"hidden":  "create zone de",
		"another": "update cluster c1\n  storage.secret_key: \"***\" > \"***\"",
	} {
		got := changesOf(compare(t, []byte(body("c1", secret)), document.JSON, base))
		if !strings.Contains(got, want) || strings.Contains(got, "c1") != (secret == "another") {
			t.Errorf("with the secret %s: %s, want %s", secret, got, want)
		}
	}
	// What is wrong with a secret is told by its place in the document.
	_, err := document.Compare(parse(t, body("c2", "***")), base)
	fields(t, err, "clusters[0].storage.secret_key", "clusters[0]")
}

// A selection policy that Caddy does not take is told where it stands, and nothing of what is in it.
func TestBalancesAreChecked(t *testing.T) {
	t.Parallel()
	base := baseOf(keep.Clone())
	base.CheckBalance = func(b catalog.RawObject) error {
		if strings.Contains(string(b), "random") {
			return nil
		}
		return errors.New("unknown policy")
	}
	_, err := document.Compare(parse(t, `{"fado":1,"policies":[{"name":"good","balance":{"policy":"random"}},{"name":"bad","balance":{"policy":"cookie","secret":"hush"}},{"name":"keep"}]}`), base)
	fields(t, err, "policies[1].balance")
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.HasSuffix(err.Error(), "expected the JSON of a Caddy selection policy: unknown policy") {
		t.Errorf("%v", err)
	}
}

// What is needed by many is told with some of them, what needs it twice once.
func TestWhatManyNeed(t *testing.T) {
	t.Parallel()
	rs := []catalog.Resource{keep.Clone()}
	for i := range 12 {
		rs = append(rs, &catalog.Bucket{Name: fmt.Sprintf("bucket-%02d", i), Policy: "keep", Prefixes: []catalog.PrefixRule{{Prefix: "a/", Policy: "keep"}}})
	}
	var ten []string
	for i := range 10 {
		ten = append(ten, fmt.Sprintf("bucket bucket-%02d", i))
	}
	for n, want := range map[int]string{3: strings.Join(ten[:2], ", ") + " would", 11: strings.Join(ten, ", ") + " would", 13: strings.Join(ten, ", ") + " and others would"} {
		_, err := document.Compare(parse(t, `{"fado":1,"delete":{"policies":["keep"]}}`), baseOf(rs[:n]...))
		fields(t, err, "delete.policies[0]")
		if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Count(err.Error(), "bucket-00") > 1 {
			t.Errorf("%d: %v, want %s", n, err, want)
		}
	}
}
