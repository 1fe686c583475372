package document_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
)

// Copies after are those before, plus what is added, minus what is removed; totals are the
// sums of the parts; pages are the whole; the same input gives the same outlook.
func TestMovesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		have, want := anyCatalogue().Draw(t, "have"), anyCatalogue().Draw(t, "want")
		base := baseOf(have...)
		doc, err := document.Parse(export(t, document.JSON, want), document.JSON)
		if err != nil {
			t.Fatal(err)
		}
		c, err := document.Compare(doc, base)
		if err != nil {
			return // something that the document does not name stands against it
		}
		rows := settled(snapshotOf(have...))
		w := &document.World{Settling: settling(nil), Copies: each(rows)}
		whole := forecast(t, c, w, document.Page{Limit: math.MaxInt})
		sameCopies(t, c, rows, whole)
		sumsUp(t, c, whole)
		pagesUp(t, c, w, whole)
	})
}

func forecast(t rapid.TB, c *document.Comparison, w *document.World, p document.Page) *document.Outlook {
	t.Helper()
	o, err := c.Forecast(w, p)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// sameCopies holds what moves against where the copies settle.
func sameCopies(t *rapid.T, c *document.Comparison, rows map[string][]document.Row, o *document.Outlook) {
	key := func(bucket, prefix, cluster string) string { return bucket + "|" + prefix + "|" + cluster }
	got := make(map[string]bool)
	for b, rs := range rows {
		for _, r := range rs {
			if c.Target().Bucket(b) != nil && ruleOf(c.Target().Bucket(b), r.Prefix) {
				got[key(b, r.Prefix, r.Cluster)] = true
			}
		}
	}
	for _, m := range o.Moves.Buckets {
		if !ruleOf(c.Target().Bucket(m.Bucket), m.Prefix) {
			continue
		}
		for _, cl := range m.Add {
			got[key(m.Bucket, m.Prefix, cl)] = true
		}
		for _, cl := range m.Remove {
			delete(got, key(m.Bucket, m.Prefix, cl))
		}
	}
	settle := settling(nil)(c.Target())
	c.Target().Buckets(func(name string) bool {
		b := c.Target().Bucket(name)
		if len(rows[name]) == 0 || len(b.Prefixes) > 0 || len(rows[name]) != len(inRule(rows[name], "")) {
			return true // rules that come and go take over each other's copies
		}
		rules := []catalog.PrefixRule{{Policy: b.Policy}}
		if b.Policy == "" {
			rules[0].Policy = c.Target().DefaultPolicy()
		}
		var copies []catalog.Copy
		for _, r := range rows[name] {
			copies = append(copies, r.Copy)
		}
		after, _ := settle(b, rules, copies)
		for _, cp := range after {
			if !got[key(name, "", cp.Cluster)] {
				t.Fatalf("%s settles in %s, which is neither there nor added", name, cp.Cluster)
			}
			delete(got, key(name, "", cp.Cluster))
		}
		for k := range got {
			if len(k) > len(name) && k[:len(name)+2] == name+"||" {
				t.Fatalf("%s has %s, where it does not settle", name, k)
			}
		}
		return true
	})
}

func inRule(rows []document.Row, prefix string) []document.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r document.Row) bool { return r.Prefix != prefix })
}

func ruleOf(b *catalog.Bucket, prefix string) bool {
	return b != nil && (prefix == "" || slices.ContainsFunc(b.Prefixes, func(r catalog.PrefixRule) bool { return r.Prefix == prefix }))
}

func sumsUp(t *rapid.T, c *document.Comparison, o *document.Outlook) {
	var copies, objects, bytes, removed, linked int64
	var egress float64
	for _, m := range o.Moves.Buckets {
		n := int64(len(m.Add))
		if ruleOf(c.Target().Bucket(m.Bucket), m.Prefix) { // else they go to copies of the rule that has the keys now
			copies += n
		}
		objects, bytes, removed = objects+n*m.Objects, bytes+n*m.Bytes, removed+int64(len(m.Remove))
		egress += m.Egress
	}
	longest := 0.0
	for _, l := range o.Moves.Links {
		linked += l.Bytes
		longest = max(longest, l.Seconds)
	}
	total := o.Moves.Total
	if total.Copies != copies || total.Objects != objects || total.Bytes != bytes || o.Moves.Removed.Copies != removed || linked > bytes ||
		math.Abs(total.Egress-egress) > 1e-9*(1+egress) || total.SecondsLow != longest || total.SecondsHigh < total.SecondsLow {
		t.Fatalf("%+v is not the sum of its parts", o.Moves)
	}
}

