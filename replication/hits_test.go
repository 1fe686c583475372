package replication

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/routing"
)

// hits checks what promise 3 says, while everything else goes on: a cluster that counts as
// current for a key has what the primary has, as far as FaDO could know it. It could where a
// listener is told of everything, and what it was told of was taken in. No user writes
// meanwhile.
func (s *sim) hits() {
	s.Helper()
	p := s.primary()
	if !s.couldKnow(p) {
		return
	}
	want := s.stores[p].Contents("bkt")
	keys := slices.Collect(maps.Keys(s.want))
	for _, c := range simClusters {
		if c == p {
			continue
		}
		for _, key := range keys {
			if s.deletedInMove(key) || !s.ctl.Router().Current("bkt", key, c) {
				continue
			}
			got := s.stores[c].Contents("bkt")
			if got[key] == want[key] || s.primary() != p || !s.stores[p].Events.Listened() || s.carrying() {
				continue
			}
			s.Errorf("%s is a hit in %s, which has %q; the primary %s has %q\n%s", key, c, got[key], p, want[key], s.dump())
		}
	}
}

// deletedInMove reports whether a key's fate is not decided while a primary moves.
func (s *sim) deletedInMove(key string) bool { return s.moot[key] }

func (s *sim) carrying() bool {
	rows, err := s.store.Catalogue().CopiesOf(s.Context(), "bkt")
	return err != nil || copyrows.CarryingOver(rows)
}

// couldKnow waits until FaDO took in what it was told of a cluster's storage, and reports
// whether it was told of everything there.
func (s *sim) couldKnow(cluster string) bool {
	s.Helper()
	st := s.ctl.Router().Snapshot().ClusterState(cluster)
	s.await("events to be taken in, and a lost listener to be noticed", func() bool {
		at, open := st.Gap()
		noticed := s.stores[cluster].Events.Listened() || open || !at.IsZero() || st.Storage() != routing.StorageUp
		return noticed && s.eng.queue.Intake.Waiting() == 0
	})
	return s.stores[cluster].Events.Listened() && st.Storage() == routing.StorageUp && !s.carrying()
}
