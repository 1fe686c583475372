package traffic

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// S3 is told what S3 endpoints do.
type S3 interface {
	// CountS3Open counts the requests that are being answered: 1 for another one, -1 at its end.
	CountS3Open(delta int)
	// CountS3 counts a request by its operation and the code of its error, "OK" for none.
	CountS3(operation, code string, took time.Duration)
	// CountS3Bytes counts bytes of objects: "in" from clients, "out" to them.
	CountS3Bytes(direction string, n int64)
	// CountS3Failover counts a read that went on at another copy.
	CountS3Failover()
	// CountS3Cache counts a read of an object that the cache may have: whether it had it, and
	// how many bytes no storage had to send.
	CountS3Cache(hit bool, saved int64)
}

// S3Counters implements S3.
type S3Counters struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	bytes     *prometheus.CounterVec
	failovers prometheus.Counter
	open      prometheus.Gauge

	hits, misses, saved prometheus.Counter // of caches

	in, out prometheus.Counter // of bytes
}

// NewS3 returns counters that stand at 0.
func NewS3() *S3Counters {
	c := &S3Counters{
		requests: counter("s3_requests_total", "Requests to S3 endpoints, by the code of their error; OK for none.", "operation", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "caddy_fado_s3_request_seconds",
			Help:    "Time of requests to S3 endpoints from their first byte to the last of the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"operation"}),
		bytes: counter("s3_bytes_total", "Bytes of objects that passed S3 endpoints, in from clients and out to them.", "direction"),
		failovers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "caddy_fado_s3_failovers_total", Help: "Reads of S3 endpoints that went on at another copy.",
		}),
	}
	c.open = prometheus.NewGauge(prometheus.GaugeOpts{Name: "caddy_fado_s3_open_requests", Help: "Requests that S3 endpoints are answering."})
	c.hits = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_fado_s3_cache_hits_total", Help: "Reads of objects that S3 endpoints answered from their caches, confirmed by a storage.",
	})
	c.misses = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_fado_s3_cache_misses_total", Help: "Reads of objects no larger than max_object that S3 endpoints with a cache answered from a storage.",
	})
	c.saved = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_fado_s3_cache_saved_bytes_total", Help: "Bytes of objects that storages did not have to send because of caches.",
	})
	c.in, c.out = c.bytes.WithLabelValues("in"), c.bytes.WithLabelValues("out")
	return c
}

// Collectors are what is shown on /metrics.
func (c *S3Counters) Collectors() []prometheus.Collector {
	return []prometheus.Collector{c.requests, c.seconds, c.bytes, c.failovers, c.open, c.hits, c.misses, c.saved}
}

// CountS3Open implements S3.
func (c *S3Counters) CountS3Open(delta int) { c.open.Add(float64(delta)) }

// CountS3 implements S3.
func (c *S3Counters) CountS3(operation, code string, took time.Duration) {
	c.requests.WithLabelValues(operation, code).Inc()
	c.seconds.WithLabelValues(operation).Observe(took.Seconds())
}

// CountS3Bytes implements S3.
func (c *S3Counters) CountS3Bytes(direction string, n int64) {
	if direction == "in" {
		c.in.Add(float64(n))
	} else {
		c.out.Add(float64(n))
	}
}

// CountS3Failover implements S3.
func (c *S3Counters) CountS3Failover() { c.failovers.Inc() }

// CountS3Cache implements S3.
func (c *S3Counters) CountS3Cache(hit bool, saved int64) {
	if !hit {
		c.misses.Inc()
		return
	}
	c.hits.Inc()
	c.saved.Add(float64(saved))
}

// Interface guard
var _ S3 = (*S3Counters)(nil)
