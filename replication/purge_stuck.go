package replication

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/state"
)

// StuckPurges returns the purges of this instance that could not be carried out yet, by bucket.
// A Failure of a purge has no Key.
func (e *Engine) StuckPurges() []Failure {
	r := e.run.Load()
	if r == nil {
		return nil
	}
	r.purger.mu.Lock()
	defer r.purger.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.purger.stuck), func(a, b Failure) int { return cmp.Compare(a.Bucket, b.Bucket) })
}

// forgetOthers forgets failures of purges that are no longer under way: another instance ended
// them.
func (p *purger) forgetOthers(underWay []state.Purge) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.stuck, func(id int64, _ Failure) bool {
		return !slices.ContainsFunc(underWay, func(in state.Purge) bool { return in.ID == id })
	})
}

// due returns how long a purge is to wait that failed before; 0: it is due.
func (p *purger) due(in state.Purge) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.stuck[in.ID].NextAttempt.Sub(p.now()))
}

// ended notes how an attempt at a purge ended, and returns how long to wait for the next one.
func (p *purger) ended(in state.Purge, cluster string, err error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		delete(p.stuck, in.ID)
		return purgeRest
	}
	if p.stuck == nil {
		p.stuck = make(map[int64]Failure)
	}
	f := p.stuck[in.ID]
	wait := delay.Backoff{Base: purgeRetry, Max: purgeRest}.After(f.Attempts)
	p.stuck[in.ID] = Failure{
		Bucket: in.Bucket, Cluster: cluster, Error: "purging: " + err.Error(), Attempts: f.Attempts + 1, NextAttempt: p.now().Add(wait), Since: in.Since,
	}
	return wait
}
