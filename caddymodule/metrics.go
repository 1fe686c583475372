package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/internal/traffic"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// Bounds of what a scrape may cost.
const (
	backlogTimeout = 2 * time.Second
	backlogMaxAge  = 2 * time.Second
	// maxBacklogSeries bounds the (bucket, cluster) pairs shown: the largest.
	maxBacklogSeries = 10_000
)

// counters count for as long as the process lives. Caddy makes a new registry for
// every configuration; the same counters are put in each, so that reloads reset
// nothing.
var counters = newCounters()

type processCounters struct {
	mismatches *prometheus.CounterVec
	objects    *prometheus.CounterVec
	bytes      *prometheus.CounterVec
	errors     *prometheus.CounterVec
	pulls      *prometheus.CounterVec
	moves      *prometheus.CounterVec
	lag        prometheus.Histogram
	// lags are those since the history's last values, in milliseconds.
	lags history.Spread
	// copies are those that went from one cluster to another.
	copies history.Links

	invocations *traffic.InvocationCounters
	s3          *traffic.S3Counters
}

func newCounters() *processCounters {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "caddy_fado_" + name, Help: help}, labels)
	}
	return &processCounters{
		mismatches: counter("verify_mismatches_total", "Objects that a verification found not to be what they should be.", "cluster"),
		objects:    counter("replicated_objects_total", "Objects copied to a cluster and verified.", "cluster"),
		bytes:      counter("replicated_bytes_total", "Bytes of the objects copied to a cluster and verified.", "cluster"),
		errors:     counter("replication_errors_total", "Attempts to copy or remove an object that failed, by kind of error.", "cluster", "kind"),
		pulls:      counter("pulls_total", "Objects copied on demand, by how that went; timeout: an invocation stopped waiting.", "result"),
		moves:      counter("primary_moves_total", "Primaries of buckets that moved, by the cluster they moved to.", "cluster"),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "caddy_fado_replication_lag_seconds",
			Help:    "Time from noticing a change of an object to its verified copy being routable.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}),
		invocations: traffic.NewInvocations(), s3: traffic.NewS3(),
	}
}

// Replicated implements replication.Metrics.
func (c *processCounters) Replicated(cluster string, bytes int64) {
	c.objects.WithLabelValues(cluster).Inc()
	c.bytes.WithLabelValues(cluster).Add(float64(bytes))
}

// CopiedOver implements replication.LinkMetrics.
func (c *processCounters) CopiedOver(from, to string, bytes int64) {
	c.copies.Add(history.Link{From: from, To: to}, bytes)
}

// Failed implements replication.Metrics.
func (c *processCounters) Failed(cluster, kind string) { c.errors.WithLabelValues(cluster, kind).Inc() }

// Mismatched implements replication.VerifyMetrics.
func (c *processCounters) Mismatched(cluster string) { c.mismatches.WithLabelValues(cluster).Inc() }

// Pulled implements replication.PullMetrics.
func (c *processCounters) Pulled(result string) { c.pulls.WithLabelValues(result).Inc() }

// Lag implements replication.Metrics.
func (c *processCounters) Lag(d time.Duration) {
	c.lag.Observe(d.Seconds())
	c.lags.Add(float64(d) / float64(time.Millisecond))
}

// collectors returns everything that an app's configuration shows on /metrics.
func collectors(app *App) []prometheus.Collector {
	return append(append(counters.s3.Collectors(), counters.invocations.Collectors()...),
		counters.mismatches, counters.objects, counters.bytes, counters.errors, counters.pulls, counters.moves, counters.lag,
		gauges{app},
	)
}

// KeepMetrics shows the app's metrics in the registry of a configuration that is about to be
// provisioned, until an app of that one registers its own.
func (app *App) KeepMetrics(ctx caddy.Context) error {
	return registerMetrics(ctx.GetMetricsRegistry(), app)
}

// registerMetrics puts the process's counters and the app's gauges in a registry, in place of
// another app's gauges.
func registerMetrics(registry *prometheus.Registry, app *App) error {
	registry.Unregister(gauges{}) // by its descriptions, whichever app's they are
	for _, c := range collectors(app) {
		err := registry.Register(c)
		if already := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}

// backlogCache keeps what the store last said for a moment, so that scrapes, however
// many, cost one query at a time. A pair that was shown once stays, with zeros, while
// there is room: a gauge that falls to nothing reads 0.
type backlogCache struct {
	read func(ctx context.Context, bucket string) ([]state.Backlog, error)

	mu    sync.Mutex
	asked time.Time
	last  []state.Backlog
}

// get returns the sums, at most maxBacklogSeries of them; the former ones when the
// store does not answer in time.
func (c *backlogCache) get(ctx context.Context) []state.Backlog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.asked) < backlogMaxAge {
		return c.last
	}
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	now, err := c.read(ctx, "")
	if err == nil {
		c.last = withZeros(now, c.last)
	}
	c.asked = time.Now()
	return c.last
}

// withZeros adds the pairs of before that are no more, and cuts to the largest.
func withZeros(now, before []state.Backlog) []state.Backlog {
	type pair struct{ bucket, cluster string }
	out := slices.Clone(now)
	have := make(map[pair]bool, len(now))
	for _, b := range now {
		have[pair{b.Bucket, b.Cluster}] = true
	}
	for _, b := range before {
		if !have[pair{b.Bucket, b.Cluster}] {
			out = append(out, state.Backlog{Bucket: b.Bucket, Cluster: b.Cluster})
		}
	}
	slices.SortStableFunc(out, func(a, b state.Backlog) int { return cmp.Compare(b.Objects, a.Objects) })
	return out[:min(len(out), maxBacklogSeries)]
}

// Interface guards
var (
	_ prometheus.Collector = gauges{}
	_ replication.Metrics  = (*processCounters)(nil)

	_ replication.PullMetrics   = (*processCounters)(nil)
	_ replication.LinkMetrics   = (*processCounters)(nil)
	_ replication.VerifyMetrics = (*processCounters)(nil)
)
