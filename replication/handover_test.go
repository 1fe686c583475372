package replication

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
)

// A bulk sync of one bucket, which one instance walks, is copied by all of them.
func TestABulkSyncOfOneBucketIsShared(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, Settings{Workers: 4})
	src := f.fake("c1")
	f.fake("c2").SetFault(func(ctx context.Context, _, _, _ string) error { // it takes its time
		delay.Sleep(ctx, 2*time.Millisecond)
		return nil
	})
	f.awaitDealt(f.members...)
	f.await("company", func() bool {
		for _, m := range f.members {
			if m.eng.run.Load().peers.Others() != 2 {
				return false
			}
		}
		return true
	})
	const objects = 1500
	for k := range objects {
		src.User("bkt", fmt.Sprintf("k%05d", k), "x")
	}
	f.policy("p", 2)
	f.bucket("bkt", "p", "c1")
	f.awaitSame("bkt", "c1", "c2")
	f.awaitOK("bkt", "c1", "c2")
	for _, m := range f.members {
		t.Logf("%s copied %d of %d", m.name, m.copies(), objects)
		if m.copies() == 0 {
			t.Errorf("%s copied nothing of the one bucket", m.name)
		}
	}
}

// What all instances move is told by each, transfers by the instance that makes them.
func TestWhatAllInstancesMove(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, Settings{Workers: 4})
	src := f.fake("c1")
	hold := make(chan struct{})
	f.fake("c2").SetFault(func(ctx context.Context, _, _, key string) error {
		if key == "" {
			return nil
		}
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return nil
	})
	f.awaitDealt(f.members...)
	for k := range 40 {
		src.User("bkt", fmt.Sprintf("k%02d", k), "x")
	}
	f.policy("p", 2)
	f.bucket("bkt", "p", "c1")
	for _, m := range f.members {
		var st Status
		f.await("transfers of both, told by "+m.name, func() bool {
			var err error
			st, err = m.eng.Reports().Status(context.Background(), true)
			f.must(err)
			return len(st.Transfers) > m.eng.Reports().figures().Workers
		})
		if len(st.Nodes) != 2 || st.Workers != 8 {
			t.Errorf("%s tells of %v, %d workers", m.name, st.Nodes, st.Workers)
		}
		if own, err := m.eng.Reports().Status(context.Background(), false); err != nil || len(own.Nodes) != 1 || len(own.Transfers) > own.Workers {
			t.Errorf("%s by itself: %v, %d transfers, %v", m.name, own.Nodes, len(own.Transfers), err)
		}
	}
	close(hold)
	f.awaitSame("bkt", "c1", "c2")
}
