package guard

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStorage is a storage that is only ever handed out.
type fakeStorage struct{}

func (fakeStorage) Reader() storage.Reader { return nil }
func (fakeStorage) Writer() storage.Writer { return nil }
func (fakeStorage) Close()                 {}

// newTestGuard is a guard of a catalogue whose storages are fakes.
func newTestGuard(router *routing.Router) *Guard {
	g, _ := newTestSites(router)
	return g
}

func newTestSites(router *routing.Router) (*Guard, *site.Sites) {
	sites, writers := site.New(site.Options{
		Router: router, Pace: limit.New(4), Log: zap.NewNop(), Now: time.Now,
		Open: func(string, *catalog.Storage) (storage.Storage, error) { return fakeStorage{}, nil },
	})
	return New(Options{Router: router, Now: time.Now, MayWrite: func() error { return nil }, Writers: writers}), sites
}

// declare makes clusters that have a storage.
func declare(router *routing.Router, clusters ...string) {
	router.Swap(router.Snapshot().Edit(func(e *routing.Editor) {
		for _, name := range clusters {
			c := &catalog.Cluster{Name: name, Storage: &catalog.Storage{Endpoint: "http://" + name}}
			c.Normalize()
			e.PutCluster(c)
		}
	}))
}

// After a change's hook has run, no operation that the change forbids is on its way,
// however the two interleave.
func TestChangeLeavesNothingForbidden(t *testing.T) {
	t.Parallel()
	router := routing.NewRouter()
	g := newTestGuard(router)
	var allowed, forbiddenInside atomic.Bool
	allowed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var entered atomic.Int64
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				o := Op{Object: ids.ObjectIn("b", "k", "c"), Allowed: func(*routing.Snapshot) bool { return allowed.Load() }}
				_ = g.Do(ctx, o, func(ctx context.Context, _ *Pass) error {
					entered.Add(1)
					select {
					case <-ctx.Done():
					case <-time.After(50 * time.Microsecond):
					}
					return nil
				})
			}
		})
	}
	for range 300 {
		allowed.Store(false)
		g.AfterChange(ctx)
		for range 3 {
			if len(matching(g, g.ops, func(*running) bool { return true })) > 0 {
				// One may have registered and not asked yet; it will be refused.
				before := entered.Load()
				time.Sleep(100 * time.Microsecond)
				if entered.Load() != before {
					forbiddenInside.Store(true)
				}
			}
		}
		allowed.Store(true)
		time.Sleep(50 * time.Microsecond)
	}
	cancel()
	wg.Wait()
	if forbiddenInside.Load() {
		t.Error("an operation entered after the change that forbids it was answered")
	}
	if entered.Load() == 0 {
		t.Error("nothing ever entered: the test shows nothing")
	}
}

