package walk

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What an object may meet that is not about the object: the copy is another, or a storage
// can't go on.
var (
	endOfCopy     = []error{object.ErrNoCopy, object.ErrLeaving, guard.ErrMoving, guard.ErrForbidden}
	brokenStorage = []error{site.ErrDown, object.ErrNoSource, storage.ErrFull, guard.ErrElsewhere, object.ErrNotYet}
)

// endsWalk reports whether what an object met is about the whole walk, and what the walk
// ends with then.
func endsWalk(err error) (error, bool) {
	for _, changed := range endOfCopy {
		if errors.Is(err, changed) {
			return object.ErrChanged, true
		}
	}
	for _, broken := range brokenStorage {
		if errors.Is(err, broken) {
			return err, true
		}
	}
	return nil, false
}

// maxUnlucky is how many objects in a row may fail before the walk does.
const maxUnlucky = 16

// bulk brings a copy in step object by object, for the first time.
type bulk struct {
	*pass
	track  *copies.Tracker
	clocks clocks
	handed handover
	// reach notes how far the walk got.
	reach func(cursor string, objects, bytes int64)
	// objects under way, bounded by slots: the first that ends the walk gives its reason.
	objects *errgroup.Group
	// unlucky counts failures in a row; too many end the walk, with the last as its
	// reason, so that a storage that fails does not turn every object into a failure.
	unlucky atomic.Int64
	// furthest is how far the walk had come before it began again; beyond since then.
	furthest string
	beyond   time.Time
	// older counts the objects that were found to be older at the primary, see [foresee].
	older atomic.Int64
}

// errMissed: changes may have been missed since the walk began.
var errMissed = errors.New("changes may have been missed")

// missed reports whether the walk is to begin again, because changes may have been missed
// since it began: not before it has gone on beyond where it was when it began for as long as
// it took to get there, so that it ends however often they are.
func (b *bulk) missed() bool {
	st := b.o.Router.Snapshot().ClusterState(b.src.Name())
	if st == nil || b.beyond.IsZero() {
		return false
	}
	end, open := st.Gap()
	return !open && end.After(b.began) && b.o.Now().Sub(b.beyond) >= b.beyond.Sub(b.began)
}

// run walks until the end of the listings or the first reason to stop. Whatever the
// outcome, what was done is stored.
func (b *bulk) run(parent context.Context) error {
	objects, ctx := errgroup.WithContext(parent)
	b.objects = objects
	saved := b.saving(ctx)
	err := b.each(ctx)
	failed := objects.Wait() // the last objects may end the walk yet
	<-saved
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return err
	case !b.track.Idle():
		return object.ErrChanged // can't be: an object ended the walk or is done
	}
	return parent.Err()
}