func pagesUp(t *rapid.T, c *document.Comparison, w *document.World, whole *document.Outlook) {
	var listed []string
	p := document.Page{Limit: rapid.IntRange(1, 3).Draw(t, "limit")}
	kept, keep := new(document.Outlook), rapid.IntRange(1, 7).Draw(t, "kept") // of which pages are taken while it has them
	for first := true; ; first = false {
		o, ok := kept.Page(p)
		if first || !ok {
			kept = forecast(t, c, w, document.Page{After: p.After, Limit: max(p.Limit, keep)})
			if o, ok = kept.Page(p); !ok {
				t.Fatalf("an outlook from %q does not have its first page", p.After)
			}
		}
		if fresh := forecast(t, c, w, p); fresh.Moves.Next != o.Moves.Next || len(fresh.Moves.Buckets) != len(o.Moves.Buckets) {
			t.Fatalf("the page after %q has %d moves and goes on after %q, want %d and %q",
				p.After, len(o.Moves.Buckets), o.Moves.Next, len(fresh.Moves.Buckets), fresh.Moves.Next)
		}
		if o.Moves.Total != whole.Moves.Total {
			t.Fatalf("a page has the totals %+v, the whole %+v", o.Moves.Total, whole.Moves.Total)
		}
		for _, m := range o.Moves.Buckets {
			listed = append(listed, m.Key())
		}
		if p.After = o.Moves.Next; p.After == "" {
			break
		}
	}
	var want []string
	for _, m := range whole.Moves.Buckets {
		want = append(want, m.Key())
	}
	if !slices.Equal(listed, want) {
		t.Fatalf("pages list %q, want %q", listed, want)
	}
}

// three is a catalogue of three clusters, with a bucket that has a copy in two.
func three() (rs []catalog.Resource, rows map[string][]document.Row) {
	for i, zone := range []string{"eu", "eu", "us"} {
		name := fmt.Sprintf("c%d", i+1)
		rs = append(rs, &catalog.Cluster{
			Name: name, Zones: []string{zone}, Storage: &catalog.Storage{Endpoint: "http://" + name},
			Functions: []catalog.Function{{URL: "http://f" + name}}, EgressPrice: 0.5, StoragePrice: 2,
		})
	}
	rs = append(rs, &catalog.Zone{Name: "eu"}, &catalog.Zone{Name: "us"},
		&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Spread: catalog.SpreadCluster, Clusters: []string{"c1", "c2"}},
		&catalog.Bucket{Name: "photos", Policy: "p", Primary: "c1"})
	row := func(cluster string, primary bool) document.Row {
		return document.Row{Copy: catalog.Copy{Cluster: cluster, Primary: primary, State: catalog.CopySynced}, Objects: 10, Bytes: 5e9, Counted: true}
	}
	return rs, map[string][]document.Row{"photos": {row("c1", true), row("c2", false)}}
}

// A copy that moves costs what the link says, takes as long as its rate says, and is told
// with what its policy forbids.
func TestOneMove(t *testing.T) {
	t.Parallel()
	rs, rows := three()
	c := compare(t, []byte(`{"fado":1,"policies":[{"name":"p","copies":2,"spread":"cluster","clusters":["c1","c3"]}]}`), document.JSON, baseOf(rs...))
	w := &document.World{Settling: settling(nil), Copies: each(rows), Used: map[string]int64{}}
	o := forecast(t, c, w, document.Page{Limit: 10})
	want := document.Total{Buckets: 1, Copies: 1, Objects: 10, Bytes: 5e9, SecondsLow: 400, SecondsHigh: 1200, Egress: 2.5}
	if o.Moves.Total != want || o.Moves.Removed != (document.Removed{Copies: 1, Objects: 10, Bytes: 5e9}) {
		t.Errorf("%+v %+v", o.Moves.Total, o.Moves.Removed)
	}
	m := o.Moves.Buckets[0]
	if !slices.Equal(m.Add, []string{"c3"}) || !slices.Equal(m.Remove, []string{"c2"}) || m.From != m.To {
		t.Errorf("%+v", m)
	}
	if len(o.Violations) != 1 || o.Violations[0].Kind != document.CopyOutside || o.Blocked {
		t.Errorf("%+v", o.Violations)
	}
	if o.Routes.Changed != 1 || o.Routes.LocalBefore != 1 || o.Routes.LocalAfter != 1 || o.Routes.RefusedAfter != 0 {
		t.Errorf("%+v", o.Routes)
	}

	w.Measured = func(from, to string) float64 { return 50e6 }
	o = forecast(t, c, w, document.Page{Limit: 10})
	if o.Moves.Total.SecondsLow != 100 || o.Moves.Total.SecondsHigh != 150 || o.Moves.Links[0].RateSource != document.Measured {
		t.Errorf("measured: %+v", o.Moves)
	}
	price := 0.25
	rs[2].(*catalog.Cluster).Links = []catalog.Link{{To: "c1", Bandwidth: 25e6, Price: &price}} // both ways
	w.Measured = nil
	o = forecast(t, compare(t, []byte(`{"fado":1,"policies":[{"name":"p","copies":2,"spread":"cluster","clusters":["c1","c3"]}]}`), document.JSON, baseOf(rs...)), w, document.Page{Limit: 10})
	if o.Moves.Total.SecondsLow != 200 || o.Moves.Total.Egress != 1.25 || o.Moves.Links[0].RateSource != document.Declared {
		t.Errorf("declared: %+v", o.Moves)
	}
}

