package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

// writer is an application: it writes, overwrites and deletes at the primary's storage,
// and remembers what was acknowledged. What fails it tries again until it knows.
type writer struct {
	p    *place
	rng  *rand.Rand
	name string
	want map[string]string // by key the content's hash
}

// writers run together until stopped; each has keys of its own.
type writers struct {
	all    []*writer
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newWriters(p *place, n int, seed uint64) *writers {
	ws := new(writers)
	for i := range n {
		ws.all = append(ws.all, &writer{
			p: p, name: fmt.Sprintf("w%d", i), want: make(map[string]string),
			rng: rand.New(rand.NewPCG(seed, uint64(i))),
		})
	}
	return ws
}

// run writes until stop.
func (ws *writers) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ws.cancel = cancel
	for _, w := range ws.all {
		ws.wg.Go(func() {
			for ctx.Err() == nil {
				w.step()
				time.Sleep(time.Duration(w.rng.IntN(20)) * time.Millisecond)
			}
		})
	}
}

// stop ends the writing; it returns what is to be there.
func (ws *writers) stop() map[string]string {
	ws.cancel()
	ws.wg.Wait()
	want := make(map[string]string)
	for _, w := range ws.all {
		maps.Copy(want, w.want)
	}
	return want
}

// step makes one change and insists on it.
func (w *writer) step() {
	key := fmt.Sprintf("%s/%03d", w.name, w.rng.IntN(150))
	if w.rng.IntN(5) == 0 {
		w.insist(func(ctx context.Context) error {
			return w.p.api.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{})
		})
		delete(w.want, key)
		return
	}
	body := w.body()
	w.insist(func(ctx context.Context) error {
		opts := minio.PutObjectOptions{PartSize: 5 << 20, UserMetadata: map[string]string{"Writer": w.name}}
		_, err := w.p.api.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), opts)
		return err
	})
	sum := sha256.Sum256(body)
	w.want[key] = hex.EncodeToString(sum[:])
}

// body is mostly small, sometimes of several parts.
func (w *writer) body() []byte {
	size := w.rng.IntN(8 << 10)
	switch w.rng.IntN(60) {
	case 0:
		size = 6<<20 + w.rng.IntN(6<<20)
	case 1, 2, 3:
		size = w.rng.IntN(1 << 20)
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	return b
}

func (w *writer) insist(f func(context.Context) error) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := f(ctx)
		cancel()
		if err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
