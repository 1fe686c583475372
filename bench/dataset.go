package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"
)

// dataset is what is copied.
type dataset struct {
	bucket  string
	count   int
	size    int64
	streams int // of the bare copier
	rounds  int
}

func (d dataset) key(i int) string { return fmt.Sprintf("dir%02d/object-%05d", i%50, i) }

func (d dataset) keys() []string {
	keys := make([]string, d.count)
	for i := range keys {
		keys[i] = d.key(i)
	}
	return keys
}

func (d dataset) String() string {
	size := strconv.FormatInt(d.size>>10, 10) + " KiB"
	if d.size >= 1<<20 {
		size = strconv.FormatInt(d.size>>20, 10) + " MiB"
	}
	return fmt.Sprintf("%d × %s", d.count, size)
}

const (
	// largeEnv leaves the 2 GiB object out where disk or time is short.
	largeEnv = "FADO_BENCH_LARGE"
	// setsEnv names the data sets to copy, separated by commas; lag alone is none of them.
	setsEnv = "FADO_BENCH_SETS"
)

func (e *env) datasets() []dataset {
	sets := []dataset{
		{bucket: "small", count: 10_000, size: 4 << 10, streams: 32, rounds: 3},
		{bucket: "medium", count: 40, size: 64 << 20, streams: 8, rounds: 3},
		{bucket: "large", count: 1, size: 2 << 30, streams: 8, rounds: 2},
	}
	if e.quick {
		sets = []dataset{
			{bucket: "small", count: 300, size: 4 << 10, streams: 32, rounds: 1},
			{bucket: "medium", count: 4, size: 64 << 20, streams: 8, rounds: 1},
		}
	}
	if os.Getenv(largeEnv) == "off" {
		sets = slices.DeleteFunc(sets, func(d dataset) bool { return d.bucket == "large" })
	}
	if only := os.Getenv(setsEnv); only != "" {
		names := strings.Split(only, ",")
		sets = slices.DeleteFunc(sets, func(d dataset) bool { return !slices.Contains(names, d.bucket) })
	}
	return sets
}

// pattern reads as bytes that are not all alike.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return len(p), nil
}

// upload fills the source bucket.
func (c *copiers) upload(ctx context.Context, d dataset) error {
	if err := c.from.MakeBucket(ctx, d.bucket, minio.MakeBucketOptions{}); err != nil {
		return err
	}
	workers := 16
	if d.size > 1<<20 {
		workers = 4
	}
	next := make(chan int)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range next {
				_, err := c.from.PutObject(ctx, d.bucket, d.key(i), io.LimitReader(pattern{}, d.size), d.size,
					minio.PutObjectOptions{PartSize: 16 << 20, DisableContentSha256: true})
				errs[w] = errors.Join(errs[w], err)
			}
		})
	}
	for i := range d.count {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}
