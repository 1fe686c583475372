package s3gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/fado-project/fado/s3gateway/internal/wire"
)

// Conditions are the storage's to judge, and are judged where ETags are the primary's.
func TestConditions(t *testing.T) {
	t.Parallel()
	w := two(t, func(h *Handler) { h.Cluster = "c2" })
	info := w.put("bkt", "k", "one")
	ctx := context.Background()
	put := func(change func(*minio.PutObjectOptions)) string {
		o := minio.PutObjectOptions{}
		change(&o)
		_, err := w.core.PutObject(ctx, "bkt", "k", strings.NewReader("two"), 3, "", "", o)
		return code(err)
	}
	if got := put(func(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") }); got != "PreconditionFailed" {
		t.Errorf("If-None-Match *: %q", got)
	}
	if got := put(func(o *minio.PutObjectOptions) { o.SetMatchETag("0123456789abcdef0123456789abcdef") }); got != "PreconditionFailed" {
		t.Errorf("If-Match of another: %q", got)
	}
	if got := put(func(o *minio.PutObjectOptions) { o.SetMatchETag(info.ETag) }); got != "" {
		t.Errorf("If-Match: %q", got)
	}
	get := func(h http.Header) int {
		status, _, _ := w.do(http.MethodGet, "/bkt/k", h, "")
		return status
	}
	if got := get(http.Header{"If-None-Match": {`"` + info.ETag + `"`}}); got != http.StatusOK {
		t.Errorf("If-None-Match of the former: %d", got)
	}
	st, err := w.api.StatObject(ctx, "bkt", "k", minio.StatObjectOptions{})
	w.must(err)
	if got := get(http.Header{"If-None-Match": {`"` + st.ETag + `"`}}); got != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", got)
	}
	if got := get(http.Header{"If-Match": {`"` + info.ETag + `"`}}); got != http.StatusPreconditionFailed {
		t.Errorf("If-Match of the former: %d", got)
	}
	if got := get(http.Header{"Range": {"bytes=100-"}}); got != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a range behind the end: %d", got)
	}
}

// A bucket's history is one, whichever copy answers.
func TestVersions(t *testing.T) {
	t.Parallel()
	w := two(t, func(h *Handler) { h.Cluster = "c2" })
	ctx := context.Background()
	w.must(w.api.EnableVersioning(ctx, "bkt"))
	if v, err := w.api.GetBucketVersioning(ctx, "bkt"); err != nil || !v.Enabled() {
		t.Errorf("versioning %+v %v", v, err)
	}
	w.await("the copy keeps versions", func() bool {
		v, err := w.direct(minioB.Server(t)).GetBucketVersioning(ctx, w.prefix+"bkt")
		return err == nil && v.Enabled()
	})
	one, two := w.put("bkt", "k", "one"), w.put("bkt", "k", "two")
	if one.VersionID == "" || one.VersionID == two.VersionID {
		t.Fatalf("versions %q %q", one.VersionID, two.VersionID)
	}
	w.awaitCopy("bkt", "k", "c2")
	w.must(w.api.RemoveObject(ctx, "bkt", "k", minio.RemoveObjectOptions{}))
	if got := w.get("bkt", "k"); got != "NoSuchKey" {
		t.Errorf("removed: %q", got)
	}
	o, _, _, err := w.core.GetObject(ctx, "bkt", "k", minio.GetObjectOptions{VersionID: one.VersionID})
	w.must(err)
	o.Close()
	var seen []string
	for o := range w.api.ListObjects(ctx, "bkt", minio.ListObjectsOptions{WithVersions: true}) {
		w.must(o.Err)
		seen = append(seen, fmt.Sprint(o.VersionID == one.VersionID, o.VersionID == two.VersionID, o.IsDeleteMarker))
		if o.IsDeleteMarker {
			w.must(w.api.RemoveObject(ctx, "bkt", "k", minio.RemoveObjectOptions{VersionID: o.VersionID}))
		}
	}
	slices.Sort(seen)
	if want := []string{"false false true", "false true false", "true false false"}; !slices.Equal(seen, want) {
		t.Errorf("versions %q", seen)
	}
	if got := w.get("bkt", "k"); got != "two" {
		t.Errorf("the marker removed: %q", got)
	}
	opts := minio.RemoveObjectOptions{VersionID: two.VersionID}
	w.must(w.api.RemoveObject(ctx, "bkt", "k", opts))
	if got := w.get("bkt", "k"); got != "one" {
		t.Errorf("the version removed: %q", got)
	}
}

