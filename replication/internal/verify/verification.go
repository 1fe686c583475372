package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/state"
)

// Verification is the last verification of a bucket, or the one under way.
type Verification struct {
	Bucket string
	// State is never, waiting, running, repairing (everything was compared, and what
	// differed is on its way), done, or failed.
	State string
	// Deep: the bytes were read again, not only the listings.
	Deep bool
	// Error says why the last attempt ended early; it is tried again unless the state is
	// failed.
	Error    string
	Started  *time.Time
	Finished *time.Time
	// Objects and bytes compared so far, each copy's counted. Bytes are those of the
	// listings, or with deep those that were read.
	Objects int64
	Bytes   int64
	// Total objects and bytes, as far as they were known at the start.
	Total      int64
	TotalBytes int64
	// Estimate is when it will have ended at the pace so far; nil if that can't be told.
	Estimate *time.Time
	// Mismatches found, and their outcome: repaired from a good copy, or not.
	Mismatches   int64
	Repaired     int64
	Unrepairable int64
	// Keys lists mismatches, at most 100 of them.
	Keys []Mismatch
}

// Mismatch is an object in one cluster that was not what it should be.
type Mismatch struct {
	Key     string
	Cluster string
	Reason  string
	// State is repairing, repaired or unrepairable.
	State string
}

// The states of a Verification and of a Mismatch.
const (
	stateNever     = "never"
	stateWaiting   = "waiting"
	stateRunning   = "running"
	stateRepairing = "repairing"
	stateDone      = "done"
	stateFailed    = "failed"

	repairing    = "repairing"
	repaired     = "repaired"
	unrepairable = "unrepairable"
)

const (
	maxMismatches = 100     // listed
	maxRepairs    = 100_000 // followed until they are done
)

// current is the verification of one bucket that waits or runs on this instance.
type current struct {
	mu sync.Mutex
	// row is what is stored, Keys aside.
	row  state.Verification
	keys []Mismatch // listed
	// changed are mismatches that are to be stored.
	changed map[ids.Object]Mismatch
	// repairs are the mismatches whose pending rows are to be followed, broken those of which
	// it is known that nothing repairs them.
	repairs map[ids.Object]Mismatch
	broken  map[ids.Object]bool
	// storing is held while the row is being stored, so that rows are stored in the order in
	// which they were; final: the outcome was among them, and is the last.
	storing chan struct{}
	final   bool
	// deepSeen: the steps that were done last included those that read the bytes.
	deepSeen bool
	told     time.Time // of the last event
	// mismatched counts what is found; nil: nothing does.
	mismatched func(cluster string)

	// closing, guarded by the verifier's mu: its outcome is being stored, so no request
	// may join it. gone is closed when it is stored.
	closing bool
	gone    chan struct{}
}

func newCurrent(row state.Verification) *current {
	return &current{
		row: row, gone: make(chan struct{}), storing: make(chan struct{}, 1),
		changed: make(map[ids.Object]Mismatch), repairs: make(map[ids.Object]Mismatch), broken: make(map[ids.Object]bool),
	}
}

// inTurn runs f, of which there is one at a time, once it may or until ctx ends.
func (c *current) inTurn(ctx context.Context, f func() error) error {
	select {
	case c.storing <- struct{}{}:
		defer func() { <-c.storing }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shown is what people are shown of a row and its listed mismatches.
func shown(row state.Verification, keys []Mismatch) Verification {
	v := Verification{
		Bucket: row.Bucket, State: cmp.Or(row.State, stateNever), Deep: row.Deep, Error: row.Error, Objects: row.Objects, Bytes: row.Bytes,
		Total: row.Total, TotalBytes: row.TotalBytes, Mismatches: row.Mismatches, Repaired: row.Repaired,
		Unrepairable: row.Unrepairable, Keys: append([]Mismatch{}, keys...),
	}
	if !row.Started.IsZero() {
		v.Started = &row.Started
	}
	if !row.Finished.IsZero() {
		v.Finished = &row.Finished
	}
	return v
}

// view returns what is shown, with an estimate of the end.
func (c *current) view(now time.Time) Verification {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := shown(c.row, c.keys)
	done, total := v.Objects, v.Total
	if v.Deep {
		done, total = v.Bytes, v.TotalBytes
	}
	if v.State == stateRunning && v.Started != nil && done > 0 && total > 0 {
		took := float64(now.Sub(*v.Started))
		end := v.Started.Add(time.Duration(took * max(1, float64(total)/float64(done))))
		v.Estimate = &end
	}
	return v
}

func (c *current) bucket() string { return c.row.Bucket } // never changes

func (c *current) deep() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.row.Deep
}

// edit changes the row.
func (c *current) edit(f func(row *state.Verification)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.row)
}

// count notes objects that were compared.
func (c *current) count(objects, bytes int64) {
	c.edit(func(row *state.Verification) { row.Objects, row.Bytes = row.Objects+objects, row.Bytes+bytes })
}

