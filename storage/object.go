package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Headers of user metadata and of MinIO's replication.
const (
	metaPrefix    = "X-Amz-Meta-"
	stampETag     = metaPrefix + "Fado-Source-Etag"
	stampVersion  = metaPrefix + "Fado-Source-Version"
	stampModTime  = metaPrefix + "Fado-Source-Mtime"
	stampSize     = metaPrefix + "Fado-Source-Size"
	stampKey      = metaPrefix + "Fado-Source-Key"
	stampAttrs    = metaPrefix + "Fado-Source-Attributes"
	stampPrefix   = metaPrefix + "Fado-Source-"
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
	"Content-Type", "Expires", "X-Amz-Website-Redirect-Location",
}

// Stat implements [Storage].
func (c *Client) Stat(ctx context.Context, bucket, key string) (Object, error) {
	q := &request{name: "HEAD", method: http.MethodHead, bucket: c.Physical(bucket), key: key, header: make(http.Header)}
	c.askForTags(q.header)
	resp, err := c.send(ctx, q)
	if err != nil {
		return Object{}, c.explain404(ctx, q, err)
	}
	discard(resp)
	o, err := c.parseObject(q, bucket, resp.Header)
	if err != nil {
		return Object{}, err
	}
	tags, err := c.tagsOf(ctx, bucket, key, o.VersionID, resp.Header)
	if err != nil {
		return Object{}, err
	}
	o.Attributes = attributes(resp.Header, tags)
	return o, nil
}

// explain404 finds out what a HEAD's 404 means where the storage did not say: it has
// no body, so a missing key, a missing bucket and a stranger at that address all
// look alike. A GET's answer names the reason.
func (c *Client) explain404(ctx context.Context, q *request, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusNotFound || e.Code != "" {
		return err
	}
	g := &request{
		name: "GET", method: http.MethodGet, bucket: q.bucket, key: q.key,
		header: http.Header{"Range": {"bytes=0-0"}},
	}
	_, err = c.call(ctx, g)
	if err == nil {
		return c.fail(q, ErrUnavailable, "HEAD says it is not there and GET that it is")
	}
	return err
}

// parseObject reads an object's headers.
func (c *Client) parseObject(q *request, bucket string, h http.Header) (Object, error) {
	o := Object{Key: q.key, ETag: trimETag(h.Get("ETag")), VersionID: h.Get("X-Amz-Version-Id")}
	var err error
	if o.Size, err = strconv.ParseInt(h.Get("Content-Length"), 10, 64); err != nil {
		return o, c.fail(q, ErrUnavailable, "the answer is not S3's: no length")
	}
	if o.LastModified, err = http.ParseTime(h.Get("Last-Modified")); err != nil {
		return o, c.fail(q, ErrUnavailable, "the answer is not S3's: no Last-Modified")
	}
	if o.ETag == "" {
		return o, c.fail(q, ErrUnavailable, "the answer is not S3's: no ETag")
	}
	o.Replica = h.Get(replicaStatus) == "REPLICA"
	if src, ok := parseStamp(h, bucket, q.key); ok {
		o.Source, o.Replica = src, true
	}
	return o, nil
}

// stampOf binds a stamp to the key it was made for: users' own server-side copies
// carry the metadata along, and are theirs.
func stampOf(bucket, key string) string {
	sum := sha256.Sum256([]byte(bucket + "/" + key))
	return hex.EncodeToString(sum[:8])
}

func parseStamp(h http.Header, bucket, key string) (Source, bool) {
	if h.Get(stampKey) != stampOf(bucket, key) {
		return Source{}, false
	}
	s := Source{ETag: h.Get(stampETag), VersionID: h.Get(stampVersion), Attributes: h.Get(stampAttrs)}
	size, err := strconv.ParseInt(h.Get(stampSize), 10, 64)
	if err != nil || s.ETag == "" {
		return Source{}, false
	}
	s.Size = size
	s.ModTime, _ = time.Parse(time.RFC3339Nano, h.Get(stampModTime))
	return s, true
}

