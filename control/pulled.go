package control

import (
	"context"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// A row of an object copied on demand whose Key is "" is about the physical bucket: FaDO
// made it for such objects, and removes it with the last of them. It never expires.

// PutPulled stores rows, and then knows of them: changes at the primary concern their
// clusters from the return on. One with an ETag that has not expired is routed by, since
// the object is there and was verified; others are not.
func (c *Control) PutPulled(ctx context.Context, rows ...state.Pulled) error {
	c.pulled.RLock()
	defer c.pulled.RUnlock()
	if err := c.trouble.note(c.Store().PutPulled(ctx, rows...)); err != nil {
		return err
	}
	for _, p := range rows {
		c.routePulled(p, true)
	}
	return nil
}

// DeletePulled removes rows, after the objects went or are no longer FaDO's to remove.
func (c *Control) DeletePulled(ctx context.Context, rows ...state.PulledKey) error {
	c.pulled.RLock()
	defer c.pulled.RUnlock()
	for _, k := range rows {
		c.router.Pulled.Remove(k.Bucket, k.Key, k.Cluster)
	}
	return c.trouble.note(c.Store().DeletePulled(ctx, rows...))
}

// HidePulled takes an object out of routing, on this instance, before it is removed.
func (c *Control) HidePulled(bucket, key, cluster string) {
	if o, ok := c.router.Pulled.Get(bucket, key, cluster); ok {
		o.Current = false
		c.router.Pulled.Set(bucket, key, cluster, o)
	}
}

// FollowPulled takes in what other instances did to rows, as state.Shared tells it. Changes
// of other kinds are ignored.
func (c *Control) FollowPulled(ctx context.Context, changes ...state.ObjectChange) error {
	type place struct{ bucket, cluster string }
	last := make(map[state.PulledKey]bool) // whether it is gone
	look := make(map[place]bool)
	for _, ch := range changes {
		if ch.Kind == state.ObjectPulled {
			last[state.PulledKey{Bucket: ch.Bucket, Key: ch.Key, Cluster: ch.Cluster}] = ch.Gone
			look[place{ch.Bucket, ch.Cluster}] = look[place{ch.Bucket, ch.Cluster}] || !ch.Gone
		}
	}
	c.pulled.Lock()
	defer c.pulled.Unlock()
	for at, any := range look {
		if !any {
			continue
		}
		rows, err := c.Store().ListPulled(ctx, state.PulledFilter{Bucket: at.bucket, Cluster: at.cluster}, 0)
		if err != nil {
			return err
		}
		for _, p := range rows {
			k := state.PulledKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster}
			if _, changed := last[k]; changed {
				c.routePulled(p, true)
				delete(last, k)
			}
		}
	}
	for k := range last { // gone, or gone since
		c.router.Pulled.Remove(k.Bucket, k.Key, k.Cluster)
	}
	return nil
}

// reloadPulled makes what is known that of the stored rows.
func (c *Control) reloadPulled(ctx context.Context, store state.Store) error {
	c.pulled.Lock()
	defer c.pulled.Unlock()
	known := make(map[state.PulledKey]bool)
	err := store.EachPulled(ctx, func(p state.Pulled) error {
		known[state.PulledKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster}] = true
		c.routePulled(p, true)
		return nil
	})
	if err != nil {
		return err
	}
	gone := c.router.Pulled.List(func(bucket, key, cluster string) bool {
		return !known[state.PulledKey{Bucket: bucket, Key: key, Cluster: cluster}]
	})
	for _, o := range gone {
		c.router.Pulled.Remove(o.Bucket, o.Key, o.Cluster)
	}
	return nil
}

// loadPulledOf takes in the stored rows of buckets that were not known for a while. Their
// objects are compared before they are routed by.
func (c *Control) loadPulledOf(ctx context.Context, buckets []*catalog.Bucket) error {
	c.pulled.Lock()
	defer c.pulled.Unlock()
	for _, b := range buckets {
		rows, err := c.Store().ListPulled(ctx, state.PulledFilter{Bucket: b.Name}, 0)
		if err != nil {
			return err
		}
		for _, p := range rows {
			if _, known := c.router.Pulled.Get(p.Bucket, p.Key, p.Cluster); !known {
				c.routePulled(p, false)
			}
		}
	}
	return nil
}

func (c *Control) routePulled(p state.Pulled, verified bool) {
	if p.Key == "" {
		return
	}
	c.router.Pulled.Set(p.Bucket, p.Key, p.Cluster, catalog.Pulled{
		Size: p.Size, ETag: p.ETag, Until: p.Until, Current: verified && p.ETag != "" && p.Until.After(p.UsedAt),
	})
}