func (b *bulk) each(ctx context.Context) error {
	n := 0
	for p, err := range b.pairs(ctx, b.row.Cursor) {
		if err != nil {
			return err
		}
		if !b.rule.Covers(p.Key) {
			continue
		}
		if b.beyond.IsZero() && p.Key > b.furthest {
			b.beyond = b.o.Now()
		}
		if n++; n%listingWindow == 0 {
			if err := b.o.Hooks.rest(ctx); err != nil {
				return err
			}
			if !b.still(catalog.CopySyncing) {
				return object.ErrChanged
			}
			if b.missed() {
				return errMissed
			}
		}
		if err := b.one(ctx, p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// one judges a pair by its listings, and has it settled where that is needed.
func (b *bulk) one(ctx context.Context, p listing.Pair) error {
	var count, bytes int64
	if p.Src != nil {
		count, bytes = 1, p.Src.Size
	}
	if p.Src != nil && p.Dst != nil && storage.Compare(*p.Src, *p.Dst) == storage.Equal && !b.clocks.doubts(*p.Src, *p.Dst) {
		b.track.Pass(p.Key, count, bytes)
		return nil
	}
	if err := b.o.Hooks.rest(ctx); err != nil { // a page of large objects takes long
		return err
	}
	if err := b.room(ctx); err != nil {
		return err
	}
	if !b.o.Router.Snapshot().Of(b.id.Bucket).Passes(p.Key) {
		return b.leave(ctx, p)
	}
	want := limit.Want{Class: limit.Bulk, Bucket: b.id.Bucket, From: b.src.Name(), To: b.id.Cluster, Size: bytes}
	if b.hand(ctx, p, want) {
		return nil
	}
	release, err := b.o.Slots.Acquire(ctx, want)
	if err != nil {
		return err
	}
	t := b.taskOf(p)
	done := b.track.Begin(p.Key, count, bytes)
	b.objects.Go(func() error {
		defer release()
		if err := b.object(ctx, t); err != nil {
			return err
		}
		done()
		return nil
	})
	return nil
}

// taskOf is what settling a pair needs to know.
func (b *bulk) taskOf(p listing.Pair) object.Task {
	t := object.Task{Object: ids.ObjectIn(b.id.Bucket, p.Key, b.id.Cluster), Size: sizeOf(p.Src), Walked: true, Doubts: b.doubts()}
	switch {
	case b.anywhere:
		t.Against = b.src.Name()
	case p.Src != nil && p.Dst == nil:
		src := *p.Src
		t.Src, t.Fresh = &src, true
	}
	return t
}

// room waits while the walk is paused or too far ahead of its slowest object.
func (b *bulk) room(ctx context.Context) error {
	if err := b.o.Pause.Wait(ctx); err != nil {
		return err
	}
	for b.track.Full() {
		select {
		case <-b.track.Room():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// hand gives an object to who has time for it, if other instances are there and this one
// has its hands full.
func (b *bulk) hand(ctx context.Context, p listing.Pair, want limit.Want) bool {
	others := b.o.Hooks.Helpers()
	if others == 0 || b.anywhere || p.Src == nil || p.Src.Size > handedSize || b.o.Slots.Available(want) {
		return false
	}
	isPending := func(key string) bool { return b.o.Router.Pending.Has(b.id.Bucket, key, b.id.Cluster) }
	if isPending(p.Key) || !b.handed.room(handedPer*others, isPending) {
		return false
	}
	b.give(ctx, p)
	return true
}

// give makes a row of an object, which any instance claims.
func (b *bulk) give(ctx context.Context, p listing.Pair) {
	var count, size int64
	if p.Src != nil {
		count, size = 1, p.Src.Size
	}
	row := state.Pending{
		Bucket: b.id.Bucket, Key: p.Key, Cluster: b.id.Cluster, Size: size, Since: b.o.Now(), Background: true, Counted: true,
	}
	done := b.track.Begin(p.Key, count, size)
	b.objects.Go(func() error { // many at a time share a transaction
		if err := b.o.Control.AddPending(ctx, row); err != nil {
			return err
		}
		b.handed.note(row.Key)
		done()
		return nil
	})
}

// leaveEvery is how often a walk looks whether others have room for more.
const leaveEvery = 50 * time.Millisecond

// leave gives an object whose bytes may not pass through this instance to the others, as fast as
// they work such objects off. Where no other one is left the walk ends, and is begun again when
// there is one.
func (b *bulk) leave(ctx context.Context, p listing.Pair) error {
	isPending := func(key string) bool { return b.o.Router.Pending.Has(b.id.Bucket, key, b.id.Cluster) }
	for {
		others := b.o.Hooks.Carriers(b.id.Bucket, p.Key)
		switch {
		case others == 0:
			return guard.ErrPath
		case b.handed.room(handedPer*others, isPending):
			b.give(ctx, p)
			return nil
		case !b.still(catalog.CopySyncing):
			return object.ErrChanged
		case !delay.Sleep(ctx, leaveEvery):
			return context.Cause(ctx)
		}
	}
}

// object settles one object. Without an error the cursor may move past it: it is in step, or
// a durable row says that it is not. An error ends the walk.
func (b *bulk) object(ctx context.Context, t object.Task) error {
	var err error
	if t.Foreign, err = b.o.Objects.Foreign(ctx, t.Object); err != nil { // found so in an earlier walk of this copy
		return fmt.Errorf("reading whose an object is: %w", err)
	}
	err = b.o.Objects.Persist(ctx, func() error {
		_, err := b.o.Objects.Settle(ctx, t)
		t.Src, t.Fresh = nil, false
		if !errors.Is(err, object.ErrOlder) {
			return err
		}
		if n := int(b.older.Add(1)); n >= object.Doubtful {
			return stopOlder(ctx, b.pass, n)
		}
		t.Doubts = false
		_, err = b.o.Objects.Settle(ctx, t)
		return err
	})
	if err == nil {
		b.unlucky.Store(0)
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if reason, ends := endsWalk(err); ends {
		return reason
	}
	if !errors.Is(err, object.ErrConflict) && !errors.Is(err, object.ErrHeld) && b.unlucky.Add(1) > maxUnlucky {
		return err
	}
	return b.toRow(ctx, t, err)
}

// toRow leaves an object to the workers, or to people: the row is durable and an
// exception to freshness when it returns nil.
func (b *bulk) toRow(ctx context.Context, t object.Task, cause error) error {
	now := b.o.Now()
	row := state.Pending{
		Bucket: t.Bucket, Key: t.Key, Cluster: t.Cluster, Size: max(t.Size, 0), Since: now, Background: true, Counted: true,
		Attempts: 1, NextAttempt: now.Add(b.o.Objects.RetryAfter(1, cause)), Error: cause.Error(), Cause: object.KindOf(cause),
	}
	switch {
	case errors.Is(cause, object.ErrConflict):
		row.Hold, row.Foreign, row.Attempts = state.HoldConflict, object.ForeignIn(cause), 0
	case errors.Is(cause, object.ErrHeld):
		row.Attempts, row.NextAttempt = 0, now // a worker holds it, which sees what people decide meanwhile
	}
	b.o.Report.Failed(t.Object, string(object.KindOf(cause)), cause.Error())
	if err := b.o.Control.AddPending(ctx, row); err != nil {
		return fmt.Errorf("storing that an object could not be copied: %w", err)
	}
	return nil
}

// saving stores how far the walk got, every so often and once more at the end.
func (b *bulk) saving(ctx context.Context) (ended <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for more := true; more; {
			more = delay.Sleep(ctx, b.o.SaveEvery)
			if err := b.save(context.WithoutCancel(ctx)); err != nil {
				b.o.Log.Warn("could not store how far a walk got; a restart repeats what came since",
					zap.String("bucket", b.id.Bucket), zap.String("prefix", b.id.Prefix), zap.String("cluster", b.id.Cluster), zap.Error(err))
			}
		}
	}()
	return done
}

// save stores the key up to which every write was verified.
func (b *bulk) save(ctx context.Context) error {
	low, objects, bytes := b.track.Mark()
	b.passed(low)
	b.reach(low, objects, bytes)
	return b.o.Copies.Progress(ctx, b.id, func(c *state.Copy) bool {
		if c.State != catalog.CopySyncing || c.Cursor >= low {
			return false
		}
		c.Cursor, c.Objects, c.Bytes = low, objects, bytes
		return true
	})
}
