package s3gateway

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/s3gateway/internal/wire"
)

// neighbours is a bucket at a storage, and others there that are none of FaDO's.
type neighbours struct {
	*world
	api    *minio.Core
	others []string
}

// notInline is more than MinIO keeps within an object's metadata.
const notInline = 256 << 10

func newNeighbours(t *testing.T, shared testenv.Shared) *neighbours {
	t.Helper()
	w := newWorld(t, nil)
	srv := shared.Server(t)
	w.cluster("c1", srv)
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	n := &neighbours{world: w, api: w.direct(srv), others: []string{w.prefix + "victim", w.prefix + "bkt-2"}}
	for _, b := range n.others {
		w.must(n.api.MakeBucket(t.Context(), b, minio.MakeBucketOptions{}))
		n.write(b, "precious", 8)
		n.write(b, "large", notInline)
	}
	w.put("bkt", "a", "a")
	w.put("bkt", "dir/b", "b")
	return n
}

func (n *neighbours) write(bucket, key string, size int) {
	n.Helper()
	_, err := n.api.PutObject(context.Background(), bucket, key, strings.NewReader(strings.Repeat("x", size)), int64(size), "", "", minio.PutObjectOptions{})
	n.must(err)
}

// intact reports what has become of what nobody named.
func (n *neighbours) intact(after string) {
	n.Helper()
	for _, b := range append(slices.Clone(n.others), n.prefix+"bkt") {
		want := []string{"large", "precious"}
		if b == n.prefix+"bkt" {
			want = []string{"a", "dir/b"}
		}
		var got []string
		for o := range n.api.Client.ListObjects(context.Background(), b, minio.ListObjectsOptions{Recursive: true}) {
			if o.Err != nil {
				n.Fatalf("%s: listing %s: %v", after, b, o.Err)
			}
			if _, err := n.api.StatObject(context.Background(), b, o.Key, minio.StatObjectOptions{}); err != nil {
				n.Errorf("%s: %s/%s: %v", after, b, o.Key, err)
			}
			got = append(got, o.Key)
		}
		if !slices.Equal(got, want) {
			n.Fatalf("%s: %s has %q, want %q", after, b, got, want)
		}
	}
}

// aliases are names that a storage may take for those of other objects.
func (n *neighbours) aliases() []string {
	names := []string{"/a", "//a", "./a", "x/../a", "/x/../a", "dir//b", "/dir/b", "dir/./b"}
	for _, b := range n.others {
		names = append(names, "../"+b+"/precious", "../"+b+"/large", "/../../"+b+"/precious", "x/../../"+b+"/precious")
	}
	return names
}

func eachStorage(t *testing.T, f func(t *testing.T, n *neighbours)) {
	t.Helper()
	t.Parallel()
	for name, shared := range map[string]testenv.Shared{"MinIO": minioA, "versitygw": versA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, newNeighbours(t, shared))
		})
	}
}

// What DeleteObjects names is what goes: a key that the storage would take for another one's is refused, by
// itself, and all others go.
func TestDeleteObjectsTakesNothingElse(t *testing.T) {
	eachStorage(t, func(t *testing.T, n *neighbours) {
		for i, alias := range n.aliases() {
			gone := fmt.Sprint("gone", i)
			n.put("bkt", gone, "x")
			status, _, body := n.do(http.MethodPost, "/bkt?delete=", nil,
				"<Delete><Object><Key>"+alias+"</Key></Object><Object><Key>"+gone+"</Key></Object></Delete>")
			if status != http.StatusOK || !strings.Contains(body, "<Error><Key>"+alias+"</Key><Code>InvalidArgument</Code>") ||
				!strings.Contains(body, "<Deleted><Key>"+gone+"</Key>") {
				t.Errorf("%q: %d %s", alias, status, body)
			}
			n.intact(alias)
		}
	})
}

// A copy is made of the object that is named: where the storage would take the name for another one's,
// there is none.
func TestCopiesAreOfWhatIsNamed(t *testing.T) {
	eachStorage(t, func(t *testing.T, n *neighbours) {
		id, err := n.core.NewMultipartUpload(t.Context(), "bkt", "copy", minio.PutObjectOptions{})
		n.must(err)
		for _, alias := range n.aliases() {
			source := http.Header{wire.CopySource: {(&url.URL{Path: "/bkt/" + alias}).EscapedPath()}}
			for what, path := range map[string]string{"CopyObject": "/bkt/copy", "UploadPartCopy": "/bkt/copy?partNumber=1&uploadId=" + id} {
				if _, _, body := n.do(http.MethodPut, path, source, ""); !strings.Contains(body, "<Code>NoSuchKey</Code>") {
					t.Errorf("%s of %q: %s", what, alias, body)
				}
			}
		}
		n.intact("copies")
	})
}

