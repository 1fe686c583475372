package guard

import (
	"context"
	"errors"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/routing"
)

// What copies bytes through an instance ends when a policy, or the instance's own move, forbids
// that, and the change waits for it; removals go on; and each refusal is counted.
func TestPath(t *testing.T) {
	t.Parallel()
	router := routing.NewRouter()
	router.Ledger.Enable(true)
	declare(router, "eu", "us")
	edit := func(f func(e *routing.Editor)) { router.Swap(router.Snapshot().Edit(f)) }
	policy := func(clusters ...string) {
		edit(func(e *routing.Editor) {
			p := &catalog.Policy{Name: "p", Clusters: clusters}
			p.Normalize()
			e.PutPolicy(p)
		})
	}
	policy("eu", "us")
	edit(func(e *routing.Editor) {
		b := &catalog.Bucket{Name: "b", Policy: "p"}
		b.Normalize()
		e.PutBucket(b)
		e.SetHere("us")
	})
	g := newTestGuard(router)
	for name, change := range map[string]struct{ forbid, allow func() }{
		"policy":   {func() { policy("eu") }, func() { policy("eu", "us") }},
		"instance": {func() { policy("eu", "us"); edit(func(e *routing.Editor) { e.SetHere("gone") }) }, func() { edit(func(e *routing.Editor) { e.SetHere("us") }) }},
	} {
		ended := make(chan struct{})
		err := g.Do(t.Context(), Op{Object: ids.ObjectIn("b", "k", "eu"), From: "eu", Total: 7}, func(ctx context.Context, _ *Pass) error {
			go func() {
				defer close(ended)
				change.forbid()
				g.AfterChange(context.Background()) // returns when this operation has ended
				if n := len(matching(g, g.ops, func(r *running) bool { return r.From != "" })); n > 0 {
					t.Errorf("%s: the change did not wait", name)
				}
			}()
			<-ctx.Done()
			return ctx.Err()
		})
		<-ended
		if !errors.Is(err, ErrPath) {
			t.Errorf("%s: %v, want %v", name, err, ErrPath)
		}
		if err := g.Do(t.Context(), Op{Object: ids.ObjectIn("b", "k", "eu"), From: "eu"}, func(context.Context, *Pass) error { return nil }); !errors.Is(err, ErrPath) {
			t.Errorf("%s: entering: %v, want %v", name, err, ErrPath)
		}
		if err := g.Do(t.Context(), Op{Object: ids.ObjectIn("b", "k", "eu")}, func(context.Context, *Pass) error { return nil }); err != nil {
			t.Errorf("%s: a removal: %v", name, err)
		}
		change.allow()
	}
	lines, _ := router.Ledger.Take(router.Snapshot())
	refused := int64(0)
	for _, n := range lines {
		refused += n.Count
	}
	if refused != 2 || lines[0].Bucket != "b" || lines[0].Kind != routing.Refused {
		t.Errorf("counted %+v", lines)
	}
}
