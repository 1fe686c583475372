package storage

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
)

// putAt writes an object with a time of its own, as a storage does whose clock is off.
func (s *side) putAt(bucket, key string, body []byte, at time.Time) Object {
	s.tb.Helper()
	return s.put(bucket, key, body, minio.PutObjectOptions{
		Internal: minio.AdvancedPutOptions{SourceMTime: at, ReplicationRequest: true, ReplicationStatus: minio.ReplicationStatusReplica},
	})
}

// TestCopyOverOneDatedAhead: what is copied is what readers see, though a version or a delete
// marker at the copy is dated ahead of every clock.
func TestCopyOverOneDatedAhead(t *testing.T) {
	for _, from := range []lazy{minioA, versA} {
		for _, deleted := range []bool{false, true} {
			src, dst := from.side(t), minioB.side(t)
			bucket := newBucket(t, false, src)
			if _, err := dst.EnsureBucket(t.Context(), bucket, true); err != nil {
				t.Fatal(err)
			}
			was := dst.putAt(bucket, "key", []byte("old"), time.Now().Add(5*time.Hour))
			cond := Condition{IfETag: was.ETag}
			if deleted {
				if err := dst.Delete(t.Context(), bucket, "key", was.ETag); err != nil {
					t.Fatal(err)
				}
				cond = Condition{Absent: true}
			}
			o := src.put(bucket, "key", []byte("new"), minio.PutObjectOptions{})
			out, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: cond})
			if err != nil {
				t.Fatal(err)
			}
			now, err := dst.Stat(t.Context(), bucket, "key")
			if err != nil || !bytes.Equal(dst.read(bucket, "key"), []byte("new")) || now.VersionID != out.VersionID {
				t.Errorf("from %s, deleted %v: readers see %+v, %v; Copy returned %+v", src.srv.Kind, deleted, now, err, out)
			}
			dst.mustBeOurs(bucket, now, "FaDO's copy")
			vs, err := versionsOf(t.Context(), dst.conn, bucket, "key", 0)
			want := 2
			if deleted {
				want = 3
			}
			if err != nil || len(vs) != want {
				t.Errorf("from %s, deleted %v: %d versions, want %d: %v", src.srv.Kind, deleted, len(vs), want, err)
			}
		}
	}
}

// TestListNamesThatLookAlike: two names that a listing can't show are one in it, and the rest of
// the bucket can be listed.
func TestListNamesThatLookAlike(t *testing.T) {
	s := versA.side(t)
	bucket := newBucket(t, false, s)
	for _, k := range []string{"a\x01", "a\x02", "other"} {
		if _, err := s.api.PutObject(t.Context(), s.Physical(bucket), k, bytes.NewReader(nil), 0, minio.PutObjectOptions{}); err != nil {
			t.Skipf("this %s takes no such key: %v", testenv.KindVersityGW, err)
		}
	}
	var keys []string
	for o, err := range s.List(t.Context(), bucket, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	if len(keys) != 2 || keys[1] != "other" {
		t.Errorf("listed %q", keys)
	}
	if _, err := s.Stat(t.Context(), bucket, keys[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("the name that is shown is known: %v", err)
	}
}
