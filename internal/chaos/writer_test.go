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

	mu   sync.Mutex        // held during a change
	want map[string]string // by key what [describe] says
}

// describe says what matters about an object: the hash of its content, and a header.
func describe(hash, note string) string { return hash + " " + note }

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

// keysPer is how many keys a writer has.
const keysPer = 150

func (w *writer) key(rng *rand.Rand) string { return fmt.Sprintf("%s/%03d", w.name, rng.IntN(keysPer)) }

// hold keeps the writer from writing, and returns one of its keys with what is there, until
// released. release is nil if ctx ends first.
func (w *writer) hold(ctx context.Context, rng *rand.Rand) (key, want string, release func()) {
	for !w.mu.TryLock() {
		if ctx.Err() != nil {
			return "", "", nil
		}
		time.Sleep(time.Millisecond)
	}
	key = w.key(rng)
	return key, w.want[key], w.mu.Unlock
}

// step makes one change and insists on it.
func (w *writer) step() {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := w.key(w.rng)
	if w.rng.IntN(5) == 0 {
		w.insist(func(ctx context.Context) error {
			return w.p.api.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{})
		})
		delete(w.want, key)
		return
	}
	body := w.body()
	note := fmt.Sprintf("n%d", len(body)%1000)
	w.insist(func(ctx context.Context) error {
		opts := minio.PutObjectOptions{PartSize: 5 << 20, UserMetadata: map[string]string{"Note": note}}
		_, err := w.p.api.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), opts)
		return err
	})
	sum := sha256.Sum256(body)
	w.want[key] = describe(hex.EncodeToString(sum[:]), note)
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
