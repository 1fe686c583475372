package replication

import (
	"context"

	"github.com/fado-project/fado/replication/internal/jobs"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/purge"
)

func (w wiring) jobsOptions() jobs.Options {
	c := w.e.core
	return jobs.Options{
		Router: c.ctl.Router(), Control: port.Of(c.ctl), Resources: c.ctl.Resources, Copies: c.copies, Sites: c.sites, Guard: c.guard,
		Slots: c.slots, Objects: c.objects, Deletes: c.deletes, Report: c.report, Moves: w.e.walks.moves.Decisions, Evictor: w.e.walks.evictor,
		Inputs: w.e.core.inputs, Log: c.log, Now: c.now,
		Hooks: jobs.Hooks{
			Running: w.on,
			Ask: func(ctx context.Context, q peers.Request) (err error) {
				w.running(func(r *run) { err = r.peers.Ask(ctx, q) })
				return err
			},
			RequestScan: w.requestScan,
			Sync:        w.e.SyncBucket,
			IsThere:     w.e.sources.isThere,
			Replan:      func() { w.running(func(r *run) { r.agenda.touchAll() }) },
			Verifier: func() (by jobs.Verifier, err error) {
				w.running(func(r *run) { by = verifierOn{r} })
				return by, w.on()
			},
		},
	}
}

// on returns [ErrOff] unless replication runs on this instance.
func (w wiring) on() error {
	if w.e.run.Load() == nil || w.e.core.conf().Disabled {
		return ErrOff
	}
	return nil
}

// verifierOn is a run's verifier as people's jobs see it.
type verifierOn struct{ r *run }

// Request implements jobs.Verifier, as do the methods below.
func (v verifierOn) Request(ctx context.Context, bucket string, deep bool) (Verification, error) {
	return v.r.verifier.Request(ctx, bucket, deep)
}

// Get implements it.
func (v verifierOn) Get(ctx context.Context, bucket string) (Verification, error) {
	return v.r.verifier.Get(ctx, bucket)
}

// Delegate implements it.
func (v verifierOn) Delegate(ctx context.Context, bucket string) (bool, error) {
	return v.r.paths.Delegate(ctx, bucket)
}

func (w wiring) purgeOptions() purge.Options {
	c := w.e.core
	return purge.Options{
		Router: c.ctl.Router(), Control: c.ctl, Resources: c.ctl.Resources, Sites: c.sites, Guard: c.guard, Pause: c.pause,
		Objects: c.objects, Buckets: w.e.walks.buckets, Log: c.log, Now: c.now,
	}
}
