package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// verify takes one bucket's verification to its end, over failures that may pass.
func (v *verifier) verify(ctx context.Context, vn *verification) {
	failures, last := 0, int64(-1)
	for {
		err := v.attempt(ctx, vn)
		if ctx.Err() != nil {
			v.store(v.save(context.WithoutCancel(ctx), vn))
			return
		}
		if err == nil {
			if v.ended(ctx, vn, verifyDone, nil) {
				return
			}
			continue
		}
		if objects := vn.reached(); objects != last {
			failures, last = 0, objects
		}
		failures++
		switch {
		case errors.Is(err, control.ErrNotFound), failures >= verifyAttempts:
			v.ended(ctx, vn, verifyFailed, err)
			return
		}
		vn.mu.Lock()
		vn.show.Error = err.Error()
		vn.mu.Unlock()
		if !sleep(ctx, v.backoff(failures, err)) {
			return
		}
	}
}

// attempt does the steps that are not done yet, then waits for the repairs.
func (v *verifier) attempt(ctx context.Context, vn *verification) error {
	ctx, stop := context.WithCancel(ctx)
	saving := make(chan struct{})
	go func() {
		defer close(saving)
		for more := true; more; {
			more = sleep(ctx, verifySave)
			v.store(v.save(context.WithoutCancel(ctx), vn))
		}
	}()
	defer func() { stop(); <-saving }()
	if err := v.begin(ctx, vn); err != nil {
		return err
	}
	for {
		step, ok, err := v.step(ctx, vn)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := v.pause.wait(ctx); err != nil {
			return err
		}
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		vn.mu.Lock()
		vn.Done, vn.Step, vn.Cursor = append(vn.Done, step.name), "", ""
		vn.mu.Unlock()
		vn.tell(v.ctl.Events(), v.now(), true)
	}
	return v.awaitRepairs(ctx, vn)
}

// begin sets the state, and once the totals.
func (v *verifier) begin(ctx context.Context, vn *verification) error {
	rows, err := v.ledger.of(ctx, vn.show.Bucket)
	if err != nil {
		return err
	}
	vn.mu.Lock()
	defer vn.mu.Unlock()
	vn.show.State, vn.show.Error = verifyRunning, ""
	vn.show.Total, vn.show.TotalBytes = 0, 0
	for _, c := range rows {
		if !c.Primary && c.State == catalog.CopySynced {
			vn.show.Total += c.Objects
			if !vn.show.Deep {
				vn.show.TotalBytes += c.Bytes
			}
		}
		if vn.show.Deep && c.State == catalog.CopySynced {
			vn.show.TotalBytes += c.Bytes
			if c.Primary {
				vn.show.Total += c.Objects
			}
		}
	}
	return nil
}

// verifyStep is a part of a verification that is done as a whole or gone on with.
type verifyStep struct {
	name string
	do   func(context.Context) error
}

// step returns the next step by the copies as they are now: the listings of every synced
// copy, then with deep the bytes of every rule.
func (v *verifier) step(ctx context.Context, vn *verification) (verifyStep, bool, error) {
	bucket := vn.show.Bucket
	rows, err := v.ledger.of(ctx, bucket)
	if err != nil {
		return verifyStep{}, false, err
	}
	if v.ctl.Router().Snapshot().Bucket(bucket) == nil {
		return verifyStep{}, false, control.ErrNotFound
	}
	vn.mu.Lock()
	defer vn.mu.Unlock()
	vn.deepSeen = vn.show.Deep
	var steps []verifyStep
	for _, c := range rows {
		id := copyID{bucket, c.Prefix, c.Cluster}
		if !c.Primary && c.State == catalog.CopySynced {
			name := "comparing the listing of " + c.Cluster + " below " + fmt.Sprintf("%q", c.Prefix)
			steps = append(steps, verifyStep{name, func(ctx context.Context) error { return v.scanStep(ctx, vn, name, id) }})
		}
	}
	for _, c := range rows {
		if c.Primary && vn.show.Deep {
			id := copyID{bucket, c.Prefix, c.Cluster}
			name := "reading the objects below " + fmt.Sprintf("%q", c.Prefix)
			steps = append(steps, verifyStep{name, func(ctx context.Context) error { return v.deepStep(ctx, vn, name, id) }})
		}
	}
	for _, s := range steps {
		if !slices.Contains(vn.Done, s.name) {
			return s, true, nil
		}
	}
	return verifyStep{}, false, nil
}

