package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/examples/internal/stage"
)

// throughTheEndpoint writes and reads at FaDO's own S3 endpoint.
func throughTheEndpoint(ctx context.Context, w *world, say *stage.Display) error {
	const key, n = "q1/live.txt", 20
	say.Doing("writing %s %d times at port %d, and reading it after each", key, n, w.s3Port)
	for i := range n {
		want := fmt.Sprintf("version %d", i)
		_, err := w.s3.PutObject(ctx, reports, key, strings.NewReader(want), int64(len(want)), "", "", minio.PutObjectOptions{})
		if err != nil {
			return fmt.Errorf("writing through the endpoint: %w", err)
		}
		got, _, err := w.readEndpoint(ctx, key)
		if err != nil || got != want {
			return fmt.Errorf("read %q after %q was written: %w", got, want, err)
		}
		say.Progress(int64(i+1), n, got)
	}
	say.Saw("each of %d reads gave what was written right before", n)
	err := stage.Await(ctx, func() (bool, error) {
		_, from, err := w.readEndpoint(ctx, key)
		return from == "paris", err
	})
	if err != nil {
		return fmt.Errorf("reads should come from Paris, where the endpoint is: %w", err)
	}
	say.Saw("once Paris has the last version, it is read there")
	return nil
}

// readEndpoint reads an object, and returns which cluster it came from.
func (w *world) readEndpoint(ctx context.Context, key string) (content, cluster string, err error) {
	o, _, h, err := w.s3.GetObject(ctx, reports, key, minio.GetObjectOptions{})
	if err != nil {
		return "", "", err
	}
	defer o.Close()
	b, err := io.ReadAll(o)
	return string(b), h.Get("X-Fado-Cluster"), err
}
