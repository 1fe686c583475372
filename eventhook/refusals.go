package eventhook

import (
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// refusalEvery is the time between log lines about the refused events of one sender, of
	// which so many are remembered.
	refusalEvery   = time.Minute
	refusalSenders = 1000
)

// refusals logs refused events, at most one line a minute and sender.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// tell reports whether a refusal of a sender's events is to be logged now.
func (f *refusals) tell(sender string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.last[sender]; ok && now.Sub(at) < refusalEvery {
		return false
	}
	if f.last == nil || len(f.last) >= refusalSenders {
		f.last = make(map[string]time.Time)
	}
	f.last[sender] = now
	return true
}

// log says that a sender's events were refused, unless it was said within the last minute.
func (f *refusals) log(to *zap.Logger, now time.Time, r *http.Request, status int, err error) {
	sender := r.RemoteAddr
	if host, _, splitErr := net.SplitHostPort(sender); splitErr == nil {
		sender = host
	}
	if f.tell(sender, now) {
		to.Warn("events refused; further refusals of this sender are not logged for a minute",
			zap.Int("status", status), zap.String("sender", sender), zap.Error(err))
	}
}
