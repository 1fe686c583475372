package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
)

// object is what an object should be.
type object struct {
	sum  string // SHA-256
	tags map[string]string
	meta map[string]string
}

func sumOf(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// load is clients that work through the endpoint, each with keys of its own, and remember what
// they were told is there.
type load struct {
	s3      *minio.Client
	bucket  string
	cancel  context.CancelFunc // what is under way is finished
	wg      sync.WaitGroup
	done    atomic.Int64 // requests answered
	again   atomic.Int64 // uploads in parts that a move of the primary made begin again
	mu      sync.Mutex
	there   map[string]object
	failed  []string
	slowest time.Duration
}

// Clients that write small objects, and the size of what one more uploads in parts.
const (
	writers   = 4
	largeSize = 11 << 20
	partSize  = 5 << 20
)

func startLoad(ctx context.Context, s3 *minio.Client, bucket string) *load {
	going, cancel := context.WithCancel(ctx)
	l := &load{s3: s3, bucket: bucket, cancel: cancel, there: make(map[string]object)}
	for n := range writers {
		l.wg.Go(func() { l.forever(going, 20*time.Millisecond, func(i int) error { return l.small(ctx, n, i) }) })
	}
	l.wg.Go(func() { l.forever(going, 500*time.Millisecond, func(i int) error { return l.large(ctx, i) }) })
	return l
}

// forever works until going ends, with a rest between two rounds.
func (l *load) forever(going context.Context, rest time.Duration, do func(i int) error) {
	for i := 0; going.Err() == nil; i++ {
		if err := do(i); err != nil {
			l.mu.Lock()
			l.failed = append(l.failed, err.Error())
			l.mu.Unlock()
		}
		select {
		case <-going.Done():
		case <-time.After(rest):
		}
	}
}

// request makes one request, and notes how long it took.
func (l *load) request(f func() error) error {
	begun := time.Now()
	err := f()
	l.done.Add(1)
	l.mu.Lock()
	l.slowest = max(l.slowest, time.Since(begun))
	l.mu.Unlock()
	return err
}

// small writes an object, reads it, and now and then lists or deletes.
func (l *load) small(ctx context.Context, n, i int) error {
	key := fmt.Sprintf("live/%d/%03d", n, i%40)
	data := randomBytes(512 + i%4096)
	o := object{sum: sumOf(data), meta: map[string]string{"Round": fmt.Sprint(i)}, tags: map[string]string{"writer": fmt.Sprint(n)}}
	if err := l.write(ctx, key, data, o, 0); err != nil {
		return err
	}
	if err := l.read(ctx, key, o.sum); err != nil {
		return err
	}
	if i%10 == 3 {
		return l.list(ctx, n)
	}
	if i%10 == 7 {
		return l.remove(ctx, key)
	}
	return nil
}

// large uploads an object in parts.
func (l *load) large(ctx context.Context, i int) error {
	data := randomBytes(largeSize)
	return l.write(ctx, fmt.Sprintf("live/large/%d", i%3), data, object{sum: sumOf(data)}, partSize)
}

// write puts an object. An upload in parts that is under way when the primary moves has to begin
// again: S3 says NoSuchUpload.
func (l *load) write(ctx context.Context, key string, data []byte, o object, part uint64) error {
	for {
		err := l.request(func() error {
			_, err := l.s3.PutObject(ctx, l.bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{
				UserMetadata: o.meta, UserTags: o.tags, PartSize: part,
			})
			return err
		})
		if part > 0 && minio.ToErrorResponse(err).Code == "NoSuchUpload" {
			l.again.Add(1)
			continue
		}
		if err == nil {
			l.mu.Lock()
			l.there[key] = o
			l.mu.Unlock()
			return nil
		}
		return fmt.Errorf("writing %s: %w", key, err)
	}
}

func (l *load) read(ctx context.Context, key, want string) error {
	return l.request(func() error {
		data, err := content(ctx, l.s3, l.bucket, key)
		if err != nil {
			return fmt.Errorf("reading %s: %w", key, err)
		}
		if got := sumOf(data); got != want {
			return fmt.Errorf("reading %s right after it was written: %d bytes of another version", key, len(data))
		}
		return nil
	})
}

// list lists what one writer has, all of which has to be there.
func (l *load) list(ctx context.Context, n int) error {
	prefix := fmt.Sprintf("live/%d/", n)
	return l.request(func() error {
		seen := make(map[string]bool)
		for o := range l.s3.ListObjects(ctx, l.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
			if o.Err != nil {
				return fmt.Errorf("listing %s: %w", prefix, o.Err)
			}
			seen[o.Key] = true
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for key := range l.there {
			if len(key) > len(prefix) && key[:len(prefix)] == prefix && !seen[key] {
				return fmt.Errorf("listing %s: %s is missing", prefix, key)
			}
		}
		return nil
	})
}

func (l *load) remove(ctx context.Context, key string) error {
	err := l.request(func() error { return l.s3.RemoveObject(ctx, l.bucket, key, minio.RemoveObjectOptions{}) })
	if err != nil {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.there, key)
	return nil
}

// content reads an object.
func content(ctx context.Context, s3 *minio.Client, bucket, key string) ([]byte, error) {
	o, err := s3.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(o)
}

// answered is how many requests were answered, and fails with the first that was not as it
// should be.
func (l *load) answered() (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failed) > 0 {
		return 0, fmt.Errorf("%d of %d requests failed, the first: %s", len(l.failed), l.done.Load(), l.failed[0])
	}
	return l.done.Load(), nil
}

// slowestSoFar is how long the slowest request took, what the client repeated included.
func (l *load) slowestSoFar() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slowest
}

// end ends the load and waits for it.
func (l *load) end() error {
	l.cancel()
	l.wg.Wait()
	_, err := l.answered()
	return err
}
