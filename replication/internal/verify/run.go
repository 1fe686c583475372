package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/walk"
	"github.com/fado-project/fado/state"
)

const (
	saveEvery = 2 * time.Second
	attempts  = 20 // in a row without getting further
)

// running is a verification at work.
type running struct {
	v *Verifier
	c *current
}

// run takes one bucket's verification to its end, over failures that may pass.
func (r running) run(ctx context.Context) {
	failures, last := 0, int64(-1)
	for {
		err := r.attempt(ctx)
		if ctx.Err() != nil {
			r.v.stored(ctx, "could not store where a verification stands; it resumes further back", r.v.save(context.WithoutCancel(ctx), r.c))
			return
		}
		if err == nil {
			if r.v.ended(ctx, r.c, stateDone, nil) {
				return
			}
			continue
		}
		if objects := r.c.reached(); objects != last {
			failures, last = 0, objects
		}
		failures++
		if errors.Is(err, control.ErrNotFound) || errors.Is(err, guard.ErrPath) || failures >= attempts {
			r.v.ended(ctx, r.c, stateFailed, err)
			return
		}
		r.c.edit(func(row *state.Verification) { row.Error = err.Error() })
		if !delay.Sleep(ctx, r.v.o.Objects.RetryAfter(failures, err)) {
			return
		}
	}
}

// attempt does the steps that are not done yet, then waits for the repairs.
func (r running) attempt(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	saving := make(chan struct{})
	go func() {
		defer close(saving)
		for more := true; more; {
			more = delay.Sleep(ctx, saveEvery)
			r.v.stored(ctx, "could not store where a verification stands; trying again in two seconds", r.v.save(context.WithoutCancel(ctx), r.c))
		}
	}()
	defer func() { stop(); <-saving }()
	if err := r.begin(ctx); err != nil {
		return err
	}
	for {
		s, ok, err := r.step(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return r.awaitRepairs(ctx)
		}
		if err := r.v.o.Pause.Wait(ctx); err != nil {
			return err
		}
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.c.leave(s.name)
		r.c.tell(r.v.o.Events, r.v.o.Now())
	}
}

// begin sets the state, and the totals as far as they are known.
func (r running) begin(ctx context.Context) error {
	rows, err := r.v.o.Copies.Of(ctx, r.c.bucket())
	if err != nil {
		return err
	}
	r.c.edit(func(row *state.Verification) {
		row.State, row.Error, row.Total, row.TotalBytes = stateRunning, "", 0, 0
		for _, cp := range rows {
			if cp.State != catalog.CopySynced {
				continue
			}
			if !cp.Primary || row.Deep {
				row.Total += cp.Objects
				row.TotalBytes += cp.Bytes
			}
		}
	})
	return nil
}

// step is a part of a verification that is done as a whole or resumed.
type step struct {
	name string
	do   func(context.Context) error
}

