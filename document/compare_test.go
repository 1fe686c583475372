package document_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
)

// What was written is read back to the same resources, and changes nothing; the same
// catalogue gives the same bytes.
func TestExportThenPlanIsEmpty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rs := anyCatalogue().Draw(t, "catalogue")
		for _, f := range []document.Format{document.JSON, document.YAML} {
			body := export(t, f, rs)
			doc, err := document.Parse(body, f)
			if err != nil {
				t.Fatalf("%v\n%s", err, body)
			}
			doc.Prune = true // the whole is named
			c, err := document.Compare(doc, baseOf(rs...))
			if err != nil || len(c.Changes) > 0 {
				t.Fatalf("%+v, %v\n%s", c, err, body)
			}
			again := make([]catalog.Resource, len(doc.Items))
			for i, it := range doc.Items {
				again[i] = it.Resource
			}
			if second := export(t, f, again); !bytes.Equal(second, body) {
				t.Fatalf("first\n%s\nthen\n%s", body, second)
			}
		}
	})
}

// Whatever there is: a document that names another catalogue, and prunes, makes it that one.
func TestChangesLeadToTheDocument(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		have, want := anyCatalogue().Draw(t, "have"), anyCatalogue().Draw(t, "want")
		doc, err := document.Parse(export(t, document.JSON, want), document.JSON)
		if err != nil {
			t.Fatal(err)
		}
		doc.Prune = true
		c, err := document.Compare(doc, baseOf(have...))
		if err != nil {
			t.Fatal(err)
		}
		changesPage(t, c)
		now := make(map[string]catalog.Resource)
		for _, r := range have {
			now[string(r.ResourceKind())+" "+r.ResourceName()] = r
		}
		for _, ch := range c.Changes {
			name := string(ch.Kind) + " " + ch.Name
			if _, there := now[name]; there == (ch.Action == document.Create) {
				t.Fatalf("%s %s", ch.Action, name)
			}
			if ch.Action == document.Delete {
				delete(now, name)
			} else {
				now[name] = ch.Resource
			}
		}
		var all []catalog.Resource
		for _, r := range now {
			all = append(all, r)
		}
		if c, err := document.Compare(doc, baseOf(all...)); err != nil || len(c.Changes) > 0 {
			t.Fatalf("after the changes: %+v, %v", c, err)
		}
	})
}

// changesPage holds pages of changes against the whole.
func changesPage(t *rapid.T, c *document.Comparison) {
	limit, listed := rapid.IntRange(1, 4).Draw(t, "limit"), []document.Change(nil)
	for after := ""; ; {
		page, next := c.Page(after, limit)
		if len(page) > limit {
			t.Fatalf("a page has %d changes", len(page))
		}
		listed = append(listed, page...)
		if after = next; next == "" {
			break
		}
	}
	if !slices.EqualFunc(listed, c.Changes, func(a, b document.Change) bool { return a.Key() == b.Key() }) {
		t.Fatalf("the pages have\n%+v\nof\n%+v", listed, c.Changes)
	}
}

var (
	eu    = &catalog.Zone{Name: "eu"}
	c1    = &catalog.Cluster{Name: "c1", Zones: []string{"eu"}, Storage: &catalog.Storage{Endpoint: "http://c1", AccessKey: "a", SecretKey: "hidden"}}
	keep  = &catalog.Policy{Name: "keep"}
	photo = &catalog.Bucket{Name: "photos", Policy: "keep", Primary: "c1"}
)

