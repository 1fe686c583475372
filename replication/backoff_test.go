package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
)

// attempts notes when an object was tried.
type attempts struct {
	mu  sync.Mutex
	at  []time.Time
	bad error
}

func (a *attempts) fault(_ context.Context, op, _, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if op != "put" || key != "bad" {
		return nil
	}
	if a.bad != nil {
		a.at = append(a.at, time.Now())
	}
	return a.bad
}

func (a *attempts) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

func (a *attempts) mend() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bad = nil
}

// Work that fails is tried again and again, each time later than before; it never drops
// out, and never holds up what is newer on other keys, with a single worker either.
func TestFailedWorkBacksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true, Workers: 1}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "first", "x")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	ctx := context.Background()

	tried := &attempts{bad: errors.New("it will not have it")}
	c2.SetFault(tried.fault)
	c1.User("bkt", "bad", "content")
	w.must(w.eng.Noted(ctx, "bkt", "bad", "c1", 7))
	newer := 0
	for want := 1; want <= 5; want++ {
		w.await(fmt.Sprintf("attempt %d", want), func() bool { return tried.count() >= want })
		key := fmt.Sprintf("newer-%d", newer)
		newer++
		c1.User("bkt", key, key)
		w.must(w.eng.Noted(ctx, "bkt", key, "c1", int64(len(key))))
		w.await(key+" is copied", func() bool { return c2.Contents("bkt")[key] == key })
	}
	var row state.Pending
	w.await("the failures are counted", func() bool {
		rows := w.pending(state.PendingFilter{Failed: true})
		if len(rows) != 1 {
			return false
		}
		row = rows[0]
		return row.Attempts >= 5
	})
	if row.Key != "bad" || row.Error == "" || row.NextAttempt.IsZero() {
		t.Errorf("the row is %+v", row)
	}
	for n := 2; n < 8; n++ {
		// Jitter is a fifth either way, so twice the wait is always longer.
		earlier, later := w.eng.core.objects.RetryAfter(n-1, tried.bad), w.eng.core.objects.RetryAfter(n, tried.bad)
		if later <= earlier && later < w.eng.core.tune.RetryMax*4/5 {
			t.Errorf("attempt %d comes after %v, the one before after %v", n, later, earlier)
		}
	}
	tried.mend()
	w.await("the object is copied in the end", func() bool { return c2.Contents("bkt")["bad"] == "content" })
	w.await("nothing is pending", func() bool { return len(w.pending(state.PendingFilter{})) == 0 })
}
