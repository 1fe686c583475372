package replication

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// errStateChanged ends a walk whose copy is no longer in the state it began in.
var errStateChanged = errors.New("the copy's state changed")

// walk is one pass over a copy's rule at source and destination.
type walk struct {
	*run
	id       copyID
	row      state.Copy // at the start
	rows     []state.Copy
	src, dst *site
	rules    ruleFinder
	// anywhere: users write at both sides.
	anywhere bool
}

// ruleFinder tells which rule a key of a bucket belongs to.
type ruleFinder struct {
	snap   *routing.Snapshot
	bucket string
	longer []string // prefixes of other rules below this one's
	prefix string
}

func newRuleFinder(snap *routing.Snapshot, id copyID) ruleFinder {
	f := ruleFinder{snap: snap, bucket: id.bucket, prefix: id.prefix}
	for _, r := range snap.Rules(id.bucket) {
		if r.Prefix != id.prefix && strings.HasPrefix(r.Prefix, id.prefix) {
			f.longer = append(f.longer, r.Prefix)
		}
	}
	return f
}

// covers says whether a key below the rule's prefix is the rule's, and not a longer
// one's.
func (f ruleFinder) covers(key string) bool {
	for _, p := range f.longer {
		if strings.HasPrefix(key, p) {
			return false
		}
	}
	return true
}

// newWalk prepares a walk of a copy that is in one of the given states.
func (r *run) newWalk(ctx context.Context, id copyID, states ...catalog.CopyState) (*walk, error) {
	rows, err := r.ledger.of(ctx, id.bucket)
	if err != nil {
		return nil, err
	}
	i := indexCopy(rows, id.prefix, id.cluster)
	if i < 0 {
		return nil, errStateChanged
	}
	w := &walk{run: r, id: id, row: rows[i], rows: rows, rules: newRuleFinder(r.ctl.Router().Snapshot(), id)}
	w.anywhere = w.row.Anywhere || w.rules.anywhere()
	if !inStates(w.row.State, states) {
		return nil, errStateChanged
	}
	primary := primaryOf(rows)
	if primary == "" || primary == id.cluster {
		return nil, errStateChanged
	}
	if w.src, err = r.sites.usable(primary); err != nil {
		return nil, err
	}
	if w.dst, err = r.sites.usable(id.cluster); err != nil {
		return nil, err
	}
	return w, nil
}

func inStates(s catalog.CopyState, states []catalog.CopyState) bool {
	for _, o := range states {
		if s == o {
			return true
		}
	}
	return false
}

// still says whether the copy is in a state by the current snapshot, and the bucket is
// written where it was.
func (w *walk) still(s catalog.CopyState) bool {
	found := false
	for _, c := range w.ctl.Router().Snapshot().Copies(w.id.bucket) {
		if c.Primary && c.Cluster != w.src.name {
			return false
		}
		if c.Prefix == w.id.prefix && c.Cluster == w.id.cluster {
			found = c.State == s && !c.Primary
		}
	}
	return found
}

// pairs merges both listings after a key.
func (w *walk) pairs(ctx context.Context, after string) func(func(pair, error) bool) {
	src := w.src.client.List(ctx, w.id.bucket, w.id.prefix, after)
	dst := w.dst.client.List(ctx, w.id.bucket, w.id.prefix, after)
	return merge(ctx, src, dst, w.src.name, w.dst.name)
}

// bulk brings a copy in step object by object, for the first time.
type bulk struct {
	*walk
	track  *tracker
	handed handover
	wg     sync.WaitGroup
	// unlucky counts failures in a row; too many end the walk, with the last as its
	// reason, so that a storage that fails does not turn every object into a failure.
	unlucky atomic.Int64
	abort   context.CancelCauseFunc
}

const (
	maxUnlucky    = 16
	listingWindow = 1000
)