// What a pass allows is one cluster, for as long as its operation lasts.
func TestPass(t *testing.T) {
	t.Parallel()
	router := routing.NewRouter()
	declare(router, "c1", "c2")
	g, sites := newTestSites(router)
	defer sites.Close()
	c1, c2 := sites.Get("c1"), sites.Get("c2")
	var kept *Pass
	op := Op{Object: ids.ObjectIn("b", "k", "c1"), Allowed: Always}
	err := g.Do(t.Context(), op, func(_ context.Context, p *Pass) error {
		kept = p
		if _, err := p.Writer(c1); err != nil {
			t.Errorf("the operation's own cluster: %v", err)
		}
		if _, err := p.Writer(c2); !errors.Is(err, ErrForbidden) {
			t.Errorf("another cluster: %v, want %v", err, ErrForbidden)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Writer(c1); !errors.Is(err, errOver) {
		t.Errorf("after the operation: %v, want %v", err, errOver)
	}
}

// Residency is asked before f runs, for objects by their own rule.
func TestForbidden(t *testing.T) {
	t.Parallel()
	g := newTestGuard(routing.NewRouter())
	for _, op := range []Op{
		{Object: ids.ObjectIn("unknown", "k", "c1")},
		{Object: ids.ObjectIn("unknown", "", "c1"), Allowed: AnyRule("unknown", "c1")},
	} {
		err := g.Do(t.Context(), op, func(context.Context, *Pass) error {
			t.Error("it ran")
			return nil
		})
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("got %v, want %v", err, ErrForbidden)
		}
	}
	if n := len(matching(g, g.ops, func(*running) bool { return true })); n != 0 {
		t.Errorf("%d operations are left", n)
	}
}

// Nothing enters without a lease, and what is inside when it ends is told to.
func TestFence(t *testing.T) {
	t.Parallel()
	lost := errors.New("no lease")
	var lease atomic.Pointer[error]
	g := newTestGuard(routing.NewRouter())
	g.o.MayWrite = func() error {
		if p := lease.Load(); p != nil {
			return *p
		}
		return nil
	}
	op := Op{Object: ids.ObjectIn("b", "k", "c1"), Allowed: Always}
	err := g.Do(t.Context(), op, func(ctx context.Context, _ *Pass) error {
		lease.Store(&lost)
		g.Fence(lost)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, lost) {
		t.Errorf("inside: %v, want %v", err, lost)
	}
	if err := g.Do(t.Context(), op, func(context.Context, *Pass) error { return nil }); !errors.Is(err, lost) {
		t.Errorf("entering: %v, want %v", err, lost)
	}
}

// Exclusively waits for what is on its way, ends what takes too long, and keeps what comes
// meanwhile waiting.
func TestExclusively(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGuard(routing.NewRouter())
		op := Op{Object: ids.ObjectIn("b", "k", "c1"), Allowed: Always}
		var inside, ran atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			err := g.Do(t.Context(), op, func(ctx context.Context, _ *Pass) error {
				inside.Store(true)
				<-ctx.Done()
				inside.Store(false)
				return ctx.Err()
			})
			if !errors.Is(err, ErrMoving) {
				t.Errorf("the one inside: %v, want %v", err, ErrMoving)
			}
		})
		synctest.Wait()
		began := time.Now()
		err := g.Exclusively(t.Context(), "b", "c1", time.Minute, func() error {
			if inside.Load() {
				t.Error("an operation is still inside")
			}
			if time.Since(began) != time.Minute {
				t.Errorf("it was given %s to end, want a minute", time.Since(began))
			}
			wg.Go(func() {
				_ = g.Do(t.Context(), op, func(context.Context, *Pass) error { ran.Store(true); return nil })
			})
			synctest.Wait()
			if ran.Load() {
				t.Error("an operation entered meanwhile")
			}
			if err := g.Exclusively(t.Context(), "b", "c1", 0, func() error { return nil }); !errors.Is(err, ErrMoving) {
				t.Errorf("a second one: %v, want %v", err, ErrMoving)
			}
			return nil
		})
		wg.Wait()
		if err != nil || !ran.Load() {
			t.Errorf("error %v, the waiting operation ran: %t", err, ran.Load())
		}
	})
}

