package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/routing"
)

var errRefused = errors.New("connection refused")

// field is a set of endpoints whose checks the test answers. Time in these tests is
// synctest's: it passes when nothing else can happen.
type field struct {
	mu      sync.Mutex
	eps     []*routing.Endpoint
	answers map[*routing.Endpoint]error // nil: passes
	hung    map[*routing.Endpoint]bool
	checks  map[*routing.Endpoint][]time.Time // when each check began
	changes []string
}

func newField(n int) *field {
	f := &field{
		answers: make(map[*routing.Endpoint]error), hung: make(map[*routing.Endpoint]bool),
		checks: make(map[*routing.Endpoint][]time.Time),
	}
	f.add(n)
	return f
}

// add makes n more endpoints, in a new list, as a snapshot would.
func (f *field) add(n int) []*routing.Endpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	var added []*routing.Endpoint
	for range n {
		ep := &routing.Endpoint{Live: new(routing.EndpointState)}
		ep.URL = fmt.Sprintf("http://f%d", len(f.eps)+len(added))
		added = append(added, ep)
	}
	f.eps = append(append([]*routing.Endpoint(nil), f.eps...), added...)
	return added
}

func (f *field) list() []*routing.Endpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.eps
}

func (f *field) answer(ep *routing.Endpoint, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[ep] = err
}

func (f *field) hang(ep *routing.Endpoint) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hung[ep] = true
}

func (f *field) probe(ctx context.Context, ep *routing.Endpoint) error {
	f.mu.Lock()
	f.checks[ep] = append(f.checks[ep], time.Now())
	hung, err := f.hung[ep], f.answers[ep]
	f.mu.Unlock()
	if hung {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (f *field) changed(ep *routing.Endpoint, healthy bool, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, fmt.Sprintf("%s %v %s", ep.URL, healthy, reason))
}

func (f *field) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.changes
	f.changes = nil
	return c
}

func (f *field) count(ep *routing.Endpoint) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.checks[ep])
}

// started returns a checker of the field that runs until the test ends.
func (f *field) started(cfg Config) *Checker {
	cfg.Endpoints, cfg.OnChange, cfg.probe = f.list, f.changed, f.probe
	c := New(cfg)
	c.Start()
	return c
}

func expectChanges(t *testing.T, f *field, want ...string) {
	t.Helper()
	if got := f.took(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("changes %q, want %q", got, want)
	}
}

func TestEndpointsAreCheckedAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(3)
		c := f.started(Config{})
		defer c.Stop()
		time.Sleep(time.Minute)
		for _, ep := range f.list() {
			// 5s, plus or minus a tenth.
			if n := f.count(ep); n < 11 || n > 14 {
				t.Errorf("%s was checked %d times in a minute", ep.URL, n)
			}
			for i, at := range f.checks[ep][1:] {
				if d := at.Sub(f.checks[ep][i]); d < 4500*time.Millisecond || d > 5500*time.Millisecond {
					t.Errorf("%s was checked after %v", ep.URL, d)
				}
			}
		}
		expectChanges(t, f)
	})
}

func TestHealthFollowsTheChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(1)
		ep := f.list()[0]
		c := f.started(Config{})
		defer c.Stop()
		time.Sleep(time.Minute)

		f.answer(ep, errRefused)
		eventuallyChecked(f, ep)
		if !ep.Live.Healthy() {
			t.Error("one failure of an endpoint that was up marks it down")
		}
		time.Sleep(time.Second) // it is looked at again soon
		synctest.Wait()
		if ep.Live.Healthy() || ep.Live.Reason() != errRefused.Error() {
			t.Errorf("healthy %v, reason %q after two failures", ep.Live.Healthy(), ep.Live.Reason())
		}
		expectChanges(t, f, "http://f0 false connection refused")

		f.answer(ep, nil)
		eventuallyChecked(f, ep)
		if !ep.Live.Healthy() || ep.Live.Reason() != "" {
			t.Errorf("healthy %v, reason %q after it passed", ep.Live.Healthy(), ep.Live.Reason())
		}
		expectChanges(t, f, "http://f0 true ")
	})
}

