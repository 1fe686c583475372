package pull

import (
	"context"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	physical "github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestSettle(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(w *world)
		want   object.Outcome
		body   string // in the end; "": none
		rows   int
	}{
		"nothing changed":    {func(*world) {}, object.InStep, "body of k", 2},
		"changed":            {func(w *world) { w.fakes["c1"].User(bkt, "k", "two") }, object.Copied, "two", 2},
		"deleted":            {func(w *world) { w.fakes["c1"].UserDelete(bkt, "k") }, object.Removed, "", 0},
		"vanished":           {func(w *world) { w.fakes["c2"].UserDelete(bkt, "k") }, object.Moot, "", 1},
		"someone else's":     {func(w *world) { w.fakes["c2"].User(bkt, "k", "theirs") }, object.Moot, "theirs", 1},
		"no room any more":   {func(w *world) { w.fill("c2"); w.fakes["c1"].User(bkt, "k", "much longer than it was") }, object.Removed, "", 0},
		"not allowed at all": {func(w *world) { w.policy("c1", "c3"); w.fakes["c1"].User(bkt, "k", "two") }, object.Removed, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.has("k")
			test.change(w)
			got, err := w.settle("k")
			w.must(err)
			body, rows := w.fakes["c2"].Contents(bkt)["k"], w.pulledRows("c2")
			if got != test.want || body != test.body || len(rows) != test.rows {
				t.Errorf("outcome %d, %q there, rows %v", got, body, rows)
			}
			if in := w.o.current(in("c2", "k")); in != (test.rows == 2) {
				t.Errorf("routed by: %v", in)
			}
		})
	}
}

// Workers reach it by package object, where there is no copy.
func TestSettleOnDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("k")
	w.fakes["c1"].User(bkt, "k", "two")
	got, err := w.objects.Settle(t.Context(), object.Task{Object: in("c2", "k"), Size: -1})
	if err != nil || got != object.Copied || w.fakes["c2"].Contents(bkt)["k"] != "two" {
		t.Errorf("outcome %d, %v", got, err)
	}
	_, err = w.settle("never pulled")
	wantErr(t, err, object.ErrNoCopy)
}

// fill has no room left in a cluster.
func (w *world) fill(cluster string) {
	c := clusterOf(cluster)
	c.Storage.Capacity = 1000
	w.apply(c)
	w.used.Store(999)
}

// Objects expire after their last use, and only while the primary answers.
func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("used", "unused")
	row := w.pulledRows("c2")["used"]
	row.UsedAt, row.Until = row.UsedAt.Add(40*time.Minute), row.Until.Add(40*time.Minute)
	w.must(w.store.Pulls().TouchPulled(t.Context(), row))
	w.ahead.Store(int64(61 * time.Minute))
	w.fail("c1", "stat", storage.ErrDenied)
	w.keeper.expire(t.Context())
	if got := w.fakes["c2"].Contents(bkt); len(got) != 2 || w.o.current(in("c2", "unused")) {
		t.Errorf("while the primary does not answer: %v", got)
	}
	w.fakes["c1"].SetFault(nil)
	w.keeper.expire(t.Context())
	if got := w.fakes["c2"].Contents(bkt); len(got) != 1 || got["used"] == "" || !w.o.current(in("c2", "used")) {
		t.Errorf("there are %v", got)
	}
	w.ahead.Store(int64(3 * time.Hour))
	w.keeper.expire(t.Context())
	w.wantNothing("c2")
	if got := w.fakes["c1"].Contents(bkt); len(got) != 2 {
		t.Errorf("the primary has %v", got)
	}
}

// drainFunc is a Drain.
type drainFunc func(bucket, cluster string)

func (f drainFunc) AwaitDrained(_ context.Context, bucket, cluster string, _ time.Time) error {
	f(bucket, cluster)
	return nil
}