// enter notes that a step begins, and says whether it goes on where it was. What was
// compared beyond its cursor will be compared again, and is not counted twice.
func (vn *verification) enter(step string) (resumed bool, cursor string) {
	vn.mu.Lock()
	defer vn.mu.Unlock()
	if vn.Step == step {
		vn.show.Objects, vn.show.Bytes = vn.at.Objects, vn.at.Bytes
		return true, vn.Cursor
	}
	vn.Step, vn.Cursor = step, ""
	vn.at = compared{vn.show.Objects, vn.show.Bytes}
	return false, ""
}

// scanStep compares the listings of the primary and one copy by a scan, which keeps its
// own cursor; what differs becomes pending rows as with any scan.
func (v *verifier) scanStep(ctx context.Context, vn *verification, step string, id copyID) error {
	unlock, err := v.walks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := v.mend(ctx, id); err != nil {
		return err
	}
	if resumed, _ := vn.enter(step); !resumed {
		err := v.ledger.progress(ctx, id, func(c *state.Copy) bool { // a whole one, not the rest of another
			was := c.ScanCursor
			c.ScanCursor = ""
			return was != ""
		})
		if err != nil {
			return err
		}
	}
	w, err := v.newWalk(ctx, id, catalog.CopySynced)
	if errors.Is(err, errStateChanged) {
		return nil // it left, or is being synced anew
	}
	if err != nil {
		return err
	}
	err = v.scanWalk(ctx, w, &scanWatch{vn: vn, run: v.run})
	if errors.Is(err, errStateChanged) {
		return nil
	}
	return err
}

// scanWatch counts for a verification what a scan sees. A nil one counts nothing.
type scanWatch struct {
	*run
	vn *verification
}

func (w *scanWatch) saw(p pair) {
	if w == nil {
		return
	}
	bytes := sizeOf(p.src)
	if w.vn.deep() {
		bytes = 0 // those that are read count
	}
	w.vn.passed(1, bytes)
	w.vn.tell(w.ctl.Events(), w.now(), false)
}

func (w *scanWatch) differs(cluster string, p pair) {
	if w == nil {
		return
	}
	why := "it is not what the primary has"
	switch {
	case p.dst == nil:
		why = "it is missing"
	case p.src == nil:
		why = "the primary has no such object"
	case p.src.Size != p.dst.Size:
		why = fmt.Sprintf("it has %d bytes, and the primary's %d", p.dst.Size, p.src.Size)
	}
	w.vn.found(Mismatch{Key: p.key, Cluster: cluster, Reason: why, State: mismatchRepairing})
}

// repairPatience bounds how long a verification waits for a repair that makes no progress.
const repairPatience = 10 * time.Minute

// awaitRepairs waits until the mismatches found are repaired, or it shows that they won't
// be by themselves.
func (v *verifier) awaitRepairs(ctx context.Context, vn *verification) error {
	vn.mu.Lock()
	vn.show.State = verifyRepairing
	vn.mu.Unlock()
	last, since := -1, v.now()
	for {
		open := vn.open()
		for _, ref := range open {
			state, why, err := v.repairOf(ctx, ref)
			if err != nil {
				return err
			}
			if state != "" {
				vn.settled(ref, state, why)
			}
		}
		left := len(vn.open())
		if left == 0 {
			return nil
		}
		if left != last || v.pause.paused() {
			last, since = left, v.now()
		}
		if v.now().Sub(since) > repairPatience {
			for _, ref := range vn.open() {
				vn.settled(ref, mismatchUnrepairable, "it could not be brought in step in time")
			}
			return nil
		}
		vn.tell(v.ctl.Events(), v.now(), false)
		if !sleep(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// stubborn is how many attempts fail before a repair counts as one that does not succeed.
const stubborn = 5

// repairOf says what became of a repair, "" while it is open.
func (v *verifier) repairOf(ctx context.Context, ref objectRef) (state, why string, err error) {
	row, err := v.pendingRow(ctx, ref)
	switch {
	case err != nil:
		return "", "", err
	case row == nil:
		return mismatchRepaired, "", nil
	case row.Hold != "", row.Attempts >= stubborn:
		return mismatchUnrepairable, row.Error, nil
	}
	return "", "", nil
}