// step returns the next step by the copies as they are now: the listings of every synced
// copy, then with deep the bytes of every rule.
func (r running) step(ctx context.Context) (step, bool, error) {
	bucket := r.c.bucket()
	rows, err := r.v.o.Copies.Of(ctx, bucket)
	if err != nil {
		return step{}, false, err
	}
	if r.v.o.Router.Snapshot().Bucket(bucket) == nil {
		return step{}, false, control.ErrNotFound
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.c.deepSeen = r.c.row.Deep
	var steps []step
	for _, cp := range rows {
		id := ids.CopyIn(bucket, cp.Prefix, cp.Cluster)
		if !cp.Primary && cp.State == catalog.CopySynced {
			name := fmt.Sprintf("comparing the listing of %s below %q", cp.Cluster, cp.Prefix)
			steps = append(steps, step{name, func(ctx context.Context) error { return r.scanStep(ctx, name, id) }})
		}
	}
	for _, cp := range rows {
		id := ids.CopyIn(bucket, cp.Prefix, cp.Cluster)
		if cp.Primary && r.c.row.Deep {
			name := fmt.Sprintf("reading the objects below %q", cp.Prefix)
			steps = append(steps, step{name, func(ctx context.Context) error { return r.deepStep(ctx, name, id) }})
		}
	}
	i := slices.IndexFunc(steps, func(s step) bool { return !slices.Contains(r.c.row.Done, s.name) })
	if i < 0 {
		return step{}, false, nil
	}
	return steps[i], true, nil
}

// scanStep compares the listings of the primary and one copy by a scan, which keeps its
// own cursor; what differs becomes pending rows as with any scan.
func (r running) scanStep(ctx context.Context, name string, id ids.Copy) error {
	unlock, err := r.v.o.Walks.Locks.Lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := r.v.o.Buckets.Ensure(ctx, id); err != nil {
		return err
	}
	resumed, _ := r.c.enter(name)
	err = r.v.o.Walks.Scanner.ScanWatched(ctx, id, resumed, scanWatch(r))
	if errors.Is(err, object.ErrChanged) {
		return nil // it left, or is being synced again
	}
	return err
}

// scanWatch counts for a verification what a scan sees.
type scanWatch running

// Saw implements walk.Watch.
func (w scanWatch) Saw(p listing.Pair) {
	var bytes int64
	if p.Src != nil && !w.c.deep() { // with deep those that are read count
		bytes = p.Src.Size
	}
	w.c.passed(1, bytes)
	w.c.progress(w.v.o.Events, w.v.o.Now())
}

// Differs implements walk.Watch.
func (w scanWatch) Differs(cluster string, p listing.Pair) {
	why := "it is not what the primary has"
	switch {
	case p.Dst == nil:
		why = "it is missing"
	case p.Src == nil:
		why = "the primary has no such object"
	case p.Src.Size != p.Dst.Size:
		why = fmt.Sprintf("it has %d bytes, and the primary's %d", p.Dst.Size, p.Src.Size)
	}
	w.c.found(Mismatch{Key: p.Key, Cluster: cluster, Reason: why, State: repairing})
}

// Lacks implements walk.Watch.
func (w scanWatch) Lacks(cluster, key string, n int) {
	why := fmt.Sprintf("%d of its older versions and delete markers are missing", n)
	w.c.found(Mismatch{Key: key, Cluster: cluster, Reason: why, State: repairing})
}

const (
	// repairPatience bounds how long a verification waits for a repair that makes no progress.
	repairPatience = 10 * time.Minute
	// repairEvery is how often repairs are checked without a signal about a row.
	repairEvery = 2 * time.Second
	// repairPause is the least time between looks.
	repairPause = 50 * time.Millisecond
)

// awaitRepairs waits until the mismatches found are repaired, or it shows that they won't
// be by themselves.
func (r running) awaitRepairs(ctx context.Context) error {
	r.c.edit(func(row *state.Verification) { row.State = stateRepairing })
	last, since := -1, r.v.o.Now()
	for {
		changed := r.v.o.Pending.Changed(r.c.bucket())
		for _, ref := range r.c.open() {
			became, why, err := r.repairOf(ctx, ref)
			if err != nil {
				return err
			}
			if became != "" {
				r.c.settled(ref, became, why)
			}
		}
		open := r.c.open()
		if len(open) == 0 {
			return nil
		}
		if len(open) != last || r.v.o.Pause.On() {
			last, since = len(open), r.v.o.Now()
		}
		if r.v.o.Now().Sub(since) > repairPatience {
			for _, ref := range open {
				r.c.settled(ref, unrepairable, "it could not be brought in step in time")
			}
			return nil
		}
		r.c.progress(r.v.o.Events, r.v.o.Now())
		if !await(ctx, changed) {
			return ctx.Err()
		}
	}
}

// await waits for the signal, or for the look that comes without one; false at ctx's end.
func await(ctx context.Context, changed <-chan struct{}) bool {
	t := time.NewTimer(repairEvery)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
		return delay.Sleep(ctx, repairPause) // many may change at once
	case <-t.C:
		return true
	}
}

// stubborn is how many attempts fail before a repair counts as one that does not succeed.
const stubborn = 5

// repairOf returns the outcome of a repair, "" while it is open.
func (r running) repairOf(ctx context.Context, ref ids.Object) (became, why string, err error) {
	row, err := r.v.o.Objects.PendingRow(ctx, ref)
	switch {
	case err != nil:
		return "", "", err
	case row == nil:
		return repaired, "", nil
	case row.Hold != state.HoldNone, row.Attempts >= stubborn:
		return unrepairable, row.Error, nil
	}
	return "", "", nil
}

// deepStep reads what one rule covers, from where it stood.
func (r running) deepStep(ctx context.Context, name string, id ids.Copy) error {
	_, from := r.c.enter(name)
	r.c.mu.Lock()
	objects, bytes := r.c.row.StepObjects, r.c.row.StepBytes
	r.c.mu.Unlock()
	src, err := r.v.o.Sites.Usable(id.Cluster)
	if err != nil {
		return err
	}
	snap := r.v.o.Router.Snapshot()
	d := &deep{
		v: r.v, c: r.c, id: id, src: src, rule: walk.RuleOf(snap, id), anywhere: snap.Of(id.Bucket).WritesAnywhere(id.Prefix),
		track: copies.NewTracker(from, objects, bytes), room: make(chan struct{}, deepAtATime),
	}
	for _, cp := range snap.Of(id.Bucket).Copies() {
		if cp.Prefix == id.Prefix && cp.State == catalog.CopySynced && !cp.Primary {
			d.copies = append(d.copies, cp.Cluster)
		}
	}
	return d.walk(ctx, from)
}