// Requests that were routed to an object get their time, when no more are routed to it on
// any instance and before it goes.
func TestRemovalWaitsForRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("k")
	waited := 0
	w.Puller.o.Drain = drainFunc(func(bucket, cluster string) {
		waited++
		row := w.pulledRows("c2")["k"]
		if bucket != bkt || cluster != "c2" || w.o.current(in("c2", "k")) || row.Until.After(row.UsedAt) || w.fakes["c2"].Contents(bkt)["k"] == "" {
			t.Errorf("waits for %s in %s with row %+v", bucket, cluster, row)
		}
	})
	w.policy("c1", "c3")
	w.keeper.audit(t.Context())
	w.wantNothing("c2")
	if waited != 1 {
		t.Errorf("waited %d times", waited)
	}
}

// People are told once that an object went because the primary lacks it.
func TestRemovalIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("k")
	events := w.ctl.Events().Subscribe(100, control.EventTransfer)
	defer events.Close()
	w.fakes["c1"].UserDelete(bkt, "k")
	_, err := w.settle("k")
	w.must(err)
	w.has("l")
	removed := 0
	for e := range events.C {
		if e.Op == "copied" {
			break
		}
		removed++
	}
	if removed != 1 {
		t.Errorf("told %d times", removed)
	}
}

// What was replaced by someone since is not removed when it expires.
func TestExpiryLeavesForeignObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("k")
	w.fakes["c2"].User(bkt, "k", "theirs")
	w.ahead.Store(int64(2 * time.Hour))
	w.keeper.expire(t.Context())
	if got := w.fakes["c2"].Contents(bkt)["k"]; got != "theirs" || len(w.pulledRows("c2")) != 0 {
		t.Errorf("there is %q, rows %v", got, w.pulledRows("c2"))
	}
}

func TestAuditRemovesWhatIsNotWanted(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world){
		"forbidden": func(w *world) { w.policy("c1", "c3") },
		"drained": func(w *world) {
			c := clusterOf("c2")
			c.Drain = true
			w.apply(c)
		},
		// As a process that was killed while it copied left it.
		"halfway": func(w *world) {
			now := w.now()
			w.must(w.ctl.Pulled.Put(w.Context(), state.Pulled{
				Bucket: bkt, Key: "k", Cluster: "c2", Size: 3, UsedAt: now, Until: now.Add(Lease),
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.has("k")
			change(w)
			w.loop(w.Keep)
			w.Look()
			w.await("nothing is left", func() bool { return len(w.pulledRows("c2")) == 0 && w.fakes["c2"].Contents(bkt) == nil })
		})
	}
}

// A copy takes over what lies there, and the bucket with it.
func TestCopyTakesOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("k")
	w.addCopy("c2", catalog.CopySyncing)
	w.keeper.audit(t.Context())
	if len(w.pulledRows("c2")) != 2 {
		t.Error("the row went before the copy had the object")
	}
	w.must(w.o.Copies.Update(t.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		rows[copyrows.Index(rows, "", "c2")].State = catalog.CopySynced
		return rows, nil
	}))
	w.keeper.audit(t.Context())
	rows, err := w.store.Catalogue().CopiesOf(t.Context(), bkt)
	w.must(err)
	if got := w.fakes["c2"].Contents(bkt); len(w.pulledRows("c2")) != 0 || got["k"] == "" || !copyrows.MadeBucket(rows, "c2") {
		t.Errorf("rows %v, objects %v, copies %+v", w.pulledRows("c2"), got, rows)
	}
}

// A bucket whose last copy goes is left to the objects copied on demand that stay in it.
func TestLeaveTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.LeaveTo(t.Context(), bkt, "c2"))
	if len(w.pulledRows("c2")) != 0 {
		t.Error("nothing stays, and the bucket has a row")
	}
	w.has("k")
	w.must(w.ctl.Pulled.Delete(t.Context(), madeKey(bkt, "c2")))
	w.must(w.LeaveTo(t.Context(), bkt, "c2"))
	if len(w.pulledRows("c2")) != 2 {
		t.Error("the bucket has no row")
	}
}

