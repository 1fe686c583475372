package storage

import (
	"context"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestReadOnlyCantWrite: no assertion gives the holder of a reading half anything that
// writes, closes the storage or leads back to it.
func TestReadOnlyCantWrite(t *testing.T) {
	c, err := Open(Config{Name: "c", Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, r := range map[string]any{
		"as the storage gives it": c.Reader(),
		"as ReadOnly makes it":    ReadOnly(ReadOnly(c.Reader())),
	} {
		t.Run(name, func(t *testing.T) { cantWrite(t, r) })
	}
}

func cantWrite(t *testing.T, r any) {
	t.Helper()
	if _, ok := r.(Writer); ok {
		t.Error("it is a Writer")
	}
	if _, ok := r.(Storage); ok {
		t.Error("it is a Storage")
	}
	for name, leads := range map[string]bool{
		"EnsureBucket": is[interface {
			EnsureBucket(ctx context.Context, bucket string, versioned bool) (bool, error)
		}](r),
		"RemoveBucket": is[interface {
			RemoveBucket(ctx context.Context, bucket string) error
		}](r),
		"Delete": is[interface {
			Delete(ctx context.Context, bucket, key string, ifETag string) error
		}](r),
		"DeleteVersion": is[interface {
			DeleteVersion(ctx context.Context, bucket, key, id string) error
		}](r),
		"DeleteAllVersions": is[interface {
			DeleteAllVersions(ctx context.Context, bucket, key string) error
		}](r),
		"Cover": is[interface {
			Cover(ctx context.Context, bucket string, m, over Version) error
		}](r),
		"PutMarker": is[interface {
			PutMarker(ctx context.Context, bucket string, m Version) error
		}](r),
		"Close":         is[interface{ Close() }](r),
		"Unwrap":        is[interface{ Unwrap() Storage }](r) || is[interface{ Unwrap() Reader }](r),
		"its own maker": is[*Client](r),
	} {
		if leads {
			t.Errorf("it leads to %s", name)
		}
	}
}

func is[T any](v any) bool { _, ok := v.(T); return ok }

// writerOnly is what a caller makes of a Writer that it hands out: a wrapper that knows
// no Reader.
type writerOnly struct{ Writer }

func (w writerOnly) Unwrap() Writer { return w.Writer }

// TestCopyBetweenHalves: a copy needs no more than the reading half of one storage and
// the writing half of another.
func TestCopyBetweenHalves(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, false, src, dst)
	o := src.put(bucket, "key", []byte("x"), minio.PutObjectOptions{})
	if _, err := Copy(t.Context(), ReadOnly(src.Client.Reader()), writerOnly{dst.Client.Writer()}, bucket, o, CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := dst.read(bucket, "key"); string(got) != "x" {
		t.Errorf("copied %q", got)
	}
	if _, err := Copy(t.Context(), ReadOnly(src.Client.Reader()), writerOnly{}, bucket, o, CopyOptions{}); err == nil {
		t.Error("copied to a Writer that is no storage's")
	}
}
