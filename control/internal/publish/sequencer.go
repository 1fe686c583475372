package publish

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

const (
	// maxWriters bounds the transactions under way: one commits while another waits for
	// the store, and the store's other connections stay free for reads.
	maxWriters = 2
	// outcomePatience bounds how long a transaction waits for the outcome of the one before:
	// that is only unknown for long when a commit was not answered.
	outcomePatience = 2 * time.Second
)

// Sequencer publishes in a router. Its lock is held for work in memory only.
type Sequencer struct {
	router   *routing.Router
	declared func(state.Ref) bool
	writers  chan struct{}

	mu       sync.Mutex
	turns    []*Turn // that took their place, in order
	readings map[*Reading]struct{}
	ended    chan struct{} // closes when a turn ends, and is replaced
	last     state.Seq     // published last
}

// New returns a Sequencer that publishes in a router, whose snapshot only it may swap.
// Declared says what the configuration in force declares: a change of the stored resource
// of that name is not published.
func New(r *routing.Router, declared func(state.Ref) bool) *Sequencer {
	return &Sequencer{
		router: r, declared: declared, writers: make(chan struct{}, maxWriters),
		readings: make(map[*Reading]struct{}), ended: make(chan struct{}),
	}
}

// Published returns the snapshot in force and the number of the last change of this
// instance that is in it.
func (s *Sequencer) Published() (*routing.Snapshot, state.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.router.Snapshot(), s.last
}

// Turn is one change on its way through a transaction into the snapshot.
type Turn struct {
	s    *Sequencer
	keys []state.Ref
	over bool
}

// Begin waits for its share of the store and returns the turn of a change of these
// things; the copies of a bucket are part of the bucket. Every turn is ended by Commit
// or Drop.
func (s *Sequencer) Begin(ctx context.Context, keys ...state.Ref) (*Turn, error) {
	select {
	case s.writers <- struct{}{}:
		return &Turn{s: s, keys: keys}, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for earlier changes: %w", ctx.Err())
	}
}

// Enter takes the turn's place behind everything that was committed before, and returns
// once that is published. It is called at the beginning of the transaction's function,
// again when the store runs that again. An error must end the transaction.
func (t *Turn) Enter(ctx context.Context) error {
	s := t.s
	patience := time.NewTimer(outcomePatience)
	defer patience.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(t)
	for s.turns = append(s.turns, t); s.turns[0] != t; {
		ended := s.ended
		s.mu.Unlock()
		err := wait(ctx, ended, patience.C)
		s.mu.Lock()
		if err != nil {
			s.leave(t)
			return err
		}
	}
	for r := range s.readings {
		r.touch(t.keys)
	}
	return nil
}

func wait(ctx context.Context, ended <-chan struct{}, patience <-chan time.Time) error {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the outcome of an earlier change: %w", ctx.Err())
	case <-patience:
		return fmt.Errorf("the outcome of an earlier change is not known yet: %w", state.ErrUnavailable)
	}
}

// Commit publishes a change after its transaction was committed. Then runs in the same
// step, after the snapshot was swapped; neither function may block.
func (t *Turn) Commit(seq state.Seq, edit func(*routing.Editor), then func()) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	defer t.end()
	s.router.Swap(s.router.Snapshot().Edit(edit))
	s.last = max(s.last, seq)
	if then != nil {
		then()
	}
}

// Drop ends a turn whose transaction changed nothing. After Commit it does nothing.
func (t *Turn) Drop() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.end()
}

// end gives the turn's place and its share of the store back. The caller holds mu.
func (t *Turn) end() {
	if !t.over {
		t.over = true
		t.s.leave(t)
		<-t.s.writers
	}
}

// leave takes a turn out of the order. The caller holds mu.
func (s *Sequencer) leave(t *Turn) {
	i := slices.Index(s.turns, t)
	if i < 0 {
		return
	}
	s.turns = slices.Delete(s.turns, i, i+1)
	close(s.ended)
	s.ended = make(chan struct{})
}

// Await returns when no turn about one of these things has a place: what the store holds
// of them is then what is published, or newer.
func (s *Sequencer) Await(ctx context.Context, keys ...state.Ref) error {
	for {
		s.mu.Lock()
		busy := slices.ContainsFunc(s.turns, func(t *Turn) bool { return t.concerns(keys) })
		ended := s.ended
		s.mu.Unlock()
		if !busy {
			return nil
		}
		if err := wait(ctx, ended, nil); err != nil {
			return err
		}
	}
}

func (t *Turn) concerns(keys []state.Ref) bool {
	return slices.ContainsFunc(t.keys, func(k state.Ref) bool { return slices.Contains(keys, k) })
}

// Reading is a look at the store outside of any transaction.
type Reading struct {
	s       *Sequencer
	keys    map[state.Ref]struct{} // nil: everything
	touched map[state.Ref]struct{}
}

// touch notes that another turn or reading publishes these things. The caller holds the lock.
func (r *Reading) touch(keys []state.Ref) {
	for _, k := range keys {
		if _, ok := r.keys[k]; ok || r.keys == nil {
			r.touched[k] = struct{}{}
		}
	}
}