// eventuallyChecked waits until an endpoint's next check is done.
func eventuallyChecked(f *field, ep *routing.Endpoint) {
	for n := f.count(ep); f.count(ep) == n; {
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
}

func TestANewEndpointIsCheckedAtOnceAndMustPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(1)
		c := f.started(Config{})
		defer c.Stop()
		synctest.Wait()
		if n := f.count(f.list()[0]); n != 1 {
			t.Fatalf("%d checks at the start", n)
		}
		added := f.add(1)[0]
		f.answer(added, errRefused)
		before := time.Now()
		c.Kick()
		synctest.Wait()
		if f.count(added) != 1 || !time.Now().Equal(before) {
			t.Errorf("%d checks after %v", f.count(added), time.Since(before))
		}
		expectChanges(t, f, "http://f1 false connection refused")

		// Without being told, within a second.
		other := f.add(1)[0]
		time.Sleep(time.Second)
		synctest.Wait()
		if f.count(other) != 1 {
			t.Errorf("%d checks of an endpoint the checker was not told of", f.count(other))
		}
	})
}

func TestAnEndpointThatIsStartingIsFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(1)
		ep := f.list()[0]
		f.answer(ep, errRefused)
		c := f.started(Config{})
		defer c.Stop()
		time.Sleep(2 * time.Second)
		f.answer(ep, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !ep.Live.Healthy() {
			t.Error("an endpoint that came up after 2s is not in use after 4s")
		}
	})
}

func TestADeadEndpointIsAskedNoMoreOftenThanOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(1)
		ep := f.list()[0]
		f.answer(ep, errRefused)
		c := f.started(Config{})
		defer c.Stop()
		time.Sleep(10 * time.Minute)
		if n := f.count(ep); n < 105 || n > 140 {
			t.Errorf("checked %d times in ten minutes", n)
		}
	})
}

func TestEndpointsThatLeftAreNotChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(2)
		c := f.started(Config{})
		defer c.Stop()
		synctest.Wait()
		gone := f.list()[1]
		f.mu.Lock()
		f.eps = append([]*routing.Endpoint(nil), f.eps[:1]...)
		f.mu.Unlock()
		c.Kick()
		synctest.Wait()
		n := f.count(gone)
		time.Sleep(time.Minute)
		if f.count(gone) != n {
			t.Errorf("checked %d times after it left", f.count(gone)-n)
		}
	})
}

func TestLiveTrafficMarksDownAndTheNextCheckUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(1)
		ep := f.list()[0]
		c := f.started(Config{})
		defer c.Stop()
		synctest.Wait()
		c.Failed(ep, errRefused)
		if ep.Live.Healthy() {
			t.Error("still healthy")
		}
		c.Failed(ep, errRefused) // changes nothing more
		expectChanges(t, f, "http://f0 false connection refused")
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		expectChanges(t, f, "http://f0 true ")

		stranger := &routing.Endpoint{Live: new(routing.EndpointState)}
		c.Failed(stranger, errRefused)
		if stranger.Live.Healthy() {
			t.Error("an endpoint the checker does not know yet is not marked down")
		}
	})
}

func TestHungEndpointsDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(210)
		for i, ep := range f.list() {
			if i >= 10 {
				f.hang(ep)
			}
		}
		c := f.started(Config{Parallelism: 16}) // far fewer than hang
		defer c.Stop()
		time.Sleep(10 * time.Minute)
		for i, ep := range f.list() {
			switch n := f.count(ep); {
			case i < 10 && (n < 100 || n > 135):
				t.Errorf("%s answers, and was checked %d times in ten minutes", ep.URL, n)
			case i >= 10 && (n < 3 || ep.Live.Healthy()):
				t.Errorf("%s hangs, was checked %d times, healthy %v", ep.URL, n, ep.Live.Healthy())
			}
		}
	})
}

func TestChecksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		f := newField(100)
		c := New(Config{Endpoints: f.list, Parallelism: 8, probe: func(ctx context.Context, _ *routing.Endpoint) error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-ctx.Done()
			return ctx.Err()
		}})
		c.Start()
		time.Sleep(time.Minute)
		c.Stop()
		if most.Load() > 8+2 {
			t.Errorf("%d checks at a time", most.Load())
		}
		for _, ep := range f.list() {
			if ep.Live.Healthy() {
				t.Errorf("%s hangs, and is healthy", ep.URL)
			}
		}
	})
}

func TestStartAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(2)
		never := New(Config{Endpoints: f.list})
		never.Stop()
		never.Start() // after Stop: nothing
		c := f.started(Config{})
		c.Start()
		f.hang(f.list()[0])
		time.Sleep(20 * time.Second)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(c.Stop)
		}
		wg.Wait()
		n := f.count(f.list()[1])
		time.Sleep(time.Minute)
		if f.count(f.list()[1]) != n {
			t.Error("checks go on after Stop")
		}
	})
}

func TestStoppingMarksNobodyDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(1)
		f.hang(f.list()[0])
		c := f.started(Config{})
		synctest.Wait()
		c.Stop()
		if !f.list()[0].Live.Healthy() {
			t.Error("a check that was cut short marks the endpoint down")
		}
	})
}
