package storage

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestLockOf: the same lock is the same text, and one that is over is none.
func TestLockOf(t *testing.T) {
	future, past := time.Now().Add(time.Hour).UTC(), time.Now().Add(-time.Hour).UTC()
	headers := func(mode string, until time.Time, layout, hold string) http.Header {
		return http.Header{lockMode: {mode}, lockUntil: {until.Format(layout)}, lockHold: {hold}}
	}
	const millis = "2006-01-02T15:04:05.000Z"
	second := future.Truncate(time.Second)
	if a, b := lockOf(headers("GOVERNANCE", second, time.RFC3339, "OFF")), lockOf(headers("GOVERNANCE", second, millis, "")); a != b || a == "" {
		t.Errorf("one lock reads %q and %q", a, b)
	}
	if got := lockOf(headers("GOVERNANCE", past, millis, "")); got != "" {
		t.Errorf("a period that is over reads %q", got)
	}
	if got := lockOf(headers("COMPLIANCE", past, millis, "ON")); got != "legal hold" {
		t.Errorf("a hold reads %q", got)
	}
	if got := lockOf(http.Header{}); got != "" {
		t.Errorf("nothing reads %q", got)
	}
}

// lockedBuckets makes a bucket with object lock at storages.
func lockedBuckets(t *testing.T, sides ...*side) (bucket string) {
	t.Helper()
	bucket = fmt.Sprintf("b%d", bucketCount.Add(1))
	for _, s := range sides {
		if made, err := s.MakeLocked(t.Context(), bucket); err != nil || !made {
			t.Fatalf("making a bucket with object lock at %s: %v %v", s.Name(), made, err)
		}
		if has, err := s.KeepsLocks(t.Context(), bucket); err != nil || !has {
			t.Fatalf("%s: the bucket has object lock: %v %v", s.Name(), has, err)
		}
	}
	return bucket
}

// TestLocksAreCopied: between MinIOs a copy is locked as its original, large or small, unless it
// is one that goes again; a copy that is there gets the lock that its original has now.
func TestLocksAreCopied(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := lockedBuckets(t, src, dst)
	until := time.Now().Add(time.Hour)
	for key, size := range map[string]int{"small": 5, "large": smallObject + 1, "parts": 6 << 20} {
		o := src.put(bucket, key, make([]byte, size), minio.PutObjectOptions{
			Mode: minio.Governance, RetainUntilDate: until, LegalHold: minio.LegalHoldEnabled, PartSize: 5 << 20, SendContentMd5: true,
		})
		if lost := losing(t, src, dst, bucket, o); len(lost) != 0 {
			t.Errorf("%s: %q are lost", key, lost)
		}
		from, to := src.current(bucket, key), dst.current(bucket, key)
		if from.Lock == "" || to.Lock != from.Lock {
			t.Errorf("%s is locked by %q, its copy by %q", key, from.Lock, to.Lock)
		}
	}
	off := minio.LegalHoldDisabled
	if err := src.api.PutObjectLegalHold(t.Context(), src.Physical(bucket), "small", minio.PutObjectLegalHoldOptions{Status: &off}); err != nil {
		t.Fatal(err)
	}
	from, to := src.current(bucket, "small"), dst.current(bucket, "small")
	if follows, err := FollowsLock(t.Context(), src, dst, bucket, from.Object, to.Object); err != nil || follows {
		t.Errorf("the copy of an object whose hold is gone follows: %v %v", follows, err)
	}
	if _, err := Copy(t.Context(), src, dst, bucket, from.Object, CopyOptions{If: Condition{IfETag: to.ETag}}); err != nil {
		t.Fatal(err)
	}
	if to = dst.current(bucket, "small"); to.Lock != from.Lock {
		t.Errorf("the lock is %q now, the copy's %q", from.Lock, to.Lock)
	}

	o := src.put(bucket, "on-demand", []byte("x"), minio.PutObjectOptions{LegalHold: minio.LegalHoldEnabled, SendContentMd5: true})
	if _, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{Absent: true}, Unlocked: true}); err != nil {
		t.Fatal(err)
	}
	if got := dst.current(bucket, "on-demand"); got.Lock != "" {
		t.Errorf("a copy that goes again is locked by %q", got.Lock)
	}
}

// TestLockedVersionsAreTold: what a lock keeps is no storage that is away, nor one that refuses
// the credentials.
func TestLockedVersionsAreTold(t *testing.T) {
	for _, s := range []*side{minioA.side(t), versA.side(t)} {
		bucket := lockedBuckets(t, s)
		s.put(bucket, "k", []byte("x"), minio.PutObjectOptions{Mode: minio.Governance, RetainUntilDate: time.Now().Add(time.Hour), SendContentMd5: true})
		v := s.current(bucket, "k")
		if err := s.DeleteVersion(t.Context(), bucket, "k", v.VersionID); !errors.Is(err, ErrLocked) || errors.Is(err, ErrDenied) {
			t.Errorf("%s: removing a locked version: %v", s.Name(), err)
		}
		if err := s.Delete(t.Context(), bucket, "k", v.ETag); err != nil {
			t.Errorf("%s: a marker over a locked version: %v", s.Name(), err)
		}
	}
}