func setStamp(h http.Header, bucket, key string, s Source) {
	h.Set(stampETag, s.ETag)
	if s.VersionID != "" && s.VersionID != "null" {
		h.Set(stampVersion, s.VersionID)
	}
	h.Set(stampModTime, s.ModTime.UTC().Format(time.RFC3339Nano))
	h.Set(stampSize, strconv.FormatInt(s.Size, 10))
	h.Set(stampKey, stampOf(bucket, key))
	h.Set(stampAttrs, s.Attributes)
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
		if strings.HasPrefix(k, metaPrefix) && !strings.HasPrefix(k, stampPrefix) {
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

// askForTags makes MinIO put the tags into the answer.
func (c *Client) askForTags(h http.Header) {
	if p := c.who.Load(); p != nil && p.tagsInAnswer {
		h.Set("X-Amz-Tagging-Directive", "ACCESS")
	}
}

// tagsOf returns an object's tags as the value of X-Amz-Tagging, sorted; "" for
// none. It asks for them only where there are some.
func (c *Client) tagsOf(ctx context.Context, bucket, key, version string, h http.Header) (string, error) {
	if n := h.Get("X-Amz-Tagging-Count"); n == "" || n == "0" {
		return "", nil
	}
	if t := h.Get("X-Amz-Tagging"); t != "" {
		v, err := url.ParseQuery(t)
		if err == nil {
			return encodeTags(v), nil
		}
	}
	q := &request{
		name: "GET tags of", method: http.MethodGet, bucket: c.Physical(bucket), key: key,
		query: url.Values{"tagging": {""}},
	}
	if version != "" {
		q.query.Set("versionId", version)
	}
	resp, err := c.send(ctx, q)
	if err != nil {
		return "", err
	}
	defer discard(resp)
	var x struct {
		XMLName xml.Name                      `xml:"Tagging"`
		Tags    []struct{ Key, Value string } `xml:"TagSet>Tag"`
	}
	if err := xml.NewDecoder(resp.Body).Decode(&x); err != nil {
		return "", c.rubbish(q, err)
	}
	v := make(url.Values, len(x.Tags))
	for _, t := range x.Tags {
		v.Set(t.Key, t.Value)
	}
	return encodeTags(v), nil
}

func encodeTags(v url.Values) string { return strings.ReplaceAll(v.Encode(), "+", "%20") }

// Delete implements [Storage]. What is gone already is no error.
//
// On a versioned MinIO bucket the marker gets the time of the version it covers, a
// moment later, and raises no event. MinIO orders versions by time, so a version that
// somebody writes meanwhile stays on top, and one that follows at the source, whatever
// the two clocks say, comes on top.
func (c *Client) Delete(ctx context.Context, bucket, key, ifETag string) error {
	p, err := c.provider(ctx)
	if err != nil {
		return err
	}
	q := &request{name: "DELETE", method: http.MethodDelete, bucket: c.Physical(bucket), key: key, header: make(http.Header)}
	if p.conditionalDelete && ifETag != "" {
		q.header.Set("If-Match", quoteETag(ifETag))
	} else if gone, err := c.beforeDelete(ctx, p, q, bucket, ifETag); gone || err != nil {
		return err
	}
	_, err = c.call(ctx, q)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// beforeDelete checks the condition where the storage can't, and prepares a
// deletion that MinIO takes for a replica's.
func (c *Client) beforeDelete(ctx context.Context, p *provider, q *request, bucket, ifETag string) (gone bool, err error) {
	if p.preserve {
		q.header.Set(minioRequest, "true")
	}
	state := unversioned
	if p.preserve {
		if state, err = c.knownVersioning(ctx, bucket); err != nil {
			return false, err
		}
	}
	var cur version
	switch {
	case state != unversioned:
		cur, err = c.listedNow(ctx, bucket, q.key)
	case ifETag != "":
		cur, err = c.current(ctx, bucket, q.key)
	default:
		return false, nil
	}
	switch {
	case err != nil:
		return false, err
	case cur.etag == "":
		return true, nil
	case ifETag != "" && cur.etag != ifETag:
		return false, c.fail(q, ErrPrecondition, "ETag is %s, expected %s", cur.etag, ifETag)
	}
	if state != unversioned {
		q.header.Set(minioSourceMTime, cur.lastModified.Add(time.Millisecond).Format(time.RFC3339Nano))
		q.header.Set(replicaStatus, "REPLICA")
	}
	return false, nil
}

// current returns the current version of a key, with its time in whole seconds; an
// empty etag where there is none, and then whether a delete marker is why.
func (c *Client) current(ctx context.Context, bucket, key string) (version, error) {
	o, err := c.Stat(ctx, bucket, key)
	var e *Error
	if errors.Is(err, ErrNotFound) && errors.As(err, &e) {
		return version{deleteMarker: e.deleteMarker}, nil
	}
	return version{key: key, id: o.VersionID, etag: o.ETag, size: o.Size, lastModified: o.LastModified}, err
}

// listedNow returns the current version of a key as the listing shows it: exact to
// the millisecond, and for half of what a listing of versions costs. An empty etag
// means that there is none, or a delete marker.
func (c *Client) listedNow(ctx context.Context, bucket, key string) (version, error) {
	objs, _, _, err := c.Page(ctx, bucket, key, "", "", 1)
	if err != nil || len(objs) == 0 || objs[0].Key != key {
		return version{}, err
	}
	return version{key: key, etag: objs[0].ETag, size: objs[0].Size, lastModified: objs[0].LastModified}, nil
}

// DeleteAllVersions implements [Storage]. It raises no event where the storage has a
// way to say so.
func (c *Client) DeleteAllVersions(ctx context.Context, bucket, key string) error {
	p, err := c.provider(ctx)
	if err != nil {
		return err
	}
	h := make(http.Header)
	if p.preserve {
		h.Set(minioRequest, "true")
	}
	vs, err := c.versionsOf(ctx, bucket, key, 0)
	if errors.Is(err, ErrUnsupported) {
		vs, err = []version{{key: key}}, nil
	}
	if err != nil {
		return err
	}
	for _, v := range vs {
		q := &request{name: "DELETE version of", method: http.MethodDelete, bucket: c.Physical(bucket), key: key, header: h.Clone()}
		if v.id != "" {
			q.query = url.Values{"versionId": {v.id}}
		}
		if _, err := c.call(ctx, q); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

func quoteETag(s string) string { return `"` + s + `"` }
