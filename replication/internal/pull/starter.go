package pull

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// The results of pulls, as they are counted.
const (
	resultCopied  = "copied"
	resultTimeout = "timeout" // an invocation stopped waiting
	resultNoRoom  = "no_room"
	resultFailed  = "failed"
)

// starter starts pulls, so that an object is copied once however many ask for it, and not
// again right after it failed.
type starter struct {
	o        *Options
	copier   *copier
	marks    *marks                              // its lock holds the fields below, too
	backoffs *memory.Memory[ids.Object, backoff] // Cluster "": in any

	ctx context.Context // of the pulls; nil: none may start
	wg  sync.WaitGroup
}

// backoff is why a pull failed and until when it is not tried again.
type backoff struct {
	until time.Time
	err   error
}

// maxBackoffs bounds the memory of pulls that failed.
const maxBackoffs = 10_000

func newStarter(o *Options, c *copier, m *marks) *starter {
	return &starter{o: o, copier: c, marks: m, backoffs: memory.New[ids.Object, backoff](maxBackoffs, 0, o.Now)}
}

// open lets pulls start, close no more; wait returns when those under way have ended.
func (s *starter) open(ctx context.Context) {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	s.ctx = ctx
}

func (s *starter) close() {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	s.ctx = nil
}

func (s *starter) isOpen() bool {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	return s.ctx != nil
}

func (s *starter) wait() { s.wg.Wait() }

func (s *starter) count(result string) {
	if s.o.Metrics != nil {
		s.o.Metrics.Pulled(result)
	}
}

// anywhere has a plan's objects pulled to the first of its clusters that gets them.
func (s *starter) anywhere(ctx context.Context, plan routing.PullPlan) error {
	err := ErrNoRoom
	left := slices.Clone(plan.Clusters)
	for len(left) > 0 {
		var cluster string
		var pulls []*inProgress
		cluster, pulls, err = s.join(plan, left) //nolint:contextcheck // a pull outlives the request that began it
		if err == nil {
			err = await(ctx, pulls)
		}
		if err == nil || ctx.Err() != nil || cluster == "" {
			return err
		}
		left = slices.DeleteFunc(left, func(c string) bool { return c == cluster })
	}
	return err
}

// await returns when all pulls succeeded, or with the first error or the end of ctx.
func await(ctx context.Context, pulls []*inProgress) error {
	for _, p := range pulls {
		select {
		case <-p.done:
			if p.err != nil {
				return p.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// join chooses a cluster for a plan's objects and takes part in their pulls there. Nothing
// to wait for means that all are there. Cluster "" with an error says that none of them will
// do.
func (s *starter) join(plan routing.PullPlan, clusters []string) (cluster string, pulls []*inProgress, err error) {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	if s.ctx == nil {
		return "", nil, s.o.ErrOff
	}
	if cluster, err = s.choose(plan, clusters); err != nil {
		return "", nil, err
	}
	for _, o := range plan.Objects {
		ref := ids.ObjectIn(o.Bucket, o.Key, cluster)
		if s.o.current(ref) {
			continue
		}
		p := s.marks.pulls[ref]
		if p == nil {
			p = s.start(ref, plan.Timeout)
		} else if p.slow || s.o.Now().Sub(p.began) > plan.Timeout {
			p.slow = true
			return "", nil, fmt.Errorf("it takes longer than %s: %w", plan.Timeout, context.DeadlineExceeded)
		}
		pulls = append(pulls, p)
	}
	return cluster, pulls, nil
}

// choose returns the first cluster where the plan's first object is already or is on its way
// to, else the first that no object of the plan failed to come to a moment ago, else why
// there is none. The caller holds the lock.
func (s *starter) choose(plan routing.PullPlan, clusters []string) (string, error) {
	for _, c := range clusters {
		ref := ids.ObjectIn(plan.Objects[0].Bucket, plan.Objects[0].Key, c)
		known, ok := s.o.known(ref)
		if s.marks.pulls[ref] != nil || ok && (known.Current || known.Until.After(s.o.Now())) {
			return c, nil
		}
	}
	var last error
	for _, c := range clusters {
		err := s.backingOff(plan.Objects, c)
		if err == nil {
			return c, nil
		}
		last = err
	}
	return "", last
}

// backingOff returns why some of the objects are not to be tried in a cluster now.
func (s *starter) backingOff(objects []catalog.ObjectName, cluster string) error {
	for _, o := range objects {
		if !s.o.Router.Snapshot().Of(o.Bucket).Passes(o.Key) {
			return guard.ErrPath
		}
		for _, c := range []string{cluster, ""} {
			if b, _ := s.backoffs.Get(ids.ObjectIn(o.Bucket, o.Key, c)); b.until.After(s.o.Now()) {
				return fmt.Errorf("a moment ago: %w", b.err)
			}
		}
	}
	return nil
}

// start starts a pull, which continues until the run ends, even without waiting callers.
// The caller holds the lock.
func (s *starter) start(ref ids.Object, timeout time.Duration) *inProgress {
	p := &inProgress{began: s.o.Now(), done: make(chan struct{})}
	s.marks.pulls[ref] = p
	ctx := s.ctx
	s.wg.Go(func() {
		p.err = s.copier.pull(ctx, ref, timeout)
		s.finish(ctx, ref, p.err)
		close(p.done)
	})
	return p
}

// finish notes a pull's end, and for a moment what would only fail again.
func (s *starter) finish(ctx context.Context, ref ids.Object, err error) {
	result, wait := s.judge(err)
	if wait > 0 {
		at := ref
		if errors.Is(err, errGone) {
			at.Cluster = ""
		}
		s.backoffs.Note(at, backoff{s.o.Now().Add(wait), err})
	}
	s.marks.mu.Lock()
	delete(s.marks.pulls, ref)
	s.marks.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	s.count(result)
	if err != nil {
		s.o.Log.Debug("an object is not copied on demand", fieldsOf(ref, err)...)
	}
}

// judge tells how a pull's end counts, and how long it is not tried again.
func (s *starter) judge(err error) (result string, wait time.Duration) {
	switch {
	case err == nil:
		return resultCopied, 0
	case errors.Is(err, object.ErrConflict), errors.Is(err, storage.ErrRefused):
		return resultFailed, s.o.Timing.Backoff
	case errors.Is(err, ErrNoRoom), errors.Is(err, storage.ErrFull):
		return resultNoRoom, s.o.Timing.Backoff
	}
	return resultFailed, s.o.Timing.Backoff / 4
}
