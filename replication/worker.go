package replication

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// smallObject is up to what size an object is written on the mere guess that nothing is
// at the destination: being wrong costs its transfer.
const smallObject = 1 << 20

// workers work pending rows off. Every cluster has a line of its own, so that a slow
// storage's backlog stands in nobody else's way.
type workers struct {
	*run
	wg    sync.WaitGroup
	freed chan struct{} // delivers when rows were worked off

	mu          sync.Mutex
	outstanding map[state.PendingKey]time.Time // claimed until
	direct      map[objectRef]*headStart       // worked on without a claim
	by          map[string]int                 // outstanding and direct ones, per cluster
	closed      bool
}

func newWorkers(r *run) *workers {
	return &workers{
		run: r, freed: make(chan struct{}, 1), outstanding: make(map[state.PendingKey]time.Time),
		direct: make(map[objectRef]*headStart), by: make(map[string]int),
	}
}

// loop claims rows as long as there is room, and works on them.
func (w *workers) loop(ctx context.Context) {
	defer w.close()
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	for {
		w.fill(ctx)
		select {
		case <-ctx.Done():
			return
		case <-w.ctl.PendingAdded():
		case <-w.freed:
		case <-poll.C:
			w.extend(ctx)
		}
	}
}

// fill claims rows of every cluster that there is room for.
func (w *workers) fill(ctx context.Context) {
	if w.pause.paused() {
		return
	}
	for _, cluster := range w.lines() {
		room := w.room(cluster)
		if room <= 0 || ctx.Err() != nil {
			continue
		}
		rows, err := w.ctl.ClaimPendingIn(ctx, cluster, room, w.tune.Lease)
		if err != nil {
			if ctx.Err() == nil {
				w.log.Warn("claiming pending objects", zap.Error(err))
				sleep(ctx, time.Second)
			}
			return
		}
		w.begin(ctx, rows)
	}
}

// lines returns the clusters that rows can be about.
func (w *workers) lines() []string {
	var names []string
	w.ctl.Router().Snapshot().Clusters(func(c *catalog.Cluster) bool {
		names = append(names, c.Name)
		return true
	})
	return names
}

// room returns how many rows of a cluster to claim. It is 0 until a good part of those
// claimed before are done, so that claims come in batches.
func (w *workers) room(cluster string) int {
	most := w.slots.lineCap(cluster)
	w.mu.Lock()
	defer w.mu.Unlock()
	if has := w.by[cluster]; has == 0 || has <= most/2 {
		return most - has
	}
	return 0
}

// begin starts work on claimed rows.
func (w *workers) begin(ctx context.Context, rows []state.Pending) {
	for _, row := range rows {
		w.mu.Lock()
		w.outstanding[keyOf(row)] = w.now().Add(w.tune.Lease)
		w.by[row.Cluster]++
		w.mu.Unlock()
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			defer w.remove(row)
			if !w.doneDirectly(ctx, row) {
				w.work(ctx, row)
			}
		}()
	}
}

func (w *workers) remove(row state.Pending) {
	w.mu.Lock()
	delete(w.outstanding, keyOf(row))
	w.leaveLine(row.Cluster)
	w.mu.Unlock()
	w.free()
}

// leaveLine counts one less in a cluster's line and returns how many are left. The caller
// holds mu.
func (w *workers) leaveLine(cluster string) int {
	w.by[cluster]--
	has := w.by[cluster]
	if has == 0 {
		delete(w.by, cluster)
	}
	return has
}

// free tells the loop that there is room.
func (w *workers) free() {
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// extend prolongs the claims of rows that take long.
func (w *workers) extend(ctx context.Context) {
	now := w.now()
	var keys []state.PendingKey
	w.mu.Lock()
	for k, until := range w.outstanding {
		if until.Sub(now) < w.tune.Lease/2 {
			keys = append(keys, k)
			w.outstanding[k] = now.Add(w.tune.Lease)
		}
	}
	w.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	// A lost claim does no harm: the row is worked on again, by its latest generation.
	_, err := w.ctl.Store().ExtendClaims(ctx, w.ctl.Claimant(), now.Add(w.tune.Lease), keys...)
	w.store(err)
}

// store reports a failure to write the store; what was not written is done again.
func (r *run) store(err error) {
	if err != nil && r.ctx.Err() == nil {
		r.log.Warn("noting the outcome of replication", zap.Error(err))
	}
}

func keyOf(p state.Pending) state.PendingKey {
	return state.PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: p.Gen}
}

// work brings one row's object in step and notes the outcome.
func (w *workers) work(ctx context.Context, row state.Pending) {
	if err := w.waitsForSpace(row); err != nil {
		w.failed(ctx, row, err)
		return
	}
	err := w.attempt(ctx, row)
	if ctx.Err() == nil { // else the run ends: claims are released as a whole
		w.outcome(ctx, row, err)
	}
}

// attempt brings one row's object in step, once there is a slot for it.
func (w *workers) attempt(ctx context.Context, row state.Pending) error {
	kind := classLive
	if row.Background {
		kind = classBulk
	}
	from := w.ctl.Router().Snapshot().Primary(row.Bucket)
	release, err := w.slots.acquireFor(ctx, want{class: kind, bucket: row.Bucket, from: from, to: row.Cluster, size: row.Size})
	if err != nil {
		return err
	}
	defer release()
	t := task{
		objectRef: objectRef{row.Bucket, row.Key, row.Cluster}, size: row.Size,
		foreign: row.Foreign, since: row.Since, damaged: isDamaged(row), counted: countedBy(row),
	}
	if src, ok := w.seen.get(objectRef{row.Bucket, row.Key, ""}); ok && row.Attempts == 0 && !row.Foreign && src.Size <= smallObject {
		t.src, t.fresh = &src, true
	}
	v, err := w.settle(ctx, t)
	if w.ctl.Shared() && (v == moot && err == nil || errors.Is(err, errNoCopy)) {
		err = w.askAgain(ctx, t)
	}
	return err
}

