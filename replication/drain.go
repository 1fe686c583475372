package replication

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// DrainStatus tells how far a cluster that drains has come.
type DrainStatus struct {
	// State is draining, or done: no bucket has data there that FaDO knows of.
	State string
	// What is still there.
	Buckets int64
	Objects int64
	Bytes   int64
	// Reason names what does not leave by itself.
	Reason string
}

// The states of a DrainStatus.
const (
	drainDraining = "draining"
	drainDone     = "done"
)

// drains keeps what is known of clusters that drain.
type drains struct {
	mu sync.Mutex
	by map[string]DrainStatus
}

const (
	drainEvery = time.Second
	// drainShare bounds the time spent on counting to a twentieth.
	drainShare = 20
)

// DrainStatus returns how far a cluster's drain has come, nil if it does not drain.
func (e *Engine) DrainStatus(ctx context.Context, cluster string) (*DrainStatus, error) {
	cl := e.ctl.Router().Snapshot().Cluster(cluster)
	if cl == nil || !cl.Drain {
		return nil, nil
	}
	e.draining.mu.Lock()
	st, ok := e.draining.by[cluster]
	e.draining.mu.Unlock()
	if ok {
		return &st, nil
	}
	if err := e.countDrains(ctx, []string{cluster}); err != nil {
		return nil, err
	}
	e.draining.mu.Lock()
	defer e.draining.mu.Unlock()
	st = e.draining.by[cluster]
	return &st, nil
}

// watchDrains follows the clusters that drain, and tells when one is empty.
func (r *run) watchDrains(ctx context.Context) {
	wait := drainEvery
	for sleep(ctx, wait) {
		var names []string
		r.ctl.Router().Snapshot().Clusters(func(c *catalog.Cluster) bool {
			if c.Drain {
				names = append(names, c.Name)
			}
			return true
		})
		began := time.Now()
		r.forgetDrains(names)
		if len(names) > 0 {
			if err := r.countDrains(ctx, names); err != nil && ctx.Err() == nil {
				r.store(fmt.Errorf("counting what drains: %w", err))
			}
		}
		wait = max(drainEvery, drainShare*time.Since(began))
	}
}

// forgetDrains drops what is known of clusters that don't drain any more.
func (e *Engine) forgetDrains(names []string) {
	keep := make(map[string]bool, len(names))
	for _, n := range names {
		keep[n] = true
	}
	e.draining.mu.Lock()
	defer e.draining.mu.Unlock()
	for n := range e.draining.by {
		if !keep[n] {
			delete(e.draining.by, n)
		}
	}
}

// countDrains counts what the clusters still have, and tells what is news.
func (e *Engine) countDrains(ctx context.Context, names []string) error {
	sums := make(map[string]*DrainStatus, len(names))
	last := make(map[string]string) // bucket counted last, by cluster
	for _, n := range names {
		sums[n] = new(DrainStatus)
	}
	err := e.ctl.Store().EachCopy(ctx, func(c state.Copy) error {
		s := sums[c.Cluster]
		if s == nil {
			return nil
		}
		if last[c.Cluster] != c.Bucket {
			last[strings.Clone(c.Cluster)] = strings.Clone(c.Bucket)
			s.Buckets++
		}
		s.Objects += c.Objects
		s.Bytes += c.Bytes
		return nil
	})
	if err != nil {
		return err
	}
	for n, s := range sums {
		e.noteDrain(n, s)
	}
	return nil
}

func (e *Engine) noteDrain(cluster string, s *DrainStatus) {
	if s.State = drainDraining; s.Buckets == 0 {
		s.State = drainDone
	} else {
		s.Reason = e.stays(cluster)
	}
	e.draining.mu.Lock()
	if e.draining.by == nil {
		e.draining.by = make(map[string]DrainStatus)
	}
	was := e.draining.by[cluster]
	e.draining.by[cluster] = *s
	e.draining.mu.Unlock()
	if was.State != s.State || was.Reason != s.Reason {
		e.ctl.Events().Emit(control.Event{
			Type: control.EventDrain, Cluster: cluster, State: s.State, Reason: s.Reason, Objects: s.Objects, Bytes: s.Bytes,
		})
	}
}

// stays names buckets that are declared to be written in a cluster: they stay until that
// is changed.
func (e *Engine) stays(cluster string) string {
	snap := e.ctl.Router().Snapshot()
	n, one := int64(0), ""
	snap.Buckets(func(b string) bool {
		if decl := snap.Bucket(b); decl != nil && decl.Primary == cluster {
			if n++; one == "" || b < one {
				one = strings.Clone(b)
			}
		}
		return true
	})
	switch n {
	case 0:
		return ""
	case 1:
		return "bucket " + one + " declares it as its primary: name another one"
	default:
		return fmt.Sprintf("%s declare it as their primary, one of them %s: name another one", control.Count(n, "bucket"), one)
	}
}