// Keys of every kind that the storage takes are kept as they are.
func TestKeys(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	keys := []string{
		"plain", "with space", "plus+sign", "per%20cent", "ünï/cödé/日本", "a&b=c", "q?x=1", "hash#tag", "tilde~", "quote\"'",
		"semi;colon", "at@colon:", "back`tick", "(paren)[br]{cu}", "dot.", "...", "a/...", "trailing/", "!*'()", "$,|^", strings.Repeat("k", 200) + "/" + strings.Repeat("ü", 100),
	}
	for _, k := range keys {
		if strings.HasSuffix(k, "/") {
			w.put("bkt", k, "")
		} else {
			w.put("bkt", k, "content of "+k)
		}
	}
	slices.Sort(keys)
	if got := w.list("bkt", "", ""); !slices.Equal(got, keys) {
		t.Errorf("listed\n%q, want\n%q", got, keys)
	}
	for _, k := range keys {
		if got := w.get("bkt", k); got != "content of "+k && !strings.HasSuffix(k, "/") {
			t.Errorf("%q: %q", k, got)
		}
	}
	for _, c := range []struct{ key, put, get string }{
		{"a//b", "InvalidArgument", "NoSuchKey"},
		{"/a", "InvalidArgument", "NoSuchKey"},
		{"a/../b", "InvalidArgument", "NoSuchKey"},
		{"./a", "InvalidArgument", "NoSuchKey"},
		{strings.Repeat("k", 1025), "KeyTooLongError", "KeyTooLongError"},
		{"bad\xff", "InvalidURI", "InvalidURI"},
	} {
		path := s3utils.EncodePath("/bkt/" + c.key)
		if c.key == "bad\xff" {
			path = "/bkt/bad%FF"
		}
		if _, _, body := w.do(http.MethodPut, path, nil, "x"); !strings.Contains(body, "<Code>"+c.put+"</Code>") {
			t.Errorf("put %.20q: %s", c.key, body)
		}
		if _, _, body := w.do(http.MethodGet, path, nil, ""); !strings.Contains(body, "<Code>"+c.get+"</Code>") {
			t.Errorf("get %.20q: %s", c.key, body)
		}
	}
}

// A checksum that follows the body is checked here, and kept by the storage.
func TestTrailingChecksum(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	ctx := context.Background()
	_, err := w.api.PutObject(ctx, "bkt", "k", strings.NewReader("content"), 7, minio.PutObjectOptions{Checksum: minio.ChecksumCRC64NVME, DisableMultipart: true})
	w.must(err)
	st, err := w.api.StatObject(ctx, "bkt", "k", minio.StatObjectOptions{Checksum: true})
	if err != nil || st.ChecksumCRC64NVME == "" {
		t.Errorf("%+v %v", st, err)
	}
	status, _, body := w.do(http.MethodPut, "/bkt/bad", http.Header{"X-Amz-Checksum-Crc32": {"AAAAAA=="}}, "content")
	if status != http.StatusBadRequest {
		t.Errorf("a wrong checksum: %d %s", status, body)
	}
	if got := w.get("bkt", "bad"); got != "NoSuchKey" {
		t.Errorf("a body with a wrong checksum was stored: %q", got)
	}
}

