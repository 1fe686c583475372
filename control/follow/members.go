package follow

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

// Members is this instance among those that share the store.
type Members struct {
	f *Follower
	// missing says why there is no store; nil when there is one.
	missing func() error
}

// NewMembers returns what a Follower knows of members.
func NewMembers(f *Follower, missing func() error) *Members { return &Members{f: f, missing: missing} }

// Shared says whether other instances may use the same store.
func (m *Members) Shared() bool { return m.f.Shared() != nil }

// Claimant is the name that this instance claims pending rows in: unique among all
// instances there ever were, where there are several.
func (m *Members) Claimant() string {
	if me := m.f.current(); me != nil {
		return me.ID()
	}
	return m.f.Node
}

// MayWrite returns nil while this instance may write to storages: always with a store of
// its own, and as long as its lease lasts with a shared one. It costs next to nothing and
// is asked right before bytes leave, so that a process that was stopped for a while
// notices before its first write.
func (m *Members) MayWrite() error {
	if m.f.Shared() == nil {
		return m.missing()
	}
	me := m.f.current()
	if me == nil {
		return ErrCutOff
	}
	until, now := me.LeaseUntil(), time.Now()
	// Both clocks: the monotonic one does not count while the machine sleeps, the other
	// may be set.
	if !now.Before(until) || !now.Round(0).Before(until.Round(0)) {
		return ErrCutOff
	}
	return nil
}

// LeaseLost returns a channel that closes when the lease in force ends before its time;
// nil where there is none.
func (m *Members) LeaseLost() <-chan struct{} {
	if me := m.f.current(); me != nil {
		return me.Lost()
	}
	return nil
}

// LeaseUntil returns when the lease in force ends unless it is renewed; zero where there
// is none.
func (m *Members) LeaseUntil() time.Time {
	if me := m.f.current(); me != nil {
		return me.LeaseUntil()
	}
	return time.Time{}
}

// List returns the instances that are alive, this one among them; nil with a store of its
// own.
func (m *Members) List(ctx context.Context) ([]state.MemberInfo, error) {
	if m.f.Shared() == nil {
		return nil, nil
	}
	return m.f.Shared().Instances().Members(ctx)
}

// News delivers a value soon after something of a kind happened on any instance, until ctx
// ends; see [state.Shared]. It is nil with a store of its own.
func (m *Members) News(ctx context.Context, of state.NewsKind) <-chan struct{} {
	if m.f.Shared() == nil {
		return nil
	}
	return m.f.Shared().Instances().News(ctx, of)
}

// CatchUp returns when this instance routes by all that was committed before the call.
func (m *Members) CatchUp(ctx context.Context) error {
	if m.f.Shared() == nil {
		return nil
	}
	_, err := m.f.sync(ctx)
	return err
}

// Confirm returns when every instance that is alive routes by all that was committed
// before the call. An instance that does not answer is waited for until its lease has
// ended: from then on it writes nothing, and says that it is cut off. The change is
// already in force, so the end of the context is ignored; confirmTimeout bounds the wait.
func (m *Members) Confirm(ctx context.Context) error {
	if m.f.Shared() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	p, err := m.f.sync(ctx)
	if err != nil {
		return unconfirmed(err)
	}
	me := m.f.current()
	if me == nil {
		return unconfirmed(ErrCutOff)
	}
	if err := me.AwaitSeen(ctx, p.Changes, p.Objects); err != nil {
		return unconfirmed(err)
	}
	return nil
}

func unconfirmed(err error) error {
	return fmt.Errorf("the change is stored, but not confirmed by every instance; retry: %w: %w", err, state.ErrUnavailable)
}
