package replication

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/control"
)

// metaScrub keeps where the background verification of all buckets stands.
const metaScrub = "verify/scrub"

// scrubState is metaScrub's value.
type scrubState struct {
	// Last is when the last pass over all buckets began.
	Last time.Time `json:"last"`
	// Running with the bucket after which the pass goes on.
	Running bool   `json:"running,omitempty"`
	After   string `json:"after,omitempty"`
}

// scrubLock is held by the one instance that scrubs.
const scrubLock = "verify"

func (v *verifier) lead(ctx context.Context) { v.leading(ctx, scrubLock, v.scrub) }

// scrub verifies every bucket once per verify_interval, one after the other, across
// restarts. There is one per store.
func (v *verifier) scrub(ctx context.Context) {
	st, err := v.loadScrub(ctx)
	for err != nil {
		v.store(err)
		if !sleep(ctx, time.Second) {
			return
		}
		st, err = v.loadScrub(ctx)
	}
	spread := jitter(time.Second).Seconds() // of this process: a fifth either way
	for {
		due := st.Last.Add(time.Duration(spread * float64(v.conf().VerifyInterval)))
		if !st.Running && v.now().Before(due) {
			if !sleep(ctx, min(time.Second, max(due.Sub(v.now()), 10*time.Millisecond))) {
				return
			}
			continue
		}
		if !st.Running {
			st = scrubState{Last: v.now(), Running: true}
		}
		if !v.scrubPass(ctx, &st) {
			return
		}
	}
}

// loadScrub reads the state; the first pass comes an interval after the first start.
func (v *verifier) loadScrub(ctx context.Context) (st scrubState, err error) {
	text, err := v.ctl.Store().GetMeta(ctx, metaScrub)
	if err != nil {
		return st, err
	}
	if text != "" && json.Unmarshal([]byte(text), &st) == nil {
		return st, nil
	}
	st.Last = v.now()
	return st, v.saveScrub(ctx, st)
}

func (v *verifier) saveScrub(ctx context.Context, st scrubState) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return v.ctl.Store().PutMeta(ctx, metaScrub, string(text))
}

// scrubPass verifies the buckets after st.After; false if ctx ended before it was through.
func (v *verifier) scrubPass(ctx context.Context, st *scrubState) bool {
	var buckets []string
	v.ctl.Router().Snapshot().Buckets(func(b string) bool {
		if b > st.After {
			buckets = append(buckets, strings.Clone(b))
		}
		return true
	})
	slices.Sort(buckets)
	v.store(v.saveScrub(ctx, *st))
	for _, b := range buckets {
		if v.pause.wait(ctx) != nil {
			return false
		}
		if _, err := v.request(ctx, b, v.conf().VerifyDeep); err != nil && !errors.Is(err, control.ErrNotFound) {
			v.store(err)
		}
		for v.find(b) != nil {
			if !sleep(ctx, 20*time.Millisecond) {
				return false
			}
		}
		st.After = b
		v.store(v.saveScrub(ctx, *st))
	}
	st.Running, st.After = false, ""
	v.store(v.saveScrub(ctx, *st))
	return ctx.Err() == nil
}
