package s3gateway

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/s3gateway/internal/forms"
)

// request is one operation at an object that has the content "before", and an upload with one part.
type request struct {
	write bool
	// after is what the object has when the operation was done, where it changes that.
	after string
	do    func(ctx context.Context, i *instance, key, upload string) error
}

// large is more than is held of a body at a time.
var large = strings.Repeat("large and new, ", 3<<20/15)

// everyRequest is one of each kind that reaches a storage.
var everyRequest = map[string]request{
	"GetObject": {do: func(ctx context.Context, i *instance, key, _ string) error {
		o, _, _, err := i.core.GetObject(ctx, "bkt", key, minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer o.Close()
		b, err := io.ReadAll(o)
		if err == nil && string(b) != "before" {
			return fmt.Errorf("%w: %.30q", errMixed, b)
		}
		return err
	}},
	"HeadObject": {do: func(ctx context.Context, i *instance, key, _ string) error {
		_, err := i.api.StatObject(ctx, "bkt", key, minio.StatObjectOptions{})
		return err
	}},
	"GetObjectTagging": {do: func(ctx context.Context, i *instance, key, _ string) error {
		_, err := i.api.GetObjectTagging(ctx, "bkt", key, minio.GetObjectTaggingOptions{})
		return err
	}},
	"ListObjectsV2": {do: func(_ context.Context, i *instance, key, _ string) error {
		_, err := i.core.ListObjectsV2("bkt", key, "", "", "", 10)
		return err
	}},
	"ListObjects": {do: func(_ context.Context, i *instance, key, _ string) error {
		_, err := i.core.ListObjects("bkt", key, "", "", 10)
		return err
	}},
	"ListObjectVersions": {do: func(ctx context.Context, i *instance, key, _ string) error {
		for o := range i.api.ListObjects(ctx, "bkt", minio.ListObjectsOptions{Prefix: key, WithVersions: true}) {
			return o.Err // of the first
		}
		return nil
	}},
	"GetObjectAttributes": {do: func(ctx context.Context, i *instance, key, _ string) error {
		_, err := i.api.GetObjectAttributes(ctx, "bkt", key, minio.ObjectAttributesOptions{})
		return err
	}},
	"GetObjectAcl": {do: func(ctx context.Context, i *instance, key, _ string) error {
		_, err := i.api.GetObjectACL(ctx, "bkt", key)
		return err
	}},
	"ListParts": {do: func(ctx context.Context, i *instance, key, upload string) error {
		_, err := i.core.ListObjectParts(ctx, "bkt", key, upload, 0, 10)
		return err
	}},
	"ListMultipartUploads": {do: func(ctx context.Context, i *instance, key, _ string) error {
		_, err := i.core.ListMultipartUploads(ctx, "bkt", key, "", "", "", 10)
		return err
	}},
	"PutObject": {write: true, after: "after", do: func(ctx context.Context, i *instance, key, _ string) error {
		return putTo(ctx, i, key, "after")
	}},
	"PutObject, large": {write: true, after: large, do: func(ctx context.Context, i *instance, key, _ string) error {
		return putTo(ctx, i, key, large)
	}},
	"CopyObject": {write: true, after: "source", do: func(ctx context.Context, i *instance, key, _ string) error {
		_, err := i.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "bkt", Object: key}, minio.CopySrcOptions{Bucket: "bkt", Object: "source"})
		return err
	}},
	"PutObjectTagging": {write: true, do: func(ctx context.Context, i *instance, key, _ string) error {
		t, err := tags.NewTags(map[string]string{"a": "b"}, true)
		if err != nil {
			return err
		}
		return i.api.PutObjectTagging(ctx, "bkt", key, t, minio.PutObjectTaggingOptions{})
	}},
	"DeleteObjectTagging": {write: true, do: func(ctx context.Context, i *instance, key, _ string) error {
		return i.api.RemoveObjectTagging(ctx, "bkt", key, minio.RemoveObjectTaggingOptions{})
	}},
	"PutObject, where there is none": {write: true, do: func(ctx context.Context, i *instance, key, _ string) error {
		opts := minio.PutObjectOptions{}
		opts.SetMatchETagExcept("*")
		_, err := i.core.PutObject(ctx, "bkt", key, strings.NewReader("after"), 5, "", "", opts)
		if code(err) == "PreconditionFailed" {
			return nil // there is one
		}
		if err == nil {
			return fmt.Errorf("%w: it replaced what was there", errMixed)
		}
		return err
	}},
	"PostObject, large": {write: true, after: strings.Repeat("z", forms.PartSize+5), do: func(ctx context.Context, i *instance, key, _ string) error {
		f := i.form(i.api, key, nil)
		f.file = strings.Repeat("z", forms.PartSize+5)
		return i.tryPost(ctx, f)
	}},
	"DeleteObject": {write: true, after: "NoSuchKey", do: func(ctx context.Context, i *instance, key, _ string) error {
		return i.api.RemoveObject(ctx, "bkt", key, minio.RemoveObjectOptions{})
	}},
	"DeleteObjects": {write: true, after: "NoSuchKey", do: func(ctx context.Context, i *instance, key, _ string) error {
		objects := make(chan minio.ObjectInfo, 1)
		objects <- minio.ObjectInfo{Key: key}
		close(objects)
		for r := range i.api.RemoveObjects(ctx, "bkt", objects, minio.RemoveObjectsOptions{}) {
			return r.Err // of the one
		}
		return nil
	}},
	"CreateMultipartUpload": {write: true, do: func(ctx context.Context, i *instance, key, _ string) error {
		_, err := i.core.NewMultipartUpload(ctx, "bkt", key+"/other", minio.PutObjectOptions{})
		return err
	}},
	"UploadPart": {write: true, do: func(ctx context.Context, i *instance, key, upload string) error {
		_, err := i.core.PutObjectPart(ctx, "bkt", key, upload, 2, strings.NewReader(large), int64(len(large)), minio.PutObjectPartOptions{})
		return err
	}},
	"UploadPartCopy": {write: true, do: func(ctx context.Context, i *instance, key, upload string) error {
		_, err := i.core.CopyObjectPart(ctx, "bkt", "source", "bkt", key, upload, 2, 0, -1, nil)
		return err
	}},
	"CompleteMultipartUpload": {write: true, after: "part", do: func(ctx context.Context, i *instance, key, upload string) error {
		part := minio.CompletePart{PartNumber: 1, ETag: fmt.Sprintf("%x", md5.Sum([]byte("part")))}
		_, err := i.core.CompleteMultipartUpload(ctx, "bkt", key, upload, []minio.CompletePart{part}, minio.PutObjectOptions{})
		return err
	}},
	"AbortMultipartUpload": {write: true, do: func(ctx context.Context, i *instance, key, upload string) error {
		return i.core.AbortMultipartUpload(ctx, "bkt", key, upload)
	}},
	"PutBucketTagging": {write: true, do: func(ctx context.Context, i *instance, _, _ string) error {
		t, err := tags.NewTags(map[string]string{"a": "b"}, false)
		if err != nil {
			return err
		}
		return i.api.SetBucketTagging(ctx, "bkt", t)
	}},
}