// What comes is paid for at its cluster's price of storage, what goes no more; of the link and the two
// storages, the slowest sets the time.
func TestPricesAndRates(t *testing.T) {
	t.Parallel()
	const gb = 5 // of the bucket, in each copy
	for name, tc := range map[string]struct {
		prices   [3]float64 // of storage
		rates    [3]int64   // of the storages
		link     int64
		document string
		month    float64
		seconds  float64
	}{
		"from the cheap to the dear":   {prices: [3]float64{1, 2, 3}, document: `["c1","c3"]`, month: gb * (3 - 2), seconds: 400},
		"from the dear to the cheap":   {prices: [3]float64{1, 3, 2}, document: `["c1","c3"]`, month: gb * (2 - 3), seconds: 400},
		"the source is slow":           {rates: [3]int64{10e6, 0, 20e6}, link: 25e6, document: `["c1","c3"]`, seconds: 500},
		"the destination is slow":      {rates: [3]int64{20e6, 0, 10e6}, link: 25e6, document: `["c1","c3"]`, seconds: 500},
		"the link is slow":             {rates: [3]int64{50e6, 0, 50e6}, link: 25e6, document: `["c1","c3"]`, seconds: 200},
		"another storage is slow only": {rates: [3]int64{0, 1, 50e6}, document: `["c1","c3"]`, seconds: 100},
	} {
		rs, rows := three()
		for i := range 3 {
			c := rs[i].(*catalog.Cluster)
			c.StoragePrice, c.Storage.Bandwidth = tc.prices[i], catalog.Size(tc.rates[i])
			if i == 2 && tc.link > 0 {
				c.Links = []catalog.Link{{To: "c1", Bandwidth: catalog.Size(tc.link)}}
			}
		}
		c := compare(t, fmt.Appendf(nil, `{"fado":1,"policies":[{"name":"p","copies":2,"spread":"cluster","clusters":%s}]}`, tc.document), document.JSON, baseOf(rs...))
		o := forecast(t, c, &document.World{Settling: settling(nil), Copies: each(rows), Used: map[string]int64{}}, document.Page{Limit: 10})
		if got := o.Moves.Total; got.StoragePerMonth != tc.month || got.SecondsLow != tc.seconds {
			t.Errorf("%s: %+v, want %v a month and %v s", name, got, tc.month, tc.seconds)
		}
	}
}

// Where no cluster that the policy allows runs functions, invocations are refused from then on; where
// one does again, no longer.
func TestRefusedRoutes(t *testing.T) {
	t.Parallel()
	rs, rows := three()
	rs[2].(*catalog.Cluster).Functions = nil
	for i := range rs {
		if p, ok := rs[i].(*catalog.Policy); ok {
			p.Copies.N = 1
		}
	}
	rs = append(rs, &catalog.Policy{Name: "q", Copies: catalog.Copies{N: 1}, Clusters: []string{"c3"}}, &catalog.Bucket{Name: "archive", Policy: "q", Primary: "c3"})
	archived := rows["photos"][0]
	archived.Cluster = "c3"
	moved := map[string][]document.Row{"photos": rows["photos"][:1], "archive": {archived}} // which nothing concerns
	ask := func(clusters string) document.Routes {
		t.Helper()
		body := fmt.Appendf(nil, `{"fado":1,"policies":[{"name":"p","copies":1,"clusters":%s}],"buckets":[{"name":"photos","policy":"p"}]}`, clusters)
		c := compare(t, body, document.JSON, baseOf(rs...))
		return forecast(t, c, &document.World{Settling: settling(nil), Copies: each(moved), Used: map[string]int64{}}, document.Page{Limit: 10}).Routes
	}
	if got := ask(`["c3"]`); got.RefusedBefore != 1 || got.RefusedAfter != 2 || got.LocalBefore != 1 || got.LocalAfter != 0 {
		t.Errorf("without a function: %+v", got)
	}
	if got := ask(`["c2"]`); got.RefusedBefore != 1 || got.RefusedAfter != 1 || got.LocalAfter != 1 {
		t.Errorf("with one: %+v", got)
	}
}

