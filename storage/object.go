package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// Headers of user metadata and of MinIO's replication.
const (
	redirect      = "X-Amz-Website-Redirect-Location"
	replicaStatus = "X-Amz-Replication-Status"

	minioRequest      = "X-Minio-Source-Replication-Request"
	minioSourceETag   = "X-Minio-Source-Etag"
	minioSourceMTime  = "X-Minio-Source-Mtime"
	minioActualSize   = "X-Minio-Replication-Actual-Object-Size"
	minioDeleteMarker = "X-Minio-Source-Deletemarker"
)

// keptHeaders are what S3 keeps of an object beside its content, user metadata and
// tags (S3 API reference, PutObject; system-defined metadata that users set).
var keptHeaders = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
	"Content-Type", "Expires", redirect,
}

// Stat implements [Reader].
func (c objects) Stat(ctx context.Context, bucket, key string) (Object, error) {
	q := &s3.Request{Name: "HEAD", Method: http.MethodHead, Bucket: c.Physical(bucket), Key: key, Header: make(http.Header)}
	if c.who.CantHave(key) { // it would tell of another object
		return Object{}, c.wire.Fail(q, ErrNotFound, "it keeps nothing under such a key")
	}
	c.who.AskForTags(q.Header)
	h, err := c.wire.Head(ctx, q)
	if err != nil {
		return Object{}, explain404(ctx, c.conn, q, err)
	}
	o, err := parseObject(c.conn, q, bucket, h)
	if err != nil {
		return Object{}, err
	}
	tags, err := tagsOf(ctx, c.conn, bucket, key, o.VersionID, h)
	if err != nil {
		return Object{}, err
	}
	o.Attributes = attributes(h, tags)
	return o, nil
}

// explain404 finds out what a HEAD's 404 means where the storage did not say: it has
// no body, so a missing key, a missing bucket and another server at that address all
// look alike. A GET's answer names the reason.
func explain404(ctx context.Context, c *conn, q *s3.Request, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusNotFound || e.Code != "" {
		return err
	}
	g := &s3.Request{
		Name: "GET", Method: http.MethodGet, Bucket: q.Bucket, Key: q.Key,
		Header: http.Header{"Range": {"bytes=0-0"}},
	}
	_, err = c.wire.Call(ctx, g)
	if err == nil {
		return c.wire.Fail(q, ErrUnavailable, "HEAD says it is not there and GET that it is")
	}
	return err
}

// parseObject reads an object's headers.
func parseObject(c *conn, q *s3.Request, bucket string, h http.Header) (Object, error) {
	o := Object{Key: q.Key, VersionID: h.Get("X-Amz-Version-Id")}
	var err error
	if o.Size, err = strconv.ParseInt(h.Get("Content-Length"), 10, 64); err != nil {
		return o, c.wire.Fail(q, ErrUnavailable, "the answer is not S3's: no length")
	}
	if o.LastModified, err = http.ParseTime(h.Get("Last-Modified")); err != nil {
		return o, c.wire.Fail(q, ErrUnavailable, "the answer is not S3's: no Last-Modified")
	}
	o.ETag = sums.ETagOr(s3.TrimETag(h.Get("ETag")), o.Size, o.LastModified)
	o.Lock = lockOf(h)
	o.Replica = marked(h, bucket, o)
	if src, token, ok := parseStamp(h, bucket, q.Key); ok {
		o.Source, o.Token, o.Replica = src, token, true
	}
	return o, nil
}

// kept returns the headers of an object that a copy carries over.
func kept(h http.Header) http.Header {
	out := make(http.Header)
	for _, k := range keptHeaders {
		if v := h.Get(k); v != "" {
			out.Set(k, v)
		}
	}
	// Some servers keep the transfer coding of the upload.
	if v := dropToken(out.Get("Content-Encoding"), "aws-chunked"); v != "" {
		out.Set("Content-Encoding", v)
	} else {
		out.Del("Content-Encoding")
	}
	for k, v := range h {
		if strings.HasPrefix(k, metaPrefix) && !strings.HasPrefix(k, stampPrefix) && k != stampShort {
			out[k] = []string{strings.Join(v, ",")}
		}
	}
	return out
}

func dropToken(list, token string) string {
	parts := strings.Split(list, ",")
	parts = slices.DeleteFunc(parts, func(s string) bool { return strings.TrimSpace(s) == token })
	return strings.TrimSpace(strings.Join(parts, ","))
}

// attributes digests what a copy carries over beside the content.
func attributes(h http.Header, tags string) string {
	k := kept(h)
	names := make([]string, 0, len(k))
	for n := range k {
		names = append(names, n)
	}
	slices.Sort(names)
	sum := sha256.New()
	for _, n := range names {
		v := k.Get(n)
		// MinIO and AWS show metadata that is not ASCII encoded by RFC 2047, others as
		// it is.
		if plain, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
			v = plain
		}
		sum.Write([]byte(n + "\x00" + v + "\x00"))
	}
	sum.Write([]byte(tags))
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// tagsOf returns an object's tags as the value of X-Amz-Tagging, sorted; "" for
// none. It asks for them only where there are some.
func tagsOf(ctx context.Context, c *conn, bucket, key, version string, h http.Header) (string, error) {
	if n := h.Get("X-Amz-Tagging-Count"); n == "" || n == "0" {
		return "", nil
	}
	if t := h.Get("X-Amz-Tagging"); t != "" {
		v, err := url.ParseQuery(t)
		if err == nil {
			return encodeTags(v), nil
		}
	}
	v, err := c.wire.Tags(ctx, c.Physical(bucket), key, version)
	if err != nil {
		return "", err
	}
	return encodeTags(v), nil
}

func encodeTags(v url.Values) string { return strings.ReplaceAll(v.Encode(), "+", "%20") }
