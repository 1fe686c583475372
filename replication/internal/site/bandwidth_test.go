package site

import (
	"testing"
	"testing/synctest"

	"golang.org/x/time/rate"
)

// Every byte counts once against each limit, however it is cut. No time passes while it is
// counted, so that nothing is refilled.
func TestLimitCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, n = 1 << 20, 100 << 10
		ss := &Sites{}
		ss.Bandwidth.Set(perSecond)
		src, dst := &Site{limiter: newLimiter(perSecond)}, &Site{limiter: newLimiter(perSecond)}
		for _, step := range []int{n / 2, n / 4, n / 4} {
			if err := ss.Bandwidth.Copy(t.Context(), src, dst, step); err != nil {
				t.Fatal(err)
			}
		}
		for name, l := range map[string]*rate.Limiter{"source": src.limiter, "destination": dst.limiter, "all": ss.Bandwidth.total.Load()} {
			if got := float64(l.Burst()) - l.Tokens(); got != n {
				t.Errorf("%s: %.0f of %d bytes were counted", name, got, n)
			}
		}
		if err := ss.Bandwidth.Read(t.Context(), src, 1000); err != nil {
			t.Fatal(err)
		}
		if got := float64(dst.limiter.Burst()) - dst.limiter.Tokens(); got != n {
			t.Errorf("a read at the source counts %.0f bytes at the destination", got-n)
		}
		if newLimiter(0) != nil {
			t.Error("no limit is a limit")
		}
	})
}
