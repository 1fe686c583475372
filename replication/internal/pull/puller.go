package pull

import (
	"context"
	"errors"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/keylock"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/routing"
)

// Puller copies objects on demand and looks after them. All methods are safe for concurrent
// use; what Run and Keep do survives their ends, so that both may be called again.
type Puller struct {
	o       *Options
	buckets buckets
	copier  *copier
	starter *starter
	keeper  *keeper
	uses    uses
}

// New returns a Puller that does nothing yet.
func New(o Options) *Puller {
	m, l, u, b := newMarks(), locks{&o}, uses{&o}, buckets{&o}
	rm := &remover{o: &o, locks: l, marks: m, buckets: b}
	c := &copier{o: &o, locks: l, buckets: b, remover: rm, room: &room{
		o: &o, uses: u, marks: m, remover: rm, clusters: keylock.New[string](),
	}}
	return &Puller{
		o: &o, buckets: b, copier: c, starter: newStarter(&o, c, m), uses: u,
		keeper: &keeper{
			o: &o, locks: l, marks: m, uses: u, remover: rm, kick: make(chan struct{}, 1), rechecks: make(map[string]struct{}),
		},
	}
}

// Pull copies objects to a cluster where an invocation can run beside them, and waits
// as long as the plan and ctx say. It returns nil when they are there: routing is to be
// asked again. What outlasts the wait continues in the background. However many ask for an
// object, it is copied once. While Run does not run it answers [Options.ErrOff].
func (p *Puller) Pull(ctx context.Context, plan routing.PullPlan) error {
	switch {
	case !p.starter.isOpen():
		return p.o.ErrOff
	case p.o.Pause.On():
		return errPaused
	}
	ctx, cancel := context.WithTimeout(ctx, plan.Timeout)
	defer cancel()
	err := p.starter.anywhere(ctx, plan)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		p.starter.count(resultTimeout)
	}
	return err
}

// Settle brings an object in step with the primary in a cluster that has no copy of it; with
// [object.ErrNoCopy] it was not copied there on demand either. The caller holds the object's
// lock.
func (p *Puller) Settle(ctx context.Context, t object.Task) (object.Outcome, error) {
	return p.copier.refresh(ctx, t.Object)
}

// Changed is to be called when the catalogue changed: what failed before may work now, and
// what is there may have to go.
func (p *Puller) Changed() {
	p.starter.backoffs.Clear()
	p.keeper.look()
}

// Look schedules a check of all objects copied on demand.
func (p *Puller) Look() { p.keeper.look() }

// Recheck schedules a comparison of a bucket's objects on demand with the primary.
func (p *Puller) Recheck(bucket string) { p.keeper.recheck(bucket) }

// LeaveTo notes that FaDO made a bucket whose last copy in a cluster goes, if objects copied
// on demand stay in it: it is removed with the last of those then.
func (p *Puller) LeaveTo(ctx context.Context, bucket, cluster string) error {
	return p.buckets.leaveTo(ctx, bucket, cluster)
}

// Run lets pulls start until ctx ends, which ends those under way, too, and returns when
// they have. Meanwhile it stores when objects are used.
func (p *Puller) Run(ctx context.Context) {
	p.starter.open(ctx)
	defer p.starter.wait()
	defer p.uses.note(context.WithoutCancel(ctx))
	defer p.starter.close()
	for delay.Sleep(ctx, p.o.Timing.Every) {
		p.uses.note(ctx)
	}
}

// Keep removes objects copied on demand that expired, or that policy no longer allows where
// they are, until ctx ends.
func (p *Puller) Keep(ctx context.Context) { p.keeper.run(ctx) }