// A storage that goes down ends what reads from it and what writes to it.
func TestCutOff(t *testing.T) {
	t.Parallel()
	g := newTestGuard(routing.NewRouter())
	for _, cluster := range []string{"from", "to"} {
		op := Op{Object: ids.ObjectIn("b", "k", "to"), From: "from", Allowed: Always, Total: 7}
		err := g.Do(t.Context(), op, func(ctx context.Context, p *Pass) error {
			p.Moved(3)
			if ts := g.Transfers(); len(ts) != 1 || ts[0].Done != 3 || ts[0].Total != 7 || ts[0].From != "from" {
				t.Errorf("transfers %+v", ts)
			}
			g.CutOff("another")
			if ctx.Err() != nil {
				t.Error("another storage's end ends it")
			}
			g.CutOff(cluster)
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, site.ErrDown) {
			t.Errorf("%s: %v, want %v", cluster, err, site.ErrDown)
		}
	}
}

// Quietly keeps users' writes that show waiting, and nothing else; what is on its way gets a moment
// to end, and is not aborted. What hands a primary over passes what has the cluster exclusively.
func TestQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGuard(routing.NewRouter())
		op := Op{Object: ids.ObjectIn("b", "k", "c1"), Allowed: Always}
		user, silent, handover, elsewhere := op, op, op, op
		user.User, silent.User, silent.Silent, handover.Handover, elsewhere.User = true, true, true, true, true
		elsewhere.Cluster = "c2"
		var wg sync.WaitGroup
		var ended, waited atomic.Bool
		wg.Go(func() {
			err := g.Do(t.Context(), user, func(ctx context.Context, _ *Pass) error {
				time.Sleep(time.Second)
				if err := g.MayShow(&user); err != nil {
					t.Errorf("what is waited for: %v", err)
				}
				ended.Store(true)
				return ctx.Err()
			})
			if err != nil {
				t.Errorf("what was on its way: %v", err)
			}
		})
		synctest.Wait()
		err := g.Quietly(t.Context(), "b", "c1", time.Minute, func() error {
			if !ended.Load() {
				t.Error("it did not wait for what was on its way")
			}
			wg.Go(func() {
				if err := g.Do(t.Context(), user, func(context.Context, *Pass) error { waited.Store(true); return nil }); err != nil {
					t.Errorf("what had to wait: %v", err)
				}
			})
			for _, o := range []Op{op, silent, elsewhere} {
				if err := g.Do(t.Context(), o, func(context.Context, *Pass) error { return nil }); err != nil {
					t.Errorf("%+v: %v", o, err)
				}
			}
			synctest.Wait()
			if waited.Load() {
				t.Error("a user's write did not wait")
			}
			if err := g.MayShow(&user); !errors.Is(err, ErrMoving) {
				t.Errorf("what took longer may show: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		wg.Wait()
		err = g.Exclusively(t.Context(), "b", "c1", 0, func() error {
			return g.Do(t.Context(), handover, func(context.Context, *Pass) error { return nil })
		})
		if err != nil {
			t.Errorf("what hands over: %v", err)
		}
	})
}

// Users' writes wait while another instance moves the primary's role away, until it has, and not
// for ever.
func TestWritesAwaitAMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := routing.NewRouter()
		declare(router, "c1", "c2")
		g, sites := newTestSites(router)
		defer sites.Close()
		roles := func(primary string, moving bool) {
			router.Swap(router.Snapshot().Edit(func(e *routing.Editor) {
				e.PutPolicy(&catalog.Policy{Name: "p", Clusters: []string{"c1", "c2"}, Copies: catalog.Copies{N: 2}})
				e.PutBucket(&catalog.Bucket{Name: "b", Policy: "p"})
				e.SetCopies("b", []catalog.Copy{
					{Cluster: "c1", Primary: primary == "c1", State: catalog.CopySynced},
					{Cluster: "c2", Primary: primary == "c2", State: catalog.CopySynced, Moving: moving},
				})
			}))
		}
		op := Op{Object: ids.ObjectIn("b", "k", "c1"), User: true, Allowed: func(s *routing.Snapshot) bool { return s.Of("b").Primary() == "c1" }}
		try := func() <-chan error {
			done := make(chan error, 1)
			go func() { done <- g.Do(t.Context(), op, func(context.Context, *Pass) error { return nil }) }()
			synctest.Wait()
			return done
		}
		roles("c1", true)
		if err := g.MayShow(&op); !errors.Is(err, ErrMoving) {
			t.Errorf("a move of which nobody told: %v", err)
		}
		g.RolesChanged("b")
		if err := g.MayShow(&op); err != nil {
			t.Errorf("what the other instance waits for: %v", err)
		}
		late := try()
		if begun := time.Now(); <-late != nil || time.Since(begun) != holdPatience {
			t.Errorf("a move that takes long: it waited %v", time.Since(begun))
		}
		if err := g.MayShow(&op); !errors.Is(err, ErrMoving) {
			t.Errorf("what entered before may show: %v", err)
		}
		waiting := try()
		select {
		case err := <-waiting:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		roles("c2", false)
		g.RolesChanged("b")
		if err := <-waiting; !errors.Is(err, ErrForbidden) {
			t.Errorf("behind the move: %v, want %v", err, ErrForbidden)
		}
	})
}
