package control

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/follow"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/control/mirror"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// core is what the roles of a Control share.
type core struct {
	stored       atomic.Pointer[state.Store]
	log          *zap.Logger
	node         string
	now          func() time.Time
	checkBalance func(catalog.RawObject) error

	router  *routing.Router
	order   *publish.Sequencer
	inForce atomic.Pointer[declared]

	bus        *Bus
	hooks      *Hooks
	health     storeHealth
	signals    follow.Signals
	exceptions *follow.Exceptions
	follower   *follow.Follower
	members    *follow.Members
	mirror     *mirror.Mirror // nil without one
}

// store returns the store in use.
func (c *core) store() state.Store { return *c.stored.Load() }

// declared returns what the configuration in force declares.
func (c *core) declared() *declared { return c.inForce.Load() }

// shared says whether others may write the store.
func (c *core) shared() bool { return c.follower.Shared() != nil }

// change is a change of the catalogue or of copies.
type change struct {
	about []state.Ref // what it changes
	// run makes the change in a transaction. Everything that was committed before by this
	// instance is in the snapshot while it runs.
	run func(tx state.Tx) error
	// edit makes the snapshot's part of it; then takes its number in the same step. Neither
	// may block.
	edit func(*routing.Editor)
	then func(seq state.Seq)
	// progress may be lost in a power cut, though not in a crash.
	progress bool
}

// commit stores a change durably and publishes it. When it returns, it is routed by.
func (c *core) commit(ctx context.Context, ch change) error {
	turn, err := c.order.Begin(ctx, ch.about...)
	if err != nil {
		return err
	}
	defer turn.Drop()
	seq, err := c.updater(ch.progress)(ctx, func(tx state.Tx) error {
		if err := turn.Enter(ctx); err != nil {
			return err
		}
		return ch.run(tx)
	})
	if c.health.note(err) != nil {
		return err
	}
	turn.Commit(seq, ch.edit, func() {
		c.follower.Made(seq)
		if ch.then != nil {
			ch.then(seq)
		}
	})
	return nil
}

type update func(ctx context.Context, f func(tx state.Tx) error) (state.Seq, error)

// progressCatalogue is a catalogue that tells progress from changes that must survive a power cut.
type progressCatalogue interface {
	UpdateProgress(ctx context.Context, f func(tx state.Tx) error) (state.Seq, error)
}

func (c *core) updater(progress bool) update {
	catalogue := c.store().Catalogue()
	if p, ok := catalogue.(progressCatalogue); ok && progress {
		return p.UpdateProgress
	}
	return catalogue.Update
}

// resourceChanged tells hooks and watchers of a change of a resource. It is in force by then, and
// what it forbids has ended.
func (c *core) resourceChanged(r ResourceChange) {
	c.hooks.resource(r)
	c.bus.Emit(Event{Type: EventResource, Op: string(r.Op), Kind: string(r.Kind), Name: r.Name, Elsewhere: r.Elsewhere})
}

// anyChanged tells hooks and watchers that anything may have changed.
func (c *core) anyChanged(op string) {
	c.hooks.resource(ResourceChange{})
	c.bus.Emit(Event{Type: EventConfiguration, Op: op})
}
