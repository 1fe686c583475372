package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fado-project/fado/state"
)

// ErrCutOff says that this instance's lease on the shared store has ended: until it has
// one again it writes nothing to a storage, because others may have taken over.
var ErrCutOff = errors.New("this instance has no lease on the shared store")

// confirmTimeout bounds how long an answer waits for the other instances; their leases
// end long before.
const confirmTimeout = 30 * time.Second

// Shared says whether other instances may use the same store.
func (c *Control) Shared() bool { return c.followed.store() != nil }

// Claimant is the name that this instance claims pending rows in: unique among all
// instances there ever were, where there are several.
func (c *Control) Claimant() string {
	if m := c.followed.current(); m != nil {
		return m.ID()
	}
	return c.node
}

// MayWrite returns nil while this instance may write to storages: always with a store of
// its own, and as long as its lease lasts with a shared one. It costs next to nothing and
// is asked right before bytes leave, so that a process that was stopped for a while
// notices before its first write.
func (c *Control) MayWrite() error {
	if c.followed.store() == nil {
		return c.opening.missing()
	}
	m := c.followed.current()
	if m == nil {
		return ErrCutOff
	}
	until, now := m.LeaseUntil(), time.Now()
	// Both clocks: the monotonic one does not count while the machine sleeps, the other
	// may be set.
	if !now.Before(until) || !now.Round(0).Before(until.Round(0)) {
		return ErrCutOff
	}
	return nil
}

// LeaseLost returns a channel that closes when the lease in force ends before its time;
// nil where there is none.
func (c *Control) LeaseLost() <-chan struct{} {
	if m := c.followed.current(); m != nil {
		return m.Lost()
	}
	return nil
}

// LeaseUntil returns when the lease in force ends unless it is renewed; zero where there
// is none.
func (c *Control) LeaseUntil() time.Time {
	if m := c.followed.current(); m != nil {
		return m.LeaseUntil()
	}
	return time.Time{}
}

// Members lists the instances that are alive, this one among them; nil with a store of its
// own.
func (c *Control) Members(ctx context.Context) ([]state.MemberInfo, error) {
	if c.followed.store() == nil {
		return nil, nil
	}
	return c.followed.store().Members(ctx)
}

// CatchUp returns when this instance routes by all that was committed before the call.
func (c *Control) CatchUp(ctx context.Context) error {
	if c.followed.store() == nil {
		return nil
	}
	_, err := c.followed.sync(ctx)
	return err
}

// Confirm returns when every instance that is alive routes by all that was committed
// before the call. An instance that does not answer is waited for until its lease has
// ended: from then on it writes nothing, and says that it is cut off. What is in force is
// in force whether or not the client waits, so that the context's end is not heeded.
func (c *Control) Confirm(ctx context.Context) error {
	if c.followed.store() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	p, err := c.followed.sync(ctx)
	if err != nil {
		return unconfirmed(err)
	}
	m := c.followed.current()
	if m == nil {
		return unconfirmed(ErrCutOff)
	}
	if err := m.AwaitSeen(ctx, p.changes, p.objects); err != nil {
		return unconfirmed(err)
	}
	return nil
}

func unconfirmed(err error) error {
	return fmt.Errorf("it is stored, but whether every instance follows could not be found out: ask again: %w: %w", err, state.ErrUnavailable)
}

// OnCopies adds a hook that runs when the copies of a bucket ("": of any) were changed by
// another instance, after routing knows and before the other one may rely on it.
func (c *Control) OnCopies(f func(bucket string)) {
	c.hooksMu.Lock()
	defer c.hooksMu.Unlock()
	c.copyHooks = append(c.copyHooks, f)
}

func (c *Control) copiesChanged(bucket string) {
	c.hooksMu.Lock()
	hooks := c.copyHooks
	c.hooksMu.Unlock()
	for _, h := range hooks {
		h(bucket)
	}
}
