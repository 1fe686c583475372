package publish_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

func undeclared(state.Ref) bool { return false }

func begin(t *testing.T, order *publish.Sequencer, buckets ...string) *publish.Turn {
	t.Helper()
	var refs []state.Ref
	for _, b := range buckets {
		refs = append(refs, record.Bucket(b))
	}
	turn, err := order.Begin(t.Context(), refs...)
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

func entered(t *testing.T, order *publish.Sequencer, buckets ...string) *publish.Turn {
	t.Helper()
	turn := begin(t, order, buckets...)
	if err := turn.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	return turn
}

func putBucket(name, policy string) func(*routing.Editor) {
	return func(e *routing.Editor) { e.PutBucket(&catalog.Bucket{Name: name, Policy: policy}) }
}

func policyIn(r *routing.Router, bucket string) string {
	if b := r.Snapshot().Bucket(bucket); b != nil {
		return b.Policy
	}
	return ""
}

// A transaction goes on once what was committed before it is published.
func TestEnterWaitsForTheTurnBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := routing.NewRouter()
		order := publish.New(router, undeclared)
		first, second := entered(t, order, "a"), begin(t, order, "b")
		result := make(chan string, 1)
		go func() {
			if err := second.Enter(t.Context()); err != nil {
				t.Error(err)
			}
			result <- policyIn(router, "a")
		}()
		synctest.Wait()
		select {
		case <-result:
			t.Fatal("the second transaction went on before the first one's outcome was known")
		default:
		}
		first.Commit(1, putBucket("a", "p"), nil)
		if got := <-result; got != "p" {
			t.Fatalf("within the second transaction the first one's bucket has the policy %q", got)
		}
		second.Drop()
		second.Drop() // does nothing
	})
}

// A turn whose outcome stays unknown does not keep the store's lock in another transaction.
func TestEnterDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		order := publish.New(routing.NewRouter(), undeclared)
		first, second := entered(t, order, "a"), begin(t, order, "b")
		if err := second.Enter(t.Context()); !errors.Is(err, state.ErrUnavailable) {
			t.Fatalf("behind a turn without an outcome: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := second.Enter(gone); !errors.Is(err, context.Canceled) {
			t.Fatalf("with a context that has ended: %v", err)
		}
		first.Drop()
		if err := second.Enter(t.Context()); err != nil {
			t.Fatalf("once the outcome is known: %v", err)
		}
		second.Drop()
	})
}

// A store that runs the function again moves the turn behind those that came between.
func TestEnterAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := routing.NewRouter()
		order := publish.New(router, undeclared)
		first, second := entered(t, order, "a"), begin(t, order, "a")
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := second.Enter(t.Context()); err != nil {
				t.Error(err)
			}
			second.Commit(1, putBucket("a", "second"), nil)
		}()
		synctest.Wait()
		if err := first.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-done
		first.Commit(2, putBucket("a", "first, run again"), nil)
		if got := policyIn(router, "a"); got != "first, run again" {
			t.Fatalf("published last is %q", got)
		}
	})
}

// Changes wait for their share of the store with their context; what is published can be
// read meanwhile.
func TestWritersAreBounded(t *testing.T) {
	order := publish.New(routing.NewRouter(), undeclared)
	one, two := begin(t, order, "a"), begin(t, order, "b")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := order.Begin(gone, record.Bucket("c")); !errors.Is(err, context.Canceled) {
		t.Fatalf("a third change with a context that has ended: %v", err)
	}
	if snap, seq := order.Published(); snap == nil || seq != 0 {
		t.Fatalf("published: %v, %d", snap, seq)
	}
	one.Drop()
	begin(t, order, "c").Drop()
	two.Drop()
}

func TestThenRunsInTheSameStep(t *testing.T) {
	router := routing.NewRouter()
	order := publish.New(router, undeclared)
	var saw string
	entered(t, order, "a").Commit(7, putBucket("a", "p"), func() { saw = policyIn(router, "a") })
	if _, seq := order.Published(); saw != "p" || seq != 7 {
		t.Fatalf("then saw %q; published up to %d", saw, seq)
	}
}

// What a turn is about while a reading is under way is left out of it, in whatever order
// they begin and end.
func TestReadingsLeaveOutWhatATurnTouches(t *testing.T) {
	a, b := record.Bucket("a"), record.Bucket("b")
	read := func(e *routing.Editor, stale func(state.Ref) bool) {
		for _, r := range []state.Ref{a, b} {
			if !stale(r) {
				e.PutBucket(&catalog.Bucket{Name: r.Name, Policy: "read"})
			}
		}
	}
	for name, overlap := range map[string]func(order *publish.Sequencer) *publish.Reading{
		"turn begins first": func(order *publish.Sequencer) *publish.Reading {
			turn := entered(t, order, "a")
			defer turn.Commit(1, putBucket("a", "turn"), nil)
			return order.Read(a, b)
		},
		"reading begins first": func(order *publish.Sequencer) *publish.Reading {
			r := order.Read(a, b)
			entered(t, order, "a").Commit(1, putBucket("a", "turn"), nil)
			return r
		},
		"turn that changes nothing": func(order *publish.Sequencer) *publish.Reading {
			entered(t, order, "a").Commit(1, putBucket("a", "turn"), nil)
			r := order.Read(a, b)
			entered(t, order, "a").Drop()
			return r
		},
		"another reading": func(order *publish.Sequencer) *publish.Reading {
			r, other := order.Read(a, b), order.Read(a)
			other.Publish(func(e *routing.Editor, _ func(state.Ref) bool) { putBucket("a", "turn")(e) }, nil)
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			router := routing.NewRouter()
			order := publish.New(router, undeclared)
			again := overlap(order).Publish(read, nil)
			if !slices.Equal(again, []state.Ref{a}) {
				t.Errorf("to be read again: %v", again)
			}
			if policyIn(router, "a") != "turn" || policyIn(router, "b") != "read" {
				t.Errorf("a is %q, b is %q", policyIn(router, "a"), policyIn(router, "b"))
			}
		})
	}
}

