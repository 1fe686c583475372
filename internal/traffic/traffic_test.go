package traffic

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/routing"
)

// shown returns what collectors show, as "name{label="value",…} value", without what stands at 0.
func shown(t *testing.T, cs []prometheus.Collector) []string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if v == 0 {
				continue
			}
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name, ok := strings.CutPrefix(f.GetName(), "caddy_fado_")
			if !ok || f.GetHelp() == "" {
				t.Errorf("%s, %q", f.GetName(), f.GetHelp())
			}
			all = append(all, fmt.Sprintf("%s{%s} %v", name, strings.Join(labels, ","), v))
		}
	}
	return all
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Invocations are counted by what they are asked about; a reason that is no label counts nothing.
func TestInvocations(t *testing.T) {
	c := NewInvocations()
	var to Invocations = c
	to.CountDecision("c1", routing.LocalityLocal)
	to.CountDecision("c2", routing.LocalityLocal)
	to.CountDecision("c2", routing.LocalityNone)
	to.CountRejection(routing.ReasonNoBucket)
	to.CountRejection("a reason that a client made up")
	to.CountRead("c1", "c2")
	same(t, shown(t, c.Collectors()),
		"route_cluster_decisions_total{cluster=c1,locality=local} 1",
		"route_cluster_decisions_total{cluster=c2,locality=local} 1",
		"route_cluster_decisions_total{cluster=c2,locality=none} 1",
		"route_decisions_total{locality=local} 2",
		"route_decisions_total{locality=none} 1",
		"route_rejections_total{reason=no-bucket} 1")
	reads := c.Reads.Amounts()
	if a := reads[history.Link{From: "c1", To: "c2"}]; a.Times != 1 || len(reads) != 1 {
		t.Errorf("reads %v", slices.Collect(maps.Keys(reads)))
	}
}

// A cluster that several count first at once has one counter, and knowing it costs nothing.
func TestInvocationsAtOnce(t *testing.T) {
	c := NewInvocations()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for n := range 10 {
				c.CountDecision(fmt.Sprint("c", n), routing.LocalityRemote)
			}
		})
	}
	wg.Wait()
	for n := range 10 {
		if all := shown(t, c.Collectors()); !slices.Contains(all, fmt.Sprintf("route_cluster_decisions_total{cluster=c%d,locality=remote} 20", n)) {
			t.Fatal(all)
		}
	}
	if n := testing.AllocsPerRun(100, func() { c.CountDecision("c3", routing.LocalityLocal) }); n != 0 {
		t.Errorf("%v allocations to count one", n)
	}
}

// Every reason has its label from the start, so that the first refusal is an increase.
func TestReasonsAreShownFromTheStart(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewInvocations().Rejections)
	families, err := r.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != len(Reasons()) {
		t.Errorf("%v %v", families, err)
	}
}

// Every reason that routing gives is counted, and no other makes a label.
func TestReasonsAreRoutings(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../../routing/query.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var given []routing.Reason
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Reason" {
				text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				given = append(given, routing.Reason(text))
			}
		}
		return true
	})
	given = slices.DeleteFunc(given, func(r routing.Reason) bool { return r == routing.ReasonNone })
	counted := slices.Sorted(slices.Values(Reasons()))
	if slices.Sort(given); len(given) == 0 || !slices.Equal(given, counted) {
		t.Errorf("counted are %q, given %q", counted, given)
	}
}

// Times are in seconds, and the slowest answer that is told from others takes five minutes.
func TestTimesOfS3(t *testing.T) {
	c := NewS3()
	c.CountS3("GetObject", "OK", 1500*time.Millisecond)
	c.CountS3("GetObject", "OK", 4*time.Minute)
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c.seconds)
	families, err := r.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatal(families, err)
	}
	h := families[0].GetMetric()[0].GetHistogram()
	if h.GetSampleSum() != 241.5 {
		t.Errorf("%v seconds in all", h.GetSampleSum())
	}
	for _, b := range h.GetBucket() {
		want := uint64(0)
		switch {
		case b.GetUpperBound() >= 240:
			want = 2
		case b.GetUpperBound() >= 1.5:
			want = 1
		}
		if b.GetCumulativeCount() != want {
			t.Errorf("%d took up to %v s, want %d", b.GetCumulativeCount(), b.GetUpperBound(), want)
		}
	}
	if n := len(h.GetBucket()); n == 0 || h.GetBucket()[n-1].GetUpperBound() != 300 {
		t.Errorf("buckets %v", h.GetBucket())
	}
}

func TestS3(t *testing.T) {
	c := NewS3()
	var to S3 = c
	to.CountS3Open(1)
	to.CountS3Open(1)
	to.CountS3Open(-1)
	to.CountS3("GetObject", "OK", time.Second)
	to.CountS3("GetObject", "NoSuchKey", time.Second)
	to.CountS3Bytes("in", 5)
	to.CountS3Bytes("out", 7)
	to.CountS3Failover()
	to.CountS3Cache(true, 100)
	to.CountS3Cache(false, 0)
	same(t, shown(t, c.Collectors()),
		"s3_bytes_total{direction=in} 5",
		"s3_bytes_total{direction=out} 7",
		"s3_cache_hits_total{} 1",
		"s3_cache_misses_total{} 1",
		"s3_cache_saved_bytes_total{} 100",
		"s3_failovers_total{} 1",
		"s3_open_requests{} 1",
		"s3_request_seconds{operation=GetObject} 2",
		"s3_requests_total{code=NoSuchKey,operation=GetObject} 1",
		"s3_requests_total{code=OK,operation=GetObject} 1")
}

// Counters are the process's: they are put in one registry after the other, and go on counting.
func TestCountersOutliveARegistry(t *testing.T) {
	c, s := NewInvocations(), NewS3()
	for n := 1; n <= 2; n++ {
		c.CountRejection(routing.ReasonNoBucket)
		s.CountS3Failover()
		same(t, shown(t, append(c.Collectors(), s.Collectors()...)),
			fmt.Sprintf("route_rejections_total{reason=no-bucket} %d", n), fmt.Sprintf("s3_failovers_total{} %d", n))
	}
}
