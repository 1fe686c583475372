package control

import (
	"context"
	"sync"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// Pulled stores objects copied on demand, and routes by them. A row whose Key is "" is
// about the physical bucket: FaDO made it for such objects, and removes it with the last
// of them. It never expires.
//
// Rows are written here and taken over from the store. Where both happen to a row at once
// it is not known which is newer, so that the row is read again: see pulledReading.
type Pulled struct {
	c *core

	mu       sync.Mutex // held for work in memory only
	writing  map[state.PulledKey]int
	readings map[*pulledReading]struct{}
	ended    chan struct{} // closes when a write ends, and is replaced
}

// pulledReading is a look at stored rows, and the keys written meanwhile.
type pulledReading struct{ touched map[state.PulledKey]bool }

func newPulled(c *core) *Pulled {
	return &Pulled{c: c, writing: make(map[state.PulledKey]int), readings: make(map[*pulledReading]struct{}), ended: make(chan struct{})}
}

// Put stores rows, and then knows of them: changes at the primary concern their clusters
// from the return on. One with an ETag that has not expired is routed by, since the object
// is there and was verified; others are not.
func (s *Pulled) Put(ctx context.Context, rows ...state.Pulled) error {
	keys := make([]state.PulledKey, len(rows))
	for i, p := range rows {
		keys[i] = keyOfPulled(p)
	}
	s.begin(keys)
	err := s.c.health.note(s.c.store().Pulls().PutPulled(ctx, rows...))
	s.end(keys, func() {
		for _, p := range rows {
			if err == nil {
				s.route(p, true)
			}
		}
	})
	return err
}

// Delete removes rows, after the objects went or are no longer FaDO's to remove.
func (s *Pulled) Delete(ctx context.Context, keys ...state.PulledKey) error {
	s.begin(keys)
	remove := func() {
		for _, k := range keys {
			s.unroute(k)
		}
	}
	remove() // before its row goes
	err := s.c.health.note(s.c.store().Pulls().DeletePulled(ctx, keys...))
	s.end(keys, remove)
	return err
}

// Hide takes an object out of routing, on this instance, before it is removed.
func (s *Pulled) Hide(bucket, key, cluster string) {
	if o, ok := s.c.router.Pulled.Get(bucket, key, cluster); ok {
		o.Current = false
		s.c.router.Pulled.Set(bucket, key, cluster, o)
		s.c.signals.Fire(bucket)
	}
}

// begin announces a write of rows.
func (s *Pulled) begin(keys []state.PulledKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		s.writing[k]++
		for r := range s.readings {
			r.touched[k] = true
		}
	}
}

// end makes what a write of rows means for routing, in the same step as it ends.
func (s *Pulled) end(keys []state.PulledKey, routing func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	routing()
	for _, k := range keys {
		if s.writing[k]--; s.writing[k] == 0 {
			delete(s.writing, k)
		}
	}
	close(s.ended)
	s.ended = make(chan struct{})
}