// A reading that came to nothing is not in anyone's way.
func TestDroppedReading(t *testing.T) {
	order := publish.New(routing.NewRouter(), undeclared)
	r := order.Read(record.Bucket("a"))
	r.Drop()
	r.Drop()
	entered(t, order, "a").Drop()
	if again := order.Read(record.Bucket("a")).Publish(func(*routing.Editor, func(state.Ref) bool) {}, nil); len(again) > 0 {
		t.Fatalf("to be read again: %v", again)
	}
}

// A snapshot of everything leaves what was changed meanwhile as it is published.
func TestPublishAll(t *testing.T) {
	router := routing.NewRouter()
	order := publish.New(router, undeclared)
	entered(t, order, "gone").Commit(1, func(e *routing.Editor) {
		putBucket("gone", "p")(e)
		putBucket("old", "p")(e)
		e.PutZone(&catalog.Zone{Name: "z"})
		e.PutCluster(&catalog.Cluster{Name: "c", Zones: []string{"z"}})
		e.PutPolicy(&catalog.Policy{Name: "kept"})
	}, nil)
	one := order.Read(record.Bucket("old"))
	all := order.ReadAll()
	refs := []state.Ref{
		record.Bucket("gone"), record.Bucket("new"),
		{Kind: catalog.KindZone, Name: "z"},
		{Kind: catalog.KindCluster, Name: "c"},
		{Kind: catalog.KindPolicy, Name: "kept"},
	}
	turn, err := order.Begin(t.Context(), refs...)
	if err != nil {
		t.Fatal(err)
	}
	if err := turn.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn.Commit(2, func(e *routing.Editor) {
		e.Delete(catalog.KindBucket, "gone")
		putBucket("new", "p")(e)
	}, nil)
	then := false
	again := all.PublishAll(routing.NewRouter().Snapshot().Edit(func(e *routing.Editor) {
		putBucket("gone", "stale")(e)
		putBucket("loaded", "p")(e)
	}), func(e *routing.Editor) { e.SetDefaultPolicy("kept") }, func() { then = true })
	if len(again) != len(refs) || !then {
		t.Errorf("to be read again: %v; then ran: %v", again, then)
	}
	snap := router.Snapshot()
	if snap.Bucket("gone") != nil || snap.Bucket("new") == nil || snap.Bucket("loaded") == nil || snap.Bucket("old") != nil {
		t.Errorf("buckets: %v", published(snap))
	}
	if snap.Zone("z") == nil || snap.Cluster("c") == nil || snap.Policy("kept") == nil {
		t.Error("what was changed meanwhile is not as it was published")
	}
	if again := one.Publish(func(*routing.Editor, func(state.Ref) bool) {}, nil); len(again) != 1 {
		t.Error("a reading from before everything was loaded is taken for fresh")
	}
}

// Refresh waits for turns about what it reads, with its context.
func TestRefreshWaitsForTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, f := routing.NewRouter(), newFakeStore()
		order := publish.New(router, undeclared)
		turn := entered(t, order, "a")
		change := &publish.Change{Ref: record.Bucket("a"), Resource: true}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := order.Refresh(gone, f, []*publish.Change{change}, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("with a context that has ended: %v", err)
		}
		if err := order.Await(t.Context(), record.Bucket("b")); err != nil {
			t.Fatalf("waiting for a thing that no turn is about: %v", err)
		}
		done := make(chan error)
		go func() { done <- order.Refresh(t.Context(), f, []*publish.Change{change}, nil) }()
		synctest.Wait()
		f.now["a"] = 5 // another instance's, after the turn's own change
		turn.Commit(4, putBucket("a", policyOf(4)), nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := policyIn(router, "a"); got != policyOf(5) || !change.Known || change.Record == nil {
			t.Fatalf("published is %q; the change is %+v", got, change)
		}
	})
}

// What a configuration declares is not replaced by what the store has of the same name.
func TestRefreshLeavesWhatIsDeclared(t *testing.T) {
	router, f := routing.NewRouter(), newFakeStore()
	order := publish.New(router, func(r state.Ref) bool { return r.Name == "mine" })
	entered(t, order, "mine").Commit(1, putBucket("mine", "declared"), nil)
	f.now["mine"] = 3
	err := order.Refresh(t.Context(), f, []*publish.Change{{Ref: record.Bucket("mine"), Resource: true}}, nil)
	if err != nil || policyIn(router, "mine") != "declared" {
		t.Fatalf("%v; published is %q", err, policyIn(router, "mine"))
	}
}

// An error between reading and publishing changes nothing.
func TestRefreshThatFails(t *testing.T) {
	router, f := routing.NewRouter(), newFakeStore()
	order := publish.New(router, undeclared)
	f.now["a"] = 1
	err := order.Refresh(t.Context(), f, []*publish.Change{{Ref: record.Bucket("a"), Resource: true}},
		func(context.Context) error { return errRefused })
	if !errors.Is(err, errRefused) || router.Snapshot().Bucket("a") != nil {
		t.Fatalf("%v; published: %v", err, published(router.Snapshot()))
	}
}
