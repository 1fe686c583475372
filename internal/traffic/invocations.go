package traffic

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/routing"
)

// Invocations is told how invocations were decided, once each.
type Invocations interface {
	// CountDecision counts an invocation that was sent to a function.
	CountDecision(cluster string, l routing.Locality)
	// CountRejection counts an invocation that was refused.
	CountRejection(routing.Reason)
	// CountRead counts an invocation that reads its first input in another cluster than it runs in.
	CountRead(from, to string)
}

// InvocationCounters implements Invocations.
type InvocationCounters struct {
	// By locality; by cluster and locality; by reason.
	Decisions, InCluster, Rejections *prometheus.CounterVec
	// Reads are the invocations that read in another cluster.
	Reads history.Links

	// The children by value, so that counting a request is one atomic addition.
	byLocality [3]prometheus.Counter
	byReason   map[routing.Reason]prometheus.Counter
	byCluster  clusterDecisions
}

// NewInvocations returns counters that stand at 0.
func NewInvocations() *InvocationCounters {
	c := &InvocationCounters{
		Decisions: counter("route_decisions_total", "Invocations sent to a function, by where their data was: local, remote, or none named.", "locality"),
		InCluster: counter("route_cluster_decisions_total",
			"Invocations sent to a function, by its cluster and where their data was.", "cluster", "locality"),
		Rejections: counter("route_rejections_total", "Invocations refused, by X-FaDO-Reason.", "reason"),
		byReason:   make(map[routing.Reason]prometheus.Counter),
	}
	c.byCluster.vec = c.InCluster
	c.byCluster.known.Store(&map[string]*[3]prometheus.Counter{})
	for l := range c.byLocality {
		c.byLocality[l] = c.Decisions.WithLabelValues(routing.Locality(l).String())
	}
	for _, r := range Reasons() {
		c.byReason[r] = c.Rejections.WithLabelValues(string(r))
	}
	return c
}

// Reasons are those of refusals that are counted.
func Reasons() []routing.Reason {
	return []routing.Reason{
		routing.ReasonUnknownBucket, routing.ReasonNoFreshCopy, routing.ReasonNoEndpoint,
		routing.ReasonZoneForbidden, routing.ReasonNoBucket, routing.ReasonBadInput, routing.ReasonBadPath,
		routing.ReasonBadMethod,
	}
}

// CountDecision implements Invocations.
func (c *InvocationCounters) CountDecision(cluster string, l routing.Locality) {
	c.byLocality[l].Inc()
	c.byCluster.of(cluster)[l].Inc()
}

// CountRead implements Invocations.
func (c *InvocationCounters) CountRead(from, to string) {
	c.Reads.Add(history.Link{From: from, To: to}, 0)
}

// CountRejection implements Invocations. A reason that is none of Reasons makes no label.
func (c *InvocationCounters) CountRejection(r routing.Reason) {
	if n, ok := c.byReason[r]; ok {
		n.Inc()
	}
}

// Collectors are what is shown on /metrics.
func (c *InvocationCounters) Collectors() []prometheus.Collector {
	return []prometheus.Collector{c.Decisions, c.InCluster, c.Rejections}
}

// clusterDecisions counts by cluster and locality: a few hundred series at most, since they
// are of clusters with functions. Finding a counter takes no lock.
type clusterDecisions struct {
	vec   *prometheus.CounterVec
	mu    sync.Mutex
	known atomic.Pointer[map[string]*[3]prometheus.Counter] // replaced, never changed
}

func (d *clusterDecisions) of(cluster string) *[3]prometheus.Counter {
	if c := (*d.known.Load())[cluster]; c != nil {
		return c
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := maps.Clone(*d.known.Load())
	if c := known[cluster]; c != nil {
		return c
	}
	c := new([3]prometheus.Counter)
	for l := range c {
		c[l] = d.vec.WithLabelValues(cluster, routing.Locality(l).String())
	}
	known[cluster] = c
	d.known.Store(&known)
	return c
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "caddy_fado_" + name, Help: help}, labels)
}

// Interface guard
var _ Invocations = (*InvocationCounters)(nil)
