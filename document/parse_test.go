package document_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
)

// What is wrong with a document is named by its path, all of it at once.
func TestParseNamesEveryViolation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		format document.Format
		body   string
		want   []string // the fields of violations, in order
	}{
		"no JSON":           {document.JSON, `{"fado":1`, []string{"document"}},
		"empty":             {document.JSON, ``, []string{"document"}},
		"an array":          {document.JSON, `[]`, []string{"document"}},
		"two values":        {document.JSON, `{"fado":1}{}`, []string{"document"}},
		"not UTF-8":         {document.JSON, "{\"fado\":1,\"zones\":[{\"name\":\"\xff\"}]}", []string{"document"}},
		"no version":        {document.JSON, `{}`, []string{"fado"}},
		"another version":   {document.JSON, `{"fado":2}`, []string{"fado"}},
		"a version as text": {document.JSON, `{"fado":"1"}`, []string{"fado"}},
		"unknown fields": {
			document.JSON, `{"fado":1,"zone":[],"Zones":[],"delete":{"zone":[]},"zones":[{"name":"a","title":"x"}]}`,
			[]string{"zone", "Zones", "delete.zone", "zones[0]"},
		},
		"repeated fields": {
			document.JSON, `{"fado":1,"fado":1,"zones":[{"name":"a","name":"b","labels":{"x":"1","x":"2"}}]}`,
			[]string{"fado", "zones[0].name", "zones[0].labels.x"},
		},
		"wrong types": {
			document.JSON, `{"fado":1,"zones":{},"prune":"yes","delete":[],"clusters":[7,{"name":"c","zones":"eu","egress_price":"1"}],"buckets":[{"name":"abc","prefixes":[{"prefix":1,"policy":"p"}]}]}`,
			[]string{"zones", "prune", "delete", "clusters[0]", "clusters[1].zones", "clusters[1].egress_price", "buckets[0].prefixes[0].prefix"},
		},
		"bad values": {
			document.JSON, `{"fado":1,"clusters":[{"name":"C","zones":[],"storage":{"endpoint":"ftp://x"},"egress_price":-1}],"policies":[{"name":"p","copies":0}]}`,
			[]string{"clusters[0].name", "clusters[0].zones", "clusters[0].storage.endpoint", "clusters[0].egress_price", "policies[0].copies"},
		},
		"items without names": {document.JSON, `{"fado":1,"zones":[{}],"buckets":[{"name":""}]}`, []string{"zones[0].name", "buckets[0].name"}},
		"items twice":         {document.JSON, `{"fado":1,"zones":[{"name":"a"},{"name":"b"},{"name":"a"}]}`, []string{"zones[2].name"}},
		"deleted twice":       {document.JSON, `{"fado":1,"delete":{"zones":["a","a",""]}}`, []string{"delete.zones[1]", "delete.zones[2]"}},
		"kept and deleted":    {document.JSON, `{"fado":1,"delete":{"zones":["a"]},"zones":[{"name":"a"}]}`, []string{"delete.zones[0]"}},
		"too large":           {document.JSON, strings.Repeat(" ", document.MaxBytes+1), []string{"document"}},

		"YAML: none":           {document.YAML, "", []string{"document"}},
		"YAML: broken":         {document.YAML, "fado: [1", []string{"document"}},
		"YAML: two":            {document.YAML, "fado: 1\n---\nfado: 1\n", []string{"document"}},
		"YAML: anchors":        {document.YAML, "fado: 1\nzones:\n- &z {name: a}\n- *z\n", []string{"zones[0] (line 3)", "zones[1] (line 4)", "zones[0]", "zones[1]"}},
		"YAML: merge":          {document.YAML, "fado: 1\nzones:\n- <<: {name: a}\n", []string{"zones[0] (line 3)", "zones[0]", "zones[0].name"}},
		"YAML: a tag":          {document.YAML, "fado: 1\nzones:\n- name: !!binary YQ==\n", []string{"zones[0].name (line 3)", "zones[0].name"}},
		"YAML: a key of parts": {document.YAML, "fado: 1\n? [a]\n: 1\n", []string{"document (line 2)", ""}},
		"YAML: repeated":       {document.YAML, "fado: 1\nprune: false\nprune: true\n", []string{"prune"}},
		"YAML: not a number":   {document.YAML, "fado: 1\nclusters:\n- name: c\n  zones: [z]\n  egress_price: .inf\n", []string{"clusters[0].egress_price (line 5)"}},
		"YAML: too many":       {document.YAML, "fado: 1\nzones: [" + strings.Repeat("a,", 2_000_001) + "a]\n", []string{"document"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := document.Parse([]byte(tc.body), tc.format)
			var got []string
			for _, v := range document.Violations(err) {
				got = append(got, v.Field)
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("%v\nnames %q, want %q", err, got, tc.want)
			}
		})
	}
}

// A document that is wrong throughout costs no more than one that is right.
func TestViolationsAreBounded(t *testing.T) {
	t.Parallel()
	_, err := document.Parse([]byte(`{"fado":1,"zones":[`+strings.Repeat("{},", 1<<20)+`{}]}`), document.JSON)
	if n := len(document.Violations(err)); n < 1000 || n > 20_000 {
		t.Errorf("%d violations", n)
	}
}

// YAML nested as deep as it goes, and as wide as aliases would make it, is refused.
func TestYAMLBombs(t *testing.T) {
	t.Parallel()
	var laughs strings.Builder
	laughs.WriteString("fado: 1\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 20 {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	for _, body := range []string{laughs.String(), "fado: " + strings.Repeat("[", 100_000), "fado: " + strings.Repeat("{a: ", 100_000)} {
		if _, err := document.Parse([]byte(body), document.YAML); document.Violations(err) == nil {
			t.Errorf("%.40q was taken: %v", body, err)
		}
	}
}

// What YAML leaves out, or writes in its own way, means what it does in JSON.
func TestYAMLIsRead(t *testing.T) {
	t.Parallel()
	doc, err := document.Parse([]byte(`
fado: 1
zones:
  - name: eu # a comment
    labels: {since: 2026-01-01, no: "no", n: 'yes'}
clusters:
- name: c1
  zones: [eu]
  egress_price: 0x10
  storage:
    endpoint: https://s3.example.org
policies: # nothing
buckets:
- name: logs
  prefixes:
  - {prefix: a/, policy: p}
delete:
  buckets: [old]
prune: true
`), document.YAML)
	if err != nil {
		t.Fatal(err)
	}
	z, c := doc.Items[0].Resource.(*catalog.Zone), doc.Items[1].Resource.(*catalog.Cluster)
	if z.Labels["since"] != "2026-01-01" || z.Labels["no"] != "no" || z.Labels["n"] != "yes" || c.EgressPrice != 16 || !doc.Prune || doc.Deletes[0].Name != "old" {
		t.Errorf("%+v %+v %+v", z, c, doc)
	}
}
