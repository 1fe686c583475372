package replication

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/storage"
)

// A storage that answers SlowDown to more than it bears is asked for less, until
// everything is there; another is not held back by that.
func TestPaceFollowsTheStorage(t *testing.T) {
	t.Parallel()
	const bears, objects = 4, 600
	var inFlight, refused, most, fast atomic.Int64
	tooMuch := make(chan struct{})
	first := sync.OnceFunc(func() { close(tooMuch) })
	w := newWorld(t, Settings{Workers: 32}, func(o *Options) {
		o.Copy = func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, obj storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			if dst.Name() != "c2" {
				most.Store(max(most.Load(), fast.Add(1)))
				defer fast.Add(-1)
				time.Sleep(time.Millisecond)
				return fakestorage.Copy(ctx, src, dst, bucket, obj, opts)
			}
			defer inFlight.Add(-1)
			if inFlight.Add(1) > bears {
				refused.Add(1)
				first()
				return storage.Object{}, fmt.Errorf("SlowDown: %w", storage.ErrUnavailable)
			}
			select { // until it was asked for too much
			case <-tooMuch:
			case <-ctx.Done():
			}
			time.Sleep(2 * time.Millisecond)
			return fakestorage.Copy(ctx, src, dst, bucket, obj, opts)
		}
	})
	c1, c2, c3 := w.fake("c1"), w.fake("c2"), w.fake("c3")
	w.policy("p", 3)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.feedsLive("c1", "c2", "c3")
	for i := range objects {
		c1.User("bkt", fmt.Sprintf("%04d", i), "x")
	}
	w.await("all is there", func() bool { return len(c2.Contents("bkt")) == objects && len(c3.Contents("bkt")) == objects })
	// Unpaced, 24 at a time would ask for 600 objects, and 20 of 24 be refused each time.
	if n := refused.Load(); n == 0 || n > objects {
		t.Errorf("%d requests were refused for %d objects", n, objects)
	}
	t.Logf("%d refused; up to %d at a time at c3", refused.Load(), most.Load())
}

// A limit is kept, whichever it is: the time that the bytes take is not less than it
// allows, and there is enough of it.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	const rate, size, objects = 4 << 20, 512 << 10, 12 // 6 MiB: one and a half seconds
	const burst = 0.1                                  // seconds
	for _, c := range []struct {
		name             string
		global, src, dst int64
	}{
		{name: "global", global: rate},
		{name: "where it is read", src: rate},
		{name: "where it is written", dst: rate},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Settings{Bandwidth: c.global}, func(o *Options) { o.Copy = inChunks })
			c1 := w.fakeWith("c1", catalog.Size(c.src))
			w.fakeWith("c2", catalog.Size(c.dst))
			for i := range objects {
				c1.User("bkt", fmt.Sprintf("%02d", i), string(make([]byte, size)))
			}
			began := time.Now()
			w.policy("p", 2)
			w.bucket("bkt", "p", "c1")
			w.await("synced", func() bool {
				row, _ := w.copyRow("bkt", "", "c2")
				return row.State == catalog.CopySynced
			})
			took := time.Since(began).Seconds()
			// The burst is free; a slow machine takes longer, and no machine less.
			if allowed := objects*size/float64(rate) - burst; took < allowed {
				t.Errorf("%.2f s for what %d bytes/s allow in %.2f s", took, rate, allowed)
			}
		})
	}
}

// inChunks copies as storages do: asking for bandwidth a buffer at a time.
func inChunks(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
	const chunk = 64 << 10
	for left := o.Size; left > 0; left -= chunk {
		if err := opts.Limit(ctx, int(min(left, chunk))); err != nil {
			return storage.Object{}, err
		}
	}
	opts.Limit = nil
	return fakestorage.Copy(ctx, src, dst, bucket, o, opts)
}

func (w *world) fakeWith(name string, bandwidth catalog.Size) *fakestorage.Storage {
	f := w.fake(name)
	w.apply(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{
		Endpoint: "http://" + name + ".test", BucketPrefix: w.prefix, Bandwidth: bandwidth,
	}})
	return f
}
