package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
)

// lag measures from a write acknowledged at one storage to its copy at the other, by the
// file there: asking for it would cost the storage, and delay what is measured.
func (c *copiers) lag(ctx context.Context) (string, error) {
	writes := 200
	if c.env.quick {
		writes = 20
	}
	d := dataset{bucket: "lag"}
	bare, err := c.bareLag(ctx, d, writes)
	if err != nil {
		return "", fmt.Errorf("bare: %w", err)
	}
	f, err := c.startFado(ctx)
	if err != nil {
		return "", err
	}
	defer f.caddy.stop()
	if err := f.sync(ctx, d); err != nil {
		return "", err
	}
	file, routable, err := c.writeAndWait(ctx, d, writes, target("fado", d.bucket), func(key string) error {
		return f.awaitRoutable(ctx, d.bucket, key)
	})
	if err != nil {
		return "", err
	}
	return lagText(bare, file, routable), nil
}

func (c *copiers) bareLag(ctx context.Context, d dataset, writes int) ([]float64, error) {
	if err := errors.Join(c.from.MakeBucket(ctx, d.bucket, minio.MakeBucketOptions{}),
		c.to.MakeBucket(ctx, target("bare", d.bucket), minio.MakeBucketOptions{})); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, c.bare, "listen")
	cmd.Env, cmd.Stderr = c.bareEnv(d.bucket, 8), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}()
	// It listens once a write arrives; those before are lost to it.
	n := 0
	err = poll(ctx, func() (bool, error) {
		key := fmt.Sprintf("probe-%d", n)
		n++
		if err := c.write(ctx, d.bucket, key); err != nil {
			return false, err
		}
		time.Sleep(50 * time.Millisecond)
		return c.arrived(target("bare", d.bucket), key), nil
	})
	if err != nil {
		return nil, err
	}
	lags, _, err := c.writeAndWait(ctx, d, writes, target("bare", d.bucket), nil)
	for i := range n {
		_ = c.from.RemoveObject(ctx, d.bucket, fmt.Sprintf("probe-%d", i), minio.RemoveObjectOptions{})
	}
	for i := range writes {
		_ = c.from.RemoveObject(ctx, d.bucket, lagKey(i), minio.RemoveObjectOptions{})
	}
	return lags, err
}

func lagKey(i int) string { return fmt.Sprintf("lag-%04d", i) }

func (c *copiers) write(ctx context.Context, bucket, key string) error {
	_, err := c.from.PutObject(ctx, bucket, key, io.LimitReader(pattern{}, 4<<10), 4<<10, minio.PutObjectOptions{DisableContentSha256: true})
	return err
}

func (c *copiers) arrived(bucket, key string) bool {
	_, err := os.Stat(filepath.Join(c.dst.Dir, bucket, key, "xl.meta"))
	return err == nil
}

// writeAndWait writes 20 objects a second, and returns how many milliseconds after each
// acknowledgement the file was there, and then was so by another measure.
func (c *copiers) writeAndWait(ctx context.Context, d dataset, n int, to string, then func(key string) error) (file, after []float64, err error) {
	for i := range n {
		next := time.Now().Add(50 * time.Millisecond)
		key := lagKey(i)
		if err := c.write(ctx, d.bucket, key); err != nil {
			return nil, nil, err
		}
		acked := time.Now()
		for !c.arrived(to, key) {
			if time.Since(acked) > time.Minute {
				return nil, nil, fmt.Errorf("%s did not arrive in a minute", key)
			}
			time.Sleep(100 * time.Microsecond)
		}
		file = append(file, time.Since(acked).Seconds()*1000)
		if then != nil {
			if err := then(key); err != nil {
				return nil, nil, err
			}
			after = append(after, time.Since(acked).Seconds()*1000)
		}
		time.Sleep(time.Until(next))
	}
	return file, after, nil
}
