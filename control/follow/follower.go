package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

const (
	poll = time.Second // between looks without being told, where there is anything to see, and after a failure
	// Timeout bounds one look; a longer one counts as the store being gone.
	Timeout = 5 * time.Second
)

// Begin makes this instance a member and catches up with what was committed since its
// memory was loaded; from then on it follows.
func (f *Follower) Begin(ctx context.Context, shared state.Shared, from Position) error {
	f.shared.Store(&shared)
	f.position.Store(&from)
	if err := f.join(ctx); err != nil {
		return err
	}
	f.noteConnection(nil)
	ctx, f.cancel = context.WithCancel(context.Background())
	f.done = make(chan struct{})
	go f.run(ctx) //nolint:contextcheck // runs until Stop
	return nil
}

// Stop ends what Begin began, and the membership with it. With final it looks once more
// before. It may be called more than once.
func (f *Follower) Stop(final bool) {
	f.stopOnce.Do(func() {
		if f.cancel == nil {
			return
		}
		if final && f.Trouble() == nil {
			ctx, cancel := context.WithTimeout(context.Background(), poll)
			_, _ = f.sync(ctx)
			cancel()
		}
		f.cancel()
		<-f.done
		if m := f.current(); m != nil {
			ctx, cancel := context.WithTimeout(context.Background(), Timeout)
			defer cancel()
			if err := m.Leave(ctx); err != nil {
				f.Log.Warn("could not leave the shared store; the other instances wait until the lease has ended", zap.Error(err))
			}
		}
	})
}

// join makes this instance a member, and looks. It may not write before it has looked:
// those who confirmed a change before it was a member did not wait for it.
func (f *Follower) join(ctx context.Context) error {
	m, err := f.Shared().Instances().Join(ctx, f.Node)
	if err != nil {
		return fmt.Errorf("joining the instances that share the store: %w", err)
	}
	if err := f.look(ctx); err != nil {
		lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
		defer cancel()
		return errors.Join(fmt.Errorf("following the store: %w", err), m.Leave(lctx))
	}
	f.member.Store(&m)
	f.seen()
	return nil
}

// run follows until ctx ends.
func (f *Follower) run(ctx context.Context) {
	defer close(f.done)
	told := f.Shared().ChangeLog().Watch(ctx)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		var asked []chan<- error
		var lost <-chan struct{}
		if m := f.current(); m != nil {
			lost = m.Lost()
		}
		select {
		case <-ctx.Done():
			return
		case _, ok := <-told:
			if !ok {
				told = nil // the store is closed
			}
		case <-lost:
			f.Log.Warn("this instance's lease on the store has ended: it stops writing until it has one again")
			f.member.Store(nil)
		case <-ticker.C:
			if f.upToDate(ctx) {
				f.recount(ctx)
				continue
			}
		case r := <-f.rounds:
			asked = append(asked, r)
		}
		err := f.lookAgain(ctx, &asked)
		for _, r := range asked {
			r <- err
		}
	}
}

// upToDate reports whether a look would find nothing new, at no cost where the store knows
// that by itself.
func (f *Follower) upToDate(ctx context.Context) bool {
	if f.current() == nil || f.Trouble() != nil || f.Exceptions.Unsettled() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	changes, objects, err := f.Shared().Instances().Latest(ctx)
	at := f.position.Load()
	if err != nil || changes > at.Changes || objects > at.Objects {
		return false
	}
	f.noteConnection(nil)
	return true
}

// lookAgain joins where that is needed, and looks; for all who have asked by then.
func (f *Follower) lookAgain(ctx context.Context, asked *[]chan<- error) error {
	for more := true; more; {
		select {
		case r := <-f.rounds:
			*asked = append(*asked, r)
		default:
			more = false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var err error
	if f.current() == nil {
		err = f.join(ctx)
	} else {
		err = f.look(ctx)
	}
	if ctx.Err() == nil || !errors.Is(ctx.Err(), context.Canceled) {
		f.noteConnection(err)
	}
	return err
}

func (f *Follower) noteConnection(err error) {
	switch lost, regained := f.connection.note(f.Now(), err); {
	case lost:
		f.Log.Error("could not follow the store; routing continues from memory, retrying every second", zap.Error(err))
	case regained:
		f.Log.Info("following the store again")
		f.Host.Regained()
	}
}

// sync waits for a look at the store that begins after the call, and returns the position
// it came to.
func (f *Follower) sync(ctx context.Context) (Position, error) {
	done := make(chan error, 1)
	select {
	case f.rounds <- done:
	case <-f.done:
		return Position{}, ErrClosed
	case <-ctx.Done():
		return Position{}, ctx.Err()
	}
	select {
	case err := <-done:
		return *f.position.Load(), err
	case <-f.done:
		return Position{}, ErrClosed
	case <-ctx.Done():
		return Position{}, ctx.Err()
	}
}
