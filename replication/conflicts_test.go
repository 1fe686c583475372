package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What the status counts can be listed, with what each side holds.
func TestConflictsAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	for _, c := range []string{"c1", "c2"} {
		w.makeBucket(c, "bkt")
		w.put(c, "bkt", "differs", "in "+c)
	}
	w.put("c2", "bkt", "extra", "only in c2")
	awaitNextSeconds(2)
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.await("conflicts", func() bool { return w.status("bkt").Conflicts == 2 })
	list, _, err := w.eng.Decisions().Conflicts(context.Background(), "bkt", "", 100)
	if err != nil || len(list) != 2 {
		t.Fatalf("conflicts %+v, %v", list, err)
	}
	differs, extra := list[0], list[1]
	if differs.Key != "differs" || differs.Reason == "" || len(differs.Copies) != 2 || differs.Copies[0].Cluster != "c1" || differs.Copies[1].Cluster != "c2" {
		t.Errorf("differs: %+v", differs)
	}
	if c := differs.Copies; len(c) == 2 && (c[0].ETag == c[1].ETag || c[0].Size != 5 || c[0].LastModified.IsZero()) {
		t.Errorf("differs: %+v", differs)
	}
	if extra.Key != "extra" || len(extra.Copies) != 1 || extra.Copies[0].Cluster != "c2" || extra.Copies[0].Size != 10 {
		t.Errorf("extra: %+v", extra)
	}
	if _, _, err := w.eng.Decisions().Conflicts(context.Background(), "nobody", "", 100); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("an unknown bucket: %v", err)
	}
}

// A conflict ends when both of its objects have gone, even where FaDO copied the primary's in
// between, and its delete was told of before that was noted: what FaDO wrote is no conflict.
func TestConflictsEndWithTheirObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1", "c2")
	c2.User("bkt", "k", "theirs")
	c1.User("bkt", "k", "ours")
	w.await("the conflict", func() bool { return w.status("bkt").Conflicts == 1 })
	gen := func() int64 {
		rows, err := w.store.Queue().ListPending(context.Background(), state.PendingFilter{Bucket: "bkt"}, state.PendingKey{}, 1)
		if err != nil || len(rows) == 0 {
			return 0
		}
		return rows[0].Gen
	}
	var once sync.Once
	c2.SetFault(func(_ context.Context, op, _, key string) error {
		if op == "put" && key == "k" {
			once.Do(func() {
				was := gen()
				c1.UserDelete("bkt", "k")
				w.await("the delete is noted", func() bool { return gen() != was })
			})
		}
		return nil
	})
	c2.UserDelete("bkt", "k")
	w.await("nothing is there, and nothing is pending", func() bool {
		return len(c1.Contents("bkt"))+len(c2.Contents("bkt")) == 0 && len(w.pending(state.PendingFilter{})) == 0
	})
}

// A conflict stays one though the key changes at the primary and that change, which is worked on before its row
// is read, can't be copied for another reason: that the object is a user's is not forgotten.
func TestConflictsOutliveFailedAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "k", "ours")
	c2.User("bkt", "k", "theirs, and older than the copy")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.feedsLive("c1", "c2")
	w.await("the conflict", func() bool { return w.status("bkt").Conflicts == 1 })
	c2.SetFault(func(_ context.Context, op, _, key string) error {
		if op == "stat" && key == "k" {
			return storage.ErrRefused
		}
		return nil
	})
	c1.User("bkt", "k", "ours, later")
	w.await("the failed attempt", func() bool {
		rows := w.pending(state.PendingFilter{})
		return len(rows) == 1 && rows[0].Attempts > 0
	})
	c2.SetFault(nil)
	w.await("it is decided", func() bool { return len(w.pending(state.PendingFilter{})) == int(w.status("bkt").Conflicts) })
	if got := c2.Contents("bkt")["k"]; got != "theirs, and older than the copy" {
		t.Errorf("the copy has %q", got)
	}
}

// As TestConflictsEndWithTheirObjects at real storages, by chance: the two deletes of each key follow each other at once.
func TestConflictsEndWithTheirObjectsAtMinIO(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1", "c2")
	const n = 24
	for i := range n {
		w.put("c2", "bkt", fmt.Sprint("k", i), "theirs")
		w.put("c1", "bkt", fmt.Sprint("k", i), "ours")
	}
	w.await("conflicts", func() bool { return w.status("bkt").Conflicts == n })
	for i := range n {
		w.del("c2", "bkt", fmt.Sprint("k", i))
		w.del("c1", "bkt", fmt.Sprint("k", i))
	}
	w.await("nothing is there, and nothing is pending", func() bool { // the last events may come behind the last row
		return len(w.contents("c1", "bkt"))+len(w.contents("c2", "bkt")) == 0 && len(w.pending(state.PendingFilter{})) == 0
	})
}
