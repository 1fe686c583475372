package verify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/state"
)

// Times of the scrub.
const (
	scrubLook  = time.Second // at most, between looks at whether a pass is due
	scrubLeast = 10 * time.Millisecond
)

// Scrub verifies every bucket once per interval, one after the other, across restarts, until
// ctx ends. One instance does it at a time: who calls it holds a lock of the store.
func (v *Verifier) Scrub(ctx context.Context) {
	st, err := v.loadScrub(ctx)
	for err != nil {
		v.stored(ctx, "could not read when all buckets were verified last; trying again in a second", err)
		if !delay.Sleep(ctx, scrubLook) {
			return
		}
		st, err = v.loadScrub(ctx)
	}
	spread := delay.Jitter(time.Second).Seconds() // of this process: a fifth either way
	for {
		due := st.Last.Add(time.Duration(spread * float64(v.o.Interval())))
		if !st.Running && v.o.Now().Before(due) {
			if !delay.Sleep(ctx, min(scrubLook, max(due.Sub(v.o.Now()), scrubLeast))) {
				return
			}
			continue
		}
		if !st.Running {
			st = state.Scrub{Last: v.o.Now(), Running: true}
		}
		if !v.scrubPass(ctx, &st) {
			return
		}
	}
}

// loadScrub reads where it stands; the first pass comes an interval after the first start.
func (v *Verifier) loadScrub(ctx context.Context) (state.Scrub, error) {
	st, err := v.o.Records.GetScrub(ctx)
	if err != nil || !st.Last.IsZero() {
		return st, err
	}
	st.Last = v.o.Now()
	return st, v.o.Records.SaveScrub(ctx, st)
}

func (v *Verifier) saveScrub(ctx context.Context, st state.Scrub) {
	v.stored(ctx, "could not store the progress of verifying all buckets; a restart repeats some of them", v.o.Records.SaveScrub(ctx, st))
}

// scrubPass verifies the buckets after st.After; false if ctx ended before it was through.
func (v *Verifier) scrubPass(ctx context.Context, st *state.Scrub) bool {
	var buckets []string
	v.o.Router.Snapshot().Buckets(func(b string) bool {
		if b > st.After {
			buckets = append(buckets, strings.Clone(b))
		}
		return true
	})
	slices.Sort(buckets)
	v.saveScrub(ctx, *st)
	for _, b := range buckets {
		if v.o.Pause.Wait(ctx) != nil {
			return false
		}
		if v.o.Deep() {
			if left, err := v.o.Delegate(ctx, b); left || err != nil {
				v.stored(ctx, "could not leave a bucket's verification to another instance; the next pass comes to it", err)
				continue
			}
		}
		if _, err := v.Request(ctx, b, v.o.Deep()); err != nil && !errors.Is(err, control.ErrNotFound) {
			v.stored(ctx, "could not ask for a bucket's verification; the next pass comes to it", err)
		}
		for c := v.find(b); c != nil; c = v.find(b) {
			select {
			case <-c.gone:
			case <-ctx.Done():
				return false
			}
		}
		st.After = b
		v.saveScrub(ctx, *st)
	}
	st.Running, st.After = false, ""
	v.saveScrub(ctx, *st)
	return ctx.Err() == nil
}
