package purge

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/state"
)

// Times before purges are checked again.
const (
	purgeRest  = time.Minute
	purgeRetry = 5 * time.Second
)

// Stuck is a purge that could not be carried out in a cluster yet, and why.
type Stuck struct {
	Bucket, Cluster, Error string
	Attempts               int
	NextAttempt            time.Time
	Since                  time.Time // when it was decided
}

// stuckPurges are the purges that failed, by their ID.
type stuckPurges struct {
	now func() time.Time

	mu sync.Mutex
	by map[int64]Stuck
}

// all returns them by bucket.
func (s *stuckPurges) all() []Stuck {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.by), func(a, b Stuck) int { return cmp.Compare(a.Bucket, b.Bucket) })
}

// forgetOthers forgets failures of purges that are no longer under way: another instance ended
// them.
func (s *stuckPurges) forgetOthers(underWay []state.Purge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.by, func(id int64, _ Stuck) bool {
		return !slices.ContainsFunc(underWay, func(in state.Purge) bool { return in.ID == id })
	})
}

// due returns how long a purge is to wait that failed before; 0: it is due.
func (s *stuckPurges) due(in state.Purge) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, s.by[in.ID].NextAttempt.Sub(s.now()))
}

// ended notes how an attempt at a purge ended, and returns how long to wait for the next one.
func (s *stuckPurges) ended(in state.Purge, cluster string, err error) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.by, in.ID)
		return purgeRest
	}
	if s.by == nil {
		s.by = make(map[int64]Stuck)
	}
	f := s.by[in.ID]
	wait := delay.Backoff{Base: purgeRetry, Max: purgeRest}.After(f.Attempts)
	s.by[in.ID] = Stuck{
		Bucket: in.Bucket, Cluster: cluster, Error: "purging: " + err.Error(), Attempts: f.Attempts + 1, NextAttempt: s.now().Add(wait), Since: in.Since,
	}
	return wait
}
