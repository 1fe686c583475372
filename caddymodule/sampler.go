package caddymodule

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/routing"
)

// remember begins a history by the settings of a configuration, unless one by the same
// settings goes on.
func (rt *runtime) remember(s historySettings) {
	if rt.remembers == s && rt.history.Load() != nil {
		return
	}
	rt.remembers = s
	if s.keep == 0 {
		rt.history.Store(nil)
		return
	}
	counters.lags.Take() // of a time that nothing was kept of
	rt.history.Store(history.New(s.keep, s.interval, s.memory))
	select {
	case rt.remembered <- struct{}{}:
	default:
	}
}

// sampler measures for the history.
type sampler struct {
	rt     *runtime
	before map[string]float64 // counters at the last time
	at     time.Time
	others exchange
}

// run measures until ctx ends.
func (s *sampler) run(ctx context.Context) {
	for {
		var due <-chan time.Time // never, while nothing is kept
		if rings := s.rt.history.Load(); rings != nil {
			s.sample(ctx, rings, time.Now())
			s.others.trade(ctx, rings, time.Now())
			due = time.After(rings.Step())
		}
		select {
		case <-due:
		case <-s.rt.remembered:
		case <-ctx.Done():
			return
		}
	}
}

// sample puts the values of now.
func (s *sampler) sample(ctx context.Context, rings *history.Rings, now time.Time) {
	all := append(append(s.rates(now), s.backlog(ctx)...), s.places()...)
	for i := range all {
		all[i].Rank = rankOf(all[i].Series)
	}
	rings.Put(now, all)
	s.rt.flows.mark(now)
}

// rankOf says what a series is of: where memory is short, those of single endpoints and clusters make
// room for those of all.
func rankOf(series string) history.Rank {
	switch kind, rest, of := strings.Cut(series, "."); {
	case kind == "in_flight_at":
		return history.OfEndpoint
	case of && (kind == "in_flight" || kind == "used" || kind == "copied"),
		kind == "decisions" && strings.Contains(rest, "."):
		return history.OfCluster
	default:
		return history.OfAll
	}
}

var localities = []routing.Locality{routing.LocalityNone, routing.LocalityLocal, routing.LocalityRemote}

// rates are how much counters grew in a second.
func (s *sampler) rates(now time.Time) (all []history.Sample) {
	counts := map[string]float64{"rejections": countOf(counters.invocations.Rejections), "errors": countOf(counters.errors)}
	eachCount(counters.invocations.Decisions, func(label func(string) string, n float64) { counts["decisions."+label("locality")] = n })
	s.rt.control.Router().Snapshot().Clusters(func(cl *catalog.Cluster) bool {
		if len(cl.Functions) > 0 { // what has no counter yet has not happened
			for _, l := range localities {
				counts["decisions."+l.String()+"."+cl.Name] = 0
			}
		}
		if cl.Storage != nil {
			counts["copied."+cl.Name] = 0
		}
		return true
	})
	eachCount(counters.invocations.InCluster, func(label func(string) string, n float64) {
		counts["decisions."+label("locality")+"."+label("cluster")] = n
	})
	eachCount(counters.invocations.Rejections, func(label func(string) string, n float64) { counts["rejections."+label("reason")] = n })
	eachCount(counters.errors, func(label func(string) string, n float64) { counts["errors."+label("kind")] += n })
	eachCount(counters.bytes, func(label func(string) string, n float64) { counts["copied."+label("cluster")] = n })
	if seconds := now.Sub(s.at).Seconds(); s.before != nil && seconds > 0 {
		for name, n := range counts {
			all = append(all, history.Sample{Series: name, Value: max(0, n-s.before[name]) / seconds})
		}
		slices.SortFunc(all, func(a, b history.Sample) int { return cmp.Compare(a.Series, b.Series) })
	}
	s.before, s.at = counts, now
	return all
}

// lagOf is how long copies took since the last time; a gap where there were none.
func lagOf(lags *history.Spread) []history.Sample {
	of := lags.Take(0.50, 0.99)
	return []history.Sample{{Series: "lag.p50", Value: of[0], Peak: true}, {Series: "lag.p99", Value: of[1], Peak: true}}
}

// backlog is what replication is doing. What the store can't tell now is a gap.
func (s *sampler) backlog(ctx context.Context) []history.Sample {
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	st, err := s.rt.engine.Reports().Status(ctx, false)
	all := append(lagOf(&counters.lags),
		history.Sample{Series: "throughput.objects", Value: st.Rate.Objects},
		history.Sample{Series: "throughput.bytes", Value: st.Rate.Bytes})
	if err != nil {
		return all
	}
	oldest := 0.0
	if st.Queue.Oldest != nil {
		oldest = max(0, time.Since(*st.Queue.Oldest).Seconds())
	}
	return append(all,
		history.Sample{Series: "backlog.objects", Value: float64(st.Queue.Objects), Peak: true},
		history.Sample{Series: "backlog.bytes", Value: float64(st.Queue.Bytes), Peak: true},
		history.Sample{Series: "backlog.oldest", Value: oldest, Peak: true})
}

// places is what is in flight, and what storages hold.
func (s *sampler) places() []history.Sample {
	snap := s.rt.control.Router().Snapshot()
	inFlight, all := make(map[string]int64), []history.Sample{{Series: "in_flight", Peak: true}}
	var each []history.Sample
	for _, ep := range snap.Endpoints() {
		n := ep.Live.InFlight.Load()
		inFlight[ep.Cluster] += n
		all[0].Value += float64(n)
		each = append(each, history.Sample{Series: "in_flight_at." + ep.Cluster + " " + ep.URL, Value: float64(n), Peak: true})
	}
	snap.Clusters(func(cl *catalog.Cluster) bool {
		if len(cl.Functions) > 0 {
			all = append(all, history.Sample{Series: "in_flight." + cl.Name, Value: float64(inFlight[cl.Name]), Peak: true})
		}
		if cl.Storage != nil {
			all = append(all, history.Sample{Series: "used." + cl.Name, Value: float64(s.rt.engine.Reports().Storage(cl.Name).UsedBytes), Peak: true})
		}
		return true
	})
	return append(all, each...)
}

// countOf sums the counters of a collector.
func countOf(c prometheus.Collector) (sum float64) {
	eachCount(c, func(_ func(string) string, n float64) { sum += n })
	return sum
}

// eachCount calls f with the counters of a collector, and what tells their labels.
func eachCount(c prometheus.Collector, f func(label func(name string) string, n float64)) {
	ch := make(chan prometheus.Metric)
	go func() {
		c.Collect(ch)
		close(ch)
	}()
	for m := range ch {
		var v dto.Metric
		if m.Write(&v) != nil {
			continue
		}
		f(func(name string) string {
			for _, l := range v.GetLabel() {
				if l.GetName() == name {
					return l.GetValue()
				}
			}
			return ""
		}, v.GetCounter().GetValue())
	}
}
