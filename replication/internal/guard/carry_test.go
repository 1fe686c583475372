package guard

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
)

// What passes to a user ends when a change forbids it, and the change waits for that; it ends
// when its storage goes down; and it needs no lease.
func TestCarry(t *testing.T) {
	t.Parallel()
	g := newTestGuard(routing.NewRouter())
	g.o.MayWrite = func() error { return errors.New("no lease") }
	var allowed atomic.Bool
	judge := func(*routing.Snapshot) bool { return allowed.Load() }
	if _, _, err := g.Carry(t.Context(), "c1", judge); !errors.Is(err, ErrForbidden) {
		t.Errorf("forbidden: %v", err)
	}
	allowed.Store(true)
	ctx, end, err := g.Carry(t.Context(), "c1", judge)
	if err != nil {
		t.Fatal(err)
	}
	g.AfterChange(t.Context())
	g.CutOff("c2")
	g.Fence(errors.New("the lease is lost"))
	if ctx.Err() != nil {
		t.Error("ended by what does not concern it")
	}
	allowed.Store(false)
	var left atomic.Bool
	go func() {
		<-ctx.Done()
		left.Store(true)
		end()
	}()
	g.AfterChange(t.Context())
	if !left.Load() || !errors.Is(context.Cause(ctx), ErrForbidden) {
		t.Errorf("the change did not wait, or not for the reason: %v", context.Cause(ctx))
	}
	allowed.Store(true)
	ctx, end, err = g.Carry(t.Context(), "c1", judge)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	g.CutOff("c1")
	if !errors.Is(context.Cause(ctx), site.ErrDown) {
		t.Errorf("the storage is down: %v", context.Cause(ctx))
	}
	if len(matching(g, g.carried, func(*carrying) bool { return true })) != 1 {
		t.Error("what has ended is still known")
	}
}

// A user's write ends when the snapshot says that users write elsewhere.
func TestRolesChangeEndsUsersWrites(t *testing.T) {
	t.Parallel()
	g := newTestGuard(routing.NewRouter())
	var writer atomic.Bool
	writer.Store(true)
	op := Op{Object: ids.ObjectIn("b", "k", "c1"), User: true, Allowed: func(*routing.Snapshot) bool { return writer.Load() }}
	err := g.Do(t.Context(), op, func(ctx context.Context, _ *Pass) error {
		go func() {
			g.RolesChanged("other")
			writer.Store(false)
			g.RolesChanged("b")
		}()
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, ErrMoving) {
		t.Errorf("%v, want %v", err, ErrMoving)
	}
}
