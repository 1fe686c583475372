package peers

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/state"
)

// ShardCount is how many parts the buckets are dealt into.
const ShardCount = 32

// ShardOf returns the part a bucket belongs to; the same on every instance.
func ShardOf(bucket string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(bucket)) // never fails
	return int(h.Sum32() % ShardCount)
}

// others is what the division depends on: what the other instances report of themselves.
type others interface {
	// sharers returns how many instances share the parts, this one included, and how many the
	// neediest of the others has. Of members that are alive but have not reported nothing is
	// known: then all of them share.
	sharers(members int) (n, neediest int)
	// othersReplicate reports whether one of the other members takes parts.
	othersReplicate(ctx context.Context, members []state.MemberInfo) (bool, error)
}

// Shards holds the parts this instance works on: a lock of the store for each. Instances
// take an even share, release the excess when another one joins, and acquire unheld
// parts.
type Shards struct {
	o      Options
	others others
	wg     sync.WaitGroup // watches of locks

	mine [ShardCount]atomic.Bool

	mu   sync.Mutex
	held [ShardCount]*heldShard
	// yielded is when a part was given to others who can do what this instance may not.
	yielded [ShardCount]time.Time

	again chan struct{} // delivers when a change may affect the division of the parts

	// Only Run uses these fields: free counts checks in a row that found a part unheld,
	// quiet those that changed nothing; after enough of these Run waits for news.
	free          [ShardCount]int
	quiet, enough int
}

type heldShard struct {
	lock state.Lock
	// ending: the part is not this instance's any more, and work on it is coming to its end.
	ending bool // guarded by Shards.mu
	// ended closes when ending is set, over when the work has ended.
	ended, over chan struct{}
}

func shardLock(i int) string { return fmt.Sprintf("replication/shard/%02d", i) }

// Owns reports whether this instance works on a bucket.
func (s *Shards) Owns(bucket string) bool { return s.mine[ShardOf(bucket)].Load() }

// Count returns how many parts this instance has.
func (s *Shards) Count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if h != nil && !h.ending {
			n++
		}
	}
	return n
}

// Run takes and gives parts until ctx ends; then it gives all back.
func (s *Shards) Run(ctx context.Context) {
	defer s.wg.Wait()
	defer s.giveUp(func(int) bool { return true })
	var locks, reports <-chan struct{}
	for ctx.Err() == nil {
		if locks == nil { // with a store of its own; one that is shared may come yet
			locks = s.o.Members.News(ctx, state.NewsLocks)
		}
		if reports == nil && s.o.Idle() { // reads no reports, and yields to those who put one
			reports = s.o.Members.News(ctx, state.NewsReports)
		}
		s.quiet++
		s.round(ctx)
		delay.Sleep(ctx, delay.Jitter(s.o.ShardEvery))
		if s.quiet >= s.enough && locks != nil {
			s.await(ctx, locks, reports)
		}
	}
}

// settledFor is how soon parts are tried for again though nothing is said to have happened.
const settledFor = 10 * time.Minute

// await waits for an event that may change the division of the parts.
func (s *Shards) await(ctx context.Context, locks, reports <-chan struct{}) {
	t := time.NewTimer(delay.Jitter(settledFor))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-locks:
	case <-reports:
	case <-s.again:
	case <-t.C:
	}
	s.quiet = 0
}

// look wakes Run.
func (s *Shards) look() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// round brings the number of held parts closer to an even share.
func (s *Shards) round(ctx context.Context) {
	members, err := s.o.Members.List(ctx)
	if err == nil {
		err = s.o.Members.MayWrite()
	}
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.Debug("could not list the parts of the work; will retry", zap.Error(err))
		}
		s.quiet = 0
		return
	}
	if s.o.Idle() && s.yields(ctx, members) {
		return
	}
	s.giveUp(func(i int) bool {
		if s.isYielded(i) {
			s.quiet = 0
			return true
		}
		return false
	})
	n, neediest := s.others.sharers(len(members))
	fair := (ShardCount + n - 1) / n
	if over := s.Count() - fair; over > 0 && neediest < fair {
		s.quiet = 0
		s.giveUp(func(int) bool { over--; return over >= 0 })
	}
	s.take(ctx, fair, n)
}

// yields gives everything to others that replicate, and reports whether this round ends
// with that.
func (s *Shards) yields(ctx context.Context, members []state.MemberInfo) bool {
	if !s.o.Members.Shared() {
		return false
	}
	others, err := s.others.othersReplicate(ctx, members)
	if others {
		s.giveUp(func(int) bool { return true })
		s.free = [ShardCount]int{}
	}
	if err != nil {
		s.quiet = 0
	}
	return others || err != nil
}