// forged are IDs that no storage gave, of which one may make a path.
func (n *neighbours) forged() []string {
	ids := []string{"..", ".", "../..", "../../..", "../" + hashOf("any")}
	for _, b := range n.others {
		ids = append(ids, "../../../../"+b, "../"+hashOf(b+"/upload"))
	}
	for _, id := range slices.Clone(ids) {
		ids = append(ids, base64.RawURLEncoding.EncodeToString([]byte("deployment."+id)))
	}
	return ids
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// An upload is one that the storage began: an ID that someone made up leads to nothing else.
func TestForgedUploadsLeadNowhere(t *testing.T) {
	eachStorage(t, func(t *testing.T, n *neighbours) {
		ctx := t.Context()
		ids := make(map[string]string)
		for _, b := range n.others {
			id, err := n.api.NewMultipartUpload(ctx, b, "upload", minio.PutObjectOptions{})
			n.must(err)
			_, err = n.api.PutObjectPart(ctx, b, "upload", id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
			n.must(err)
			ids[b] = id
		}
		own, err := n.core.NewMultipartUpload(ctx, "bkt", "k", minio.PutObjectOptions{}) // its directory is there
		n.must(err)
		for _, id := range n.forged() {
			query := "uploadId=" + wire.EncodeUpload("c1", id)
			for _, c := range []struct{ method, query, body string }{
				{http.MethodGet, query, ""},
				{http.MethodPut, "partNumber=1&" + query, "forged"},
				{http.MethodPost, query, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"},
				{http.MethodDelete, query, ""},
			} {
				_, _, body := n.do(c.method, "/bkt/k?"+c.query, nil, c.body)
				unknown := strings.Contains(body, "<Code>NoSuchUpload</Code>")
				// versitygw looks for the parts of an upload that it does not know, and finds none.
				if !unknown && (c.method != http.MethodPost || !strings.Contains(body, "<Code>InvalidPart</Code>")) {
					t.Errorf("%s %q: %s", c.method, id, body)
				}
			}
			n.intact(id)
		}
		for b, id := range ids {
			if parts, err := n.api.ListObjectParts(ctx, b, "upload", id, 0, 10); err != nil || len(parts.ObjectParts) != 1 {
				t.Errorf("the upload in %s: %+v %v", b, parts.ObjectParts, err)
			}
		}
		if _, err := n.core.ListObjectParts(ctx, "bkt", "k", own, 0, 10); err != nil {
			t.Errorf("an upload of the same key: %v", err)
		}
	})
}

// What is stored is what the request names: a storage that would unpack an object under other names does not
// get it.
func TestObjectsAreNotUnpacked(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t, minioA)
	var tarred bytes.Buffer
	w := tar.NewWriter(&tarred)
	n.must(w.WriteHeader(&tar.Header{Name: "a", Size: 8, Mode: 0o600, Typeflag: tar.TypeReg}))
	_, err := io.WriteString(w, "unpacked")
	n.must(errors.Join(err, w.Close()))
	header := http.Header{"X-Amz-Meta-Snowball-Auto-Extract": {"true"}}
	if status, _, body := n.do(http.MethodPut, "/bkt/tar", header, tarred.String()); status != http.StatusBadRequest || !strings.Contains(body, "<Code>InvalidArgument</Code>") {
		t.Errorf("%d %s", status, body)
	}
	if got := n.get("bkt", "a"); got != "a" {
		t.Errorf("another object became %q", got)
	}
	n.intact("an archive")
}

// A delete on a condition is made on that condition, or not at all: MinIO looks at none, and versitygw at none of
// DeleteObjects.
func TestDeletesOnConditions(t *testing.T) {
	eachStorage(t, func(t *testing.T, n *neighbours) {
		minIO := strings.Contains(t.Name(), "MinIO")
		etag := func(key string) string {
			o, err := n.core.StatObject(t.Context(), "bkt", key, minio.StatObjectOptions{})
			n.must(err)
			return o.ETag
		}
		request := func(key, etag string) string {
			_, _, body := n.do(http.MethodDelete, "/bkt/"+key, http.Header{"If-Match": {`"` + etag + `"`}}, "")
			return body
		}
		document := func(key, etag string) string {
			_, _, body := n.do(http.MethodPost, "/bkt?delete=", nil,
				"<Delete><Object><Key>"+key+"</Key><ETag>&quot;"+etag+"&quot;</ETag></Object></Delete>")
			return body
		}
		for what, remove := range map[string]func(key, etag string) string{"DeleteObject": request, "DeleteObjects": document} {
			want, after := "PreconditionFailed", "NoSuchKey"
			if minIO {
				want, after = "NotImplemented", "new"
			}
			n.put("bkt", "k", "old")
			old := etag("k")
			n.put("bkt", "k", "new")
			if body := remove("k", old); !strings.Contains(body, "<Code>"+want+"</Code>") {
				t.Errorf("%s of what was there before: %s, want %s", what, body, want)
			}
			if got := n.get("bkt", "k"); got != "new" {
				t.Errorf("%s of what was there before: %q", what, got)
			}
			remove("k", etag("k"))
			if got := n.get("bkt", "k"); got != after {
				t.Errorf("%s of what is there: %q, want %q", what, got, after)
			}
		}
	})
}
