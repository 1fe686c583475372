package verify

import (
	"context"
	"sync"
)

// Run verifies until ctx ends. What is under way then is resumed with the next start.
func (v *Verifier) Run(ctx context.Context) {
	v.stored(ctx, "could not read which buckets were being verified; they are verified when asked again", v.load(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, atATime)
	for ctx.Err() == nil {
		c := v.next()
		if c == nil {
			select {
			case <-ctx.Done():
			case <-v.wake:
			}
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-room }()
			running{v, c}.run(ctx)
		})
	}
}

func (v *Verifier) next() *current {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) == 0 {
		return nil
	}
	bucket := v.queue[0]
	v.queue = v.queue[1:]
	return v.known[bucket]
}
