package replication

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// unreachable is a fault: the storage does not answer.
func unreachable(context.Context, string, string, string) error { return storage.ErrUnavailable }

// Rows about a storage that is down cost nothing: they are not claimed, whatever other storage
// comes up.
func TestRowsOfAStorageThatIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2, c3 := w.fake("c1"), w.fake("c2"), w.fake("c3")
	c1.User("bkt", "first", "x")
	w.policy("p", 3)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.feedsLive("c1")
	isIn := func(cluster, state string) {
		t.Helper()
		w.await(cluster+" is "+state, func() bool { return w.eng.Reports().Storage(cluster).State == state })
	}
	c2.SetFault(unreachable)
	isIn("c2", "down")
	w.calls.reset()
	const n = 50
	for i := range n {
		c1.User("bkt", fmt.Sprintf("k%02d", i), "content")
	}
	w.await("c3 follows", func() bool { return len(c3.Contents("bkt")) == n+1 })
	c3.SetFault(unreachable)
	isIn("c3", "down")
	c3.SetFault(nil)
	isIn("c3", "up")
	c1.User("bkt", "last", "content")
	w.await("c3 follows", func() bool { return len(c3.Contents("bkt")) == n+2 })

	w.calls.mu.Lock()
	if failed := w.calls.failed["c2"]; failed > 0 {
		t.Errorf("%d attempts were made at objects of a storage that is down", failed)
	}
	if slices.ContainsFunc(w.calls.retried, func(f state.PendingFilter) bool { return f.Cluster != "c3" }) {
		t.Errorf("c3 came up, and what was made due are %+v", w.calls.retried)
	}
	w.calls.mu.Unlock()
	c2.SetFault(nil)
	w.awaitOK("bkt", "c1", "c2", "c3")
	if !mapsEqual(c1.Contents("bkt"), c2.Contents("bkt")) {
		t.Error("c2 did not catch up")
	}
}

// A primary's storage that comes up makes due what waited for it elsewhere.
func TestRowsWaitForThePrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) {
		o.Copy = fakestorage.Copy
		o.Tune.RetryMax = 1 << 40 // longer than the test
	})
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "first", "x")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	c1.User("bkt", "second", "x")
	c1.SetFault(unreachable)
	w.await("c1 is down", func() bool { return w.eng.Reports().Storage("c1").State == "down" })
	w.must(w.eng.Noted(context.Background(), "bkt", "second", "c1", 1))
	w.await("the row waits", func() bool { return len(w.pending(state.PendingFilter{Failed: true})) == 1 })
	c1.SetFault(nil)
	w.await("c2 follows", func() bool { return len(c2.Contents("bkt")) == 2 })
}
