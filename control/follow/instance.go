package follow

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/state"
)

// ErrClosed answers calls on a Follower that was stopped.
var ErrClosed = errors.New("control is closed")

// Host is what a Follower keeps in step.
type Host interface {
	// Store returns the store in use, which is the one that is followed.
	Store() state.Store
	// Load publishes all that the store holds. Between is called when that was read.
	Load(ctx context.Context, between func(context.Context) error) error
	// LoadObjects makes the exceptions and the pulled objects those of the stored rows.
	LoadObjects(ctx context.Context) error
	// FollowPulled takes in what happened to pulled rows.
	FollowPulled(ctx context.Context, changes ...state.ObjectChange) error
	// ObjectsChanged is told what happened to rows of objects, after it was taken in.
	ObjectsChanged(changes []state.ObjectChange)
	// Applied is told what others changed, after it was published. What that forbids has
	// ended when it returns.
	Applied(ctx context.Context, changes []*publish.Change)
	// Reloaded is called when anything may have changed; otherwise as Applied.
	Reloaded(ctx context.Context)
	// Regained is called when the store can be followed again.
	Regained()
}

// Options of a Follower.
type Options struct {
	Host       Host
	Order      *publish.Sequencer
	Exceptions *Exceptions
	Node       string
	Now        func() time.Time
	Log        *zap.Logger
}

// Follower is described in the package comment.
type Follower struct {
	Options

	shared atomic.Pointer[state.Shared] // nil: nothing to follow
	member atomic.Pointer[state.Member]
	// position is what this instance routes by. Only the goroutine that looks moves it.
	position   atomic.Pointer[Position]
	connection connection
	rounds     chan chan<- error // asks for a look that begins after the request
	recountAt  time.Time
	recountIn  time.Duration // 0: as usual

	ownMu sync.Mutex
	own   map[state.Seq]struct{} // changes made and published here

	stopOnce sync.Once
	cancel   context.CancelFunc
	done     chan struct{}
}

// Position is a place in the store's two sequences.
type Position struct{ Changes, Objects state.Seq }

// New returns a Follower that follows nothing yet.
func New(o Options) *Follower {
	f := &Follower{Options: o, rounds: make(chan chan<- error), own: make(map[state.Seq]struct{}), done: make(chan struct{})}
	f.position.Store(new(Position))
	close(f.done)
	return f
}

// Start reads where a shared store's sequences stand, before memory is loaded.
func Start(ctx context.Context, shared state.Shared) (at Position, err error) {
	if at.Changes, err = shared.ChangeLog().Seq(ctx); err != nil {
		return at, err
	}
	at.Objects, err = shared.Instances().ObjectSeq(ctx)
	return at, err
}

// Shared returns the store that is followed; nil where there is none.
func (f *Follower) Shared() state.Shared {
	if s := f.shared.Load(); s != nil {
		return *s
	}
	return nil
}

// Trouble says why the store can't be followed, and since when; nil if it can.
func (f *Follower) Trouble() error { return f.connection.trouble() }

// At returns what this instance routes by, and when that was all there was: zero where
// nothing is followed.
func (f *Follower) At() (Position, time.Time) {
	seen := f.connection.lastSeen() // before the position: it may be further
	return *f.position.Load(), seen
}

// current returns this instance's membership, nil if it has none.
func (f *Follower) current() state.Member {
	if m := f.member.Load(); m != nil {
		return *m
	}
	return nil
}

// seen tells the others what this instance routes by.
func (f *Follower) seen() {
	if m := f.current(); m != nil {
		p := f.position.Load()
		m.Seen(p.Changes, p.Objects)
	}
}
