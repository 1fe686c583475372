package replication

import (
	"context"
	"testing"

	"github.com/fado-project/fado/storage"
)

// A count that was asked for while the only storage is down is made when it is up again.
func TestCountsAreMadeWhenTheStorageIsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, nil)
	c1 := w.fake("c1")
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	w.awaitOK("bkt", "c1")
	for _, key := range []string{"a", "b", "c"} {
		c1.User("bkt", key, "x")
	}
	c1.SetFault(func(context.Context, string, string, string) error { return storage.ErrUnavailable })
	w.await("c1 is down", func() bool { return w.eng.Reports().Storage("c1").State == "down" })
	w.must(w.eng.SyncBucket(t.Context(), "bkt"))
	s := w.eng.run.Load().scans
	w.await("the count is owed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.owed["c1"]["bkt"]
	})
	c1.SetFault(nil)
	w.await("the objects are counted", func() bool {
		row, _ := w.copyRow("bkt", "", "c1")
		return row.Objects == 3
	})
}
