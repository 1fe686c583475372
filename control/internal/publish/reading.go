package publish

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Read begins a reading of some things. It is called before the store is read, and ended
// by Publish or Drop.
func (s *Sequencer) Read(keys ...state.Ref) *Reading {
	r := &Reading{s: s, keys: make(map[state.Ref]struct{}, len(keys)), touched: make(map[state.Ref]struct{})}
	for _, k := range keys {
		r.keys[k] = struct{}{}
	}
	s.begin(r)
	return r
}

// ReadAll begins a reading of everything, ended by PublishAll or Drop.
func (s *Sequencer) ReadAll() *Reading {
	r := &Reading{s: s, touched: make(map[state.Ref]struct{})}
	s.begin(r)
	return r
}

func (s *Sequencer) begin(r *Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readings[r] = struct{}{}
	for _, t := range s.turns {
		r.touch(t.keys)
	}
}

// Drop ends a reading that publishes nothing. It may be called after Publish.
func (r *Reading) Drop() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	delete(r.s.readings, r)
}

// Publish publishes what was read, but for what stale says: that was touched meanwhile,
// and is returned to be read again. Then runs in the same step; neither function may
// block.
func (r *Reading) Publish(edit func(e *routing.Editor, stale func(state.Ref) bool), then func()) (again []state.Ref) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readings, r)
	s.router.Swap(s.router.Snapshot().Edit(func(e *routing.Editor) { edit(e, r.isStale) }))
	keys := slices.Collect(maps.Keys(r.keys))
	for other := range s.readings {
		other.touch(keys)
	}
	again = slices.DeleteFunc(keys, func(k state.Ref) bool { return !r.isStale(k) })
	if then != nil {
		then()
	}
	return again
}

func (r *Reading) isStale(k state.Ref) bool {
	_, stale := r.touched[k]
	return stale
}

// PublishAll publishes a snapshot made of all there is. What was touched meanwhile stays
// as it is published now, and is returned to be read again. Finish may change the
// snapshot last. Other readings under way have everything touched by it: it must be the
// only one of its kind.
func (r *Reading) PublishAll(snap *routing.Snapshot, finish func(*routing.Editor), then func()) (again []state.Ref) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readings, r)
	now := s.router.Snapshot()
	for k := range r.touched {
		again = append(again, k)
	}
	s.router.Swap(snap.Edit(func(e *routing.Editor) {
		for _, k := range again {
			keep(e, now, k)
		}
		finish(e)
	}))
	for other := range s.readings {
		for k := range other.keys {
			other.touched[k] = struct{}{}
		}
	}
	if then != nil {
		then()
	}
	return again
}

// keep takes a thing over from a snapshot.
func keep(e *routing.Editor, from *routing.Snapshot, k state.Ref) {
	switch k.Kind {
	case catalog.KindZone:
		if z := from.Zone(k.Name); z != nil {
			e.PutZone(z)
			return
		}
	case catalog.KindCluster:
		if c := from.Cluster(k.Name); c != nil {
			e.PutCluster(c)
			return
		}
	case catalog.KindPolicy:
		if p := from.Policy(k.Name); p != nil {
			e.PutPolicy(p)
			return
		}
	case catalog.KindKey:
		if key := from.Key(k.Name); key != nil {
			e.PutKey(key)
			return
		}
	case catalog.KindBucket:
		if b := from.Bucket(k.Name); b != nil {
			e.PutBucket(b)
			e.SetCopies(k.Name, from.Of(k.Name).Copies())
			return
		}
	}
	e.Delete(k.Kind, k.Name)
}
