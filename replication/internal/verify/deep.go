package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/replication/internal/walk"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// deepAtATime bounds the objects of one verification that are read at a time.
const deepAtATime = 4

// deep reads the objects of one rule at the primary and all synced copies.
type deep struct {
	v      *Verifier
	c      *current
	id     ids.Copy // the primary's
	src    *site.Site
	copies []string
	rule   walk.Rule
	// anywhere: users write at every copy.
	anywhere bool
	track    *copies.Tracker
	abort    context.CancelCauseFunc
	wg       sync.WaitGroup
	room     chan struct{}
}

func (d *deep) walk(ctx context.Context, from string) error {
	ctx, d.abort = context.WithCancelCause(ctx)
	defer d.abort(nil)
	defer d.wg.Wait()
	for o, err := range d.src.Reader().List(ctx, d.id.Bucket, d.id.Prefix, from) {
		if err != nil {
			return fmt.Errorf("listing %s: %w", d.src.Name(), err)
		}
		if !d.rule.Covers(o.Key) {
			continue
		}
		if err := d.begin(ctx, o); err != nil {
			return err
		}
	}
	d.wg.Wait()
	return context.Cause(ctx)
}

// begin has one object read, when there is room. Only a slot of bulk work is taken: live
// changes come first.
func (d *deep) begin(ctx context.Context, o storage.Object) error {
	if err := d.v.o.Pause.Wait(ctx); err != nil {
		return err
	}
	if d.v.o.Router.Snapshot().Of(d.id.Bucket).Primary() != d.src.Name() {
		return object.ErrChanged
	}
	release, err := d.v.o.Slots.Acquire(ctx, limit.Want{Class: limit.Bulk, To: d.src.Name()})
	if err != nil {
		return context.Cause(ctx)
	}
	select {
	case d.room <- struct{}{}:
	case <-ctx.Done():
		release()
		return context.Cause(ctx)
	}
	done := d.track.Begin(o.Key, 1, o.Size*int64(1+len(d.copies)))
	d.wg.Go(func() {
		defer func() { <-d.room; release() }()
		if err := d.object(ctx, o); err != nil {
			d.abort(err)
			return
		}
		done()
		d.c.reachedKey(d.track.Mark())
		d.c.progress(d.v.o.Events, d.v.o.Now())
	})
	return nil
}

// reading is what came of reading one cluster's object.
type reading struct {
	site *site.Site
	obj  storage.Object
	storage.Reread
	damaged string // why its bytes are not to be used; "" if they may be
}

// object reads one key everywhere and judges. Copies that are pending are left to their
// rows; an object that changes meanwhile is left to the feeds.
func (d *deep) object(ctx context.Context, o storage.Object) error {
	passes := func(s *routing.Snapshot) bool { return s.Of(d.id.Bucket).Passes(o.Key) }
	ctx, end, err := d.v.o.Guard.Carry(ctx, d.src.Name(), passes)
	if err == nil {
		defer end()
		err = d.everywhere(ctx, o)
	}
	if !passes(d.v.o.Router.Snapshot()) && err != nil {
		return guard.ErrPath
	}
	return err
}

func (d *deep) everywhere(ctx context.Context, o storage.Object) error {
	src, err := d.read(ctx, d.src, o.Key)
	if err != nil {
		return err
	}
	if src == nil {
		return nil
	}
	var found []*reading
	for _, c := range d.copies {
		if d.v.o.Router.Pending.Has(d.id.Bucket, o.Key, c) {
			continue
		}
		s, err := d.v.o.Sites.Usable(c)
		if err != nil {
			return err
		}
		cp, err := d.read(ctx, s, o.Key)
		if err != nil {
			return err
		}
		switch {
		case cp == nil:
		case storage.Compare(src.obj, cp.obj) == storage.Equal:
			found = append(found, cp)
		default:
			if changed, err := d.changed(ctx, src); err != nil || changed {
				return err
			}
			if err := d.differs(ctx, cp); err != nil {
				return err
			}
		}
	}
	d.c.count(1, 0)
	return d.judge(ctx, src, found)
}

// changed reports whether an object is no longer what was read a while ago.
func (d *deep) changed(ctx context.Context, r *reading) (bool, error) {
	now, err := r.site.Stat(ctx, d.id.Bucket, r.obj.Key)
	return err == nil && (now == nil || storage.Compare(r.obj, *now) != storage.Equal), err
}

const (
	readAttempts = 3
	readBackoff  = 200 * time.Millisecond
)

// read reads one cluster's object to its end; nil if it is not there or changed meanwhile.
// An object that can't be read from a storage that is well otherwise is damaged.
func (d *deep) read(ctx context.Context, s *site.Site, key string) (*reading, error) {
	o, err := s.Stat(ctx, d.id.Bucket, key)
	if err != nil || o == nil {
		return nil, err
	}
	r := &reading{site: s, obj: *o}
	for attempt := range readAttempts {
		if attempt > 0 && !delay.Sleep(ctx, delay.Jitter(readBackoff<<attempt)) {
			return nil, context.Cause(ctx)
		}
		r.Reread, err = s.Reader().Reread(ctx, d.id.Bucket, *o, func(ctx context.Context, n int) error {
			d.c.count(0, int64(n))
			return d.v.o.Sites.Bandwidth.Read(ctx, s, n)
		})
		if err == nil {
			if r.Integrity == storage.Damaged {
				r.damaged = r.Why
			}
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, storage.ErrPrecondition) || errors.Is(err, storage.ErrNotFound) {
			return nil, nil
		}
		if errors.Is(err, storage.ErrUnsupported) {
			return nil, fmt.Errorf("reading in %s: %w", s.Name(), err)
		}
	}
	return r, d.unreadable(ctx, r, err)
}

// unreadable tells a damaged object from a storage that is not well.
func (d *deep) unreadable(ctx context.Context, r *reading, cause error) error {
	if errors.Is(cause, storage.ErrDenied) || errors.Is(cause, storage.ErrNoBucket) {
		return fmt.Errorf("reading in %s: %w", r.site.Name(), cause)
	}
	ctx, cancel := context.WithTimeout(ctx, d.v.o.PingTimeout)
	defer cancel()
	if err := r.site.Reader().Ping(ctx); err != nil {
		return fmt.Errorf("reading in %s: %w", r.site.Name(), cause)
	}
	r.damaged = "it can't be read: " + cause.Error()
	return nil
}
