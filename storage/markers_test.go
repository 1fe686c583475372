package storage

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
)

// TestPutMarker: a marker comes where its time puts it, making it again leaves it there although
// MinIO would take it away, and it takes no content's place.
func TestPutMarker(t *testing.T) {
	b := minioB.side(t)
	bucket := newBucket(t, true, b)
	b.put(bucket, "k", []byte("x"), minio.PutObjectOptions{})
	content := b.history(bucket, "k")[0]
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	m := Version{Object: Object{Key: "k", VersionID: uuid.NewString(), LastModified: at}, Deleted: true, Written: at}
	for range 3 {
		if err := b.PutMarker(t.Context(), bucket, m); err != nil {
			t.Fatal(err)
		}
		if got := b.history(bucket, "k"); !slices.Equal(got, []Version{content, m}) {
			t.Fatalf("%+v, want %+v below %+v", got, m, content)
		}
	}
	m.VersionID = content.VersionID
	m.Written = at.Add(time.Minute)
	if err := b.PutMarker(t.Context(), bucket, m); !errors.Is(err, ErrRefused) {
		t.Errorf("in a content's place: %v", err)
	}
	if got := b.history(bucket, "k"); len(got) != 2 || got[0] != content {
		t.Errorf("%+v", got)
	}
	off := newBucket(t, false, b)
	b.put(off, "k", []byte("x"), minio.PutObjectOptions{})
	if err := b.PutMarker(t.Context(), off, m); !errors.Is(err, ErrUnsupported) {
		t.Errorf("without versions: %v", err)
	}
	if v := versA.side(t); !errors.Is(v.PutMarker(t.Context(), newBucket(t, true, v), m), ErrUnsupported) {
		t.Error("versitygw takes it")
	}
}

// TestCoverRemovesNothing: a delete marker comes on top whatever lies below it under its version ID,
// an older marker that was brought there or content, and that stays: MinIO would take it away.
func TestCoverRemovesNothing(t *testing.T) {
	b := minioB.side(t)
	bucket := newBucket(t, true, b)
	for _, what := range []string{"marker", "content"} {
		b.put(bucket, what, []byte("below"), minio.PutObjectOptions{})
		id := b.history(bucket, what)[0].VersionID
		at := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
		if what == "marker" {
			id = uuid.NewString()
			m := Version{Object: Object{Key: what, VersionID: id, LastModified: at}, Deleted: true, Written: at}
			if err := b.PutMarker(t.Context(), bucket, m); err != nil {
				t.Fatal(err)
			}
		}
		b.put(bucket, what, []byte("shown"), minio.PutObjectOptions{})
		before := b.history(bucket, what)
		later := before[0].Written.Add(time.Minute)
		m := Version{Object: Object{Key: what, VersionID: id, LastModified: later}, Deleted: true, Written: later}
		if err := b.Cover(t.Context(), bucket, m, b.current(bucket, what)); err != nil {
			t.Fatal(err)
		}
		got := b.history(bucket, what)
		if len(got) != len(before)+1 || !slices.Equal(got[1:], before) || !got[0].Deleted || !got[0].Written.Equal(later) {
			t.Errorf("%s: covered, it has\n%+v, want a marker on\n%+v", what, got, before)
		}
	}
}

// TestMarkersTrustNo404: that a version ID is not there counts if the storage says so, not something
// in between: the marker that is made again would go.
func TestMarkersTrustNo404(t *testing.T) {
	b := minioB.side(t)
	bucket := newBucket(t, true, b)
	b.put(bucket, "k", []byte("x"), minio.PutObjectOptions{})
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	m := Version{Object: Object{Key: "k", VersionID: uuid.NewString(), LastModified: at}, Deleted: true, Written: at}
	if err := b.PutMarker(t.Context(), bucket, m); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := lying(t, b, http.MethodHead).PutMarker(t.Context(), bucket, m); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
		if got := b.history(bucket, "k"); len(got) != 2 || got[1] != m {
			t.Fatalf("it has %+v", got)
		}
	}
}
