package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

const (
	objectPage    = 4096            // changes of objects read at a time
	changePage    = 256             // other changes: each has values to be read
	followPoll    = time.Second     // between looks without being told, and after a failure
	followTimeout = 5 * time.Second // of one look; longer counts as the store being gone
)

// follower keeps this instance's memory in step with a store that other instances write
// too, and makes this instance a member of those. With a store of its own, an instance
// has nothing to follow.
type follower struct {
	c      *Control
	shared atomic.Pointer[state.Shared] // nil: nothing to follow
	member atomic.Pointer[state.Member]
	// position is what this instance routes by.
	position atomic.Pointer[position]
	link     link
	rounds   chan chan<- error // asks for a look that begins after the request

	ownMu sync.Mutex
	own   map[state.Seq]struct{} // changes made and published here

	stopOnce sync.Once
	cancel   context.CancelFunc
	done     chan struct{}
}

// position is a place in the store's two sequences.
type position struct{ changes, objects state.Seq }

// link remembers whether the store could be followed lately.
type link struct {
	mu    sync.Mutex
	err   error
	since time.Time // of err
	seen  time.Time // last look that succeeded
}

func (l *link) note(now time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.err, l.seen = nil, now
	case l.err == nil:
		l.err, l.since = err, now
	default:
		l.err = err
	}
}

func (l *link) trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		return nil
	}
	return fmt.Errorf("cut off from the store since %s, routing by what was known then: %w", l.since.UTC().Format(time.RFC3339), l.err)
}

func (l *link) lastSeen() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

func newFollower(c *Control) *follower {
	f := &follower{c: c, rounds: make(chan chan<- error), own: make(map[state.Seq]struct{}), done: make(chan struct{})}
	f.position.Store(new(position))
	close(f.done)
	return f
}

// begin makes this instance a member and catches up with what was committed since its
// memory was loaded; from then on it follows.
func (f *follower) begin(ctx context.Context, shared state.Shared, from position) error {
	f.shared.Store(&shared)
	f.position.Store(&from)
	if err := f.join(ctx); err != nil {
		return err
	}
	f.noteLink(nil)
	ctx, f.cancel = context.WithCancel(context.Background())
	f.done = make(chan struct{})
	go f.run(ctx)
	return nil
}

func (f *follower) stop() {
	f.stopOnce.Do(func() {
		if f.cancel == nil {
			return
		}
		if f.c.mirror != nil && f.link.trouble() == nil { // for the mirror's last write
			ctx, cancel := context.WithTimeout(context.Background(), followPoll)
			_, _ = f.sync(ctx)
			cancel()
		}
		f.cancel()
		<-f.done
		if m := f.current(); m != nil {
			ctx, cancel := context.WithTimeout(context.Background(), followTimeout)
			defer cancel()
			if err := m.Leave(ctx); err != nil {
				f.c.log.Warn("leaving the instances that share the store", zap.Error(err))
			}
		}
	})
}

// store returns the store that is followed; nil where there is none.
func (f *follower) store() state.Shared {
	if s := f.shared.Load(); s != nil {
		return *s
	}
	return nil
}

// current returns this instance's membership, nil if it has none.
func (f *follower) current() state.Member {
	if m := f.member.Load(); m != nil {
		return *m
	}
	return nil
}

// join makes this instance a member, and looks. It may not write before it has looked:
// those who confirmed a change before it was a member did not wait for it.
func (f *follower) join(ctx context.Context) error {
	m, err := f.store().Join(ctx, f.c.node)
	if err != nil {
		return fmt.Errorf("joining the instances that share the store: %w", err)
	}
	if err := f.look(ctx); err != nil {
		lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followTimeout)
		defer cancel()
		return errors.Join(fmt.Errorf("following the store: %w", err), m.Leave(lctx))
	}
	f.member.Store(&m)
	f.seen()
	return nil
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	defer close(f.done)
	told := f.store().Watch(ctx)
	poll := time.NewTicker(followPoll)
	defer poll.Stop()
	for {
		var asked []chan<- error
		var lost <-chan struct{}
		if m := f.current(); m != nil {
			lost = m.Lost()
		}
		select {
		case <-ctx.Done():
			return
		case _, ok := <-told:
			if !ok {
				told = nil // the store is closed
			}
		case <-lost:
			f.c.log.Warn("this instance's lease on the store has ended: it stops writing until it has one again")
			f.member.Store(nil)
		case <-poll.C:
		case r := <-f.rounds:
			asked = append(asked, r)
		}
		err := f.lookAgain(ctx, &asked)
		for _, r := range asked {
			r <- err
		}
	}
}

