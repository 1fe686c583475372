package document_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

// snapshotOf returns the catalogue that holds resources.
func snapshotOf(rs ...catalog.Resource) *routing.Snapshot {
	return routing.NewRouter().Snapshot().Edit(func(e *routing.Editor) {
		for _, r := range rs {
			r.Normalize()
			switch r := r.(type) {
			case *catalog.Zone:
				e.PutZone(r)
			case *catalog.Cluster:
				e.PutCluster(r)
			case *catalog.Policy:
				e.PutPolicy(r)
			case *catalog.Bucket:
				e.PutBucket(r)
			}
		}
	})
}

// baseOf returns a base of resources that the API made.
func baseOf(rs ...catalog.Resource) *document.Base {
	made := make(map[string]bool)
	for _, r := range rs {
		made[string(r.ResourceKind())+" "+r.ResourceName()] = true
	}
	return &document.Base{Catalogue: snapshotOf(rs...), Owner: func(k catalog.Kind, name string) document.Owner {
		if made[string(k)+" "+name] {
			return document.API
		}
		return document.Nobody
	}}
}

// anyCatalogue draws a valid catalogue, sorted as documents are.
func anyCatalogue() *rapid.Generator[[]catalog.Resource] {
	return rapid.Custom(func(t *rapid.T) (rs []catalog.Resource) {
		var zones, clusters, policies []string
		for i := range rapid.IntRange(1, 4).Draw(t, "zones") {
			z := &catalog.Zone{Name: fmt.Sprintf("z%d", i), Labels: anyLabels(t)}
			if i > 0 && rapid.Bool().Draw(t, "inside") {
				z.Parent = rapid.SampledFrom(zones).Draw(t, "parent")
			}
			zones = append(zones, z.Name)
			rs = append(rs, z)
		}
		for i := range rapid.IntRange(1, 5).Draw(t, "clusters") {
			rs = append(rs, anyCluster(t, i, zones, clusters))
			clusters = append(clusters, fmt.Sprintf("c%d", i))
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "policies") {
			name := rapid.SampledFrom([]string{"default", fmt.Sprintf("p%d", i)}).Draw(t, "policy")
			if slices.Contains(policies, name) {
				continue
			}
			policies = append(policies, name)
			rs = append(rs, anyPolicy(t, name, zones, clusters))
		}
		for i := range rapid.IntRange(0, 6).Draw(t, "buckets") {
			b := &catalog.Bucket{Name: fmt.Sprintf("bucket-%d", i), Policy: rapid.SampledFrom(append(policies, "")).Draw(t, "of")}
			for _, prefix := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z/ñ "\\\n:#*&-]{1,6}`), 0, 3, rapid.ID[string]).Draw(t, "prefixes") {
				b.Prefixes = append(b.Prefixes, catalog.PrefixRule{Prefix: prefix, Policy: rapid.SampledFrom(policies).Draw(t, "rule")})
			}
			rs = append(rs, b)
		}
		for _, r := range rs {
			r.Normalize()
		}
		slices.SortStableFunc(rs, func(a, b catalog.Resource) int {
			return cmp.Or(cmp.Compare(slices.Index(document.Kinds, a.ResourceKind()), slices.Index(document.Kinds, b.ResourceKind())),
				strings.Compare(a.ResourceName(), b.ResourceName()))
		})
		return rs
	})
}

func anyLabels(t *rapid.T) map[string]string {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"no", "true", "12", "0x1f", "1e3", "~", "null", "<<", "- a", "a: b", "2026-01-01", " x", "x\n", "\ty", "|", "!!str x", "&a", "*a", "#", "=", "'", `"`}))
	labels := rapid.MapOfN(text.Filter(func(s string) bool { return s != "" }), text, 0, 3).Draw(t, "labels")
	for k, v := range labels {
		if strings.ToValidUTF8(k, "") != k || strings.ToValidUTF8(v, "") != v {
			delete(labels, k)
		}
	}
	return labels
}

