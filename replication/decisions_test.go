package replication

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/state"
)

// What people decide about conflicts and held deletes is about the buckets that were compared.

// swapped has what lies in a cluster not be the bucket that was compared there.
func (w *world) swapped(bucket, cluster string) {
	w.Helper()
	w.must(w.ctl.Copies.Update(context.Background(), bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if rows[i].Cluster == cluster {
				if rows[i].Born.IsZero() {
					w.Fatalf("nobody knows when the bucket in %s was made", cluster)
				}
				rows[i].Born = rows[i].Born.Add(-time.Hour)
			}
		}
		return rows, nil
	}))
}

// A conflict is not resolved by what another bucket has than those that were compared.
func TestResolveAsksWhichBucketItIs(t *testing.T) {
	t.Parallel()
	for _, swapped := range []string{"c1", "c2"} {
		for _, winner := range []string{"c1", "c2"} {
			t.Run(swapped+" is another, "+winner+" wins", func(t *testing.T) {
				t.Parallel()
				w, c1, c2 := conflicting(t, func(w *world) { w.policy("p", 2, "c1", "c2") })
				before1, before2 := c1.Contents("bkt"), c2.Contents("bkt")
				w.swapped("bkt", swapped)
				res := w.resolve(Verdict{Winner: winner, Discard: true})
				if res.Resolved != 0 || res.RefusedTotal != 2 || !strings.Contains(res.Refused[0].Reason, swapped) {
					t.Errorf("%+v", res)
				}
				if a, b := c1.Contents("bkt"), c2.Contents("bkt"); !maps.Equal(a, before1) || !maps.Equal(b, before2) {
					t.Errorf("c1 has %q, c2 %q", a, b)
				}
			})
		}
	}
}

// Nothing is given back to another bucket than the one that lost it, nor from another one than the
// copy.
func TestRejectAsksWhichBucketItIs(t *testing.T) {
	t.Parallel()
	for _, swapped := range []string{"c1", "c2"} {
		t.Run(swapped, func(t *testing.T) {
			t.Parallel()
			w, c1, c2 := breakerWorld(t)
			c1.Lose("bkt", first40()...)
			w.must(w.eng.SyncBucket(t.Context(), "bkt"))
			w.await("deletes are held", func() bool { return w.heldDeletes("bkt") == 40 })
			w.swapped("bkt", swapped)
			n, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false)
			if n != 0 || !errors.Is(err, guard.ErrElsewhere) {
				t.Errorf("rejected %d, %v", n, err)
			}
			if a, b := len(c1.Contents("bkt")), len(c2.Contents("bkt")); a != 20 || b != 60 || w.heldDeletes("bkt") != 40 {
				t.Errorf("c1 has %d objects, c2 %d, and %d deletes are held", a, b, w.heldDeletes("bkt"))
			}
		})
	}
}

// The same where anywhere is written.
func TestAnywhereRejectAsksWhichBucketItIs(t *testing.T) {
	t.Parallel()
	w, all := anywhereWorld(t, Settings{MaxDeletes: MaxDeletes{Objects: 2}}, minioA, minioB)
	w.feedsLive(all...)
	for i := range 5 {
		w.put("c1", "bkt", fmt.Sprint("k", i), "content")
	}
	w.awaitSame("bkt", all...)
	w.awaitIdle("bkt")
	for i := range 5 {
		w.del("c1", "bkt", fmt.Sprint("k", i))
	}
	w.await("deletes are held", func() bool { return w.heldDeletes("bkt") == 3 && w.contents("c1", "bkt") != nil })
	w.swapped("bkt", "c2")
	n, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false)
	if n != 0 || !errors.Is(err, guard.ErrElsewhere) {
		t.Errorf("rejected %d, %v", n, err)
	}
	if n := len(w.contents("c1", "bkt")); n != 0 {
		t.Errorf("c1 has %d objects", n)
	}
}
