package delay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !Sleep(t.Context(), time.Hour) || time.Since(began) != time.Hour {
			t.Errorf("slept %s, want an hour", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		if Sleep(ctx, time.Hour) || time.Since(began) != time.Minute {
			t.Errorf("slept %s, want to end with the context after a minute", time.Since(began))
		}
	})
}

// The time between attempts grows up to its bound, whatever the number of attempts.
func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{
			Base: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "base")),
			Max:  time.Duration(rapid.Int64Range(int64(time.Minute), int64(time.Hour)).Draw(t, "max")),
		}
		n := rapid.IntRange(0, 1<<40).Draw(t, "attempts")
		d := b.After(n)
		if d <= 0 && b.Base > 10 || d > b.Max+b.Max/5 {
			t.Fatalf("%+v: %s after %d attempts", b, d, n)
		}
		if want := b.Base << min(max(n-1, 0), 8); n < 8 && want < b.Max && (d < want-want/4-1 || d > want+want/4+1) {
			t.Fatalf("%+v: %s after %d attempts, want about %s", b, d, n, want)
		}
	})
}
