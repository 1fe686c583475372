package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// told collects what hooks tell.
type told struct {
	mu  sync.Mutex
	all []string
}

func (l *told) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, what)
}

func (l *told) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.all = nil }()
	return l.all
}

func listen(c *control.Control) *told {
	l := new(told)
	c.Hooks.BeforeAnswer(func(context.Context) { l.note("answering") })
	c.Hooks.OnResource(func(r control.ResourceChange) {
		if r.Any() {
			l.note("anything")
			return
		}
		l.note(fmt.Sprintf("%s %s %s elsewhere=%v", r.Kind, r.Name, r.Op, r.Elsewhere))
	})
	c.Hooks.OnCopies(func(b string) { l.note("copies of " + b) })
	return l
}

func expect(t *testing.T, l *told, what string, want ...string) {
	t.Helper()
	if got := l.take(); !slices.Equal(got, want) {
		t.Errorf("%s told %v, want %v", what, got, want)
	}
}

// Each change is told once, after what comes before its answer; what changes nothing, or is
// refused, is not told.
func TestHooksTellOfEveryChange(t *testing.T) {
	w := newWorld(t)
	l := listen(w.Control)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	expect(t, l, "a new bucket", "answering", "bucket bkt created elsewhere=false")
	w.replace(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	expect(t, l, "a changed bucket", "answering", "bucket bkt changed elsewhere=false")
	w.replace(t, &catalog.Bucket{Name: "bkt", Policy: "eu-two"})
	expect(t, l, "a bucket that stays as it is")
	if _, err := w.Resources.Create(t.Context(), &catalog.Bucket{Name: "bkt"}); !errors.Is(err, control.ErrExists) {
		t.Errorf("a bucket that exists: %v", err)
	}
	w.setCopies(t, "bkt", state.Copy{Copy: catalog.Copy{Cluster: "c1", State: catalog.CopyWaiting}})
	expect(t, l, "an own change of copies, and a refused change")
	if err := w.Resources.Delete(t.Context(), catalog.KindBucket, "bkt", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	expect(t, l, "a removed bucket", "answering", "bucket bkt deleted elsewhere=false")
	a, err := w.Attach(t.Context(), control.Config{})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, l, "a configuration", "answering", "anything")
	a.Detach()
	a.Detach()
	expect(t, l, "its end", "answering", "anything")
}

// What another instance changes is told here, too.
func TestHooksTellOfOthersChanges(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	a, b := join(t, dsn), join(t, dsn)
	a.seed(t)
	if err := b.Members.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := listen(b.Control)
	a.must(t, &catalog.Bucket{Name: "new", Policy: "p"})
	expect(t, l, "another instance's bucket", "copies of new", "answering", "bucket new created elsewhere=true")
	err := a.Copies.Update(t.Context(), "new", func([]state.Copy) ([]state.Copy, error) {
		return []state.Copy{{Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Members.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, l, "another instance's copies", "copies of new")
	if err := a.Resources.Delete(t.Context(), catalog.KindBucket, "new", control.Precondition{}); err != nil {
		t.Fatal(err)
	}
	expect(t, l, "another instance's removal", "copies of new", "answering", "bucket new deleted elsewhere=true")
}

// A watcher gets the events it asked for; one that is too slow is told how many it missed,
// which concerns no other watcher and no hook.
func TestBus(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.FixedZone("", 3600))
	bus := control.NewBus(func() time.Time { return at })
	all, some := bus.Subscribe(10), bus.Subscribe(1, control.EventCopy, control.EventDrain)
	bus.Emit(control.Event{Type: control.EventTransfer, Key: "k"})
	bus.Emit(control.Event{Type: control.EventCopy, Time: at.Add(time.Hour)})
	bus.Emit(control.Event{Type: control.EventDrain})
	bus.Emit(control.Event{Type: control.EventResource})
	if ev := <-some.C; ev.Type != control.EventCopy || !ev.Time.Equal(at.Add(time.Hour)) {
		t.Errorf("the first event asked for: %+v", ev)
	}
	if n := some.Missed(); n != 1 || some.Missed() != 0 {
		t.Errorf("missed %d of those asked for, want 1, told once", n)
	}
	if len(all.C) != 4 || all.Missed() != 0 {
		t.Errorf("a watcher of everything has %d of 4 events", len(all.C))
	}
	if ev := <-all.C; ev.Key != "k" || !ev.Time.Equal(at) || ev.Time.Location() != time.UTC {
		t.Errorf("an event without a time: %+v", ev)
	}
	some.Close()
	some.Close()
	bus.Emit(control.Event{Type: control.EventCopy})
	if len(some.C) != 0 {
		t.Error("a watcher that left is told")
	}
}

// However many transfers there are on the bus, hooks hear of resources alone, and of all.
func TestHooksAreNotTheBus(t *testing.T) {
	w := newWorld(t)
	l := listen(w.Control)
	sub := w.Events().Subscribe(1)
	defer sub.Close()
	for range 3000 {
		w.Events().Emit(control.Event{Type: control.EventTransfer})
	}
	w.create(t, &catalog.Zone{Name: "late"})
	if sub.Missed() == 0 {
		t.Error("the bus did not overflow")
	}
	expect(t, l, "a change behind an overflow", "answering", "zone late created elsewhere=false")
}

func (w *world) replace(t testing.TB, r catalog.Resource) control.Item {
	t.Helper()
	it, _, err := w.Resources.Replace(context.Background(), r, control.Precondition{}, nil)
	if err != nil {
		t.Fatalf("replacing %s %s: %v", r.ResourceKind(), r.ResourceName(), err)
	}
	return it
}

// Events about copies say what changed, and nothing twice.
func TestEventsOfCopies(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "bkt"})
	sub := w.Events().Subscribe(100, control.EventCopy)
	defer sub.Close()
	row := state.Copy{Copy: catalog.Copy{Cluster: "c1", State: catalog.CopySyncing}}
	step := func(what, want string, rows ...state.Copy) {
		t.Helper()
		w.setCopies(t, "bkt", rows...)
		var got []string
		for len(sub.C) > 0 {
			ev := <-sub.C
			got = append(got, strings.TrimSpace(ev.Cluster+" "+ev.State+" "+ev.Reason))
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s: %q, want %q", what, s, want)
		}
	}
	step("a new copy", "c1 syncing", row)
	row.Cursor = "k"
	step("progress", "", row)
	row.Error = "no room"
	step("an error", "c1 syncing no room", row)
	row.State, row.Error = catalog.CopySynced, ""
	step("synced", "c1 synced", row)
	row.Primary = true
	step("another role", "c1 synced", row)
	step("gone", "c1 gone")
}
