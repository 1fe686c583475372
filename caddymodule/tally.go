package caddymodule

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// How often buckets are judged at most, for metrics and logs.
const (
	tallyEvery = 2 * time.Second
	// tallyShare bounds the time spent on it to a fiftieth.
	tallyShare = 50
	// maxTallySeries bounds the buckets with series of their own: those with most.
	maxTallySeries = 1000
	// watchEvery is how often the log is told which buckets need people.
	watchEvery = 15 * time.Second
	// maxTold bounds the buckets that one look logs by name.
	maxTold = 20
)

// tallyCache keeps how many buckets are in which state, so that scrapes, however many, cost
// one judgement at a time. It keeps the former one while the store does not answer.
type tallyCache struct {
	read func(context.Context) (control.Tally, error)
	sums func(context.Context) ([]state.CopySum, error)
	// drains says whether a cluster drains.
	drains func(cluster string) bool

	mu    sync.Mutex
	due   time.Time
	last  control.Tally
	lastC []state.CopySum
	shown struct{ conflicts, held, copies map[[2]string]bool } // series that are 0 when they are over
}

// get returns the states of buckets and the sums of copies, a few seconds old at most, or as
// old as it takes for the time spent on them to stay small.
func (c *tallyCache) get(ctx context.Context) (control.Tally, []state.CopySum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	if began.Before(c.due) {
		return c.last, c.lastC
	}
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	if t, err := c.read(ctx); err == nil {
		c.last = t
	}
	if sums, err := c.sums(ctx); err == nil {
		c.lastC = sums
	}
	c.due = time.Now().Add(max(tallyEvery, tallyShare*time.Since(began)))
	return c.last, c.lastC
}

// collect tells the gauges.
func (c *tallyCache) collect(gauge gaugeFunc) {
	t, sums := c.get(context.Background())
	for s, n := range t.States {
		gauge(bucketsDesc, float64(n), s)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	perBucket(gauge, conflictsDesc, &c.shown.conflicts, t.Conflicts)
	perBucket(gauge, heldDeletesDesc, &c.shown.held, t.HeldDeletes)
	copies, drain := make(map[[2]string]float64), make(map[string]float64)
	for _, s := range sums {
		copies[[2]string{s.Cluster, s.State.String()}] += float64(s.Copies)
		drain[s.Cluster] += float64(s.Objects)
	}
	for k, n := range lasting(&c.shown.copies, copies) {
		gauge(copiesDesc, n, k[0], k[1])
	}
	for cluster, n := range drain {
		if c.drains(cluster) {
			gauge(drainDesc, n, cluster)
		}
	}
}

// perBucket tells a gauge that has counts by bucket. One that only others leave no room for has no
// series, and not 0.
func perBucket(gauge gaugeFunc, d *prometheus.Desc, shown *map[[2]string]bool, counts map[string]int64) {
	for b, n := range lasting(shown, byBucket(counts)) {
		if n > 0 || counts[b[0]] == 0 {
			gauge(d, n, b[0])
		}
	}
}

// byBucket makes series of counts by bucket, of those with most.
func byBucket(counts map[string]int64) map[[2]string]float64 {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	series := make(map[[2]string]float64)
	for _, b := range names[:min(len(names), maxTallySeries)] {
		series[[2]string{b}] = float64(counts[b])
	}
	return series
}

// lasting adds zeros for series that were shown and are no more, while there is room, and
// notes what is shown: a gauge that falls to nothing reads 0.
func lasting(shown *map[[2]string]bool, now map[[2]string]float64) map[[2]string]float64 {
	if *shown == nil {
		*shown = make(map[[2]string]bool)
	}
	for k := range *shown {
		if _, ok := now[k]; !ok && len(now) < 2*maxTallySeries {
			now[k] = 0
		}
	}
	clear(*shown)
	for k := range now {
		(*shown)[k] = true
	}
	return now
}

// troubleLog logs when a bucket begins to need people, and when it no longer does.
type troubleLog struct {
	log    *zap.Logger
	over   func(bucket string) // called for each bucket that needs nobody any more
	before map[string]control.Trouble
}

// tell logs what has changed since the last time.
func (l *troubleLog) tell(now map[string]control.Trouble) {
	told, more := 0, 0
	line := func(f func(string, ...zap.Field), message, bucket, reason string) {
		if told == maxTold {
			more++
			return
		}
		told++
		f(message, zap.String("bucket", bucket), zap.String("reason", reason))
	}
	for _, b := range slices.Sorted(maps.Keys(now)) {
		if t := now[b]; l.before[b].State != t.State {
			message := "a bucket is stuck; it goes on by itself once the reason is gone"
			if t.State == control.BucketConflict {
				message = "a bucket has conflicts, which wait for people to resolve them"
			}
			line(l.log.Warn, message, b, t.Reason)
		}
	}
	for _, b := range slices.Sorted(maps.Keys(l.before)) {
		if _, ok := now[b]; !ok {
			l.over(b)
			line(l.log.Info, "a bucket needs nobody any more", b, "was "+l.before[b].State+": "+l.before[b].Reason)
		}
	}
	if more > 0 {
		l.log.Warn("more buckets have become stuck or recovered than are logged at once; GET /fado/buckets?status=true tells which", zap.Int("more", more))
	}
	l.before = now
}

// watchTrouble logs which buckets need people, until ctx ends.
func (rt *runtime) watchTrouble(ctx context.Context, log *zap.Logger) {
	l := &troubleLog{log: log, over: func(bucket string) {
		rt.control.Events().Emit(control.Event{Type: control.EventBucketOK, Bucket: bucket})
	}}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if t, _ := rt.tally.get(ctx); t.Trouble != nil && ctx.Err() == nil {
				l.tell(t.Trouble)
			}
		}
	}
}

// newTally returns the states of the buckets that a control has.
func newTally(c *control.Control) *tallyCache {
	return &tallyCache{
		read:   c.Status.Tally,
		sums:   func(ctx context.Context) ([]state.CopySum, error) { return c.Store().Catalogue().CopySums(ctx) },
		drains: func(cluster string) bool { return drains(c.Router().Snapshot().Cluster(cluster)) },
	}
}

func drains(c *catalog.Cluster) bool { return c != nil && c.Drain }
