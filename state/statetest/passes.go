package statetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/state"
)

// pass is one of a name, which makes up everything else.
func pass(kind state.PassKind, name string) state.Pass {
	return state.Pass{
		Kind: kind, Sum: "sum of " + name, ID: "id-" + name, Name: name, Role: "viewer", How: "password", Proof: "é",
		Created: at(1), Used: at(1), Until: at(100),
	}
}

func testPasses(t *testing.T, fx Fixture) {
	a, b := instances(t, fx)
	session, token, link := pass(state.PassSession, "vera"), pass(state.PassToken, "ci"), pass(state.PassLink, "")
	_, err := a.Passes().GetPass(ctx, session.Sum)
	isErr(t, err, state.ErrNotFound)
	for _, p := range []state.Pass{session, token, link} {
		ok(t, a.Passes().PutPass(ctx, p))
	}
	equal(t, "on the other instance", must(b.Passes().GetPass(ctx, session.Sum))(t), session)
	equal(t, "all", must(b.Passes().ListPasses(ctx, ""))(t), []state.Pass{link, token, session})
	equal(t, "tokens", must(b.Passes().ListPasses(ctx, state.PassToken))(t), []state.Pass{token})

	ok(t, b.Passes().TouchPass(ctx, session.Sum, at(9)))
	ok(t, a.Passes().TouchPass(ctx, session.Sum, at(5)))
	ok(t, a.Passes().TouchPass(ctx, "none", at(5)))
	session.Used = at(9)
	equal(t, "the last use", must(a.Passes().GetPass(ctx, session.Sum))(t), session)
	session.Role = "admin"
	ok(t, a.Passes().PutPass(ctx, session))
	equal(t, "replaced", must(b.Passes().GetPass(ctx, session.Sum))(t), session)

	equal(t, "removed as another kind", must(b.Passes().DeletePass(ctx, state.PassSession, token.ID))(t), false)
	equal(t, "removed", must(b.Passes().DeletePass(ctx, state.PassToken, token.ID))(t), true)
	equal(t, "removed again", must(a.Passes().DeletePass(ctx, state.PassToken, token.ID))(t), false)
	_, err = a.Passes().TakePass(ctx, state.PassSession, link.Sum)
	isErr(t, err, state.ErrNotFound)

	// Two browsers open the link at the same moment: one gets in.
	var got atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			switch p, err := []state.Store{a, b}[i%2].Passes().TakePass(ctx, state.PassLink, link.Sum); {
			case err == nil && p == link:
				got.Add(1)
			case !errors.Is(err, state.ErrNotFound):
				t.Errorf("took %v, %v", p, err)
			}
		})
	}
	wg.Wait()
	equal(t, "got in", got.Load(), 1)

	idle, void := pass(state.PassSession, "idle"), pass(state.PassToken, "void")
	idle.Used, void.Until = at(2), at(49)
	old := pass(state.PassToken, "old") // tokens are not idle
	for _, p := range []state.Pass{idle, void, old} {
		ok(t, b.Passes().PutPass(ctx, p))
	}
	ok(t, a.Passes().ExpirePasses(ctx, at(50), at(3)))
	equal(t, "left", must(a.Passes().ListPasses(ctx, ""))(t), []state.Pass{old, session})
}