func anyCluster(t *rapid.T, i int, zones, others []string) *catalog.Cluster {
	c := &catalog.Cluster{
		Name: fmt.Sprintf("c%d", i), Zones: []string{rapid.SampledFrom(zones).Draw(t, "zone")}, Drain: rapid.IntRange(0, 6).Draw(t, "drain") == 0,
		EgressPrice: float64(rapid.IntRange(0, 100).Draw(t, "egress")) / 1000, StoragePrice: rapid.Float64Range(0, 1).Draw(t, "storage price"),
	}
	if rapid.IntRange(0, 5).Draw(t, "storage") > 0 {
		c.Storage = &catalog.Storage{Endpoint: "http://" + c.Name, AccessKey: "a", SecretKey: rapid.StringMatching(`[a-z{}]{1,8}`).Draw(t, "secret"), Capacity: catalog.Size(rapid.Int64Range(0, 1<<50).Draw(t, "capacity"))}
	}
	if rapid.Bool().Draw(t, "function") {
		c.Functions = []catalog.Function{{URL: "http://f" + c.Name, Weight: rapid.IntRange(1, 3).Draw(t, "weight")}}
	}
	if len(others) > 0 && rapid.Bool().Draw(t, "linked") {
		price := rapid.Float64Range(0, 1).Draw(t, "price")
		c.Links = []catalog.Link{{To: others[0], Price: &price, Bandwidth: catalog.Size(rapid.Int64Range(0, 1<<30).Draw(t, "bandwidth"))}}
	}
	return c
}

func anyPolicy(t *rapid.T, name string, zones, clusters []string) *catalog.Policy {
	p := &catalog.Policy{Name: name, Copies: catalog.Copies{N: rapid.IntRange(1, 4).Draw(t, "copies")}, OnMiss: rapid.SampledFrom([]catalog.OnMiss{"", "reject", "pull"}).Draw(t, "on miss")}
	if rapid.IntRange(0, 4).Draw(t, "all") == 0 {
		p.Copies = catalog.Copies{All: true}
	}
	if rapid.IntRange(0, 2).Draw(t, "zones") == 0 {
		p.Zones = []string{rapid.SampledFrom(zones).Draw(t, "in")}
	}
	if rapid.IntRange(0, 3).Draw(t, "some") == 0 {
		p.Clusters = rapid.SliceOfNDistinct(rapid.SampledFrom(clusters), 1, 2, rapid.ID[string]).Draw(t, "only")
	}
	if rapid.IntRange(0, 3).Draw(t, "balanced") == 0 {
		p.Balance = catalog.RawObject(`{"policy":"cookie","secret":"<&>","n":1.50}`)
	}
	return p
}

// export writes resources as a document.
func export(t rapid.TB, f document.Format, rs []catalog.Resource) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := document.NewWriter(&buf, f)
	for _, r := range rs {
		if err := w.Item(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// settling is what replication would do.
func settling(used map[string]int64) func(document.Catalogue) document.Settle {
	return func(cat document.Catalogue) document.Settle { return replication.NewForecast(cat, used, nil).Settle }
}

// settled returns the copies of all buckets of a catalogue where everything is done, each
// with sizes that its name gives.
func settled(cat *routing.Snapshot) map[string][]document.Row {
	all := make(map[string][]document.Row)
	settle := settling(nil)(cat)
	cat.Buckets(func(b string) bool {
		copies, _ := settle(cat.Bucket(b), cat.Of(b).Rules(), nil)
		for _, c := range copies {
			n := int64(len(b) + 10*len(c.Prefix))
			all[b] = append(all[b], document.Row{Copy: c, Objects: n, Bytes: n * 1_000_000, Counted: true})
		}
		return true
	})
	return all
}

func each(all map[string][]document.Row) func(func(string, []document.Row) error) error {
	return func(f func(string, []document.Row) error) error {
		for _, b := range slices.Sorted(maps.Keys(all)) {
			if err := f(b, all[b]); err != nil {
				return err
			}
		}
		return nil
	}
}

func compare(t rapid.TB, body []byte, f document.Format, base *document.Base) *document.Comparison {
	t.Helper()
	doc, err := document.Parse(body, f)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	c, err := document.Compare(doc, base)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return c
}

func fields(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []string
	for _, v := range document.Violations(err) {
		got = append(got, v.Field)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v\nnames %q, want %q", err, got, want)
	}
}
