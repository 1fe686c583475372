package storage

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestCopyPartsWithGaps: parts may have any numbers that rise.
func TestCopyPartsWithGaps(t *testing.T) {
	for _, to := range []lazy{minioB, versA} {
		for _, numbers := range [][]int{{1, 5, 9}, {1, 3, 5}, {3, 4, 10000}} {
			src, dst := minioA.side(t), to.side(t)
			bucket := newBucket(t, false, src, dst)
			core := minio.Core{Client: src.api}
			id, err := core.NewMultipartUpload(t.Context(), src.Physical(bucket), "video", minio.PutObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var parts []minio.CompletePart
			var whole []byte
			for i, n := range numbers {
				body := random(5<<20 + i)
				p, err := core.PutObjectPart(t.Context(), src.Physical(bucket), "video", id, n, bytes.NewReader(body), int64(len(body)), minio.PutObjectPartOptions{})
				if err != nil {
					t.Fatal(err)
				}
				parts, whole = append(parts, minio.CompletePart{PartNumber: n, ETag: p.ETag}), append(whole, body...)
			}
			if _, err := core.CompleteMultipartUpload(t.Context(), src.Physical(bucket), "video", id, parts, minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			o := src.stat(bucket, "video")
			mustCopy(t, src, dst, bucket, o)
			if !bytes.Equal(dst.read(bucket, "video"), whole) {
				t.Errorf("parts %v: the copy at %s is another", numbers, dst.Name())
			}
			if got := dst.stat(bucket, "video"); Compare(o, got) != Equal {
				t.Errorf("parts %v: %+v is no copy of %+v", numbers, got, o)
			}
			dst.mustHaveNoUploads(bucket)
		}
	}
}

// TestCopyWithoutETag: files that came into a storage's directory other than through it
// have no ETag, and are told by size and time.
func TestCopyWithoutETag(t *testing.T) {
	src, dst, back := versA.side(t), minioB.side(t), versB.side(t)
	bucket := newBucket(t, false, src, dst, back)
	put := func(s *side, key, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.srv.Dir, s.Physical(bucket), key), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, content := range []string{"1;2;3", strings.Repeat("a line\n", smallObject/4)} {
		key := fmt.Sprintf("data-%d.csv", i)
		put(src, key, content)
		o := src.stat(bucket, key)
		if listed := src.listed(bucket, key); listed.ETag != o.ETag {
			t.Errorf("listed with the ETag %s, HEAD says %s", listed.ETag, o.ETag)
		}
		mustCopy(t, src, dst, bucket, o)
		if got := dst.read(bucket, key); string(got) != content {
			t.Errorf("%s: %d bytes came, want %d", key, len(got), len(content))
		}
		if got := dst.stat(bucket, key); Compare(o, got) != Equal {
			t.Errorf("%+v is no copy of %+v", got, o)
		}
		if rr, err := src.Reread(t.Context(), bucket, o, nil); err != nil || rr.Integrity != Unproven {
			t.Errorf("read again: %+v, %v", rr, err)
		}
		put(src, key, content+"4")
		if _, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{}); !errors.Is(err, ErrPrecondition) {
			t.Errorf("it is another by now: want ErrPrecondition, got %v", err)
		}
		if _, err := src.Reread(t.Context(), bucket, o, nil); !errors.Is(err, ErrPrecondition) {
			t.Errorf("read again: want ErrPrecondition, got %v", err)
		}

		// As what a copy replaces, and what a removal takes.
		put(back, key, "old")
		old := back.stat(bucket, key)
		if _, err := Copy(t.Context(), dst, back, bucket, dst.stat(bucket, key), CopyOptions{If: Condition{IfETag: "fado-none-1-1"}}); !errors.Is(err, ErrPrecondition) {
			t.Errorf("replaced what was not seen: %v", err)
		}
		if _, err := Copy(t.Context(), dst, back, bucket, dst.stat(bucket, key), CopyOptions{If: Condition{IfETag: old.ETag}}); err != nil {
			t.Errorf("replacing what was seen: %v", err)
		}
		put(back, "gone", "old")
		if err := back.Delete(t.Context(), bucket, "gone", "fado-none-1-1"); !errors.Is(err, ErrPrecondition) {
			t.Errorf("removed what was not seen: %v", err)
		}
		if err := back.Delete(t.Context(), bucket, "gone", back.stat(bucket, "gone").ETag); err != nil {
			t.Errorf("removing what was seen: %v", err)
		}
		back.mustNotHave(bucket, "gone")
	}
}

// TestCopyNeedsProof: an answer of something else than the destination, such as a page of
// maintenance, is neither a copy nor a removal.
func TestCopyNeedsProof(t *testing.T) {
	src := minioA.side(t)
	bucket := newBucket(t, false, src)
	o := src.put(bucket, "key", []byte("precious"), minio.PutObjectOptions{})
	for name, body := range map[string]string{
		"a page": "<html>back soon</html>", "nothing": "", "an error": "<Error><Code>InternalError</Code></Error>",
		"much": strings.Repeat("x", 3<<20),
	} {
		dst := fake(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "AmazonS3")
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, "<ListAllMyBucketsResult/>")
				return
			}
			_, _ = io.WriteString(w, body)
		})
		if out, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: copied %+v, %v", name, out, err)
		}
		if err := dst.Delete(t.Context(), bucket, "key", "e"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: removed, %v", name, err)
		}
	}
}

// archive is a tar of one file.
func archive(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600, Typeflag: tar.TypeReg})
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// MinIO takes a PUT with a certain user metadata for an archive, stores what is in it under the names there, over what
// is there, and answers as if it had stored the object. A copy is the object, and nothing else is written.
func TestCopyIsNotUnpacked(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		for name, size := range map[string]int{"small": 0, "large": 2 << 20} {
			theirs := "theirs-" + name
			src.put(bucket, "plain", archive(t, theirs, "unpacked"+strings.Repeat(" ", size)), minio.PutObjectOptions{})
			_, err := src.api.CopyObject(t.Context(), minio.CopyDestOptions{
				Bucket: src.Physical(bucket), Object: name, ReplaceMetadata: true, UserMetadata: map[string]string{"Snowball-Auto-Extract": "true"},
			}, minio.CopySrcOptions{Bucket: src.Physical(bucket), Object: "plain"})
			if err != nil {
				t.Fatal(err)
			}
			dst.put(bucket, theirs, []byte("theirs"), minio.PutObjectOptions{})
			out, err := Copy(t.Context(), src, dst, bucket, src.stat(bucket, name), CopyOptions{If: Condition{Absent: true}})
			if got := dst.read(bucket, theirs); string(got) != "theirs" {
				t.Errorf("%s: another object became %.20q", name, got)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			checkCopy(t, r, src, dst, bucket, name, out)
		}
	})
}