// syncCopy walks a copy from where it stands to the end; then the copy is synced.
func (r *run) syncCopy(ctx context.Context, id copyID) error {
	if err := r.beginSync(ctx, id); err != nil {
		return err
	}
	w, err := r.newWalk(ctx, id, catalog.CopySyncing)
	if err != nil {
		return err
	}
	live, epoch, _ := w.src.feed.get()
	b := &bulk{walk: w, track: newTracker(w.row.Cursor, w.row.Objects, w.row.Bytes)}
	if err := b.walkAll(ctx); err != nil {
		return err
	}
	stillLive, stillEpoch, _ := w.src.feed.get()
	if err := b.finish(ctx); err != nil {
		return err
	}
	if w.anywhere || w.row.Cursor != "" || !live || !stillLive || epoch != stillEpoch {
		r.sweeper.soon(id.bucket) // changes behind the cursor may have gone unnoticed
	}
	return nil
}

// beginSync makes the buckets and puts a waiting copy into state syncing.
func (r *run) beginSync(ctx context.Context, id copyID) error {
	if _, err := r.mend(ctx, id); err != nil {
		return err
	}
	s, err := r.sites.usable(id.cluster)
	if err != nil {
		return err
	}
	clock, err := r.clockOf(ctx, s)
	if err != nil {
		return err
	}
	row, ok, err := r.ledger.get(ctx, id)
	if err != nil || !ok || row.State == catalog.CopySyncing {
		return err
	}
	r.ledger.dropTally(id)
	_, err = r.ledger.amend(ctx, id, func(c *state.Copy) bool {
		if c.State != catalog.CopyWaiting {
			return false
		}
		c.State, c.Cursor, c.ScanCursor, c.Error, c.Objects, c.Bytes = catalog.CopySyncing, "", "", "", 0, 0
		if c.OwnedUntil.IsZero() {
			c.OwnedUntil = clock
		}
		return true
	})
	return err
}

// walkAll walks until the end of the listings or the first reason to stop. Whatever the
// outcome, what was done is noted.
func (b *bulk) walkAll(ctx context.Context) error {
	ctx, b.abort = context.WithCancelCause(ctx)
	defer b.abort(nil)
	saved := b.saving(ctx)
	err := b.each(ctx)
	b.wg.Wait() // the last objects may end the walk yet
	cause := context.Cause(ctx)
	b.abort(nil)
	<-saved
	switch {
	case cause != nil:
		return cause
	case err == nil && !b.track.idle():
		return errStateChanged // can't be: an object ended the walk or is done
	}
	return err
}

