package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Timing holds the times of the queue.
type Timing struct {
	Lease     time.Duration // of a claimed row
	RetryMax  time.Duration // longest delay between attempts
	FullProbe time.Duration // between attempts to write to a storage that is full
}

// Options of a Queue. All are required.
type Options struct {
	Router  *routing.Router
	Pending Pending
	Rows    interface {
		ExtendClaims(ctx context.Context, node string, until time.Time, rows ...state.PendingKey) ([]state.PendingKey, error)
	}
	Sites   *site.Sites
	Slots   *limit.Slots
	Pause   *guard.Pause
	Settler *object.Settler
	Report  *report.Report
	Log     *zap.Logger
	Now     func() time.Time
	Timing  Timing

	// Claimant is this instance's name in claims.
	Claimant func() string
	// Shared reports whether other instances use the store.
	Shared func() bool
	// CatchUp returns when all that is committed is routed by here.
	CatchUp func(ctx context.Context) error
	// NoEventFeed reports whether people want no listeners.
	NoEventFeed func() bool
	Leading     func(ctx context.Context, lock string, f func(context.Context))
	Gaps        Gaps
	// Scan asks for a scan of a bucket, which another instance may look after.
	Scan func(bucket string)
	// AskSource is called before a bucket's primary is asked, and what it returns with the
	// error if it has no such bucket.
	AskSource func(bucket string) (answer func(missing error))
}

// Queue is the intake, the feeds and the workers of one run of the engine.
type Queue struct {
	Intake  *Intake
	Feeds   *Feeds
	Workers *Workers
}

// New returns a queue at rest.
func New(o Options) *Queue {
	n := newIntake(o)
	w := &Workers{
		o: o, seen: n.seen, freed: make(chan struct{}, 1), outstanding: make(map[state.PendingKey]time.Time), atWork: make(map[ids.Object][]state.Pending),
		early: make(map[ids.Object]*earlyStart), by: make(map[string]int),
	}
	n.live = w.addLive
	return &Queue{Intake: n, Feeds: newFeeds(o, n), Workers: w}
}

// Workers work pending rows off.
type Workers struct {
	o    Options
	seen *memory.Memory[ids.Object, storage.Object]
	wg   sync.WaitGroup
	// freed delivers when rows were worked off.
	freed chan struct{}
	ctx   context.Context // of Run, for early starts

	mu          sync.Mutex
	open        bool                           // Run is under way
	outstanding map[state.PendingKey]time.Time // claimed until
	atWork      map[ids.Object][]state.Pending // objects of these, and the row that follows, if any
	early       map[ids.Object]*earlyStart     // worked on without a claim
	by          map[string]int                 // outstanding and early ones, per cluster
}

// claimEvery is the time between looks for rows that became due with time.
const claimEvery = time.Second

// Run claims rows as long as there is room, and works on them, until ctx ends.
func (w *Workers) Run(ctx context.Context) {
	w.mu.Lock()
	w.ctx, w.open = ctx, true
	w.mu.Unlock()
	defer w.close()
	poll := time.NewTicker(claimEvery)
	defer poll.Stop()
	for {
		w.fill(ctx)
		select {
		case <-ctx.Done():
			return
		case <-w.o.Pending.Added():
		case <-w.freed:
		case <-poll.C:
			w.extend(ctx)
		}
	}
}

// close waits for all work; none begins any more.
func (w *Workers) close() {
	w.mu.Lock()
	w.open = false
	w.mu.Unlock()
	w.wg.Wait()
}

// fill claims rows of every cluster that has some and that there is room for. Where the
// storage is down nothing is claimed: its rows could only be noted as failed, each of them.
// When it comes up they are claimed at once.
func (w *Workers) fill(ctx context.Context) {
	if w.o.Pause.On() {
		return
	}
	for _, cluster := range w.o.Pending.Clusters() {
		if w.o.Sites.Down(cluster) {
			continue
		}
		room := w.room(cluster)
		if room <= 0 || ctx.Err() != nil {
			continue
		}
		rows, err := w.o.Pending.ClaimIn(ctx, cluster, room, w.o.Timing.Lease)
		if err != nil {
			if ctx.Err() == nil {
				w.o.Log.Warn("could not claim pending objects; retrying in a second", zap.String("cluster", cluster), zap.Error(err))
				delay.Sleep(ctx, claimEvery)
			}
			return
		}
		w.begin(ctx, rows)
	}
}

// room returns how many rows of a cluster to claim. It is 0 until a good part of those
// claimed before are done, so that claims come in batches.
func (w *Workers) room(cluster string) int {
	most := w.o.Slots.ClaimCap(cluster)
	w.mu.Lock()
	defer w.mu.Unlock()
	if has := w.by[cluster]; has == 0 || has <= most/2 {
		return most - has
	}
	return 0
}

// begin starts work on claimed rows.
func (w *Workers) begin(ctx context.Context, rows []state.Pending) {
	for _, row := range rows {
		if !w.take(row) {
			continue
		}
		w.wg.Go(func() {
			defer func() { w.begin(ctx, w.remove(row)) }()
			if !w.doneEarly(ctx, row) {
				w.work(ctx, row)
			}
		})
	}
}

