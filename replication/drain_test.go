package replication

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
)

// What a cluster that drains still has is counted by buckets, objects and bytes, and what
// does not leave by itself is named; a cluster that does not drain has no such status.
func TestDrainCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1 := w.fake("c1")
	w.fake("c2")
	c1.User("one", "a", "12345")
	c1.User("one", "b", "123")
	c1.User("two", "a", "1")
	w.policy("p", 2, "c1", "c2")
	for _, b := range []string{"one", "two"} {
		w.bucket(b, "p", "c1")
		w.awaitOK(b, "c1", "c2")
	}
	w.await("sizes", func() bool {
		row, ok := w.copyRow("one", "", "c1")
		other, ok2 := w.copyRow("two", "", "c1")
		return ok && ok2 && row.Objects == 2 && other.Objects == 1
	})
	ctx := context.Background()
	w.eng.Stop()
	if st, err := w.eng.Reports().Drain(ctx, "c1"); st != nil || err != nil {
		t.Errorf("a cluster that stays: %+v, %v", st, err)
	}
	sub := w.ctl.Events().Subscribe(16)
	defer sub.Close()
	for name, drained := range map[string]string{"c1": "http://c1.test", "c3": "http://c3.test"} {
		if name == "c3" {
			w.zone(name)
		}
		w.apply(&catalog.Cluster{Name: name, Zones: []string{name}, Drain: true, Storage: &catalog.Storage{Endpoint: drained, BucketPrefix: w.prefix}})
	}
	w.must(w.eng.drains.count(ctx, []string{"c1", "c3"}))
	st, err := w.eng.Reports().Drain(ctx, "c1")
	w.must(err)
	if st.State != drainDraining || st.Buckets != 2 || st.Objects != 3 || st.Bytes != 9 || !strings.Contains(st.Reason, "2 buckets") {
		t.Errorf("c1: %+v", st)
	}
	if st, err := w.eng.Reports().Drain(ctx, "c3"); err != nil || *st != (DrainStatus{State: drainDone}) {
		t.Errorf("a cluster without data: %+v, %v", st, err)
	}
	if n := drainEvents(sub); n != 2 {
		t.Errorf("%d states were told", n)
	}
	w.must(w.eng.drains.count(ctx, []string{"c1", "c3"}))
	if n := drainEvents(sub); n != 0 {
		t.Errorf("nothing changed, %d states were told", n)
	}
	w.eng.drains.keep([]string{"c3"})
	if _, known := w.eng.drains.get("c1"); known {
		t.Error("a cluster that does not drain any more is remembered")
	}
}

// A bucket that no other cluster may have is named with what its policy is short of, until there is one.
func TestDrainTellsWhatCannotLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	w.fake("c1").User("one", "a", "12345")
	w.fake("c2")
	w.policy("p", 2, "c1", "c2")
	w.bucket("one", "p", "")
	w.awaitOK("one", "c1", "c2")
	w.eng.Stop()
	w.apply(&catalog.Cluster{Name: "c2", Zones: []string{"c2"}, Drain: true, Storage: &catalog.Storage{Endpoint: "http://c2.test", BucketPrefix: w.prefix}})
	reason := func() string {
		t.Helper()
		w.must(w.eng.drains.count(context.Background(), []string{"c2"}))
		st, err := w.eng.Reports().Drain(context.Background(), "c2")
		w.must(err)
		return st.Reason
	}
	if got := reason(); !strings.HasPrefix(got, "bucket one stays: ") || !strings.Contains(got, "draining") {
		t.Errorf("%q", got)
	}
	since := func() time.Time { st, _ := w.eng.Reports().Drained("c2"); return st.Since }
	began := since()
	reason()
	if began.IsZero() || !since().Equal(began) {
		t.Errorf("since %s, then since %s", began, since())
	}
	w.policy("p", 1, "c1", "c2")
	if got := reason(); got != "" || !since().IsZero() {
		t.Errorf("what can leave is said to stay: %q", got)
	}
}

// drainEvents counts the events of drains that wait in a subscription.
func drainEvents(sub *control.Subscription) (n int) {
	for {
		select {
		case ev := <-sub.C:
			if ev.Type == control.EventDrain {
				n++
			}
		default:
			return n
		}
	}
}
