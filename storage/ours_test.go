package storage

import (
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"pgregory.net/rapid"
)

// serverSide copies an object within a storage, as a user does.
func (s *side) serverSide(bucket, from, version, to string, o minio.CopyDestOptions) Object {
	s.tb.Helper()
	o.Bucket, o.Object = s.Physical(bucket), to
	_, err := s.api.CopyObject(s.tb.Context(), o, minio.CopySrcOptions{Bucket: s.Physical(bucket), Object: from, VersionID: version})
	if err != nil {
		s.tb.Fatalf("copying %q to %q: %v", from, to, err)
	}
	return s.stat(bucket, to)
}

func (s *side) mustBeTheirs(bucket string, o Object, what string) {
	s.tb.Helper()
	repeats, err := s.Repeats(s.tb.Context(), bucket, o)
	if err != nil || o.Replica && !repeats {
		s.tb.Errorf("%s is taken for FaDO's: %+v, %v", what, o, err)
	}
}

func (s *side) mustBeOurs(bucket string, o Object, what string) {
	s.tb.Helper()
	repeats, err := s.Repeats(s.tb.Context(), bucket, o)
	if err != nil || !o.Replica || repeats {
		s.tb.Errorf("%s is not taken for FaDO's: %+v, repeats %v, %v", what, o, repeats, err)
	}
}

// TestUsersCopiesAreTheirs: what storages hand on to a user's server-side copy (metadata, tags,
// a replica's status) makes it no copy of FaDO's.
func TestUsersCopiesAreTheirs(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		for name, body := range map[string][]byte{"small": []byte("hello"), "large": random(17 << 20)} {
			o := src.put(bucket, name, body, minio.PutObjectOptions{PartSize: 6 << 20, UserTags: map[string]string{"a": "b"}})
			mustCopy(t, src, dst, bucket, o)
			dst.mustBeOurs(bucket, dst.stat(bucket, name), "FaDO's copy")
			dst.mustBeTheirs(bucket, dst.serverSide(bucket, name, "", "dir/"+name, minio.CopyDestOptions{}), "a copy under another key")
			dst.mustBeOurs(bucket, dst.stat(bucket, name), "what a user copied from")
			dst.put(bucket, name, body, minio.PutObjectOptions{PartSize: 6 << 20})
			dst.mustBeTheirs(bucket, dst.stat(bucket, name), "the same content, written over FaDO's copy")
		}
	})
}

// TestRestoredVersionsAreTheirs: an older version that a user makes the current one again is a
// write of the user's, though FaDO wrote that version.
func TestRestoredVersionsAreTheirs(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		if !r.versions {
			t.Skip("nothing to restore")
		}
		first := src.put(bucket, "key", []byte("first"), minio.PutObjectOptions{})
		was := mustCopy(t, src, dst, bucket, first)
		second := src.put(bucket, "key", []byte("second"), minio.PutObjectOptions{})
		if _, err := Copy(t.Context(), src, dst, bucket, second, CopyOptions{If: Condition{IfETag: was.ETag}}); err != nil {
			t.Fatal(err)
		}
		dst.mustBeOurs(bucket, dst.stat(bucket, "key"), "FaDO's second copy")
		dst.mustBeTheirs(bucket, dst.serverSide(bucket, "key", was.VersionID, "key", minio.CopyDestOptions{}), "the first version, restored")
	})
}

// TestCopiedOntoItself: an object that keeps its content and gets other headers in place is the
// user's who did that, where the copy preserves what its original has.
func TestCopiedOntoItself(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, false, src, dst)
	o := src.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{})
	mustCopy(t, src, dst, bucket, o)
	was := dst.stat(bucket, "key")
	now := dst.serverSide(bucket, "key", "", "key", minio.CopyDestOptions{ReplaceMetadata: true, UserMetadata: map[string]string{
		"note": "mine", "Fado-Source-Mark": dst.headers(bucket, "key").Get(stampMark),
	}})
	if !now.LastModified.Equal(was.LastModified) {
		dst.mustBeTheirs(bucket, now, "a copy onto itself")
	}
}

// TestCopyMarksWhatIsThere: a version that is there without a mark gets one, and an object whose
// metadata leave no room for it is copied without.
func TestCopyMarksWhatIsThere(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, src, dst)
	full := src.put(bucket, "full", []byte("x"), minio.PutObjectOptions{UserMetadata: map[string]string{"note": strings.Repeat("x", maxMetadata-20)}})
	mustCopy(t, src, dst, bucket, full)
	if got := dst.stat(bucket, "full"); Compare(full, got) != Equal || got.Replica {
		t.Errorf("%+v is no copy of %+v, or has a mark", got, full)
	}
	o := src.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{})
	mustCopy(t, src, dst, bucket, o)
	dst.serverSide(bucket, "key", o.VersionID, "key", minio.CopyDestOptions{})
	now := dst.stat(bucket, "key")
	out, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{IfETag: now.ETag}})
	if err != nil || !out.Replica {
		t.Errorf("the copy over a user's is %+v, %v", out, err)
	}
	dst.mustBeOurs(bucket, dst.stat(bucket, "key"), "FaDO's copy over a user's")
}

// TestMarks: a mark holds for the version it was made for and for no other.
func TestMarks(t *testing.T) {
	name := rapid.StringMatching(`[a-z]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) (string, Object) {
			return name.Draw(t, what+" bucket"), Object{
				Key: name.Draw(t, what+" key"), ETag: name.Draw(t, what+" etag"),
				VersionID:    rapid.SampledFrom([]string{"null", "v1", "v2"}).Draw(t, what+" version"),
				LastModified: time.Unix(rapid.Int64Range(1, 3).Draw(t, what+" time"), 0),
			}
		}
		b1, o1 := draw("first")
		b2, o2 := draw("second")
		same := b1 == b2 && o1 == o2
		h := make(map[string][]string)
		h[stampMark] = []string{markOf(b1, o1.Key, o1.VersionID, o1.ETag, o1.LastModified)}
		blank := isNull(o1.VersionID) && b1 == b2 && o1.Key == o2.Key && o1.ETag == o2.ETag && o1.LastModified.Equal(o2.LastModified)
		if got := marked(h, b2, o2); got != (same || blank) {
			t.Fatalf("the mark of %s %+v holds for %s %+v: %v", b1, o1, b2, o2, got)
		}
	})
}