// What is to be compared again becomes pending if it differs.
func TestRecheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("same", "other")
	w.fakes["c1"].User(bkt, "other", "two")
	w.Recheck("another bucket")
	w.Recheck(bkt)
	w.loop(w.Keep)
	w.await("it is pending", func() bool { return w.o.Router.Pending.Has(bkt, "other", "c2") })
	if w.o.Router.Pending.Has(bkt, "same", "c2") || w.o.current(in("c2", "other")) || !w.o.current(in("c2", "same")) {
		t.Error("what is equal is pending, or what differs is routed by")
	}
}

// What was taken out of routing for a while is compared before it is routed by again.
func TestUnsureIsCompared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("k")
	w.ctl.Pulled.Hide(bkt, "k", "c2")
	w.keeper.audit(t.Context())
	if !w.o.current(in("c2", "k")) {
		t.Error("not routed by")
	}
}

func TestOthersBucketsAreLeftToThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("k")
	w.policy("c1", "c3")
	w.ahead.Store(int64(2 * time.Hour))
	w.Puller.o.Owns = func(string) bool { return false }
	w.keeper.audit(t.Context())
	w.keeper.expire(t.Context())
	if len(w.pulledRows("c2")) != 2 {
		t.Error("an object went that another instance looks after")
	}
}

func TestIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		etag string
		o    storage.Object
		want bool
	}{
		{"a", storage.Object{Replica: true, ETag: "a"}, true},
		{"a", storage.Object{Replica: true, ETag: "b"}, false},
		{"", storage.Object{Replica: true, ETag: "b"}, true},
		{"a", storage.Object{ETag: "a"}, false},
		{"", storage.Object{ETag: "a"}, false},
	} {
		if got := Is(catalog.Pulled{ETag: test.etag}, test.o); got != test.want {
			t.Errorf("%q, %+v: %v", test.etag, test.o, got)
		}
	}
}

// The row of an object that a storage lists stays, and so the object is known of, though the storage says
// for a moment that there is none.
func TestRemovalTrustsNo404(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("k")
	w.fail("c2", "stat", storage.ErrNotFound)
	w.policy("c1", "c3")
	w.keeper.audit(t.Context())
	if rows := w.pulledRows("c2"); len(rows) != 2 {
		t.Errorf("there are rows %v of what is there", rows)
	}
	w.fakes["c2"].SetFault(nil)
	w.ahead.Store(int64(2 * time.Hour))
	w.keeper.expire(t.Context())
	w.wantNothing("c2")
}

// What was copied on demand may be the last there is of it: it stays as it is when another bucket lies where it
// was copied from, and the bucket stops, until people say that this is the one.
func TestPrimaryMadeAnewTakesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.has("deleted", "changed", "unused")
	ensure := func() error {
		return w.physical.EnsurePrimary(t.Context(), ids.CopyIn(bkt, "", "c1"))
	}
	w.must(ensure())
	c1 := w.fakes["c1"]
	for key := range c1.Contents(bkt) {
		c1.UserDelete(bkt, key)
	}
	w.must(c1.Writer().RemoveBucket(t.Context(), bkt))
	c1.User(bkt, "changed", "another")
	src, err := w.sites.Usable("c1")
	w.must(err)
	_, err = src.Births.Now(t.Context(), bkt)
	w.must(err)

	stays := func(when string) {
		t.Helper()
		w.ahead.Add(int64(2 * time.Hour))
		w.keeper.expire(t.Context())
		for _, key := range []string{"deleted", "changed", "unused"} {
			if got := w.fakes["c2"].Contents(bkt)[key]; got != "body of "+key {
				t.Errorf("%s: %s is %q", when, key, got)
			}
		}
	}
	for _, key := range []string{"deleted", "changed"} {
		_, err := w.settle(key)
		wantErr(t, err, guard.ErrElsewhere)
	}
	stays("before a scan")
	wantErr(t, ensure(), guard.ErrElsewhere)
	wantErr(t, ensure(), guard.ErrElsewhere)
	stays("after a scan")

	w.must(w.o.Copies.Update(t.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		now, err := physical.IdentityNow(t.Context(), src, bkt)
		now.Put(&rows[0])
		rows[0].Stopped, rows[0].Error = false, ""
		return rows, err
	}))
	w.must(ensure())
	w.keeper.expire(t.Context())
	w.wantNothing("c2")
}
