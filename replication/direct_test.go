package replication

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
)

// A small object that was written a moment ago is copied while its row is being stored, and
// is an exception until the row is stored and gone.
func TestLiveObjectsDoNotWaitForTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "0", "x")
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1")

	var slow sync.RWMutex
	slow.Lock()
	w.slow.Store(&slow)
	free := sync.OnceFunc(slow.Unlock)
	defer free()
	c1.User("bkt", "live", "y")
	w.await("the object is copied", func() bool { return c2.Contents("bkt")["live"] == "y" })
	if !w.ctl.Router().Pending.Has("bkt", "live", "c2") {
		t.Error("an object whose row is not stored yet is no exception")
	}
	free()
	w.await("the object is routable", func() bool { return !w.ctl.Router().Pending.Has("bkt", "live", "c2") })
	rows, err := w.store.Queue().ListPending(t.Context(), state.PendingFilter{}, state.PendingKey{}, 10)
	if err != nil || len(rows) != 0 {
		t.Errorf("rows that are left: %v, %v", rows, err)
	}
	if n := len(slices.DeleteFunc(c2.Writes(), func(s string) bool { return s != "put bkt/live" })); n != 1 {
		t.Errorf("the object was written %d times", n)
	}
}

// What changes while it is being worked on without a claim is worked on again, and once
// more when that failed: the rows end with the newest content.
func TestLiveObjectsThatChangeMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "0", "x")
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1")

	begun, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c2.SetFault(func(ctx context.Context, op, _, key string) error {
		if op == "put" && key == "live" {
			once.Do(func() {
				close(begun)
				select {
				case <-goOn:
				case <-ctx.Done():
				}
			})
		}
		return nil
	})
	c1.User("bkt", "live", "first")
	<-begun
	for i := range 5 {
		c1.User("bkt", "live", fmt.Sprint("next", i))
		c1.User("bkt", fmt.Sprint("other", i), "z")
	}
	w.await("others are not kept waiting", func() bool { return c2.Contents("bkt")["other4"] == "z" })
	if !w.ctl.Router().Pending.Has("bkt", "live", "c2") {
		t.Error("an object that is being copied is no exception")
	}
	close(goOn)
	w.await("all is worked off", func() bool { return w.ctl.Router().Pending.Len() == 0 })
	if got := c2.Contents("bkt")["live"]; got != "next4" {
		t.Errorf("the copy holds %q", got)
	}
}
