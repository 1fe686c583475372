package purge

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/state"
)

// Purges are the purges of an instance.
type Purges struct {
	o     Options
	wake  chan struct{}
	stuck stuckPurges
}

// New returns the purges of an instance.
func New(o Options) *Purges {
	return &Purges{o: o, wake: make(chan struct{}, 1), stuck: stuckPurges{now: o.Now}}
}

// Stuck returns the purges that could not be carried out yet, by bucket.
func (p *Purges) Stuck() []Stuck { return p.stuck.all() }

// Forget forgets which purges could not be carried out: all are due.
func (p *Purges) Forget() { p.stuck.forgetOthers(nil) }

// Run carries purges out until ctx ends. It retries those that fail. Of the instances on a store one
// runs it at a time.
func (p *Purges) Run(ctx context.Context) {
	for {
		again := purgeRest
		purges, err := p.o.Control.Store().Purges().Purges(ctx)
		switch {
		case err == nil:
			p.stuck.forgetOthers(purges)
		case ctx.Err() == nil:
			p.o.Log.Warn("could not read the purges under way; trying again in a minute", zap.Error(err))
		}
		for _, in := range purges {
			if ctx.Err() != nil {
				return
			}
			wait := p.stuck.due(in)
			if wait == 0 {
				wait = p.attempt(ctx, in)
			}
			again = min(again, wait)
		}
		t := time.NewTimer(again)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-p.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// attempt carries a purge out, as far as it can be, and returns how long to wait for another try.
func (p *Purges) attempt(ctx context.Context, in state.Purge) time.Duration {
	cluster, err := p.purge(ctx, in)
	if ctx.Err() != nil {
		return purgeRest
	}
	wait := p.stuck.ended(in, cluster, err)
	if err != nil {
		p.o.Log.Warn("could not purge a bucket; will retry", zap.String("bucket", in.Bucket), zap.String("cluster", cluster),
			zap.Duration("after", wait), zap.Error(err))
	}
	return wait
}

// purge carries one out, and forgets it when nothing is left to do. It names the cluster that an
// error is about.
func (p *Purges) purge(ctx context.Context, in state.Purge) (cluster string, err error) {
	for _, t := range in.Targets {
		if t.Primary {
			continue
		}
		if err := target(ctx, &p.o, in, t); err != nil && !errors.Is(err, guard.ErrForbidden) {
			return t.Cluster, err
		}
		if err := p.o.Control.Store().Purges().FinishPurgeTarget(ctx, in.Bucket, in.ID, t.Cluster); err != nil {
			return t.Cluster, err
		}
	}
	for _, t := range in.Targets { // the primary last: what it has decides about the copies
		if t.Primary && in.Mode == state.PurgeAll {
			if err := target(ctx, &p.o, in, t); err != nil && !errors.Is(err, guard.ErrForbidden) {
				return t.Cluster, err
			}
		}
	}
	if p.o.Router.Snapshot().Bucket(in.Bucket) != nil {
		p.o.Log.Warn("a purge ends: the bucket was declared again", zap.String("bucket", in.Bucket))
	}
	_, err = p.o.Control.Store().Purges().FinishPurge(ctx, in.Bucket, in.ID)
	return "", err
}