// await returns when none of these rows is being written.
func (s *Pulled) await(ctx context.Context, keys map[state.PulledKey]bool) error {
	for {
		s.mu.Lock()
		busy := false
		for k := range keys {
			busy = busy || s.writing[k] > 0
		}
		ended := s.ended
		s.mu.Unlock()
		if !busy {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Pulled) beginReading() *pulledReading {
	r := &pulledReading{touched: make(map[state.PulledKey]bool)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readings[r] = struct{}{}
	for k := range s.writing {
		r.touched[k] = true
	}
	return r
}

// endReading hands the rows that were read to take, in one step.
func (s *Pulled) endReading(r *pulledReading, take func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readings, r)
	take()
}

// Follow takes in what other instances did to rows, as state.Shared tells it. Changes of
// other kinds are ignored.
func (s *Pulled) Follow(ctx context.Context, changes ...state.ObjectChange) error {
	left := make(map[state.PulledKey]bool) // whether it is gone
	for _, ch := range changes {
		if ch.Kind == state.ObjectPulled {
			left[state.PulledKey{Bucket: ch.Bucket, Key: ch.Key, Cluster: ch.Cluster}] = ch.Gone
		}
	}
	return s.followKeys(ctx, left)
}

// followKeys reads the rows of keys and routes by them; true marks what need not be read
// because it is gone.
func (s *Pulled) followKeys(ctx context.Context, left map[state.PulledKey]bool) error {
	for len(left) > 0 {
		if err := s.await(ctx, left); err != nil {
			return err
		}
		r := s.beginReading()
		rows, err := s.read(ctx, left)
		again := make(map[state.PulledKey]bool)
		s.endReading(r, func() {
			for k := range left {
				row, found := rows[k]
				switch {
				case err != nil:
				case r.touched[k]:
					again[k] = false
				case found:
					s.route(row, true)
				default: // gone, or gone since
					s.unroute(k)
				}
			}
		})
		if err != nil {
			return err
		}
		left = again
	}
	return nil
}

// read reads the rows of keys, all of a bucket in a cluster in one statement.
func (s *Pulled) read(ctx context.Context, keys map[state.PulledKey]bool) (map[state.PulledKey]state.Pulled, error) {
	found := make(map[state.PulledKey]state.Pulled)
	places := make(map[state.PulledFilter]struct{})
	for k, gone := range keys {
		if !gone {
			places[state.PulledFilter{Bucket: k.Bucket, Cluster: k.Cluster}] = struct{}{}
		}
	}
	for at := range places {
		rows, err := s.c.store().Pulls().ListPulled(ctx, at, 0)
		if err != nil {
			return nil, err
		}
		for _, p := range rows {
			if _, wanted := keys[keyOfPulled(p)]; wanted {
				found[keyOfPulled(p)] = p
			}
		}
	}
	return found, nil
}

// reload makes what is known that of the stored rows.
func (s *Pulled) reload(ctx context.Context, from state.Store) error {
	r := s.beginReading()
	rows := make(map[state.PulledKey]state.Pulled)
	err := from.Pulls().EachPulled(ctx, func(p state.Pulled) error {
		rows[keyOfPulled(p)] = p
		return nil
	})
	again := make(map[state.PulledKey]bool)
	s.endReading(r, func() {
		if err != nil {
			return
		}
		for k := range r.touched {
			again[k] = false
		}
		for k, p := range rows {
			if !r.touched[k] {
				s.route(p, true)
			}
		}
		for _, o := range s.c.router.Pulled.List(func(_, _, _ string) bool { return true }) {
			k := state.PulledKey{Bucket: o.Bucket, Key: o.Key, Cluster: o.Cluster}
			if _, known := rows[k]; !known && !r.touched[k] {
				s.unroute(k)
			}
		}
	})
	if err != nil {
		return err
	}
	return s.followKeys(ctx, again)
}

// loadOf takes in the stored rows of buckets that were not known for a while. Their
// objects are compared before they are routed by.
func (s *Pulled) loadOf(ctx context.Context, buckets []*catalog.Bucket) error {
	for _, b := range buckets {
		r := s.beginReading()
		rows, err := s.c.store().Pulls().ListPulled(ctx, state.PulledFilter{Bucket: b.Name}, 0)
		s.endReading(r, func() {
			for _, p := range rows {
				if _, known := s.c.router.Pulled.Get(p.Bucket, p.Key, p.Cluster); !known && !r.touched[keyOfPulled(p)] {
					s.route(p, false)
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// route routes by a row. The caller holds mu.
func (s *Pulled) route(p state.Pulled, verified bool) {
	if p.Key == "" {
		return
	}
	s.c.router.Pulled.Set(p.Bucket, p.Key, p.Cluster, catalog.Pulled{
		Size: p.Size, ETag: p.ETag, Until: p.Until, Current: verified && p.ETag != "" && p.Until.After(p.UsedAt),
	})
	s.c.signals.Fire(p.Bucket)
}

func (s *Pulled) unroute(k state.PulledKey) {
	s.c.router.Pulled.Remove(k.Bucket, k.Key, k.Cluster)
	s.c.signals.Fire(k.Bucket)
}

func keyOfPulled(p state.Pulled) state.PulledKey {
	return state.PulledKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster}
}