func putTo(ctx context.Context, i *instance, key, body string) error {
	_, err := i.core.PutObject(ctx, "bkt", key, strings.NewReader(body), int64(len(body)), "", "", minio.PutObjectOptions{})
	return err
}

// prepare makes the object and the upload of a request.
func (i *instance) prepare(key string) (upload string) {
	i.Helper()
	i.put("bkt", key, "before")
	id, err := i.core.NewMultipartUpload(context.Background(), "bkt", key, minio.PutObjectOptions{})
	i.must(err)
	_, err = i.core.PutObjectPart(context.Background(), "bkt", key, id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
	i.must(err)
	return id
}

// names returns the requests' names, sorted.
func names() (out []string) {
	for n := range everyRequest {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Without a store reads go on, and each write of an object is refused such that clients retry,
// with nothing changed. What changes no object that can be read, as a part does, may go on.
func TestStoreAwayForEveryOperation(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	w.put("bkt", "source", "source")
	uploads := make(map[string]string)
	for _, n := range names() {
		uploads[n] = w.prepare(n)
	}
	w.full.Store(true)
	for _, n := range names() {
		r := everyRequest[n]
		err := r.do(context.Background(), w.instance, n, uploads[n])
		switch {
		case err == nil && r.after != "", err != nil && code(err) != "ServiceUnavailable":
			t.Errorf("%s without a store: %v", n, err)
		case err != nil && minio.ToErrorResponse(err).StatusCode != http.StatusServiceUnavailable:
			t.Errorf("%s without a store: %v", n, err)
		case err != nil && !r.write:
			t.Errorf("%s, which reads: %v", n, err)
		}
		if got := w.get("bkt", n); got != "before" {
			t.Errorf("%s was refused, and the object is %.30q", n, got)
		}
	}
}

// Whatever the storage does in the middle of an operation, its client is told the truth: what
// was answered with success is done, and what was not is done as a whole or not at all.
func TestStorageFaultsDuringEveryOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	srv := testenv.MinIO(t)
	proxy := testenv.StartProxy(t, srv.Endpoint)
	w.clusterAt("c1", srv, proxy.Endpoint())
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	w.put("bkt", "source", "source")
	for _, f := range []struct {
		name string
		each bool // the fault hits one request, and is made again for each
		do   func() (heal func())
	}{
		{"refused", false, func() func() { w.must(proxy.Refuse(true)); return proxy.Heal }},
		{"cut in the request's head", true, func() func() { proxy.CutAfter(testenv.Up, 100); return proxy.Heal }},
		{"cut in the request's body", true, func() func() { proxy.CutAfter(testenv.Up, 1<<20); return proxy.Heal }},
		{"cut before the answer", true, func() func() { proxy.CutAfter(testenv.Down, 0); return proxy.Heal }},
		{"cut in the answer", true, func() func() { proxy.CutAfter(testenv.Down, 200); return proxy.Heal }},
		{"slow", false, func() func() {
			proxy.Delay(testenv.Down, 50*time.Millisecond)
			proxy.Slow(testenv.Up, 1<<20)
			return proxy.Heal
		}},
		{"hanging", false, func() func() { proxy.Hang(true); return proxy.Heal }},
		{"paused", false, func() func() { srv.Pause(); return srv.Resume }},
		{"killed", false, func() func() { srv.Kill(); return func() { w.must(srv.Restart(context.Background())) } }},
	} {
		t.Run(f.name, func(t *testing.T) {
			if !f.each {
				w.during(t, f.name, f.do, names()...)
				return
			}
			for _, n := range names() {
				w.during(t, f.name, f.do, n)
			}
		})
	}
}

// during makes requests, all at once, while there is a fault, and looks at what came of them.
func (w *world) during(t *testing.T, fault string, do func() (heal func()), requests ...string) {
	t.Helper()
	errs, uploads := make([]error, len(requests)), make([]string, len(requests))
	for i, n := range requests {
		uploads[i] = w.prepare(fault + "/" + n)
	}
	heal := do()
	var all sync.WaitGroup
	for i, n := range requests {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			errs[i] = everyRequest[n].do(ctx, w.instance, fault+"/"+n, uploads[i])
		})
	}
	all.Wait()
	heal()
	for i, n := range requests {
		w.came(t, n, fault+"/"+n, errs[i])
	}
}

