package storage

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/storage/s3"
)

func (s *side) history(bucket, key string) []Version {
	s.tb.Helper()
	h, err := s.History(s.tb.Context(), bucket, key, MaxHistory)
	if err != nil {
		s.tb.Fatal(err)
	}
	return h.Versions
}

// bringAll brings the versions of a key that dst lacks below what it has, newest first.
func bringAll(tb testing.TB, src, dst *side, bucket, key string) {
	tb.Helper()
	for _, v := range src.history(bucket, key) {
		if Holds(dst.history(bucket, key), v) {
			continue
		}
		var err error
		if v.Deleted {
			err = dst.PutMarker(tb.Context(), bucket, v)
		} else {
			_, err = Copy(tb.Context(), src, dst, bucket, v.Object, CopyOptions{Version: &v, Below: true})
		}
		if err != nil {
			tb.Fatalf("%+v: %v", v, err)
		}
	}
}

// TestHistoryIsTheSame: between MinIOs every version arrives with its ID, ETag and time, the null
// version from before the bucket kept versions, delete markers and objects in parts included, in
// any order and however often; what is shown stays as it is.
func TestHistoryIsTheSame(t *testing.T) {
	a, b := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, false, a, b)
	a.put(bucket, "k", []byte("from before"), minio.PutObjectOptions{UserMetadata: map[string]string{"n": "1"}})
	for _, s := range []*side{a, b} {
		if _, err := s.EnsureBucket(t.Context(), bucket, true); err != nil {
			t.Fatal(err)
		}
	}
	large := random(smallObject + s3.MinPart + 5)
	a.put(bucket, "k", large, minio.PutObjectOptions{PartSize: s3.MinPart})
	a.removeAsUser(bucket, "k")
	a.put(bucket, "k", random(momentary+7), minio.PutObjectOptions{})
	a.put(bucket, "k", []byte("last"), minio.PutObjectOptions{})
	bring(t, a, b, bucket, "k")
	shown := b.current(bucket, "k")
	for range 2 {
		bringAll(t, a, b, bucket, "k")
		if got := b.current(bucket, "k"); got.VersionID != shown.VersionID {
			t.Fatalf("it shows %+v, want %+v", got, shown)
		}
		if want, got := a.history(bucket, "k"), b.history(bucket, "k"); !slices.Equal(got, want) {
			t.Fatalf("it has\n%+v, want\n%+v", got, want)
		}
	}
	old := b.history(bucket, "k")[3]
	r, err := b.api.GetObject(t.Context(), b.Physical(bucket), "k", minio.GetObjectOptions{VersionID: old.VersionID})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(r); err != nil || !bytes.Equal(body.Bytes(), large) {
		t.Fatalf("%d bytes of version %s, %v", body.Len(), old.VersionID, err)
	}
}

// TestHistories: a listing of all histories, and what FaDO wrote of them is told to be FaDO's.
func TestHistories(t *testing.T) {
	a, b := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, a, b)
	for _, key := range []string{"p/a", "p/b", "q"} {
		a.put(bucket, key, []byte("1"), minio.PutObjectOptions{})
		a.put(bucket, key, []byte("2"), minio.PutObjectOptions{})
		a.removeAsUser(bucket, key)
		bringAll(t, a, b, bucket, key)
	}
	var keys []string
	for h, err := range b.Histories(t.Context(), bucket, "p/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, h.Key)
		if !slices.Equal(h.Versions, a.history(bucket, h.Key)) {
			t.Errorf("%s has %+v", h.Key, h.Versions)
		}
	}
	if !slices.Equal(keys, []string{"p/a", "p/b"}) {
		t.Errorf("keys %q", keys)
	}
	if h, err := b.History(t.Context(), bucket, "q", 2); err != nil || !h.Cut || len(h.Versions) != 2 || !h.Versions[0].Deleted {
		t.Errorf("the newest two: %+v, %v", h, err)
	}
	vs, err := b.Versions(t.Context(), bucket, "q")
	if err != nil || len(vs) != 3 || !vs[0].Deleted || !vs[1].Replica || !vs[2].Replica {
		t.Errorf("%+v, %v", vs, err)
	}
}

// TestBelowNeedsVersions: a bucket that stopped keeping versions is given none, so that an old version
// can't come on top there.
func TestBelowNeedsVersions(t *testing.T) {
	a, b := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, a, b)
	a.put(bucket, "k", []byte("old"), minio.PutObjectOptions{})
	v := a.history(bucket, "k")[0]
	if err := b.api.SuspendVersioning(t.Context(), b.Physical(bucket)); err != nil {
		t.Fatal(err)
	}
	again := minioB.side(t) // which has not been told otherwise
	again.put(bucket, "k", []byte("current"), minio.PutObjectOptions{})
	for _, s := range []*side{again, b} { // b believes that versions are kept
		if _, err := Copy(t.Context(), a, s, bucket, v.Object, CopyOptions{Version: &v, Below: true}); err == nil {
			t.Error("it was taken")
		}
	}
	if got := string(again.read(bucket, "k")); got != "current" {
		t.Errorf("%q is shown", got)
	}
	if keys := strings.Join(keysOf(again, bucket), " "); keys != "k" {
		t.Errorf("keys %q", keys)
	}
}

func keysOf(s *side, bucket string) (keys []string) {
	for h, err := range s.Histories(s.tb.Context(), bucket, "") {
		if err != nil {
			s.tb.Fatal(err)
		}
		keys = append(keys, h.Key)
	}
	return keys
}
