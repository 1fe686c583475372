package s3gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/storage"
)

// Bounds of the wait for more copies (write_ack): a while, and longer for what is large. A copy
// that failed is tried again after a pause that grows.
const (
	ackPatience = time.Minute
	ackRate     = 4 << 20 // bytes a second
	ackRetry    = 250 * time.Millisecond
	maxAckRetry = 4 * time.Second
	// acksAtOnce bounds the keys of one request that are copied at the same time.
	acksAtOnce = 8
)

// acks makes copies of a write before it is answered.
type acks struct{ c writer }

// ackWait is how long more copies of a write are waited for.
func ackWait(f *storage.Forward) time.Duration {
	return max(ackPatience, f.Wait) + time.Duration(f.Size/ackRate)*time.Second
}

// awaited returns the clusters that are to have a copy of a key beside the one it is written in,
// best first, and how many of them write_ack waits for.
func (a acks) awaited(written, key string) (others []string, need int) {
	c := a.c
	snap := c.router().Snapshot()
	others = slices.DeleteFunc(snap.Of(c.bucket).WantedIn(nil, key), func(o string) bool { return o == written })
	need = len(others)
	if c.h.WriteAck != ackAll {
		need = min(need, c.h.WriteAck-1)
	}
	down := func(cluster string) int {
		if s := snap.ClusterState(cluster); s == nil || s.Storage() == routing.StorageDown {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(others, func(a, b string) int {
		return cmp.Or(cmp.Compare(down(a), down(b)), cmp.Compare(c.h.latency.Of(a), c.h.latency.Of(b)), cmp.Compare(a, b))
	})
	return others, need
}

// check refuses a write of which as many copies as write_ack says could not be made now:
// before anything is written.
func (a acks) check(written string, keys []string, size int64) error {
	c := a.c
	if c.h.WriteAck == ackOne {
		return nil
	}
	for _, key := range keys {
		others, need := a.awaited(written, key)
		var why error
		for _, o := range others {
			err := c.gateway.CanBring(o, size)
			if err == nil {
				need--
				continue
			}
			why = errors.Join(why, fmt.Errorf("%s: %w", o, err))
		}
		if need > 0 {
			return s3err.SlowDown(why, "Nothing was written: it can't be in %s copies now. Please retry.", c.h.ack())
		}
	}
	return nil
}

// await returns when as many copies as write_ack says have what was written of each key. They
// are made at once, before all that waits for its turn.
func (a acks) await(written string, keys []string, f *storage.Forward) error {
	c := a.c
	if c.h.WriteAck == ackOne || len(keys) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, ackWait(f))
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, len(keys))
	slots := make(chan struct{}, acksAtOnce)
	for _, key := range keys {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs <- a.awaitKey(ctx, written, key, f.Size)
		})
	}
	wg.Wait()
	close(errs)
	var failed error
	for err := range errs {
		failed = cmp.Or(failed, err)
	}
	if failed != nil {
		return s3err.SlowDown(failed, "The write is stored, but not yet in %s copies. Please retry.", c.h.ack())
	}
	return nil
}

// awaitKey has the best copies made, and others in place of those that fail. What can't be
// mended by waiting (a conflict, held deletes, another policy) is not tried again.
func (a acks) awaitKey(ctx context.Context, written, key string, size int64) error {
	c := a.c
	others, need := a.awaited(written, key)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // what is left is the workers'
	type outcome struct {
		cluster string
		err     error
	}
	outcomes, pauses := make(chan outcome, len(others)), make(map[string]time.Duration)
	open := 0
	bring := func(cluster string, after time.Duration) {
		open++
		pauses[cluster] = min(max(2*after, ackRetry), maxAckRetry) // before the next time
		go func() {
			select {
			case <-time.After(after):
				outcomes <- outcome{cluster, c.gateway.Bring(ctx, c.bucket, key, cluster, size)}
			case <-ctx.Done():
				outcomes <- outcome{cluster, ctx.Err()}
			}
		}()
	}
	for _, cluster := range others[:need] {
		bring(cluster, 0)
	}
	spare := others[need:]
	var why error
	for have := 0; have < need; {
		select {
		case got := <-outcomes:
			open--
			if got.err == nil {
				have++
				continue
			}
			why = fmt.Errorf("%s: %w", got.cluster, got.err)
			if !replication.Lasts(got.err) {
				spare = append(spare, got.cluster)
			}
			if len(spare) == 0 && have+open < need {
				return why
			}
			if len(spare) > 0 {
				bring(spare[0], pauses[spare[0]])
				spare = spare[1:]
			}
		case <-ctx.Done():
			return cmp.Or(why, ctx.Err())
		}
	}
	return nil
}
