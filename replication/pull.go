package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// Why an object is not copied on demand.
var (
	errNoRoom = errors.New("the cluster's capacity has no room for it")
	errGone   = errors.New("the primary has no such object")
	errPaused = errors.New("replication is paused")
)

// The results of pulls, as they are counted.
const (
	pullCopied  = "copied"
	pullTimeout = "timeout" // an invocation stopped waiting
	pullNoRoom  = "no_room"
	pullFailed  = "failed"
)

// PullMetrics may be implemented by Metrics to count objects copied on demand.
type PullMetrics interface {
	Pulled(result string)
}

func (e *Engine) countPull(result string) {
	if m, ok := e.metrics.(PullMetrics); ok {
		m.Pulled(result)
	}
}

// pulls are the objects being copied on demand.
type pulls struct {
	kick  chan struct{}     // has the keeper look at everything
	rooms *keyLocks[string] // one claim for room per cluster at a time

	mu       sync.Mutex
	open     bool // work may begin
	wg       sync.WaitGroup
	flights  map[objectRef]*pullFlight
	resting  map[objectRef]setback // what failed a moment ago
	leaving  map[objectRef]bool    // being removed
	rechecks map[string]struct{}   // buckets whose objects are to be compared
}

// setback is a pull that failed and is not tried again until a moment.
type setback struct {
	until time.Time
	err   error
}

// pullFlight is one object on its way to a cluster, whoever waits for it.
type pullFlight struct {
	began time.Time
	slow  bool          // outlasted what its first caller waits
	done  chan struct{} // closed at the end
	err   error         // valid then
}

func newPulls() *pulls {
	return &pulls{
		kick: make(chan struct{}, 1), rooms: newKeyLocks[string](), flights: make(map[objectRef]*pullFlight),
		resting: make(map[objectRef]setback), leaving: make(map[objectRef]bool), rechecks: make(map[string]struct{}),
	}
}

// Pull has objects copied to a cluster where an invocation can run beside them, and waits
// as long as the plan and ctx say. It returns nil when they are there: routing is to be
// asked again. What outlasts the wait goes on in the background. However many ask for an
// object, it is copied once.
func (e *Engine) Pull(ctx context.Context, plan routing.PullPlan) error {
	r := e.run.Load()
	switch {
	case r == nil || e.conf().Disabled:
		return ErrOff
	case e.pause.paused():
		return errPaused
	}
	ctx, cancel := context.WithTimeout(ctx, plan.Timeout)
	defer cancel()
	err := errNoRoom
	left := slices.Clone(plan.Clusters)
	for len(left) > 0 {
		var cluster string
		var waits []*pullFlight
		cluster, waits, err = r.join(plan, left)
		if err == nil {
			err = awaitPulls(ctx, waits)
		}
		if err == nil || ctx.Err() != nil {
			break
		}
		if cluster == "" {
			return err
		}
		left = slices.DeleteFunc(left, func(c string) bool { return c == cluster })
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.countPull(pullTimeout)
	}
	return err
}

func awaitPulls(ctx context.Context, waits []*pullFlight) error {
	for _, f := range waits {
		select {
		case <-f.done:
			if f.err != nil {
				return f.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// join chooses a cluster for a plan's objects and takes part in their flights there: one
// where the first is already or is on its way to comes first. Nothing to wait for means
// that all are there. Cluster "" with an error says that none of them will do.
func (r *run) join(plan routing.PullPlan, clusters []string) (cluster string, waits []*pullFlight, err error) {
	p, router := r.pulls, r.ctl.Router()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open {
		return "", nil, ErrOff
	}
	first := plan.Objects[0]
	for _, c := range clusters {
		ref := objectRef{first.Bucket, first.Key, c}
		if known, ok := router.Pulled.Get(ref.bucket, ref.key, c); p.flights[ref] != nil ||
			ok && (known.Current || known.Until.After(r.now())) {
			cluster = c
			break
		}
	}
	if cluster == "" {
		if cluster, err = r.rested(plan, clusters); err != nil {
			return "", nil, err
		}
	}
	for _, o := range plan.Objects {
		if router.Current(o.Bucket, o.Key, cluster) {
			continue
		}
		ref := objectRef{o.Bucket, o.Key, cluster}
		f := p.flights[ref]
		if f == nil {
			f = r.fly(ref, plan.Timeout)
		} else if f.slow || r.now().Sub(f.began) > plan.Timeout {
			f.slow = true
			return "", nil, fmt.Errorf("it takes longer than %s: %w", plan.Timeout, context.DeadlineExceeded)
		}
		waits = append(waits, f)
	}
	return cluster, waits, nil
}

// rested returns the first cluster that no object of the plan failed to come to a moment
// ago, or why there is none. The caller holds pulls.mu.
func (r *run) rested(plan routing.PullPlan, clusters []string) (cluster string, err error) {
	now := r.now()
	tired := func(ref objectRef) bool {
		s := r.pulls.resting[ref]
		if s.until.After(now) {
			err = fmt.Errorf("a moment ago: %w", s.err)
			return true
		}
		return false
	}
	for _, c := range clusters {
		if !slices.ContainsFunc(plan.Objects, func(o catalog.ObjectName) bool {
			return tired(objectRef{o.Bucket, o.Key, c}) || tired(objectRef{o.Bucket, o.Key, ""})
		}) {
			return c, nil
		}
	}
	return "", err
}

// fly begins a flight. The caller holds pulls.mu.
func (r *run) fly(ref objectRef, timeout time.Duration) *pullFlight {
	f := &pullFlight{began: r.now(), done: make(chan struct{})}
	p := r.pulls
	p.flights[ref] = f
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		f.err = r.pull(r.ctx, ref, timeout)
		r.landed(ref, f)
		close(f.done)
	}()
	return f
}

// maxResting bounds the memory of pulls that failed.
const maxResting = 10_000

// landed counts a flight's end, and remembers for a moment what would only fail again.
func (r *run) landed(ref objectRef, f *pullFlight) {
	result, rest := pullCopied, time.Duration(0)
	switch {
	case f.err == nil:
	case errors.Is(f.err, errNoRoom), errors.Is(f.err, storage.ErrFull), errors.Is(f.err, errConflict), errors.Is(f.err, storage.ErrRefused):
		result, rest = pullNoRoom, r.tune.PullRest
	default:
		result, rest = pullFailed, r.tune.PullRest/4
	}
	if errors.Is(f.err, errConflict) || errors.Is(f.err, storage.ErrRefused) {
		result = pullFailed
	}
	p := r.pulls
	p.mu.Lock()
	delete(p.flights, ref)
	if rest > 0 {
		if len(p.resting) >= maxResting {
			clear(p.resting)
		}
		if errors.Is(f.err, errGone) {
			ref.cluster = ""
		}
		p.resting[ref] = setback{r.now().Add(rest), f.err}
	}
	p.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	r.countPull(result)
	if f.err != nil {
		r.log.Debug("an object is not copied on demand", zap.String("bucket", ref.bucket), zap.String("key", ref.key),
			zap.String("cluster", ref.cluster), zap.Error(f.err))
	}
}

// pullLoop lets flights begin for as long as the run lasts, and waits for those under way.
func (r *run) pullLoop(ctx context.Context) {
	p := r.pulls
	p.mu.Lock()
	p.open = true
	p.mu.Unlock()
	defer p.wg.Wait()
	defer func() {
		p.mu.Lock()
		p.open = false
		p.mu.Unlock()
		r.noteUses(context.WithoutCancel(ctx))
	}()
	for sleep(ctx, r.tune.PullEvery) {
		r.noteUses(ctx)
	}
}