func (b *bulk) each(ctx context.Context) error {
	n := 0
	for p, err := range b.pairs(ctx, b.row.Cursor) {
		if err != nil {
			return err
		}
		if !b.rules.covers(p.key) {
			continue
		}
		if n++; n%listingWindow == 0 && !b.still(catalog.CopySyncing) {
			return errStateChanged
		}
		if err := b.one(ctx, p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// one judges a pair by its listings, and has it settled where that is needed.
func (b *bulk) one(ctx context.Context, p pair) error {
	var objects, bytes int64
	if p.src != nil {
		objects, bytes = 1, p.src.Size
	}
	if p.src != nil && p.dst != nil && storage.Compare(*p.src, *p.dst) == storage.Equal {
		b.track.pass(p.key, objects, bytes)
		return nil
	}
	if err := b.room(ctx); err != nil {
		return err
	}
	what := want{class: classBulk, bucket: b.id.bucket, from: b.src.name, to: b.id.cluster, size: bytes}
	if b.hand(ctx, p, what) {
		return nil
	}
	release, err := b.slots.acquireFor(ctx, what)
	if err != nil {
		return err
	}
	t := task{objectRef: objectRef{b.id.bucket, p.key, b.id.cluster}, size: bytes}
	if b.anywhere {
		t.against = b.src.name
	} else if p.src != nil && p.dst == nil {
		src := *p.src
		t.src, t.fresh = &src, true
	}
	done := b.track.begin(p.key, objects, bytes)
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		defer release()
		if b.object(ctx, t) {
			done()
		}
	}()
	return nil
}

// room waits while the walk is paused or too far ahead of its slowest object.
func (b *bulk) room(ctx context.Context) error {
	if err := b.pause.wait(ctx); err != nil {
		return err
	}
	for b.track.full() {
		select {
		case <-b.track.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// object settles one object and says whether the cursor may move past it: it is in step,
// or a durable row says that it is not.
func (b *bulk) object(ctx context.Context, t task) bool {
	t.foreign = b.isForeign(ctx, t.objectRef) // found so in an earlier walk of this copy
	err := b.persist(ctx, func() error {
		_, err := b.settle(ctx, t)
		t.src, t.fresh = nil, false
		return err
	})
	if err == nil {
		b.unlucky.Store(0)
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	switch {
	case errors.Is(err, errNoCopy), errors.Is(err, errLeaving), errors.Is(err, errMoving), errors.Is(err, errForbidden):
		b.abort(errStateChanged)
		return false
	case errors.Is(err, errDown), errors.Is(err, errNoSource), errors.Is(err, storage.ErrFull):
		b.abort(err)
		return false
	case !errors.Is(err, errConflict) && b.unlucky.Add(1) > maxUnlucky:
		b.abort(err)
		return false
	}
	return b.toRow(ctx, t, err)
}

// toRow leaves an object to the workers, or to people: the row is durable and an
// exception to freshness when it returns true.
func (b *bulk) toRow(ctx context.Context, t task, err error) bool {
	row := state.Pending{
		Bucket: t.bucket, Key: t.key, Cluster: t.cluster, Size: max(t.size, 0), Since: b.now(), Background: true,
		Attempts: 1, NextAttempt: b.now().Add(b.backoff(1, err)), Error: err.Error(),
	}
	switch {
	case errors.Is(err, errConflict):
		row.Hold, row.Foreign, row.Attempts = state.HoldConflict, true, 0
	case errors.Is(err, errHeld):
		row.Hold, row.Attempts = state.HoldDeletes, 0
	}
	b.metrics.Failed(t.cluster, kindOf(err))
	t.emitTo(b.ctl.Events(), "failed", "", 0, err.Error())
	if err := b.ctl.AddPending(ctx, row); err != nil {
		b.abort(fmt.Errorf("noting that an object could not be copied: %w", err))
		return false
	}
	return true
}

// saving stores how far the walk got, about every second and once more at the end.
func (b *bulk) saving(ctx context.Context) (ended <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for more := true; more; {
			more = sleep(ctx, b.tune.SaveEvery)
			if err := b.save(context.WithoutCancel(ctx)); err != nil {
				b.store(err)
			}
		}
	}()
	return done
}

// save stores the key up to which every write was verified.
func (b *bulk) save(ctx context.Context) error {
	low, objects, bytes := b.track.mark()
	return b.ledger.progress(ctx, b.id, func(c *state.Copy) bool {
		if c.State != catalog.CopySyncing || c.Cursor >= low {
			return false
		}
		c.Cursor, c.Objects, c.Bytes = low, objects, bytes
		return true
	})
}

// finish makes the copy a synced one.
func (b *bulk) finish(ctx context.Context) error {
	_, objects, bytes := b.track.mark()
	b.ledger.dropTally(b.id)
	err := b.ledger.update(ctx, b.id.bucket, func(rows []state.Copy) ([]state.Copy, error) {
		i := indexCopy(rows, b.id.prefix, b.id.cluster)
		if i < 0 || rows[i].State != catalog.CopySyncing || primaryOf(rows) != b.src.name {
			return rows, errStateChanged
		}
		c := &rows[i]
		c.State, c.Cursor, c.ScanCursor, c.Error = catalog.CopySynced, "", "", ""
		c.Objects, c.Bytes, c.VerifiedAt = objects, bytes, b.now()
		if p := indexCopy(rows, b.id.prefix, b.src.name); p >= 0 {
			rows[p].Objects, rows[p].Bytes, rows[p].VerifiedAt = objects, bytes, b.now()
		}
		return rows, nil
	})
	if err != nil {
		return err
	}
	b.log.Info("copy is synced", zap.String("bucket", b.id.bucket), zap.String("prefix", b.id.prefix),
		zap.String("cluster", b.id.cluster), zap.Int64("objects", objects), zap.Int64("bytes", bytes))
	return nil
}

// failCopy notes that a copy as a whole can't go on.
func (r *run) failCopy(ctx context.Context, id copyID, cause error) {
	_, err := r.ledger.amend(ctx, id, func(c *state.Copy) bool {
		if c.Primary || c.State > catalog.CopySyncing {
			return false
		}
		c.State, c.Error = catalog.CopyFailed, cause.Error()
		return true
	})
	r.store(err)
}
