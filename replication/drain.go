package replication

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/routing"
)

// DrainStatus tells how far a cluster that drains has come.
type DrainStatus struct {
	// State is draining, or done: no bucket has data there that FaDO knows of.
	State string
	// What is still there.
	Buckets int64
	Objects int64
	Bytes   int64
	// Reason names what does not leave by itself, Since since when: zero while Reason is "".
	Reason string
	Since  time.Time
}

// The states of a DrainStatus.
const (
	drainDraining = "draining"
	drainDone     = "done"
)

// drains keeps what is known of clusters that drain.
type drains struct {
	core

	mu sync.Mutex
	by map[string]DrainStatus
}

const (
	drainEvery = time.Second
	// drainShare bounds the time spent on counting to a twentieth.
	drainShare = 20
)

// Drain returns how far a cluster's drain has come, nil if it does not drain.
func (r *Reports) Drain(ctx context.Context, cluster string) (*DrainStatus, error) {
	cl := r.e.core.snap().Cluster(cluster)
	if cl == nil || !cl.Drain {
		return nil, nil
	}
	if st, ok := r.e.drains.get(cluster); ok {
		return &st, nil
	}
	if err := r.e.drains.count(ctx, []string{cluster}); err != nil {
		return nil, err
	}
	st, _ := r.e.drains.get(cluster)
	return &st, nil
}

// Drained returns what is known in memory of a cluster that drains.
func (r *Reports) Drained(cluster string) (DrainStatus, bool) { return r.e.drains.get(cluster) }

func (d *drains) get(cluster string) (DrainStatus, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	st, ok := d.by[cluster]
	return st, ok
}

// watch follows the clusters that drain, and tells when one is empty, until ctx ends.
func (d *drains) watch(ctx context.Context) {
	for wait := drainEvery; delay.Sleep(ctx, wait); {
		var names []string
		d.snap().Clusters(func(c *catalog.Cluster) bool {
			if c.Drain {
				names = append(names, c.Name)
			}
			return true
		})
		began := d.now()
		d.keep(names)
		if len(names) > 0 {
			d.stored(ctx, "could not count what is still in clusters that drain; trying again in a moment", d.count(ctx, names))
		}
		wait = max(drainEvery, drainShare*d.now().Sub(began))
	}
}

// keep drops what is known of clusters that don't drain any more.
func (d *drains) keep(names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.by, func(n string, _ DrainStatus) bool { return !slices.Contains(names, n) })
}

// count counts what the clusters still have, by the sums that the store keeps, and tells
// what has changed.
func (d *drains) count(ctx context.Context, names []string) error {
	sums, err := d.ctl.Store().Catalogue().CopySums(ctx)
	if err != nil {
		return err
	}
	buckets := d.buckets(names)
	for _, n := range names {
		st, rows := DrainStatus{State: drainDraining}, int64(0)
		for _, s := range sums {
			if s.Cluster == n {
				rows, st.Objects, st.Bytes = rows+s.Copies, st.Objects+s.Objects, st.Bytes+s.Bytes
			}
		}
		if rows == 0 {
			st.State = drainDone
		} else {
			st.Buckets, st.Reason = max(1, buckets[n]), d.stays(n)
		}
		d.note(n, st)
	}
	return nil
}

// buckets counts the buckets that have a copy in some clusters.
func (d *drains) buckets(names []string) map[string]int64 {
	n, snap := make(map[string]int64), d.snap()
	snap.Buckets(func(b string) bool {
		var counted []string
		for _, c := range snap.Of(b).Copies() {
			if slices.Contains(names, c.Cluster) && !slices.Contains(counted, c.Cluster) {
				counted = append(counted, c.Cluster)
				n[c.Cluster]++
			}
		}
		return true
	})
	return n
}

func (d *drains) note(cluster string, st DrainStatus) {
	d.mu.Lock()
	was := d.by[cluster]
	if st.Reason != "" {
		st.Since = cmp.Or(was.Since, d.now())
	}
	d.by[cluster] = st
	d.mu.Unlock()
	if was.State != st.State || was.Reason != st.Reason {
		d.ctl.Events().Emit(control.Event{
			Type: control.EventDrain, Cluster: cluster, State: st.State, Reason: st.Reason, Objects: st.Objects, Bytes: st.Bytes,
		})
	}
}

// stays names buckets that are declared to be written in a cluster, or whose policy has their
// primary stay: they stay until another one is named. Else it is cannotLeave.
func (d *drains) stays(cluster string) string {
	snap := d.snap()
	n, one := int64(0), ""
	snap.Buckets(func(b string) bool {
		if decl := snap.Bucket(b); decl != nil && (decl.Primary == cluster || decl.Primary == "" && snap.Of(b).Primary() == cluster && fixed(snap, b)) {
			if n++; one == "" || b < one {
				one = strings.Clone(b)
			}
		}
		return true
	})
	switch n {
	case 0:
		return cannotLeave(snap, cluster)
	case 1:
		if fixed(snap, one) {
			return "bucket " + one + " keeps its primary there (primary fixed): name another one"
		}
		return "bucket " + one + " declares it as its primary: name another one"
	default:
		return fmt.Sprintf("%s declare or keep it as their primary, one of them %s: name another one", control.Count(n, "bucket"), one)
	}
}

// cannotLeave names a bucket whose policy finds too few other clusters, so that its copy stays until
// the policy or the clusters are others; "" where there is none.
func cannotLeave(snap *routing.Snapshot, cluster string) string {
	short := make(map[string]string) // by policy: what it is short of
	one, why := "", ""
	snap.Buckets(func(b string) bool {
		if one != "" && one < b {
			return true
		}
		for _, c := range snap.Of(b).Copies() {
			if c.Cluster != cluster {
				continue
			}
			rule, _ := snap.Of(b).RuleOf(c.Prefix)
			if _, known := short[rule.Policy]; !known {
				short[rule.Policy] = ""
				if p := snap.Policy(rule.Policy); p != nil {
					short[rule.Policy] = strings.Join(control.Shortfalls(snap, p), "; ")
				}
			}
			if short[rule.Policy] != "" {
				one, why = strings.Clone(b), short[rule.Policy]
				return true
			}
		}
		return true
	})
	if one == "" {
		return ""
	}
	return "bucket " + one + " stays: " + why
}

// fixed reports whether only people move the primary of a bucket that names none.
func fixed(snap *routing.Snapshot, bucket string) bool {
	decl := snap.Bucket(bucket)
	rule, _ := snap.Of(bucket).RuleOf("")
	p := snap.Policy(rule.Policy)
	return decl != nil && decl.Primary == "" && p != nil && p.Primary == catalog.PrimaryFixed
}