// lookAgain joins anew where that is needed, and looks.
func (f *follower) lookAgain(ctx context.Context, asked *[]chan<- error) error {
	for more := true; more; {
		select {
		case r := <-f.rounds:
			*asked = append(*asked, r)
		default:
			more = false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	var err error
	if f.current() == nil {
		err = f.join(ctx)
	} else {
		err = f.look(ctx)
	}
	if ctx.Err() == nil || !errors.Is(ctx.Err(), context.Canceled) {
		f.noteLink(err)
	}
	return err
}

func (f *follower) noteLink(err error) {
	was := f.link.trouble()
	f.link.note(f.c.now(), err)
	switch now := f.link.trouble(); {
	case was == nil && now != nil:
		f.c.log.Error("the store can't be followed: routing goes on from memory", zap.Error(err))
	case was != nil && now == nil:
		f.c.log.Info("following the store again")
		_ = f.c.trouble.note(nil) // what failed meanwhile says nothing about now
		f.c.pending.wake()
	}
}

// look brings memory up to what the store holds, in this order: new exceptions, changes
// of the catalogue and of copies, exceptions that are gone. So a copy is never routed to
// for a key that became an exception before the copy came to count, nor because its rows
// went with it.
func (f *follower) look(ctx context.Context) error {
	for {
		read, err := f.readObjects(ctx)
		if err != nil {
			return err
		}
		changes, err := f.c.Store().Changes(ctx, f.position.Load().changes, changePage)
		switch {
		case errors.Is(err, state.ErrNotFound):
			if err := f.c.reload(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		if len(changes) > 0 {
			if err := f.apply(ctx, changes); err != nil {
				return err
			}
		}
		f.c.exceptions.drop(read)
		f.seen()
		if len(changes) == 0 {
			return nil
		}
	}
}

// seen tells the others what this instance routes by.
func (f *follower) seen() {
	if m := f.current(); m != nil {
		p := f.position.Load()
		m.Seen(p.changes, p.objects)
	}
}

// readObjects takes in what happened to pending and pulled rows, up to now. It returns the
// number of the read.
func (f *follower) readObjects(ctx context.Context) (int64, error) {
	for {
		read := f.c.exceptions.beginRead()
		for {
			p := *f.position.Load()
			changes, err := f.store().ObjectChanges(ctx, p.objects, objectPage)
			if errors.Is(err, state.ErrNotFound) {
				if err := f.c.reloadObjects(ctx); err != nil {
					return 0, err
				}
				break // with a read that begins after
			}
			if err != nil {
				return 0, err
			}
			f.c.exceptions.told(changes)
			if err := f.c.FollowPulled(ctx, changes...); err != nil {
				return 0, err
			}
			f.c.mirrorObjects(changes)
			if n := len(changes); n > 0 {
				p.objects = changes[n-1].Seq
				f.position.Store(&p)
			}
			if len(changes) < objectPage {
				return read, nil
			}
		}
	}
}

// sync waits for a look at the store that begins after the call, and returns the position
// it came to.
func (f *follower) sync(ctx context.Context) (position, error) {
	done := make(chan error, 1)
	select {
	case f.rounds <- done:
	case <-f.done:
		return position{}, ErrClosed
	case <-ctx.Done():
		return position{}, ctx.Err()
	}
	select {
	case err := <-done:
		return *f.position.Load(), err
	case <-f.done:
		return position{}, ErrClosed
	case <-ctx.Done():
		return position{}, ctx.Err()
	}
}

// made notes a change that this instance made; the caller publishes it before it gives mu
// back.
func (f *follower) made(seq state.Seq) {
	if f.store() == nil {
		return
	}
	f.ownMu.Lock()
	defer f.ownMu.Unlock()
	f.own[seq] = struct{}{}
}

// isOwn says whether a change was made here.
func (f *follower) isOwn(seq state.Seq) bool {
	f.ownMu.Lock()
	defer f.ownMu.Unlock()
	_, ok := f.own[seq]
	return ok
}

// passed forgets own changes up to a number.
func (f *follower) passed(seq state.Seq) {
	f.ownMu.Lock()
	defer f.ownMu.Unlock()
	for s := range f.own {
		if s <= seq {
			delete(f.own, s)
		}
	}
}