// outcome notes how an attempt ended.
func (w *workers) outcome(ctx context.Context, row state.Pending, err error) {
	if err == nil || errors.Is(err, errNoCopy) {
		w.store(w.ctl.FinishPending(ctx, keyOf(row)))
		if err == nil && row.Attempts == 0 && !row.Background {
			lag := w.now().Sub(row.Since)
			w.figures.lag(lag)
			w.metrics.Lag(lag)
		}
		return
	}
	w.failed(ctx, row, err)
}

// askAgain settles an object that nothing was to be done about once more, by all that is
// committed: another instance may have made the bucket or the copy a moment ago, and the
// row with it. A bucket that only other instances know is theirs.
func (w *workers) askAgain(ctx context.Context, t task) error {
	if err := w.ctl.CatchUp(ctx); err != nil {
		return err
	}
	w.ledger.forget(t.bucket)
	v, err := w.settle(ctx, t)
	if v == moot && err == nil && w.ctl.Router().Snapshot().Bucket(t.bucket) == nil {
		return errNotHere
	}
	return err
}

// errNotHere says that a bucket is none of this instance's configuration.
var errNotHere = errors.New("this instance does not know the bucket")

// failed stores why a row could not be settled and when it is tried again. A row is
// never dropped.
func (w *workers) failed(ctx context.Context, row state.Pending, err error) {
	now := w.now()
	kind := kindOf(err)
	damaged := isDamaged(row)
	row.Error, row.Hold = err.Error(), state.HoldNone
	if damaged && !isDamaged(row) {
		row.Error = errDamaged.Error() + ", and could not be written anew: " + row.Error
	}
	switch {
	case errors.Is(err, errConflict):
		row.Hold, row.Foreign, row.Attempts = state.HoldConflict, true, 0
	case errors.Is(err, errHeld):
		row.Hold, row.Attempts = state.HoldDeletes, 0
	case errors.Is(err, errMoving), errors.Is(err, errLeaving):
		row.NextAttempt = now.Add(jitter(time.Second)) // no failure: it waits for something else
	case errors.Is(err, control.ErrCutOff):
		row.NextAttempt = now.Add(jitter(time.Second)) // somebody else's until there is a lease
	case errors.Is(err, errNotHere):
		row.NextAttempt = now.Add(jitter(w.tune.RetryMax / 10))
	case errors.Is(err, errForbidden):
		row.NextAttempt = now.Add(jitter(2 * time.Second))
	case errors.Is(err, errFullWait):
		row.Attempts = max(row.Attempts, 1)
		row.NextAttempt = now.Add(jitter(w.tune.RetryMax))
	case errors.Is(err, storage.ErrFull):
		row.Attempts++
		row.NextAttempt = now.Add(jitter(w.tune.FullProbe))
	case errors.Is(err, errDown):
		// It becomes due when the storage is up again. Counting one attempt shows it
		// among the failing objects; counting more would only delay it.
		row.Attempts = max(row.Attempts, 1)
		row.NextAttempt = now.Add(jitter(w.tune.RetryMax))
	default:
		row.Attempts++
		row.NextAttempt = now.Add(w.backoff(row.Attempts, err))
	}
	if errors.Is(err, errNoSource) {
		w.sourceMissing(row.Bucket, err)
	}
	if (row.Attempts > 0 || row.Hold != state.HoldNone) && !errors.Is(err, errFullWait) {
		w.metrics.Failed(row.Cluster, kind)
		task{objectRef: objectRef{row.Bucket, row.Key, row.Cluster}}.emitTo(w.ctl.Events(), "failed", "", 0, row.Error)
		w.log.Debug("an object is not in step yet", zap.String("bucket", row.Bucket), zap.String("key", row.Key),
			zap.String("cluster", row.Cluster), zap.Int("attempts", row.Attempts), zap.Error(err))
	}
	w.store(w.ctl.FailPending(ctx, row))
	if errors.Is(err, errDown) && w.isBack(row) {
		row.NextAttempt = w.now().Add(jitter(time.Second))
		w.store(w.ctl.FailPending(ctx, row))
	}
	if errors.Is(err, storage.ErrNoBucket) && !errors.Is(err, errNoSource) {
		w.sweeper.askFor(row.Bucket) // a scan mends a copy's missing bucket
	}
}

// isBack says whether the storages a row is about are up. A storage that came back while
// a row for it failed has made its rows due before this one was among them.
func (w *workers) isBack(row state.Pending) bool {
	return w.planner.reachable(w.ctl.Router().Snapshot().Primary(row.Bucket), row.Cluster)
}

// backoff grows with the attempts; what will hardly change by itself is asked for less
// often, a lost race more often.
func (e *Engine) backoff(attempts int, err error) time.Duration {
	base := e.tune.RetryBase
	switch {
	case errors.Is(err, storage.ErrPrecondition):
		base /= 5
	case errors.Is(err, storage.ErrRefused), errors.Is(err, storage.ErrFull):
		base = max(base, e.tune.RetryMax/10)
	}
	d := base << min(attempts-1, 20)
	if d <= 0 || d > e.tune.RetryMax {
		d = e.tune.RetryMax
	}
	return jitter(d)
}

// sourceMissing notes that a bucket can't be compared with anything.
func (r *run) sourceMissing(bucket string, err error) {
	if !r.shards.owns(bucket) {
		r.sweeper.askFor(bucket) // whoever looks after the bucket finds it out
		return
	}
	r.ctl.SetIssue(bucket, "source", err.Error())
}
