package storage

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"pgregory.net/rapid"
)

// TestStampsComeBack: a stamp is read as it was written, in its long and its short form.
func TestStampsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Source{
			ETag:       rapid.OneOf(rapid.StringMatching(`[0-9a-f]{32}(-[1-9][0-9]{0,4})?`), rapid.StringMatching(`[!-~]{1,40}`)).Draw(t, "etag"),
			VersionID:  rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), rapid.StringMatching(`[A-Za-z0-9._-]{1,32}`)).Draw(t, "version"),
			ModTime:    time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999).Draw(t, "ms")*1e6).UTC(),
			Size:       rapid.Int64Range(0, 5<<40).Draw(t, "size"),
			Attributes: rapid.StringMatching(`[0-9a-f]{24}`).Draw(t, "attributes"),
		}
		if isNull(s.VersionID) {
			s.VersionID = ""
		}
		for _, own := range []int{0, 1900} {
			h := http.Header{metaPrefix + "Note": {strings.Repeat("x", own)}}
			token := newToken()
			setStamp(h, "bucket", "key", s, token)
			got, gotToken, ok := parseStamp(h, "bucket", "key")
			if !ok || got != s || gotToken != token {
				t.Fatalf("%d bytes of metadata: got %+v, want %+v, from %v", own, got, s, h)
			}
			if _, _, ok := parseStamp(h, "bucket", "another"); ok {
				t.Fatal("it is taken for another key's")
			}
			if len(kept(h)) != 1 {
				t.Fatalf("kept %v", kept(h))
			}
		}
	})
}

// TestCopyLargeMetadata: what a stamp takes leaves room for the user's metadata.
func TestCopyLargeMetadata(t *testing.T) {
	onRoutes(t, func(t *testing.T, _ route, src, dst *side, bucket string) {
		note := strings.Repeat("x", 1900)
		o := src.put(bucket, "key", []byte("x"), minio.PutObjectOptions{UserMetadata: map[string]string{"note": note}})
		mustCopy(t, src, dst, bucket, o)
		if got := dst.headers(bucket, "key").Get("X-Amz-Meta-Note"); got != note {
			t.Errorf("the copy has %d bytes of metadata", len(got))
		}
		if got := dst.stat(bucket, "key"); Compare(o, got) != Equal || !got.Replica {
			t.Errorf("%+v is no copy of %+v", got, o)
		}
	})
}
