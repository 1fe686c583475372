package site

import (
	"sync"
	"sync/atomic"
	"time"
)

// Silence says why a storage is not listened to.
type Silence uint8

// The reasons. Of SilentOther the text says more.
const (
	SilentUnknown  Silence = iota // not tried yet
	SilentStarting                // about to listen
	SilentDown                    // the storage is down
	SilentNoFeed                  // the storage has no listener
	SilentOff                     // event_feed off
	SilentOther
)

var silences = [...]string{
	SilentUnknown:  "",
	SilentStarting: "about to listen",
	SilentDown:     "the storage is down",
	SilentNoFeed:   "the storage has no listener",
	SilentOff:      "event_feed is off",
}

// Feed says how changes made directly at a storage are noticed. The zero value has not
// been tried.
type Feed struct {
	// Own is set while this instance is the one that listens, or tries to.
	Own atomic.Bool
	// hinted is when a webhook told of a change there last, in Unix nanoseconds.
	hinted atomic.Int64

	mu    sync.Mutex
	state FeedState
}

// Hinted notes that a webhook told of a change.
func (f *Feed) Hinted(now time.Time) { f.hinted.Store(now.UnixNano()) }

// LastHint returns when a webhook told of a change last, zero if none did.
func (f *Feed) LastHint() time.Time {
	if n := f.hinted.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// FeedState is a Feed at one moment.
type FeedState struct {
	Live bool
	// Epoch is raised whenever the feed comes or goes: equal epochs mean no gap.
	Epoch  int64
	Silent Silence
	// Why is in words why it is not live.
	Why string
}

// HeardAllUntil reports whether the feed told every change between this moment and a later one.
func (f FeedState) HeardAllUntil(later FeedState) bool {
	return f.Live && later.Live && f.Epoch == later.Epoch
}

// Tried reports whether it is known whether the storage can be listened to.
func (f FeedState) Tried() bool { return f.Live || f.Why != "" }

// Set notes that the feed is live, and reports whether that is a change.
func (f *Feed) Set() (changed bool) { return f.set(FeedState{Live: true}) }

// Silent notes that the feed is not live, and reports whether that is a change.
func (f *Feed) Silent(why Silence) (changed bool) {
	return f.set(FeedState{Silent: why, Why: silences[why]})
}

// SilentFor notes that the feed is not live for another reason, and reports whether that is
// a change.
func (f *Feed) SilentFor(why string) (changed bool) {
	return f.set(FeedState{Silent: SilentOther, Why: why})
}

func (f *Feed) set(s FeedState) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = f.state.Live != s.Live
	s.Epoch = f.state.Epoch
	if changed {
		s.Epoch++
	}
	f.state = s
	return changed
}

// Replace notes another reason if the present one is was.
func (f *Feed) Replace(was, why Silence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.state.Live && f.state.Silent == was {
		f.state.Silent, f.state.Why = why, silences[why]
	}
}

// Follow notes how another instance listens. With gap its listener began again.
func (f *Feed) Follow(live bool, why string, gap bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state.Live != live || gap {
		f.state.Epoch++
	}
	f.state = FeedState{Live: live, Epoch: f.state.Epoch, Silent: SilentOther, Why: why}
}

// Get returns the state.
func (f *Feed) Get() FeedState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}
