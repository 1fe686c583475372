package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func names(rows []state.Pending) string {
	var s []string
	for _, r := range rows {
		s = append(s, r.Key+"@"+r.Cluster)
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

// Which rows an event makes follows from where users write and who holds the key: the
// primary's changes concern every copy, and a copy's only itself. What FaDO wrote there last makes
// no difference: users may write the same again.
func TestRowsFor(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.sites.Close()
	w.router.Pulled.Set(bkt, "pulled", "c3", catalog.Pulled{})
	ev := func(cluster, key string) Event {
		return Event{Cluster: cluster, Event: storage.Event{Bucket: bkt, Key: key, ETag: "e1", Size: 5}}
	}
	removed := func(e Event) Event { e.Removed, e.ETag = true, ""; return e }
	for _, tc := range []struct {
		name   string
		events []Event
		want   string
	}{
		{"nothing", nil, ""},
		{"at the primary", []Event{ev("c1", "k")}, "k@c2"},
		{"removed at the primary", []Event{removed(ev("c1", "k"))}, "k@c2"},
		{"at a copy", []Event{ev("c2", "k")}, "k@c2"},
		{"elsewhere", []Event{ev("c3", "k")}, ""},
		{"no key", []Event{ev("c1", "")}, ""},
		{"unknown bucket", []Event{{Cluster: "c1", Event: storage.Event{Bucket: "other", Key: "k"}}}, ""},
		{"several", []Event{ev("c1", "a"), ev("c2", "b"), ev("c1", "a")}, "a@c2 b@c2"},
		{"pulled", []Event{ev("c1", "pulled")}, "pulled@c2 pulled@c3"},
		{"pulled, at the copy", []Event{ev("c3", "pulled")}, "pulled@c3"},
		{"anywhere, at the primary", []Event{ev("c1", "any/k")}, "any/k@c2"},
		{"anywhere, at a copy", []Event{ev("c2", "any/k")}, "any/k@c1"},
		{"anywhere, removed at a copy", []Event{removed(ev("c2", "any/k"))}, "any/k@c1"},
	} {
		if got := names(w.Intake.RowsFor(tc.events)); got != tc.want {
			t.Errorf("%s: rows %q, want %q", tc.name, got, tc.want)
		}
	}
	rows := w.Intake.RowsFor([]Event{ev("c1", "k"), {Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: "k", Size: 9}}})
	if len(rows) != 1 || rows[0].Size != 9 || rows[0].Since.IsZero() {
		t.Errorf("the last of two events counts: %+v", rows)
	}
}

// A copy whose state is on its way out gets no rows.
func TestRowsForLeaving(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.sites.Close()
	for s, want := range map[catalog.CopyState]string{
		catalog.CopyWaiting: "k@c2", catalog.CopySyncing: "k@c2", catalog.CopySynced: "k@c2",
		catalog.CopyDraining: "", catalog.CopyRemoving: "",
	} {
		w.rows(catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}, catalog.Copy{Cluster: "c2", State: s})
		if got := names(w.Intake.RowsFor([]Event{{Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: "k"}}})); got != want {
			t.Errorf("%v: rows %q, want %q", s, got, want)
		}
	}
}

// What an event of the primary says of an object is remembered until another one says
// otherwise.
func TestSeen(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.sites.Close()
	ref := ids.ObjectIn(bkt, "k", "")
	at := time.Unix(5, 0)
	w.Intake.RowsFor([]Event{{Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: "k", ETag: "e", Size: 3, VersionID: "v", Time: at}}})
	if o, ok := w.Intake.seen.Get(ref); !ok || o.ETag != "e" || o.Size != 3 || o.VersionID != "v" || !o.LastModified.Equal(at) {
		t.Errorf("seen %+v, %v", o, ok)
	}
	w.Intake.RowsFor([]Event{{Cluster: "c2", Event: storage.Event{Bucket: bkt, Key: "k", ETag: "other"}}})
	if o, _ := w.Intake.seen.Get(ref); o.ETag != "e" {
		t.Errorf("a copy's event is taken for the primary's: %+v", o)
	}
	w.Intake.RowsFor([]Event{{Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: "k", Removed: true}}})
	if _, ok := w.Intake.seen.Get(ref); ok {
		t.Error("a removed object is remembered")
	}
}

// Hints from outside name physical buckets; rows are durable everywhere when they return.
func TestHints(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.sites.Close()
	w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) {
		c := &catalog.Cluster{Name: "c2", Storage: &catalog.Storage{Endpoint: "http://c2", BucketPrefix: "pre-"}}
		c.Normalize()
		e.PutCluster(c)
	}))
	for _, tc := range []struct {
		hint Hint
		want string
	}{
		{Hint{Physical: bkt, Key: "a"}, "a@c2"},
		{Hint{Physical: "pre-" + bkt, Key: "b"}, "b@c2"},
		{Hint{Cluster: "c2", Physical: bkt, Key: "c"}, ""},
		{Hint{Cluster: "c2", Physical: "pre-" + bkt, Key: "d"}, "d@c2"},
		{Hint{Cluster: "c2", Physical: "pre-", Key: "e"}, ""},
		{Hint{Cluster: "c9", Physical: bkt, Key: "f"}, ""},
	} {
		before := w.b.len()
		if err := w.Intake.Hints(t.Context(), tc.hint); err != nil {
			t.Fatal(err)
		}
		_, ok := w.b.row(tc.hint.Key, "c2")
		if ok != (tc.want != "") || ok && w.b.len() != before+1 {
			t.Errorf("%+v: row %v, want %q", tc.hint, ok, tc.want)
		}
	}
	if w.b.everyw != 6 {
		t.Errorf("%d hints of 6 waited for every instance", w.b.everyw)
	}
	w.b.set(func() { w.b.err = errStore })
	if err := w.Intake.Hints(t.Context(), Hint{Physical: bkt, Key: "g"}); err == nil {
		t.Error("a hint that was not stored was taken")
	}
}

