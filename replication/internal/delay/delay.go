// Package delay has the three ways in which replication lets time pass: a sleep that ends
// with its context, a spread that keeps instances from acting in step, and the growth of
// the time between attempts. It knows nothing of what is waited for. Every room of
// replication may use it.
package delay

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep waits for d or the end of ctx, and reports whether d passed.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Jitter spreads a duration by a fifth either way.
func Jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // spreads load, hides nothing
}

// Backoff is exponential: the time before the next attempt doubles with each one, from
// Base up to Max, spread by [Jitter]. It has no state of its own, because the number of
// attempts is stored with what is attempted and outlives the process.
type Backoff struct{ Base, Max time.Duration }

// After returns how long to wait after so many attempts, of which there was at least one.
func (b Backoff) After(attempts int) time.Duration {
	d := b.Base << min(max(attempts-1, 0), 20)
	if d <= 0 || d > b.Max {
		d = b.Max
	}
	return Jitter(d)
}
