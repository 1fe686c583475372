package site

import (
	"context"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Bandwidth is counted in bytes of content, once for every byte copied: what is read at one
// storage is written at another at the same time. A storage's own limit counts what this
// instance reads there as well as what it writes there, so that a byte copied from one
// limited storage to another counts against both.

// minBurst lets a read of the largest buffer through at once.
const minBurst = 64 << 10

// newLimiter returns a limiter for bytes per second; nil for no limit. Bursts are of a tenth
// of a second, so that over a few seconds the rate holds within a few per cent.
func newLimiter(perSecond int64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(min(max(perSecond/10, minBurst), 1<<30)))
}

// Bandwidth bounds what this instance moves in all. The zero value is no bound.
type Bandwidth struct{ total atomic.Pointer[rate.Limiter] }

// Set bounds it, in bytes per second; 0 for no bound.
func (b *Bandwidth) Set(perSecond int64) { b.total.Store(newLimiter(perSecond)) }

// Copy waits until n bytes may be moved between two storages.
func (b *Bandwidth) Copy(ctx context.Context, src, dst *Site, n int) error {
	for _, l := range []*rate.Limiter{src.limiter, dst.limiter, b.total.Load()} {
		if err := waitFor(ctx, l, n); err != nil {
			return err
		}
	}
	return nil
}

// Read waits until n bytes may be read at a storage.
func (b *Bandwidth) Read(ctx context.Context, s *Site, n int) error {
	if err := waitFor(ctx, s.limiter, n); err != nil {
		return err
	}
	return waitFor(ctx, b.total.Load(), n)
}

func waitFor(ctx context.Context, l *rate.Limiter, n int) error {
	for l != nil && n > 0 {
		step := min(n, l.Burst())
		if err := l.WaitN(ctx, step); err != nil {
			return err
		}
		n -= step
	}
	return nil
}
