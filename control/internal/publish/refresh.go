package publish

import (
	"context"
	"errors"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Change is a resource that changed in the store, with its new value.
type Change struct {
	Ref state.Ref // a resource, or the bucket whose copies changed
	// Resource says that the resource itself changed.
	Resource bool

	// Refresh fills in what it read:
	Record *state.Record    // nil: there is none
	Item   catalog.Resource // what Record holds
	Rows   []state.Copy     // of a bucket
	// and what was published before: the copies of a bucket, and whether the resource was known.
	Before []catalog.Copy
	Known  bool
}

// Values is what Refresh reads of a store.
type Values interface {
	Get(ctx context.Context, k catalog.Kind, name string) (state.Record, error)
	CopiesOf(ctx context.Context, buckets ...string) ([]state.Copy, error)
}

// Refresh reads things and publishes them as the store has them now. What a configuration
// declares stays, but for a bucket's copies. Between, when given, is called after the
// values were read and before they are published, which may happen more than once.
func (s *Sequencer) Refresh(ctx context.Context, store Values, changes []*Change, between func(context.Context) error) error {
	for left := changes; len(left) > 0; {
		again, err := s.refresh(ctx, store, left, between)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(slices.Clone(left), func(c *Change) bool { return !slices.Contains(again, c.Ref) })
	}
	return nil
}

func (s *Sequencer) refresh(ctx context.Context, store Values, changes []*Change, between func(context.Context) error) ([]state.Ref, error) {
	keys := make([]state.Ref, len(changes))
	for i, c := range changes {
		keys[i] = c.Ref
	}
	if err := s.Await(ctx, keys...); err != nil {
		return nil, err
	}
	r := s.Read(keys...)
	defer r.Drop()
	for _, c := range changes {
		if err := c.Read(ctx, store); err != nil {
			return nil, err
		}
	}
	if between != nil {
		if err := between(ctx); err != nil {
			return nil, err
		}
	}
	snap := s.router.Snapshot
	return r.Publish(func(e *routing.Editor, stale func(state.Ref) bool) {
		for _, c := range changes {
			if !stale(c.Ref) {
				c.publish(e, snap(), s.declared)
			}
		}
	}, nil), nil
}

// Read reads what a changed thing is now.
func (c *Change) Read(ctx context.Context, store Values) error {
	if c.Resource {
		c.Record, c.Item = nil, nil
		rec, err := store.Get(ctx, c.Ref.Kind, c.Ref.Name)
		switch {
		case errors.Is(err, state.ErrNotFound):
		case err != nil:
			return err
		default:
			if c.Item, err = record.Decode(rec); err != nil {
				return err
			}
			c.Record = &rec
		}
	}
	if c.Ref.Kind != catalog.KindBucket {
		return nil
	}
	rows, err := store.CopiesOf(ctx, c.Ref.Name)
	c.Rows = rows
	return err
}

// publish makes the snapshot's part of one change, and notes what was there before.
func (c *Change) publish(e *routing.Editor, now *routing.Snapshot, declared func(state.Ref) bool) {
	c.Known = record.Known(now, c.Ref)
	if c.Resource && !declared(c.Ref) {
		if c.Item == nil {
			e.Delete(c.Ref.Kind, c.Ref.Name)
		} else {
			record.Put(e, c.Item)
		}
	}
	if c.Ref.Kind == catalog.KindBucket {
		c.Before = now.Of(c.Ref.Name).Copies()
		e.SetCopies(c.Ref.Name, record.Routed(c.Rows))
	}
}
