package storage

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/fado-project/fado/storage/internal/kind"
)

// losing copies an object and returns what the copy was said to lose.
func losing(t *testing.T, src, dst *side, bucket string, o Object) (lost []string) {
	t.Helper()
	_, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{Absent: true}, Lost: func(what string) { lost = append(lost, what) }})
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

// TestLossesAreNamed: what an object or its bucket has and a copy can't keep is named.
func TestLossesAreNamed(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	const bucket = "locked"
	if err := src.api.MakeBucket(t.Context(), src.Physical(bucket), minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := dst.EnsureBucket(t.Context(), bucket, true); err != nil {
		t.Fatal(err)
	}
	plain := src.put(bucket, "plain", []byte("x"), minio.PutObjectOptions{})
	if lost := losing(t, src, dst, bucket, plain); len(lost) != 0 {
		t.Errorf("a plain object loses %q", lost)
	}
	locked := src.put(bucket, "key", []byte("x"), minio.PutObjectOptions{Mode: minio.Governance, RetainUntilDate: time.Now().Add(time.Hour)})
	if lost := losing(t, src, dst, bucket, locked); !slices.Contains(lost, lostLocks) {
		t.Errorf("a retained object loses %q", lost)
	}
	rules := lifecycle.NewConfiguration()
	rules.Rules = []lifecycle.Rule{{ID: "r", Status: "Enabled", Expiration: lifecycle.Expiration{Days: 30}}}
	if err := src.api.SetBucketLifecycle(t.Context(), src.Physical(bucket), rules); err != nil {
		t.Fatal(err)
	}
	had, err := src.Settings(t.Context(), bucket)
	if err != nil || had != (Settings{Lock: true, Lifecycle: true}) {
		t.Errorf("settings %+v, %v", had, err)
	}
	has, err := dst.Settings(t.Context(), bucket)
	if err != nil || has != (Settings{}) {
		t.Errorf("the copy's settings %+v, %v", has, err)
	}
	if _, err := src.Settings(t.Context(), "no-such"); err == nil {
		t.Error("a bucket that is not there has settings")
	}
}

// TestRedirectsAndEncryption: by what the storages answer.
func TestRedirectsAndEncryption(t *testing.T) {
	for _, tc := range []struct {
		src, answer http.Header
		drops       bool
		want        string
	}{
		{http.Header{}, http.Header{}, true, ""},
		{http.Header{redirect: {"/new"}}, http.Header{}, true, lostRedirects},
		{http.Header{redirect: {"/new"}}, http.Header{}, false, ""},
		{http.Header{"X-Amz-Server-Side-Encryption": {"aws:kms"}}, http.Header{}, false, lostEncryption},
		{http.Header{"X-Amz-Server-Side-Encryption": {"AES256"}}, http.Header{"X-Amz-Server-Side-Encryption": {"AES256"}}, false, ""},
		{http.Header{"X-Amz-Object-Lock-Legal-Hold": {"ON"}}, http.Header{}, false, lostLocks},
	} {
		var lost []string
		x := newTransfer(job{to: &kind.Provider{DropsRedirects: tc.drops}, opts: CopyOptions{Lost: func(what string) { lost = append(lost, what) }}})
		x.tellLosses(tc.src, tc.answer)
		if got := strings.Join(lost, ", "); got != tc.want {
			t.Errorf("%v to %v: lost %q, want %q", tc.src, tc.answer, got, tc.want)
		}
	}
}
