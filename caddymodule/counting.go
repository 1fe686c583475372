package caddymodule

import (
	"time"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/routing"
)

// CountDecision counts an invocation that was sent to a function.
func (*App) CountDecision(cluster string, l routing.Locality) {
	counters.byLocality[l].Inc()
	counters.inCluster.of(cluster)[l].Inc()
}

// CountRead counts an invocation that reads in another cluster than it runs in.
func (*App) CountRead(from, to string) { counters.reads.Add(history.Link{From: from, To: to}, 0) }

// CountRejection counts an invocation that was refused.
func (*App) CountRejection(r routing.Reason) {
	if c, ok := counters.byReason[r]; ok {
		c.Inc()
	}
}

// CountS3Open counts the requests that S3 endpoints are answering.
func (*App) CountS3Open(delta int) { counters.s3.open.Add(float64(delta)) }

// CountS3 counts a request to an S3 endpoint.
func (*App) CountS3(operation, code string, took time.Duration) {
	counters.s3.requests.WithLabelValues(operation, code).Inc()
	counters.s3.seconds.WithLabelValues(operation).Observe(took.Seconds())
}

// CountS3Bytes counts bytes of objects, "in" from clients or "out" to them.
func (*App) CountS3Bytes(direction string, n int64) {
	if direction == "in" {
		counters.s3.in.Add(float64(n))
	} else {
		counters.s3.out.Add(float64(n))
	}
}

// CountS3Failover counts a read that went on at another copy.
func (*App) CountS3Failover() { counters.s3.failovers.Inc() }

// CountS3Cache counts a read of an object that the cache of an S3 endpoint may have.
func (*App) CountS3Cache(hit bool, saved int64) {
	if !hit {
		counters.s3.misses.Inc()
		return
	}
	counters.s3.hits.Inc()
	counters.s3.saved.Add(float64(saved))
}