// orphaned is how many looks in a row must find a part without an owner before an
// instance that has its fair share already takes it: a member may not replicate at all.
const orphaned = 3

// take tries for parts that are free: of those that are fair only some at a time, so that
// instances that begin together share.
func (s *Shards) take(ctx context.Context, fair, members int) {
	tries := max(8, 2*ShardCount/members)
	if members == 1 {
		tries = ShardCount
	}
	s.enough = orphaned + 2*ShardCount/tries // each of these rounds tries some of the parts
	var got []int
	for _, i := range rand.Perm(ShardCount) { //nolint:gosec // spreads load, hides nothing
		if ctx.Err() != nil || tries == 0 {
			break
		}
		s.mu.Lock()
		taken := s.held[i] != nil
		s.mu.Unlock()
		if taken {
			continue
		}
		if s.isYielded(i) {
			s.quiet = 0
			continue
		}
		tries--
		wanted := s.Count() < fair && !s.o.Idle()
		if s.try(ctx, i, wanted) {
			got = append(got, i)
		}
	}
	if len(got) > 0 {
		s.o.Log.Debug("took parts of the work", zap.Ints("shards", got), zap.Int("have", s.Count()))
		s.o.Hooks.Gained(got)
	}
}

const (
	// yieldFor is how long a part is left to the others that was yielded to them.
	yieldFor = 15 * time.Second
	// yieldEvery is the least time between two times that a part is yielded.
	yieldEvery = time.Minute
)

// Yield gives the part of a bucket to the others soon, and does not take it back for a while:
// something is to be done about the bucket that this instance may not do.
func (s *Shards) Yield(bucket string) {
	now, i := s.o.Now(), ShardOf(bucket)
	s.mu.Lock()
	fresh := s.held[i] != nil && now.Sub(s.yielded[i]) >= yieldEvery
	if fresh {
		s.yielded[i] = now
	}
	s.mu.Unlock()
	if fresh {
		s.look()
	}
}

// isYielded reports whether a part is the others' for now.
func (s *Shards) isYielded(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.o.Now().Sub(s.yielded[i]) < yieldFor
}

// patience is how many looks in a row must find a part free before it is taken though this
// instance does not need it.
func (s *Shards) patience() int {
	switch {
	case !s.o.Members.Shared():
		return 0
	case s.o.Idle():
		return 5 * orphaned // those that replicate come first
	default:
		return orphaned
	}
}

// try takes one part, if it is free and wanted, or has been free for long.
func (s *Shards) try(ctx context.Context, i int, wanted bool) bool {
	lock, ok, err := s.o.Locks.TryLock(ctx, shardLock(i))
	if err != nil || !ok {
		if err != nil && ctx.Err() == nil {
			s.o.Log.Debug("could not acquire a part of the work; will retry", zap.Error(err))
			s.quiet = 0
		}
		s.free[i] = 0
		return false
	}
	s.quiet = 0
	if s.free[i]++; !wanted && s.free[i] <= s.patience() {
		s.unlock(lock)
		return false
	}
	s.free[i] = 0
	h := &heldShard{lock: lock, ended: make(chan struct{}), over: make(chan struct{})}
	s.mu.Lock()
	s.held[i] = h
	s.mine[i].Store(true)
	s.mu.Unlock()
	s.wg.Go(func() { s.watch(i, h) })
	return true
}

// watch takes a part away when its lock is lost.
func (s *Shards) watch(i int, h *heldShard) {
	select {
	case <-h.lock.Lost():
		s.drop(i, h)
	case <-h.ended:
	}
}

// drop ends the work on a part; it returns when nothing is done about its buckets any more.
// Until then the part is not taken again, lest its new work is ended with the old.
func (s *Shards) drop(i int, h *heldShard) {
	s.mu.Lock()
	if h.ending {
		s.mu.Unlock()
		<-h.over
		return
	}
	h.ending = true
	s.mine[i].Store(false)
	s.mu.Unlock()
	close(h.ended)
	s.o.Hooks.Lost(i)
	s.mu.Lock()
	s.held[i] = nil
	s.mu.Unlock()
	close(h.over)
	s.look()
}

// giveUp gives the parts back that f selects.
func (s *Shards) giveUp(f func(i int) bool) {
	var wg sync.WaitGroup
	for i := range ShardCount {
		s.mu.Lock()
		h := s.held[i]
		mine := h != nil && !h.ending
		s.mu.Unlock()
		if !mine || !f(i) {
			continue
		}
		wg.Go(func() {
			s.drop(i, h)
			s.unlock(h.lock)
		})
	}
	wg.Wait()
}

func (s *Shards) unlock(l state.Lock) {
	if err := l.Unlock(); err != nil {
		s.o.Log.Debug("could not release a part of the work; its lock ends with this instance's session", zap.Error(err))
	}
}
