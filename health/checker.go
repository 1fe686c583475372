package health

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/routing"
)

// The defaults of what a Config leaves out.
const (
	DefaultInterval    = 5 * time.Second
	DefaultTimeout     = 3 * time.Second
	DefaultParallelism = 128
	DefaultFails       = 2
)

// Config says what a Checker checks, and how often.
type Config struct {
	// Endpoints returns the endpoints to check: those of the current snapshot. It
	// is asked often and should be cheap. What it returns is not changed.
	Endpoints func() []*routing.Endpoint
	// OnChange, if set, is told every change of an endpoint's health. It is called
	// from several goroutines and should return soon.
	OnChange func(ep *routing.Endpoint, healthy bool, reason string)
	// Interval between two checks of an endpoint, jittered by a tenth. Default: 5s.
	Interval time.Duration
	// Timeout of one check. Default: 3s.
	Timeout time.Duration
	// Fails is how many checks in a row must fail to mark an endpoint down that was
	// up before. An endpoint that never passed a check is down with its first
	// failure. One check that passes marks it up. Default: 2.
	Fails int
	// Parallelism bounds the checks made at the same time. Endpoints that are
	// failing get a quarter of it besides. Default: 128.
	Parallelism int

	// probe makes one check; tests replace it.
	probe func(ctx context.Context, ep *routing.Endpoint) error
}

func (c *Config) setDefaults() {
	c.Interval = cmp.Or(c.Interval, DefaultInterval)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Fails = cmp.Or(c.Fails, DefaultFails)
	c.Parallelism = cmp.Or(c.Parallelism, DefaultParallelism)
	if c.probe == nil {
		c.probe = Probe
	}
	if c.OnChange == nil {
		c.OnChange = func(*routing.Endpoint, bool, string) {}
	}
}

// retryAfter is how soon an endpoint is checked again after so many failures in a
// row: at first sooner than the interval, so that neither a dead endpoint stays in for
// long nor one that is just starting stays out.
func (c *Config) retryAfter(fails int) time.Duration {
	after := time.Second
	for i := 1; i < fails && after < c.Interval; i++ {
		after *= 2
	}
	return min(after, jitter(c.Interval))
}

// lookEvery is how often the checker looks for endpoints it was not told about.
func (c *Config) lookEvery() time.Duration { return min(c.Interval, time.Second) }

// Checker checks endpoints until it is stopped. It is safe for concurrent use.
type Checker struct {
	cfg     Config
	healthy lane // endpoints that passed their last check, and new ones
	failing lane

	mu       sync.Mutex
	watched  map[*routing.EndpointState]*watch
	seen     []*routing.Endpoint // the slice watched was last brought in line with
	started  bool
	stopped  bool
	cancel   context.CancelFunc
	wake     chan struct{} // the loop has something to look at
	finished sync.WaitGroup
}

// watch is what the checker remembers of one endpoint. Checker.mu guards it.
type watch struct {
	ep      *routing.Endpoint
	due     time.Time
	running bool
	passed  bool // a check passed, ever
	fails   int  // checks failed in a row
}

// New returns a checker that does nothing until it is started.
func New(cfg Config) *Checker {
	cfg.setDefaults()
	return &Checker{
		cfg:     cfg,
		healthy: make(lane, cfg.Parallelism),
		failing: make(lane, max(1, cfg.Parallelism/4)),
		watched: make(map[*routing.EndpointState]*watch),
		wake:    make(chan struct{}, 1),
	}
}

// Start begins to check. Starting it again, or after Stop, does nothing.
func (c *Checker) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.stopped {
		return
	}
	c.started = true
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.finished.Go(func() { c.run(ctx) })
}

// Stop ends all checks and waits for them. It may be called more than once, and
// before Start.
func (c *Checker) Stop() {
	c.mu.Lock()
	c.stopped = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	c.finished.Wait()
}