// Documents that are hostile are refused before anything is asked of a storage.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	w.put("bkt", "k", "x")
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>`
	many := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", maxDeletes+1) + "</Delete>"
	for what, c := range map[string]struct{ method, path, body, want string }{
		"entities":    {http.MethodPost, "/bkt?delete=", bomb, "MalformedXML"},
		"nothing":     {http.MethodPost, "/bkt?delete=", "", "MalformedXML"},
		"no keys":     {http.MethodPost, "/bkt?delete=", "<Delete></Delete>", "MalformedXML"},
		"too many":    {http.MethodPost, "/bkt?delete=", many, "MalformedXML"},
		"no document": {http.MethodPost, "/bkt?delete=", "<Delete><Object>", "MalformedXML"},
		"two":         {http.MethodPost, "/bkt?delete=", "<Delete><Object><Key>z</Key></Object></Delete><x/>", "MalformedXML"},
		"too long":    {http.MethodPut, "/bkt/k?tagging=", strings.Repeat(" ", wire.MaxSmallXML+1), "MaxMessageLengthExceeded"},
		"deep":        {http.MethodPut, "/bkt/k?tagging=", strings.Repeat("<a>", 100), "MalformedXML"},
		"part 0":      {http.MethodPut, "/bkt/k?partNumber=0&uploadId=" + url.QueryEscape(wire.EncodeUpload("c1", "x")), "x", "InvalidArgument"},
		"part 10001":  {http.MethodPut, "/bkt/k?partNumber=10001&uploadId=" + url.QueryEscape(wire.EncodeUpload("c1", "x")), "x", "InvalidArgument"},
		"no upload":   {http.MethodPut, "/bkt/k?partNumber=1&uploadId=" + url.QueryEscape(wire.EncodeUpload("c2", "x")), "x", "NoSuchUpload"},
		"a token":     {http.MethodGet, "/bkt?list-type=2&continuation-token=!", "", "InvalidArgument"},
		"max-keys":    {http.MethodGet, "/bkt?list-type=2&max-keys=-1", "", "InvalidArgument"},
		"encoding":    {http.MethodGet, "/bkt?encoding-type=rot13", "", "InvalidArgument"},
		"list-type":   {http.MethodGet, "/bkt?list-type=3", "", "InvalidArgument"},
	} {
		_, _, body := w.do(c.method, c.path, nil, c.body)
		if !strings.Contains(body, "<Code>"+c.want+"</Code>") || !strings.Contains(body, "<RequestId>") {
			t.Errorf("%s: %.300s, want %s", what, body, c.want)
		}
	}
	if got := w.get("bkt", "k"); got != "x" {
		t.Errorf("afterwards: %q", got)
	}
}

// What FaDO alone writes does not come from clients, and does not reach them.
func TestMarksAreFaDOs(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	status, _, body := w.do(http.MethodPut, "/bkt/k", http.Header{
		"X-Amz-Meta-Fado-Source-Etag": {"x"}, "X-Amz-Replication-Status": {"REPLICA"}, "X-Minio-Source-Etag": {"x"}, "X-Amz-Meta-Own": {"kept"},
	}, "x")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	st, err := w.direct(minioA.Server(t)).StatObject(context.Background(), w.prefix+"bkt", "k", minio.StatObjectOptions{})
	if err != nil || st.Metadata.Get("X-Amz-Meta-Fado-Source-Etag") != "" || st.ReplicationStatus != "" || st.Metadata.Get("X-Amz-Meta-Own") != "kept" {
		t.Errorf("%+v %v", st, err)
	}
}

// Tags, ACLs and attributes of an object.
func TestObjectParts(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	w.put("bkt", "k", "content")
	tags := "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
	if status, _, body := w.do(http.MethodPut, "/bkt/k?tagging=", nil, tags); status != http.StatusOK {
		t.Errorf("putting tags: %d %s", status, body)
	}
	for _, c := range []struct{ path, want string }{
		{"/bkt/k?tagging=", "<Value>b</Value>"},
		{"/bkt/k?acl=", "FULL_CONTROL"},
		{"/bkt?acl=", "FULL_CONTROL"},
		{"/bkt?location=", "LocationConstraint"},
		{"/bkt/none?acl=", "NoSuchKey"},
		{"/bkt?lifecycle=", "NotImplemented"},
		{"/bkt/k?torrent=", "NotImplemented"},
	} {
		if _, _, body := w.do(http.MethodGet, c.path, nil, ""); !strings.Contains(body, c.want) {
			t.Errorf("%s: %s", c.path, body)
		}
	}
	_, h, body := w.do(http.MethodGet, "/bkt/k?attributes=", http.Header{"X-Amz-Object-Attributes": {"ObjectSize,ETag"}}, "")
	if !strings.Contains(body, "<ObjectSize>7</ObjectSize>") {
		t.Errorf("attributes: %s %v", body, h)
	}
	w.await("the tags are in c2", func() bool {
		got, err := w.direct(minioB.Server(t)).GetObjectTagging(context.Background(), w.prefix+"bkt", "k", minio.GetObjectTaggingOptions{})
		return err == nil && got.ToMap()["a"] == "b"
	})
	_, _, acl := w.do(http.MethodGet, "/bkt/k?acl=", nil, "")
	if status, _, body := w.do(http.MethodPut, "/bkt/k?acl=", nil, acl); status != http.StatusOK {
		t.Errorf("the ACL written back: %d %s", status, body)
	}
	if status, _, body := w.do(http.MethodPut, "/bkt/k?acl=", http.Header{"X-Amz-Acl": {"private"}}, acl); status != http.StatusBadRequest || !strings.Contains(body, "UnexpectedContent") {
		t.Errorf("two ACLs: %d %s", status, body)
	}
	if status, _, body := w.do(http.MethodPut, "/bkt/k?acl=", nil, strings.Replace(acl, "<ID>fado</ID><DisplayName>fado</DisplayName></Grantee>", "<ID>x</ID></Grantee>", 1)); status != http.StatusBadRequest {
		t.Errorf("another grantee: %d %s", status, body)
	}
	if status, _, body := w.do(http.MethodPut, "/bkt/k?acl=", http.Header{"X-Amz-Acl": {"public-read"}}, ""); status != http.StatusBadRequest {
		t.Errorf("a public ACL: %d %s", status, body)
	}
}