// came holds what came of a request against what its client was told.
func (w *world) came(t *testing.T, n, key string, err error) {
	t.Helper()
	after := everyRequest[n].after
	if status := minio.ToErrorResponse(err).StatusCode; status != 0 && status < 500 || errors.Is(err, errMixed) {
		t.Errorf("%s: %v", n, err)
	}
	var got string
	w.await("the storage is back after "+n, func() bool {
		got = w.get("bkt", key)
		return got != "SlowDown" && got != "InternalError" && got != "ServiceUnavailable"
	})
	switch {
	case got != "before" && (after == "" || got != after):
		t.Errorf("after %s (%v) the object is %.30q of %d bytes", n, err, got, len(got))
	case err == nil && after != "" && got != after:
		t.Errorf("%s succeeded, and the object is %.30q", n, got)
	}
}

// errMixed: what was read was never written.
var errMixed = errors.New("another content, without an error")

// A chunk whose signature is wrong ends the upload, however much of it passed before: nothing is
// stored.
func TestWrongChunkSignatureMidStream(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	body := bytes.Repeat([]byte("0123456789abcdef"), 6<<20/16)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, w.server.URL+"/bkt/k", bytes.NewReader(body))
	w.must(err)
	req = signer.StreamingSignV4(req, testKey, testSecret, "", defaultRegion, int64(len(body)), time.Now().UTC(), hasher{sha256.New()})
	sent, err := io.ReadAll(req.Body)
	w.must(err)
	for name, change := range map[string]func(wire []byte) []byte{
		"content": func(wire []byte) []byte { wire[len(wire)/2] ^= 1; return wire },
		"signature": func(wire []byte) []byte {
			at := len(wire)/2 + bytes.Index(wire[len(wire)/2:], []byte("chunk-signature=")) + len("chunk-signature=")
			wire[at] = map[bool]byte{true: '0', false: '1'}[wire[at] == '1']
			return wire
		},
		"a chunk left out": func(wire []byte) []byte {
			head := []byte("10000;chunk-signature=")
			from := len(wire)/2 + bytes.Index(wire[len(wire)/2:], head)
			to := from + 1 + bytes.Index(wire[from+1:], head)
			return append(wire[:from:from], wire[to:]...)
		},
	} {
		wire := change(bytes.Clone(sent))
		r := req.Clone(context.Background())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(wire)), int64(len(wire))
		answer := httptest.NewRecorder()
		w.handler.serve(answer, r)
		if answer.Code/100 != 4 {
			t.Errorf("%s: %d %.200s", name, answer.Code, answer.Body)
		}
		if got := w.get("bkt", "k"); got != "NoSuchKey" {
			t.Errorf("%s: stored %d bytes", name, len(got))
		}
	}
}

// hasher is what minio-go's signer wants.
type hasher struct{ hash.Hash }

func (hasher) Close() {}
