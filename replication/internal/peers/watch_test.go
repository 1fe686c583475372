package peers

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
)

// While one wants to know what the others move they tell it, and stop when nobody does any more.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bd := newBoard()
		a, b, c := bd.start(t, "a"), bd.start(t, "b"), bd.start(t, "c")
		defer func() { a.stop(); b.stop(); c.stop() }()
		pass(2 * watchFor)
		looked := func() string {
			for _, i := range []*instance{a, b, c} {
				i.mu.Lock()
				defer i.mu.Unlock()
			}
			return fmt.Sprint(a.looked, " ", b.looked, " ", c.looked)
		}
		if got := looked(); got != "0 0 0" {
			t.Fatalf("while nobody watches they tell: %s", got)
		}
		said := func(all []json.RawMessage) (names string) {
			for _, text := range all {
				names += string(text[1])
			}
			return names
		}
		if got := said(a.Watch(t.Context())); got != "bc" {
			t.Errorf("at first %q tell", got)
		}
		first := fmt.Sprintf("%s", a.Watch(t.Context()))
		pass(3 * reportEvery)
		if next := fmt.Sprintf("%s", a.Watch(t.Context())); next == first {
			t.Errorf("they told %s, and nothing new", first)
		}
		a.mu.Lock()
		if a.looked != 0 {
			t.Error("the one that watches alone tells, too")
		}
		a.mu.Unlock()
		pass(2 * watchFor)
		before := looked()
		pass(2 * watchFor)
		if now := looked(); now != before {
			t.Errorf("nobody watches, and they tell: %s, then %s", before, now)
		}
		// One that does not tell is not waited for for ever.
		c.o.Moving = func() json.RawMessage { return nil }
		if got := said(a.Watch(t.Context())); got != "b" {
			t.Errorf("of one that tells, %q tell", got)
		}
	})
}

// Alone, nobody is waited for.
func TestWatchAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newBoard().start(t, "a")
		defer a.stop()
		pass(2 * reportEvery)
		if got := a.Watch(t.Context()); got != nil {
			t.Errorf("%s", got)
		}
	})
}