// A write through a gateway is an exception everywhere before it is acknowledged.
func TestNoted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.sites.Close()
	for _, tc := range []struct{ key, cluster, row string }{{"k", "c1", "c2"}, {"any/k", "c2", "c1"}} {
		if err := w.Intake.Noted(t.Context(), bkt, tc.key, tc.cluster, 5); err != nil {
			t.Fatal(err)
		}
		if r, ok := w.b.row(tc.key, tc.row); !ok || r.Size != 5 || !w.router.Pending.Has(bkt, tc.key, tc.row) {
			t.Errorf("%s: row %+v, %v", tc.key, r, ok)
		}
	}
	if err := w.Intake.Noted(t.Context(), "unknown", "k", "c1", 5); err != nil {
		t.Errorf("an unknown bucket: %v", err)
	}
	w.b.set(func() { w.b.err = errStore })
	if err := w.Intake.Noted(t.Context(), bkt, "k2", "c1", 5); err == nil {
		t.Error("a write whose row is not stored may be acknowledged")
	}
}

// A copy that another instance made meanwhile is out of date as well, and knowing of it keeps none waiting that
// is known.
func TestCopiesNotHeardOf(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.sites.Close()
	for name, note := range map[string]func() error{
		"a hint":  func() error { return w.Intake.Hints(t.Context(), Hint{Physical: bkt, Key: "a hint"}) },
		"a write": func() error { return w.Intake.Noted(t.Context(), bkt, "a write", "c1", 5) },
	} {
		w.rows(catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}, catalog.Copy{Cluster: "c2", State: catalog.CopySynced})
		w.Intake.catchUp = func(context.Context) error {
			if _, ok := w.b.row(name, "c2"); !ok {
				t.Errorf("%s: the copy that is known waits for others", name)
			}
			w.rows(
				catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}, catalog.Copy{Cluster: "c2", State: catalog.CopySynced},
				catalog.Copy{Cluster: "c3", State: catalog.CopySynced},
			)
			return nil
		}
		if err := note(); err != nil {
			t.Fatal(err)
		}
		if _, ok := w.b.row(name, "c3"); !ok || !w.router.Pending.Has(bkt, name, "c3") {
			t.Errorf("%s: the new copy counts as current", name)
		}
		w.Intake.catchUp = func(context.Context) error { return errStore }
		if err := note(); !errors.Is(err, errStore) {
			t.Errorf("%s: acknowledged by one that may not know all copies: %v", name, err)
		}
	}
}

// While the store takes no rows, events are exceptions all the same, and all of them are
// stored once it does. What is wrong is said once.
func TestLateEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		defer w.run(t.Context(), w.Intake.Run)()
		w.b.set(func() { w.b.err = errStore })
		w.Intake.Take(t.Context(), Event{Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: "k0"}})
		for i := range 30 {
			pass(100 * time.Millisecond)
			w.Intake.Take(t.Context(), Event{Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: fmt.Sprint("k", i)}})
		}
		synctest.Wait()
		for i := range 30 {
			if !w.router.Pending.Has(bkt, fmt.Sprint("k", i), "c2") {
				t.Errorf("k%d is no exception", i)
			}
		}
		pass(time.Minute)
		if n := w.logs.FilterLevelExact(zap.WarnLevel).Len(); n != 1 {
			t.Errorf("%d warnings of one outage, want 1", n)
		}
		w.b.set(func() { w.b.err = nil })
		pass(2 * lateEvery)
		if w.b.len() != 30 || w.Intake.Waiting() != 0 {
			t.Errorf("%d of 30 rows are stored", w.b.len())
		}
		adds := w.b.adds
		pass(time.Minute)
		if w.b.adds != adds {
			t.Errorf("rows were stored %d times more", w.b.adds-adds)
		}
		w.b.set(func() { w.b.err = errStore })
		w.Intake.Take(t.Context(), Event{Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: "again"}})
		pass(time.Minute)
		if n := w.logs.FilterLevelExact(zap.WarnLevel).Len(); n != 2 {
			t.Errorf("%d warnings of two outages, want 2", n)
		}
	})
}

// Events wait in the listeners while there is no room, until these end. Their storages may drop
// events meanwhile: that is a gap until there is room again.
func TestListenerThatHasToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		for range eventRoom {
			w.Intake.Take(t.Context(), Event{Cluster: "c1"})
		}
		if got := w.gap("c1"); got != "" {
			t.Errorf("a gap while there is room: %s", got)
		}
		stop := w.run(t.Context(), func(ctx context.Context) { w.Intake.Take(ctx, Event{Cluster: "c1"}) })
		if n := w.Intake.Waiting(); n != eventRoom+1 {
			t.Errorf("%d wait", n)
		}
		if got := w.gap("c1"); got != "lost" {
			t.Errorf("a listener waits, and the gap is %q", got)
		}
		stop()
		if batch := w.Intake.collect(Event{}); len(batch) != eventBatch {
			t.Errorf("a batch of %d, want %d", len(batch), eventBatch)
		}
		defer w.run(t.Context(), w.Intake.Run)()
		pass(2 * lateEvery)
		w.forgetGap("c1")
		pass(time.Minute)
		if got := w.gap("c1"); got != "" {
			t.Errorf("there is room again, and the gap is %q", got)
		}
	})
}
