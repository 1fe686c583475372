package replication

import (
	"context"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
)

// oddKeys are legal S3 keys that get mangled easily. MinIO refuses "//" and names that
// begin with a slash.
func oddKeys() []string {
	return []string{
		"plain", "with space", "trailing space ", "plus+sign", "per%cent", "per%20cent", "q?uestion&amp", "hash#",
		"ünïcödé", "日本語/ファイル", "emoji 🎉", "dir/", "dir/file", "dir-file", "dir.file", "a/b/c/d/e", "quote\"'`", "semi;colon=eq",
		"tilde~", "paren(1)", "back\\slash", "comma,", "at@", "UPPER", "upper", ".hidden", "..double", "a*b", "pipe|", "<angle>",
		strings.Repeat("k", 200) + "/" + strings.Repeat("l", 200) + "/" + strings.Repeat("m", 200) + "/" + strings.Repeat("n", 200) + "/" + strings.Repeat("o", 220),
	}
}

// Keys of every legal kind travel in the bulk sync, live, in deletes and in removal, on
// versioned buckets too, with headers, metadata and tags.
func TestOddKeys(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{false, true} {
		t.Run(map[bool]string{true: "versioned", false: "unversioned"}[versioned], func(t *testing.T) {
			w := newWorld(t, Settings{}, nil)
			w.threeMinIOs()
			w.makeBucket("c1", "bkt")
			if versioned {
				w.must(w.apis["c1"].EnableVersioning(t.Context(), w.prefix+"bkt"))
			}
			keys := oddKeys()
			for i, k := range keys[:len(keys)-3] {
				w.put("c1", "bkt", k, strings.Repeat("x", i))
			}
			w.policy("p", 2, "c1", "c2")
			w.bucket("bkt", "p", "c1")
			w.awaitOK("bkt", "c1", "c2")
			w.feedsLive("c1")
			for _, k := range keys[len(keys)-3:] {
				w.put("c1", "bkt", k, "live")
			}
			for _, k := range keys[:5] {
				w.put("c1", "bkt", k, "overwritten")
			}
			for _, k := range keys[5:10] {
				w.del("c1", "bkt", k)
			}
			w.awaitSame("bkt", "c1", "c2")
			w.awaitOK("bkt", "c1", "c2")
			if n := len(w.contents("c2", "bkt")); n != len(keys)-5 {
				t.Errorf("c2 has %d objects, want %d", n, len(keys)-5)
			}
			info, err := w.apis["c2"].StatObject(t.Context(), w.prefix+"bkt", "quote\"'`", minio.StatObjectOptions{})
			w.must(err)
			if info.ContentType != "text/plain" || info.UserMetadata["Colour"] != "blue" {
				t.Errorf("metadata %v, content type %s", info.UserMetadata, info.ContentType)
			}
			w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Clusters: []string{"c1", "c3"}})
			w.awaitOK("bkt", "c1", "c3")
			if got := w.allVersions("c2", "bkt"); len(got) != 0 {
				t.Errorf("c2 still has %v", got)
			}
			if got := w.contents("c2", "bkt"); got != nil {
				t.Error("the bucket FaDO made stays")
			}
		})
	}
}

// allVersions lists every version and delete marker of a bucket.
func (w *world) allVersions(cluster, bucket string) (all []string) {
	w.Helper()
	for o := range w.apis[cluster].ListObjects(context.Background(), w.prefix+bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if minio.ToErrorResponse(o.Err).Code == "NoSuchBucket" {
			return nil
		}
		w.must(o.Err)
		all = append(all, o.Key+" "+o.VersionID)
	}
	return all
}

// Versions at a copy that are not FaDO's survive its removal.
func TestEvictionKeepsForeignVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.threeMinIOs()
	for _, c := range []string{"c1", "c2"} {
		w.makeBucket(c, "bkt")
		w.must(w.apis[c].EnableVersioning(t.Context(), w.prefix+"bkt"))
	}
	w.put("c2", "bkt", "k", "a user's version at c2")
	w.del("c2", "bkt", "k")
	w.put("c1", "bkt", "k", "the primary's")
	w.put("c1", "bkt", "other", "x")
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.policy("p", 1, "c1")
	w.awaitOK("bkt", "c1")
	if got := w.contents("c2", "bkt"); len(got) != 0 {
		t.Errorf("c2 still shows %v", got)
	}
	found := false
	for _, c := range []string{"c1", "c2"} { // it is brought to the primary
		for o := range w.apis[c].ListObjects(t.Context(), w.prefix+"bkt", minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
			w.must(o.Err)
			found = found || o.Key == "k" && !o.IsDeleteMarker && o.Size == int64(len("a user's version at c2"))
			if o.Key == "other" && c == "c2" {
				t.Errorf("a version of FaDO's stays: %+v", o)
			}
		}
	}
	if !found {
		t.Error("the user's version is lost")
	}
}