// Kick makes the checker look at once for endpoints it does not know yet. Without
// it they are found within a second.
func (c *Checker) Kick() {
	select {
	case c.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// Failed tells that live traffic could not reach an endpoint: it is marked down
// now, and checked again soon.
func (c *Checker) Failed(ep *routing.Endpoint, err error) {
	c.mu.Lock()
	if w := c.watched[ep.Live]; w != nil {
		w.fails = max(w.fails, c.cfg.Fails)
		if soon := time.Now().Add(c.cfg.retryAfter(1)); soon.Before(w.due) {
			w.due = soon
		}
	}
	// Marked under the lock, so that a check ending at the same time comes either
	// wholly before or wholly after.
	changed := ep.Live.SetHealthy(false, err.Error())
	c.mu.Unlock()
	if changed {
		c.cfg.OnChange(ep, false, err.Error())
	}
	c.Kick()
}

func (c *Checker) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.wake:
		}
		timer.Reset(c.startDue(ctx))
	}
}

// startDue starts the checks that are due and says when to look again. It never
// waits: a check for which there is no room stays due, and the end of any check
// wakes the loop.
func (c *Checker) startDue(ctx context.Context) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.follow(now)
	var due []*watch
	next := now.Add(c.cfg.lookEvery())
	for _, w := range c.watched {
		switch {
		case w.running:
		case !w.due.After(now):
			due = append(due, w)
		case w.due.Before(next):
			next = w.due
		}
	}
	slices.SortFunc(due, func(a, b *watch) int { return a.due.Compare(b.due) })
	for _, w := range due {
		l := c.laneOf(w)
		if !l.enter() {
			continue
		}
		w.running = true
		c.finished.Go(func() {
			defer c.Kick()
			defer l.leave()
			c.check(ctx, w)
		})
	}
	return next.Sub(now)
}

// follow brings the watched endpoints in line with the snapshot's.
func (c *Checker) follow(now time.Time) {
	eps := c.cfg.Endpoints()
	if sameSlice(eps, c.seen) {
		return
	}
	c.seen = eps
	current := make(map[*routing.EndpointState]*watch, len(eps))
	for _, ep := range eps {
		w := c.watched[ep.Live]
		if w == nil {
			w = &watch{due: now}
		}
		w.ep = ep // its options may have changed
		current[ep.Live] = w
	}
	c.watched = current
}

func (c *Checker) laneOf(w *watch) lane {
	if w.fails > 0 {
		return c.failing
	}
	return c.healthy
}

func (c *Checker) check(ctx context.Context, w *watch) {
	c.mu.Lock()
	ep := w.ep
	c.mu.Unlock()
	probeCtx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	err := c.cfg.probe(probeCtx, ep)
	cancel()
	if ctx.Err() != nil { // stopped: the result says nothing about the endpoint
		return
	}
	if changed, healthy, reason := c.note(w, err); changed {
		c.cfg.OnChange(ep, healthy, reason)
	}
}

// note takes a check's result in.
func (c *Checker) note(w *watch, err error) (changed, healthy bool, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.running = false
	w.due = time.Now().Add(jitter(c.cfg.Interval))
	live := w.ep.Live
	if err == nil {
		w.fails, w.passed = 0, true
		return live.SetHealthy(true, ""), true, ""
	}
	w.fails++
	w.due = time.Now().Add(c.cfg.retryAfter(w.fails))
	if w.passed && w.fails < c.cfg.Fails && live.Healthy() {
		return false, true, ""
	}
	return live.SetHealthy(false, err.Error()), false, err.Error()
}

// jitter spreads checks, so that endpoints that came together don't stay together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1) //nolint:gosec // not a secret
}

// sameSlice says whether two slices are the same memory: a snapshot's list of
// endpoints is replaced, never changed.
func sameSlice(a, b []*routing.Endpoint) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// lane bounds how many checks run at the same time.
type lane chan struct{}

func (l lane) enter() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l lane) leave() { <-l }
