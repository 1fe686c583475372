package caddymodule

import "github.com/prometheus/client_golang/prometheus"

// s3Counters count what S3 endpoints do.
type s3Counters struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	bytes     *prometheus.CounterVec
	failovers prometheus.Counter
	open      prometheus.Gauge

	hits, misses, saved prometheus.Counter // of caches

	in, out prometheus.Counter // of bytes
}

func newS3Counters(counter func(name, help string, labels ...string) *prometheus.CounterVec) s3Counters {
	c := s3Counters{
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

func (c *s3Counters) all() []prometheus.Collector {
	return []prometheus.Collector{c.requests, c.seconds, c.bytes, c.failovers, c.open, c.hits, c.misses, c.saved}
}