// take notes that a row is worked on. One whose object is at work already, by a row that was
// raised since, is not: it would hold a slot until that work is over, and follows it.
func (w *Workers) take(row state.Pending) bool {
	ref := ids.ObjectIn(row.Bucket, row.Key, row.Cluster)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.atWork[ref]; ok {
		w.atWork[ref] = []state.Pending{row}
		return false
	}
	w.atWork[ref] = nil
	w.outstanding[KeyOf(row)] = w.o.Now().Add(w.o.Timing.Lease)
	w.by[row.Cluster]++
	return true
}

// remove notes that work on a row is over, and returns the one that follows.
func (w *Workers) remove(row state.Pending) (next []state.Pending) {
	ref := ids.ObjectIn(row.Bucket, row.Key, row.Cluster)
	w.mu.Lock()
	delete(w.outstanding, KeyOf(row))
	next = w.atWork[ref]
	delete(w.atWork, ref)
	w.leaveLine(row.Cluster)
	w.mu.Unlock()
	w.free()
	return next
}

// leaveLine counts one less in a cluster's line and returns how many are left. The caller
// holds mu.
func (w *Workers) leaveLine(cluster string) int {
	w.by[cluster]--
	has := w.by[cluster]
	if has == 0 {
		delete(w.by, cluster)
	}
	return has
}

// free tells Run that there is room.
func (w *Workers) free() {
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// extend prolongs the claims of rows that take long.
func (w *Workers) extend(ctx context.Context) {
	now := w.o.Now()
	var keys []state.PendingKey
	w.mu.Lock()
	for k, until := range w.outstanding {
		if until.Sub(now) < w.o.Timing.Lease/2 {
			keys = append(keys, k)
			w.outstanding[k] = now.Add(w.o.Timing.Lease)
		}
	}
	w.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	// A lost claim does no harm: the row is worked on again, by its latest generation.
	if _, err := w.o.Rows.ExtendClaims(ctx, w.o.Claimant(), now.Add(w.o.Timing.Lease), keys...); err != nil {
		w.failedToStore(ctx, "could not prolong claims; they run out and are claimed again", err)
	}
}

// failedToStore reports a failure to write the store; what was not written is done again.
func (w *Workers) failedToStore(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		w.o.Log.Warn(what, zap.Error(err))
	}
}

// KeyOf names a row at its generation.
func KeyOf(p state.Pending) state.PendingKey {
	return state.PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: p.Gen}
}

// waitsForSpace is why a row would not be written now because its storage is known to be
// full, so that no storage need be asked about it. A row without a size may be about a
// removal.
func (w *Workers) waitsForSpace(row state.Pending) error {
	s := w.o.Sites.Get(row.Cluster)
	if s == nil || row.Size <= 0 {
		return nil
	}
	if _, waits := s.WaitsForSpace(); waits {
		return s.FullError(site.ErrFullWait)
	}
	return nil
}

// work brings one row's object in step and notes the outcome.
func (w *Workers) work(ctx context.Context, row state.Pending) {
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
func (w *Workers) attempt(ctx context.Context, row state.Pending) error {
	class := limit.Live
	if row.Background {
		class = limit.Bulk
	}
	from := w.o.Router.Snapshot().Primary(row.Bucket)
	release, err := w.o.Slots.Acquire(ctx, limit.Want{Class: class, Bucket: row.Bucket, From: from, To: row.Cluster, Size: row.Size})
	if err != nil {
		return err
	}
	defer release()
	if err := w.rest(ctx, from, row.Cluster); err != nil {
		return err
	}
	t := object.Task{
		Object: ids.ObjectIn(row.Bucket, row.Key, row.Cluster), Size: row.Size,
		Foreign: row.Foreign, Since: row.Since, Damaged: row.Damaged, Counted: row.Counted, Listed: row.Counted,
	}
	if src, ok := w.seen.Get(ids.ObjectIn(row.Bucket, row.Key, "")); ok && row.Attempts == 0 && !row.Foreign && src.Size <= limit.SmallObject {
		t.Src, t.Fresh = &src, true
	}
	answer := w.o.AskSource(row.Bucket)
	v, err := w.o.Settler.Settle(ctx, t)
	if errors.Is(err, object.ErrNoSource) {
		answer(err)
	}
	if w.o.Shared() && (v == object.Moot && err == nil || errors.Is(err, object.ErrNoCopy)) {
		err = w.askAgain(ctx, t)
	}
	return err
}

// rest keeps work away from storages that fail again and again, but for a little at a time.
func (w *Workers) rest(ctx context.Context, clusters ...string) error {
	for _, c := range clusters {
		if s := w.o.Sites.Known(c); s != nil {
			if err := s.Rest(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// askAgain settles an object that nothing was to be done about once more, by all that is
// committed: another instance may have made the bucket or the copy a moment ago, and the
// row with it. A bucket that only other instances know is theirs.
func (w *Workers) askAgain(ctx context.Context, t object.Task) error {
	if err := w.o.CatchUp(ctx); err != nil {
		return err
	}
	v, err := w.o.Settler.Settle(ctx, t)
	if v == object.Moot && err == nil && w.o.Router.Snapshot().Bucket(t.Bucket) == nil {
		return errNotHere
	}
	return err
}

// errNotHere says that a bucket is none of this instance's configuration.
var errNotHere = errors.New("this instance does not know the bucket")
