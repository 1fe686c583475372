package stage

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// Load invokes from several clients until Stop or Cancel.
type Load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ok     atomic.Int64
	mu     sync.Mutex
	failed []string
	places map[string]int
}

// StartLoad invokes without a pause, for as long as the load lasts.
func (c *Client) StartLoad(ctx context.Context, clients int, bucket string, object func(i int) string) *Load {
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{cancel: cancel, places: make(map[string]int)}
	for first := range clients {
		l.wg.Go(func() {
			for i := first; ctx.Err() == nil; i += clients {
				r, err := c.Invoke(ctx, bucket, object(i))
				if ctx.Err() != nil {
					return
				}
				l.note(r, err)
			}
		})
	}
	return l
}

func (l *Load) note(r Reply, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || r.Status != http.StatusOK {
		l.failed = append(l.failed, fmt.Sprintf("%d %s %s %v", r.Status, r.Reason, r.Error, err))
		return
	}
	l.ok.Add(1)
	l.places[r.Function]++
}

// Since returns the answers per place since the last call.
func (l *Load) Since() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.places
	l.places = make(map[string]int)
	return p
}

// OK returns how many invocations succeeded.
func (l *Load) OK() int64 { return l.ok.Load() }

// Cancel ends the load, whatever came of it.
func (l *Load) Cancel() { l.cancel() }

// Stop ends the load and waits; an error if any invocation failed.
func (l *Load) Stop() error {
	l.cancel()
	l.wg.Wait()
	if len(l.failed) > 0 {
		return fmt.Errorf("%d of %d invocations failed, the first: %s", len(l.failed), l.ok.Load()+int64(len(l.failed)), l.failed[0])
	}
	return nil
}

// AwaitAnswers waits until each of the places has answered the load.
func (l *Load) AwaitAnswers(ctx context.Context, places ...string) error {
	seen := make(map[string]bool)
	err := Await(ctx, func() (bool, error) {
		for p := range l.Since() {
			seen[p] = true
		}
		return !slices.ContainsFunc(places, func(p string) bool { return !seen[p] }), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for answers from %v, saw %v: %w", places, seen, err)
	}
	return nil
}
