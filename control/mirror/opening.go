package mirror

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
	defaultPatience = 5 * time.Second
	openEvery       = time.Second
	openTimeout     = 10 * time.Second
)

// Host works on the store that an Opening gets.
type Host interface {
	// Use loads a store into memory and works on it from then on.
	Use(ctx context.Context, store state.Store) error
	// StandIn loads the mirror into memory and answers reads from a store that refuses
	// changes, until Use.
	StandIn(ctx context.Context, mirror, standby state.Store) error
	// Came is called when the store is in use at last, after a time without.
	Came(ctx context.Context)
}

// OpeningOptions describe the store to be opened.
type OpeningOptions struct {
	// Open opens the store; an error that is a state.ErrUnavailable is tried again.
	Open func(context.Context) (state.Store, error)
	// Kind is what that store calls itself, for the time before.
	Kind string
	// Patience is how long First tries before it goes by the mirror; default 5 s.
	Patience time.Duration
	// Stored is the mirror's store; nil without one.
	Stored state.Store
	// MaxAge bounds how old the mirror may be; 0: any age.
	MaxAge time.Duration

	Mirror *Mirror
	Host   Host
	Now    func() time.Time
	Log    *zap.Logger
}

// Opening gets the store to work on, with the mirror standing in until it comes.
type Opening struct {
	OpeningOptions

	mu     sync.Mutex
	why    error       // why there is no store yet; nil: there is
	opened state.Store // by Open

	cancel context.CancelFunc
	done   chan struct{}
}

// NewOpening returns an Opening that has opened nothing yet.
func NewOpening(o OpeningOptions) *Opening {
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
	op := &Opening{OpeningOptions: o, done: make(chan struct{})}
	close(op.done)
	return op
}

// Missing says why there is no store yet; nil when there is one.
func (o *Opening) Missing() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.why
}

// refuse is why the stand-in refuses what would change something.
func (o *Opening) refuse() error {
	if err := o.Missing(); err != nil {
		return err
	}
	return fmt.Errorf("the store is being opened: %w", state.ErrUnavailable)
}

// First gets a store to begin with: the real one, or the mirror.
func (o *Opening) First(ctx context.Context) error {
	err := o.try(ctx)
	for until := time.Now().Add(o.Patience); errors.Is(err, state.ErrUnavailable) && time.Now().Before(until); err = o.try(ctx) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(200*time.Millisecond, o.Patience)):
		}
	}
	if err == nil || !errors.Is(err, state.ErrUnavailable) || o.Stored == nil {
		return err
	}
	return o.standIn(ctx, err)
}

// try opens the store and has it used.
func (o *Opening) try(ctx context.Context) error {
	octx, cancel := context.WithTimeout(ctx, max(o.Patience, openTimeout))
	defer cancel()
	store, err := o.Open(octx)
	if err != nil && octx.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", err, state.ErrUnavailable)
	}
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if err := o.Host.Use(ctx, store); err != nil {
		return errors.Join(err, store.Close())
	}
	o.mu.Lock()
	o.opened, o.why = store, nil
	o.mu.Unlock()
	return nil
}

// standIn begins with the mirror, and keeps trying to open the store.
func (o *Opening) standIn(ctx context.Context, why error) error {
	at, err := heldAt(ctx, o.Stored)
	if err != nil {
		return errors.Join(why, err)
	}
	age := o.Now().Sub(at)
	if o.MaxAge > 0 && age > o.MaxAge {
		return fmt.Errorf("%w; and the local mirror of it is %s old, more than max_snapshot_age %s", why, age.Round(time.Second), o.MaxAge)
	}
	o.fail(why)
	if err := o.Host.StandIn(ctx, o.Stored, state.NewStandby(o.Kind, o.Stored, o.refuse)); err != nil {
		return errors.Join(why, fmt.Errorf("loading the local mirror: %w", err))
	}
	o.Log.Error("could not reach the store; routing goes by the local mirror and API changes are refused until it comes",
		zap.Duration("mirror_age", age.Round(time.Second)), zap.Error(why))
	o.Mirror.setAge(at)
	ctx, o.cancel = context.WithCancel(context.Background())
	o.done = make(chan struct{})
	go o.retry(ctx) //nolint:contextcheck // runs until Stop
	return nil
}

func (o *Opening) fail(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.why = why
}

// retry tries until the store is there.
func (o *Opening) retry(ctx context.Context) {
	defer close(o.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(openEvery):
		}
		err := o.try(ctx)
		if err == nil {
			o.Log.Info("the store came and is used from now on")
			o.Host.Came(ctx)
			return
		}
		o.fail(err)
	}
}

// Stop ends the attempts to open the store.
func (o *Opening) Stop() {
	if o.cancel != nil {
		o.cancel()
	}
	<-o.done
}

// CloseStore closes what was opened. It may be called more than once.
func (o *Opening) CloseStore() {
	o.mu.Lock()
	opened := o.opened
	o.opened = nil
	o.mu.Unlock()
	if opened == nil {
		return
	}
	if err := opened.Close(); err != nil {
		o.Log.Warn("could not close the store; its connections end with the process", zap.Error(err))
	}
}
