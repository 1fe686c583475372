package replication

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

// shardCount is how many parts the buckets are dealt into. Each part is planned, walked
// and scanned by one instance at a time.
const shardCount = 32

// shardOf says which part a bucket belongs to; the same on every instance.
func shardOf(bucket string) int {
	h := uint32(2166136261) // FNV-1a
	for i := range len(bucket) {
		h = (h ^ uint32(bucket[i])) * 16777619
	}
	return int(h % shardCount)
}

// shards holds the parts this instance works on: a lock of the store for each. Instances
// take as many as is fair, give up what is more when another one comes, and take over
// what nobody holds.
type shards struct {
	*run

	mine [shardCount]atomic.Bool

	mu   sync.Mutex
	held [shardCount]*heldShard
	// free counts looks in a row at which a part seemed to be nobody's.
	free [shardCount]int
}

type heldShard struct {
	lock state.Lock
	// ended closes when the part is not this instance's any more.
	ended chan struct{}
}

func newShards(r *run) *shards { return &shards{run: r} }

func shardLock(i int) string { return fmt.Sprintf("replication/shard/%02d", i) }

// owns says whether this instance works on a bucket.
func (s *shards) owns(bucket string) bool { return s.mine[shardOf(bucket)].Load() }

// count returns how many parts this instance has.
func (s *shards) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if h != nil {
			n++
		}
	}
	return n
}

// loop takes and gives parts until ctx ends; then it gives all back.
func (s *shards) loop(ctx context.Context) {
	defer s.giveUp(func(int) bool { return true })
	for ctx.Err() == nil {
		s.round(ctx)
		sleep(ctx, jitter(s.tune.ShardEvery))
	}
}

// round brings what this instance holds closer to what is fair.
func (s *shards) round(ctx context.Context) {
	members, err := s.ctl.Members.List(ctx)
	if err == nil {
		err = s.ctl.MayWrite()
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Debug("looking for work to share", zap.Error(err))
		}
		return
	}
	n, neediest := s.board.sharers(len(members))
	fair := (shardCount + n - 1) / n
	if over := s.count() - fair; over > 0 && neediest < fair {
		s.giveUp(func(int) bool { over--; return over >= 0 })
	}
	s.take(ctx, fair, n)
}

// orphaned is how many looks in a row must find a part without an owner before an
// instance that has its fair share already takes it: a member may not replicate at all.
const orphaned = 3

// take tries for parts that are free: of those that are fair only some at a time, so that
// instances that begin together share.
func (s *shards) take(ctx context.Context, fair, members int) {
	tries := max(8, 2*shardCount/members)
	if members == 1 {
		tries = shardCount
	}
	var got []int
	for _, i := range rand.Perm(shardCount) {
		if ctx.Err() != nil || tries == 0 {
			break
		}
		s.mu.Lock()
		mine := s.held[i] != nil
		s.mu.Unlock()
		if mine {
			continue
		}
		tries--
		wanted := s.count() < fair && !s.conf().Disabled
		if s.try(ctx, i, wanted) {
			got = append(got, i)
		}
	}
	if len(got) > 0 {
		s.gained(got)
	}
}

// try takes one part, if it is free and wanted, or has been free for long.
func (s *shards) try(ctx context.Context, i int, wanted bool) bool {
	patience := orphaned
	if s.conf().Disabled && s.ctl.Shared() {
		patience = 5 * orphaned // those that replicate come first
	} else if !s.ctl.Shared() {
		patience = 0
	}
	lock, ok, err := s.ctl.Store().TryLock(ctx, shardLock(i))
	if err != nil || !ok {
		if err != nil && ctx.Err() == nil {
			s.log.Debug("asking for a part of the work", zap.Error(err))
		}
		s.free[i] = 0
		return false
	}
	if s.free[i]++; !wanted && s.free[i] <= patience {
		s.unlock(lock)
		return false
	}
	s.free[i] = 0
	h := &heldShard{lock: lock, ended: make(chan struct{})}
	s.mu.Lock()
	s.held[i] = h
	s.mine[i].Store(true)
	s.mu.Unlock()
	s.spawn(func() { s.watch(i, h) })
	return true
}

// watch takes a part away when its lock is lost.
func (s *shards) watch(i int, h *heldShard) {
	select {
	case <-h.lock.Lost():
		s.drop(i, h)
	case <-h.ended:
	}
}

// drop ends the work on a part; it returns when nothing is done about its buckets any more.
func (s *shards) drop(i int, h *heldShard) {
	s.mu.Lock()
	if s.held[i] != h {
		s.mu.Unlock()
		return
	}
	s.held[i] = nil
	s.mine[i].Store(false)
	s.mu.Unlock()
	close(h.ended)
	s.jobs.cancelShard(i)
	s.ctl.ForgetIssues(func(bucket string) bool { return shardOf(bucket) == i })
}

// giveUp gives the parts back that f selects.
func (s *shards) giveUp(f func(i int) bool) {
	var wg sync.WaitGroup
	for i := range shardCount {
		s.mu.Lock()
		h := s.held[i]
		s.mu.Unlock()
		if h == nil || !f(i) {
			continue
		}
		wg.Go(func() {
			s.drop(i, h)
			s.unlock(h.lock)
		})
	}
	wg.Wait()
}

func (s *shards) unlock(l state.Lock) {
	if err := l.Unlock(); err != nil {
		s.log.Debug("giving a part of the work back", zap.Error(err))
	}
}

// gained has everything about new parts looked at: what the one who had them before left
// undone is found by that.
func (s *shards) gained(parts []int) {
	s.pulls.look()
	s.log.Debug("took parts of the work", zap.Ints("shards", parts), zap.Int("have", s.count()))
	s.planner.gained()
	s.sweeper.gained(parts)
}