// What a document would break or leave short is said; only a primary outside blocks.
func TestViolations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body    string
		kind    document.IssueKind
		blocked bool
	}{
		"primary":  {`{"fado":1,"policies":[{"name":"p","clusters":["c2"]}]}`, document.PrimaryOutside, true},
		"too few":  {`{"fado":1,"policies":[{"name":"p","copies":3,"clusters":["c1","c2"]}]}`, document.TooFewClusters, false},
		"capacity": {`{"fado":1,"clusters":[{"name":"c3","zones":["us"],"storage":{"endpoint":"http://c3","capacity":"5GB"}}],"policies":[{"name":"p","copies":3,"clusters":["c1","c2","c3"]}]}`, document.OverCapacity, false},
		"function": {`{"fado":1,"clusters":[{"name":"c4","zones":["us"]}],"policies":[{"name":"q","clusters":["c4"]}]}`, document.NoFunction, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rs, rows := three()
			w := &document.World{Settling: settling(map[string]int64{"c3": 1}), Copies: each(rows), Used: map[string]int64{"c3": 1}}
			o := forecast(t, compare(t, []byte(tc.body), document.JSON, baseOf(rs...)), w, document.Page{Limit: 10})
			if !slices.ContainsFunc(o.Violations, func(i document.Issue) bool { return i.Kind == tc.kind && i.Blocking == tc.blocked }) || o.Blocked != tc.blocked {
				t.Errorf("%+v", o)
			}
		})
	}
}

// The time of a plan over buckets of three copies each that all move, because the one policy
// they have changes; live-MiB is what the plan itself holds at its end.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkPlan(b, n) })
	}
}

func benchmarkPlan(b *testing.B, n int) {
	b.Helper()
	rs, _ := three()
	rs = slices.DeleteFunc(rs, func(r catalog.Resource) bool {
		return r.ResourceKind() == catalog.KindPolicy || r.ResourceKind() == catalog.KindBucket
	})
	for i := range 3 {
		name := fmt.Sprintf("d%d", i)
		rs = append(rs, &catalog.Cluster{Name: name, Zones: []string{"us"}, Storage: &catalog.Storage{Endpoint: "http://" + name}})
	}
	rs = append(rs, &catalog.Policy{Name: "p", Copies: catalog.Copies{N: 3}, Clusters: []string{"c1", "c2", "c3"}})
	for i := range n {
		rs = append(rs, &catalog.Bucket{Name: fmt.Sprintf("bucket-%07d", i), Policy: "p"})
	}
	base := baseOf(rs...)
	w := &document.World{Settling: settling(nil), Copies: threeCopies(n)}
	var live float64
	for b.Loop() {
		b.StopTimer()
		before := liveHeap()
		b.StartTimer()
		c := compare(b, []byte(`{"fado":1,"policies":[{"name":"p","copies":3,"clusters":["d0","d1","d2"]}]}`), document.JSON, base)
		o := forecast(b, c, w, document.Page{Limit: 1000})
		b.StopTimer()
		live = liveHeap() - before
		if t := o.Moves.Total; t.Buckets != int64(n) || t.Copies != 3*int64(n) || t.Bytes != 15e9*int64(n) || len(o.Moves.Buckets) != 1000 {
			b.Fatalf("%+v", t)
		}
		b.StartTimer()
	}
	b.ReportMetric(live, "live-MiB")
}

func liveHeap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// threeCopies streams the copies of n buckets in c1, c2 and c3, as a store does.
func threeCopies(n int) func(func(string, []document.Row) error) error {
	return func(f func(string, []document.Row) error) error {
		rows := make([]document.Row, 3)
		for i := range n {
			for j := range rows {
				rows[j] = document.Row{
					Copy:    catalog.Copy{Cluster: fmt.Sprintf("c%d", j+1), Primary: j == 0, State: catalog.CopySynced},
					Objects: 10, Bytes: 5e9, Counted: true,
				}
			}
			if err := f(fmt.Sprintf("bucket-%07d", i), rows); err != nil {
				return err
			}
		}
		return nil
	}
}