// passed notes objects that were compared, and that a step which is resumed does not come to
// again.
func (c *current) passed(objects, bytes int64) {
	c.edit(func(row *state.Verification) {
		row.Objects, row.Bytes = row.Objects+objects, row.Bytes+bytes
		row.StepObjects, row.StepBytes = row.Objects, row.Bytes
	})
}

// reachedKey notes the key up to which the step has come, and what had been compared there.
func (c *current) reachedKey(key string, objects, bytes int64) {
	c.edit(func(row *state.Verification) { row.Cursor, row.StepObjects, row.StepBytes = key, objects, bytes })
}

// reached is how many objects were compared that need not be compared again.
func (c *current) reached() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.row.StepObjects
}

// enter notes that a step begins, and reports whether it resumes where it was. What was
// compared beyond its cursor will be compared again, and is not counted twice.
func (c *current) enter(step string) (resumed bool, cursor string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	row := &c.row
	if row.Step == step {
		row.Objects, row.Bytes = row.StepObjects, row.StepBytes
		return true, row.Cursor
	}
	row.Step, row.Cursor = step, ""
	row.StepObjects, row.StepBytes = row.Objects, row.Bytes
	return false, ""
}

// leave notes that a step is done.
func (c *current) leave(step string) {
	c.edit(func(row *state.Verification) { row.Done, row.Step, row.Cursor = append(row.Done, step), "", "" })
}

// found notes a mismatch; one that is to be repaired is followed. A step that is resumed may
// come to one again that was found before: it is the same.
func (c *current) found(m Mismatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ref := ids.ObjectIn(c.row.Bucket, m.Key, m.Cluster)
	if _, open := c.repairs[ref]; open || c.broken[ref] {
		return
	}
	c.row.Mismatches++
	if c.mismatched != nil {
		c.mismatched(m.Cluster)
	}
	switch m.State {
	case unrepairable:
		c.isBroken(ref)
	case repaired:
		c.row.Repaired++
	default:
		if len(c.repairs) < maxRepairs {
			c.repairs[ref], c.changed[ref] = m, m
		}
	}
	if len(c.keys) < maxMismatches {
		c.keys = append(c.keys, m)
		c.changed[ref] = m
	}
}

// isBroken notes that nothing repairs an object. The caller holds mu.
func (c *current) isBroken(ref ids.Object) {
	c.row.Unrepairable++
	if len(c.broken) < maxRepairs {
		c.broken[ref] = true
	}
}

// settled notes the outcome of a mismatch that was to be repaired.
func (c *current) settled(ref ids.Object, became, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.repairs[ref]
	if !ok {
		return
	}
	delete(c.repairs, ref)
	if became == repaired {
		c.row.Repaired++
	} else {
		c.isBroken(ref)
	}
	if m.State = became; reason != "" {
		m.Reason += "; " + reason
	}
	c.changed[ref] = m
	for i, k := range c.keys {
		if k.Key == ref.Key && k.Cluster == ref.Cluster && k.State == repairing {
			c.keys[i] = m
		}
	}
}

// open lists the mismatches whose repair is still to be seen.
func (c *current) open() []ids.Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	refs := make([]ids.Object, 0, len(c.repairs))
	for ref := range c.repairs {
		refs = append(refs, ref)
	}
	return refs
}

// damage says what could not be repaired, "" if nothing. The caller holds mu.
func (c *current) damage() string {
	n := c.row.Unrepairable
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf("verification found %s that could not be repaired", control.Count(n, "object"))
	if i := slices.IndexFunc(c.keys, func(m Mismatch) bool { return m.State == unrepairable }); i >= 0 {
		m := c.keys[i]
		text += fmt.Sprintf(", one of them %q in %s: %s", m.Key, m.Cluster, m.Reason)
	}
	return text
}

// tellEvery is the time between progress events.
const tellEvery = time.Second

// progress sends an event about the progress, though not too often.
func (c *current) progress(e report.Emitter, now time.Time) {
	c.mu.Lock()
	due := now.Sub(c.told) >= tellEvery
	c.mu.Unlock()
	if due {
		c.tell(e, now)
	}
}

// tell sends an event about the progress.
func (c *current) tell(e report.Emitter, now time.Time) {
	c.mu.Lock()
	c.told = now
	row := c.row
	c.mu.Unlock()
	reason := row.Error
	if reason == "" && row.Mismatches > 0 {
		reason = fmt.Sprintf("%d mismatches, %d repaired, %d unrepairable", row.Mismatches, row.Repaired, row.Unrepairable)
	}
	e.Emit(control.Event{
		Type: control.EventVerification, Bucket: row.Bucket, State: row.State, Reason: reason,
		Objects: row.Objects, Total: row.Total, Bytes: row.Bytes,
	})
}