func parse(t *testing.T, body string) *document.Document {
	t.Helper()
	doc, err := document.Parse([]byte(body), document.JSON)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Whatever contradicts the rest of the catalogue is named by its path.
func TestContradictions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want []string
	}{
		"references to nothing": {
			`{"fado":1,"zones":[{"name":"a","parent":"b"}],"clusters":[{"name":"c2","zones":["x"],"links":[{"to":"y"}]}],"policies":[{"name":"p","zones":["x"],"prefer":["y"]}],"buckets":[{"name":"abc","policy":"q","primary":"z","prefixes":[{"prefix":"a","policy":"r"}]}]}`,
			[]string{"zones[0].parent", "clusters[0].zones[0]", "clusters[0].links[0].to", "policies[0].zones[0]", "policies[0].prefer[0]", "buckets[0].policy", "buckets[0].prefixes[0].policy", "buckets[0].primary"},
		},
		"zones in a circle":        {`{"fado":1,"zones":[{"name":"a","parent":"b"},{"name":"b","parent":"a"}]}`, []string{"zones[0].parent", "zones[1].parent"}},
		"a storage of two":         {`{"fado":1,"clusters":[{"name":"c2","zones":["eu"],"storage":{"endpoint":"http://C1:80"}}]}`, []string{"clusters[0].storage.endpoint"}},
		"what others need":         {`{"fado":1,"delete":{"zones":["eu"],"policies":["keep"],"clusters":["c1"]}}`, []string{"delete.clusters[0]", "delete.policies[0]"}},
		"a zone of a cluster":      {`{"fado":1,"delete":{"zones":["eu"]}}`, []string{"delete.zones[0]"}},
		"what the document needs":  {`{"fado":1,"delete":{"policies":["keep"],"buckets":["photos"]},"buckets":[{"name":"other","policy":"keep"}]}`, []string{"buckets[0].policy", "delete.policies[0]"}},
		"pruned, and still needed": {`{"fado":1,"prune":true,"buckets":[{"name":"photos","policy":"keep","primary":"c1"}]}`, []string{"prune", "prune"}},
		"nothing":                  {`{"fado":1,"delete":{"zones":["never"],"buckets":["photos"]}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := document.Compare(parse(t, tc.body), baseOf(eu.Clone(), c1.Clone(), keep.Clone(), photo.Clone()))
			fields(t, err, tc.want...)
		})
	}
}

// What the configuration declares may be repeated, and not changed.
func TestConfigurationKeepsWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	base := baseOf(eu.Clone(), keep.Clone())
	base.Owner = func(catalog.Kind, string) document.Owner { return document.Configuration }
	if c, err := document.Compare(parse(t, `{"fado":1,"prune":true,"zones":[{"name":"eu"}]}`), base); err != nil || len(c.Changes) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
	_, err := document.Compare(parse(t, `{"fado":1,"zones":[{"name":"eu","labels":{"a":"b"}}],"delete":{"policies":["keep"]}}`), base)
	fields(t, err, "zones[0]", "delete.policies[0]")
	if !strings.Contains(err.Error(), "labels.a") {
		t.Errorf("%v does not say what differs", err)
	}
	for _, v := range document.Violations(err) {
		if !v.Conflict {
			t.Errorf("%v is no conflict", v)
		}
	}
}

// A cluster that holds data keeps its storage.
func TestDataKeepsItsStorage(t *testing.T) {
	t.Parallel()
	base := baseOf(eu.Clone(), c1.Clone())
	base.Holding = func(string) []string { return []string{"photos"} }
	_, err := document.Compare(parse(t, `{"fado":1,"delete":{"clusters":["c1"]}}`), base)
	fields(t, err, "delete.clusters[0]")
	_, err = document.Compare(parse(t, `{"fado":1,"clusters":[{"name":"c1","zones":["eu"]}]}`), base)
	fields(t, err, "clusters[0]")
}

// A change is told field by field, and never with a secret.
func TestFieldsOfAChange(t *testing.T) {
	t.Parallel()
	base := baseOf(eu.Clone(), c1.Clone(), keep.Clone(), photo.Clone())
	base.Redact = func(r catalog.Resource) {
		if c, ok := r.(*catalog.Cluster); ok && c.Storage != nil {
			c.Storage.SecretKey = "***"
		}
	}
	c := compare(t, []byte(`{"fado":1,"clusters":[{"name":"c1","zones":["eu"],"storage":{"endpoint":"http://c1","access_key":"b","secret_key":"another"},"functions":[{"url":"http://f"}]}],
		"policies":[{"name":"keep","copies":"all"}],"buckets":[{"name":"photos","policy":"keep"},{"name":"new","policy":"keep"}]}`), document.JSON, base)
	var got []string
	for _, ch := range c.Changes {
		for _, f := range c.Fields(&ch) {
			got = append(got, strings.Join([]string{string(ch.Action), ch.Name, f.Path, string(f.From), string(f.To)}, " "))
		}
	}
	want := []string{
		`update c1 functions [] [{"url":"http://f","weight":1}]`, `update c1 storage.access_key "a" "b"`, `update c1 storage.secret_key "***" "***"`,
		`update keep copies 1 "all"`, `create new policy  "keep"`, `update photos primary "c1" `,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
