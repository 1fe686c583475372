package control_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

func pulledRow(key, etag string, lives time.Duration) state.Pulled {
	return state.Pulled{Bucket: "bkt", Key: key, Cluster: "c3", Size: 5, ETag: etag, Until: until(lives), UsedAt: until(0)}
}

// routes says how a pulled object is known: not at all, as something there, or as a hit.
func routes(c *control.Control, key string) string {
	switch o, ok := c.Router().Pulled.Get("bkt", key, "c3"); {
	case !ok:
		return "unknown"
	case o.Current:
		return "hit"
	default:
		return "there"
	}
}

func TestPulledObjects(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.create(t, &catalog.Bucket{Name: "bkt"})
	rows := []state.Pulled{pulledRow("verified", "e", time.Hour), pulledRow("begun", "", time.Hour), pulledRow("expired", "e", -time.Hour), pulledRow("", "", 0)}
	if err := w.Pulled.Put(ctx, rows...); err != nil {
		t.Fatal(err)
	}
	check := func(when string, w *world, want ...string) {
		t.Helper()
		for i, key := range []string{"verified", "begun", "expired", ""} {
			if got := routes(w.Control, key); got != want[i] {
				t.Errorf("%s %q is %s, want %s", when, key, got, want[i])
			}
		}
	}
	check("when stored", w, "hit", "there", "there", "unknown")
	changed := w.Pending.Changed("bkt")
	w.Pulled.Hide("bkt", "verified", "c3")
	w.Pulled.Hide("bkt", "unknown", "c3")
	check("when hidden", w, "there", "there", "there", "unknown")
	<-changed
	w.close()
	again := open(t, w.path)
	check("after a restart", again, "hit", "there", "there", "unknown")
	if err := again.Pulled.Delete(ctx, state.PulledKey{Bucket: "bkt", Key: "begun", Cluster: "c3"}); err != nil {
		t.Fatal(err)
	}
	check("when removed", again, "hit", "unknown", "there", "unknown")
	if err := again.Resources.Delete(ctx, catalog.KindBucket, "bkt", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	check("without the bucket", again, "unknown", "unknown", "unknown", "unknown")
}

// Objects pulled for a bucket that was not declared for a while are compared before they
// are hits.
func TestPulledObjectsOfABucketThatWasAway(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	with := control.Config{Buckets: []*catalog.Bucket{{Name: "bkt"}}}
	first, err := w.Attach(ctx, with)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Pulled.Put(ctx, pulledRow("k", "e", time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Attach(ctx, control.Config{}); err != nil {
		t.Fatal(err)
	}
	first.Detach()
	if got := routes(w.Control, "k"); got != "unknown" {
		t.Errorf("while the bucket is away it is %s", got)
	}
	if _, err := w.Attach(ctx, with); err != nil {
		t.Fatal(err)
	}
	if got := routes(w.Control, "k"); got != "there" {
		t.Errorf("back again it is %s", got)
	}
}

// A store that does not take a row leaves nothing to be routed by; one that does not take a
// removal leaves nothing either.
func TestPulledObjectsWithoutTheStore(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	if err := w.Pulled.Put(t.Context(), pulledRow("old", "e", time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Pulled.Put(t.Context(), pulledRow("new", "e", time.Hour)); err == nil || routes(w.Control, "new") != "unknown" {
		t.Errorf("a row that is not stored: %v, %s", err, routes(w.Control, "new"))
	}
	key := state.PulledKey{Bucket: "bkt", Key: "old", Cluster: "c3"}
	if err := w.Pulled.Delete(t.Context(), key); err == nil || routes(w.Control, "old") != "unknown" {
		t.Errorf("a removal that is not stored: %v, %s", err, routes(w.Control, "old"))
	}
	if w.Status.StoreTrouble() == nil {
		t.Error("the store's trouble is not told")
	}
}

// What two instances do to the same pulled objects at once, both know in the end as the
// store does.
func TestInstancesAgreeOnPulledObjects(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	all := []*instance{join(t, dsn), join(t, dsn)}
	all[0].seed(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	for n, i := range all {
		wg.Go(func() {
			for m := range 40 {
				key := fmt.Sprint("k", m%4)
				var err error
				if (m+n)%3 == 0 {
					err = i.Pulled.Delete(ctx, state.PulledKey{Bucket: "bkt", Key: key, Cluster: "c3"})
				} else {
					err = i.Pulled.Put(ctx, pulledRow(key, "e", time.Hour))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for n, i := range all {
		if err := i.Members.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		rows, err := i.store.Pulls().ListPulled(ctx, state.PulledFilter{Bucket: "bkt"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		stored := make(map[string]bool)
		for _, r := range rows {
			stored[r.Key] = true
		}
		for m := range 4 {
			key := fmt.Sprint("k", m)
			if got := routes(i.Control, key); (got == "hit") != stored[key] {
				t.Errorf("instance %d: %s is %s, stored %v", n, key, got, stored[key])
			}
		}
	}
}
