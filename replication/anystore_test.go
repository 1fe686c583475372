package replication

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/storage"
)

// Between any two storages, everything an object has comes along, or its loss is named.
func TestAnyDirection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		from, to  testenv.Shared
		versioned bool
		losses    []string
	}{
		{"minio to versitygw", minioA, versA, false, []string{"modification times are not kept in c2"}},
		{"versitygw to minio", versA, minioB, false, []string{"modification times are not kept in c2"}},
		{"versitygw to versitygw", versA, versB, false, []string{"modification times are not kept in c2"}},
		{"minio to minio, versioned", minioA, minioB, true, []string{}},
		{"minio to versitygw, versioned", minioA, versA, true, []string{
			"version IDs are not kept in c2", "older versions are not kept in c2", "modification times are not kept in c2",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Settings{}, nil)
			w.cluster("c1", c.from.Server(t))
			w.cluster("c2", c.to.Server(t))
			w.makeBucket("c1", "bkt")
			if c.versioned {
				w.must(w.apis["c1"].EnableVersioning(t.Context(), w.prefix+"bkt"))
			}
			keys := []string{"plain", "a/b/c.txt", "space in it", "größe", "plus+and&amp;", "quote'\"", "percent%41", "日本/語", "dots..", "~-_.!*()"}
			for _, k := range keys {
				w.putWithEverything("c1", "bkt", k)
			}
			w.policy("p", 2)
			w.bucket("bkt", "p", "c1")
			w.awaitOK("bkt", "c1", "c2")
			for _, k := range keys {
				if a, b := w.everything("c1", "bkt", k), w.everything("c2", "bkt", k); a != b {
					t.Errorf("%q became\n%s\nfrom\n%s", k, b, a)
				}
			}
			w.await("losses are known", func() bool { return slices.Equal(w.copyStatus("bkt", "c2").Losses, c.losses) })
			if got := w.copyStatus("bkt", "c1").Losses; len(got) != 0 {
				t.Errorf("the primary loses %q", got)
			}
		})
	}
}

func (w *world) putWithEverything(cluster, bucket, key string) {
	w.Helper()
	_, err := w.apis[cluster].PutObject(context.Background(), w.prefix+bucket, key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{
		ContentType: "text/x-thing; charset=utf-8", ContentDisposition: `attachment; filename="a b.txt"`,
		ContentLanguage: "de, en", CacheControl: "no-store", DisableMultipart: true,
		UserMetadata: map[string]string{"Colour": "blue", "Spaces": "a  b"}, UserTags: map[string]string{"team": "a b", "odd": "x/y:z@._-"},
	})
	w.must(err)
}

// everything writes down what a storage has of an object, FaDO's own stamps aside.
func (w *world) everything(cluster, bucket, key string) string {
	w.Helper()
	o, err := w.apis[cluster].StatObject(context.Background(), w.prefix+bucket, key, minio.StatObjectOptions{})
	w.must(err)
	tags, err := w.apis[cluster].GetObjectTagging(context.Background(), w.prefix+bucket, key, minio.GetObjectTaggingOptions{})
	w.must(err)
	body, _ := w.get(cluster, bucket, key)
	text := fmt.Sprintf("%s %s %d %q tags %v", o.Key, o.ETag, o.Size, body, tags.ToMap())
	for _, h := range []string{"Content-Type", "Content-Disposition", "Content-Language", "Cache-Control"} {
		text += fmt.Sprintf("\n%s: %s", h, o.Metadata.Get(h))
	}
	for _, k := range slices.Sorted(maps.Keys(o.UserMetadata)) {
		if !strings.HasPrefix(k, "Fado-Source-") {
			text += fmt.Sprintf("\n%s: %s", k, o.UserMetadata[k])
		}
	}
	return text
}

// A storage without tags is found out, and named.
func TestLossOfTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	w.fake("c1").Offer(storage.Capabilities{Tags: true})
	w.fake("c2").Offer(storage.Capabilities{})
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.await("the loss is named", func() bool {
		return slices.Contains(w.copyStatus("bkt", "c2").Losses, "tags are not kept in c2")
	})
}

// copyStatus is a bucket's status of its copy in a cluster.
func (w *world) copyStatus(bucket, cluster string) control.CopyStatus {
	w.Helper()
	for _, c := range w.status(bucket).Copies {
		if c.Cluster == cluster {
			return c
		}
	}
	w.Fatalf("%s has no copy in %s", bucket, cluster)
	return control.CopyStatus{}
}
