package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

const (
	defaultOpenPatience = 5 * time.Second
	openEvery           = time.Second
	openTimeout         = 10 * time.Second
)

// opening gets the store that Control works on. Where it is out of reach when the process
// starts, the mirror stands in for it: routing goes by what this instance knew last,
// reads of the API are answered from it, changes are refused.
type opening struct {
	c        *Control
	open     func(context.Context) (state.Store, error) // nil: the store was given
	patience time.Duration
	mirror   state.Store
	maxAge   time.Duration
	kind     string

	mu     sync.Mutex
	why    error       // why there is no store yet; nil: there is
	opened state.Store // by open

	cancel context.CancelFunc
	done   chan struct{}
}

func newOpening(c *Control, o Options) *opening {
	op := &opening{c: c, open: o.Open, patience: o.OpenPatience, mirror: o.Mirror, maxAge: o.MaxMirrorAge, kind: o.Kind, done: make(chan struct{})}
	if o.Store != nil {
		op.open = nil
	}
	if op.patience <= 0 {
		op.patience = defaultOpenPatience
	}
	close(op.done)
	return op
}

// missing says why there is no store yet; nil when there is one.
func (o *opening) missing() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.why
}

// first gets a store to begin with: the real one, or the mirror.
func (o *opening) first(ctx context.Context) error {
	if o.open == nil {
		return o.c.take(ctx, o.c.Store())
	}
	err := o.try(ctx)
	for until := time.Now().Add(o.patience); errors.Is(err, state.ErrUnavailable) && time.Now().Before(until); err = o.try(ctx) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(200*time.Millisecond, o.patience)):
		}
	}
	if err == nil || !errors.Is(err, state.ErrUnavailable) || o.mirror == nil {
		return err
	}
	return o.standIn(ctx, err)
}

// try opens the store and takes it.
func (o *opening) try(ctx context.Context) error {
	octx, cancel := context.WithTimeout(ctx, max(o.patience, openTimeout))
	defer cancel()
	store, err := o.open(octx)
	if err != nil && octx.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", err, state.ErrUnavailable)
	}
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if err := o.c.take(ctx, store); err != nil {
		return errors.Join(err, store.Close())
	}
	o.mu.Lock()
	o.opened, o.why = store, nil
	o.mu.Unlock()
	return nil
}

// standIn begins with the mirror, and goes on trying to open the store.
func (o *opening) standIn(ctx context.Context, why error) error {
	at, err := mirroredAt(ctx, o.mirror)
	if err != nil {
		return errors.Join(why, err)
	}
	age := o.c.now().Sub(at)
	if o.maxAge > 0 && age > o.maxAge {
		return fmt.Errorf("%w; and the local mirror of it is %s old, more than max_snapshot_age %s", why, age.Round(time.Second), o.maxAge)
	}
	if _, err := o.c.load(ctx, o.mirror); err != nil {
		return errors.Join(why, fmt.Errorf("loading the local mirror: %w", err))
	}
	o.c.log.Error("the store is out of reach: routing by the local mirror, API changes are refused until it comes",
		zap.Duration("mirror_age", age.Round(time.Second)), zap.Error(why))
	o.mu.Lock()
	o.why = why
	o.mu.Unlock()
	o.c.mirror.aged(at)
	var store state.Store = &standby{Store: o.mirror, kind: o.kind, why: o.missing}
	o.c.store.Store(&store)
	ctx, o.cancel = context.WithCancel(context.Background())
	o.done = make(chan struct{})
	go o.goOn(ctx)
	return nil
}

// goOn tries until the store is there.
func (o *opening) goOn(ctx context.Context) {
	defer close(o.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(openEvery):
		}
		err := o.try(ctx)
		if err == nil {
			o.c.log.Info("the store came: going on with it")
			_ = o.c.trouble.note(nil)
			o.c.copiesChanged("")
			o.c.beforeAnswer(ctx)
			o.c.bus.Emit(Event{Type: EventConfiguration, Op: "reloaded"})
			o.c.pending.wake()
			return
		}
		o.mu.Lock()
		o.why = err
		o.mu.Unlock()
	}
}

func (o *opening) stop() {
	if o.cancel != nil {
		o.cancel()
	}
	<-o.done
}

func (o *opening) closeStore() {
	o.mu.Lock()
	opened := o.opened
	o.opened = nil
	o.mu.Unlock()
	if opened == nil {
		return
	}
	if err := opened.Close(); err != nil {
		o.c.log.Warn("closing the store", zap.Error(err))
	}
}
