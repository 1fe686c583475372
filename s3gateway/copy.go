package s3gateway

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// source is what a copy is made of.
type source struct {
	bucket, key, version string
	holders              []routing.Holder
}

// parseSource reads x-amz-copy-source: [/]bucket/key[?versionId=id], encoded as a URL.
func parseSource(v string) (source, error) {
	path, version, _ := strings.Cut(v, "?versionId=")
	path = strings.TrimPrefix(path, "/")
	if plain, err := url.PathUnescape(path); err == nil {
		path = strings.TrimPrefix(plain, "/")
	}
	if plain, err := url.QueryUnescape(version); err == nil {
		version = plain
	}
	bucket, key, _ := strings.Cut(path, "/")
	if bucket == "" || key == "" || strings.HasPrefix(v, "arn:") {
		return source{}, badRequest("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	return source{bucket: bucket, key: key, version: version}, nil
}

// source finds where a copy's source can be read, and checks that the key may read it.
func (c *call) source() (source, error) {
	s, err := parseSource(c.r.Header.Get(copySource))
	if err != nil {
		return s, err
	}
	if !c.key0.sees(s.bucket) {
		return s, denied("Access Denied.")
	}
	f := content
	if s.version != "" {
		f = history
	} else if c.r.Header.Get("X-Amz-Copy-Source-If-Match") != "" || c.r.Header.Get("X-Amz-Copy-Source-If-None-Match") != "" {
		f = onlySame
	}
	s.holders, err = c.readers(routing.Input{Bucket: s.bucket, Key: s.key, Scope: routing.ScopeObject}, f)
	if err != nil {
		return s, err
	}
	snap := c.router().Snapshot()
	if c.h.Cluster != "" && !snap.Allows(s.bucket, s.key, c.h.Cluster) {
		rule, _ := snap.RuleOf(s.bucket, s.key)
		return s, denied("The policy %q does not allow the source in cluster %s, where this endpoint is.", rule.Policy, c.h.Cluster)
	}
	return s, nil
}

// in reports whether a storage can copy by itself: it holds the current source.
func (s *source) in(cluster string) bool {
	return slices.ContainsFunc(s.holders, func(h routing.Holder) bool { return h.Cluster == cluster })
}

// header names the source to the storage of a cluster.
func (c *call) sourceHeader(s *source, cluster string) string {
	prefix := ""
	if cl := c.router().Snapshot().Cluster(cluster); cl != nil && cl.Storage != nil {
		prefix = cl.Storage.BucketPrefix
	}
	v := s3utils.EncodePath("/" + prefix + s.bucket + "/" + s.key)
	if s.version != "" {
		v += "?versionId=" + url.QueryEscape(s.version)
	}
	return v
}

// copyObject answers CopyObject.
func copyObject(c *call) error {
	if err := checkHeaders(c.r.Header); err != nil {
		return err
	}
	s, err := c.source()
	if err != nil {
		return err
	}
	cluster, err := c.writer(c.key)
	if err != nil {
		return err
	}
	if s.in(cluster) {
		f := &storage.Forward{
			Name: c.op.name, Method: http.MethodPut, Bucket: c.bucket, Key: c.key,
			Header: requestHeaders(c.r.Header), Wait: completeWait,
		}
		f.Header.Set(copySource, c.sourceHeader(&s, cluster))
		out, err := c.write(cluster, f, []string{c.key})
		if err != nil {
			return err
		}
		if isError(out.Body) {
			return c.storageError(http.StatusInternalServerError, out.Header, strings.NewReader(string(out.Body)))
		}
		return c.written(cluster, out, nil)
	}
	return c.copyAcross(&s, cluster, nil, "")
}

// uploadPartCopy answers UploadPartCopy.
func uploadPartCopy(c *call) error {
	cluster, id, err := c.theUpload()
	if err != nil {
		return err
	}
	query, err := c.partQuery(id)
	if err != nil {
		return err
	}
	s, err := c.source()
	if err != nil {
		return err
	}
	if !s.in(cluster) {
		return c.copyAcross(&s, cluster, query, c.r.Header.Get("X-Amz-Copy-Source-Range"))
	}
	f := &storage.Forward{
		Name: c.op.name, Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Query: query,
		Header: requestHeaders(c.r.Header), Wait: completeWait,
	}
	f.Header.Set(copySource, c.sourceHeader(&s, cluster))
	out, err := c.write(cluster, f, nil)
	if err != nil {
		return err
	}
	if isError(out.Body) {
		return c.storageError(http.StatusInternalServerError, out.Header, strings.NewReader(string(out.Body)))
	}
	answerHeaders(c.w.Header(), out.Header)
	c.w.Header().Del("Content-Length")
	c.writeBody(out.Status, "application/xml", out.Body)
	return nil
}

// copyResult is the answer to a copy.
type copyResult struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
}

// copyAcross streams the source from one storage to another; with a query, as a part of an
// upload.
func (c *call) copyAcross(s *source, cluster string, query url.Values, rng string) error {
	a, err := c.openSource(s, rng)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	f := &storage.Forward{
		Name: c.op.name, Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Query: query,
		Body: a.Body, Size: a.Length, Header: make(http.Header),
	}
	var keys []string
	name := "CopyPartResult"
	if query == nil {
		if f.Header, err = c.copiedHeaders(s, a.Header); err != nil {
			return err
		}
		keys, name = []string{c.key}, "CopyObjectResult"
	}
	out, err := c.write(cluster, f, keys)
	if err != nil {
		return err
	}
	if query == nil {
		if err := c.awaitCopies(cluster); err != nil {
			return err
		}
		c.w.Header().Set("X-Fado-Token", token(cluster, c.bucket, c.key, out.Header))
	}
	if v := a.Header.Get("X-Amz-Version-Id"); v != "" {
		c.w.Header().Set("X-Amz-Copy-Source-Version-Id", v)
	}
	if v := out.Header.Get("X-Amz-Version-Id"); v != "" {
		c.w.Header().Set("X-Amz-Version-Id", v)
	}
	c.writeXML(http.StatusOK, copyResult{
		XMLName: xml.Name{Space: namespace, Local: name}, ETag: out.Header.Get("Etag"),
		LastModified: c.h.now().UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	return nil
}

// openSource opens the source under the conditions of the copy.
func (c *call) openSource(s *source, rng string) (*storage.Answer, error) {
	h := make(http.Header)
	for _, cond := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if v := c.r.Header.Get("X-Amz-Copy-Source-" + cond); v != "" {
			h.Set(cond, v)
		}
	}
	if rng != "" {
		h.Set("Range", rng)
	}
	f := storage.Forward{Name: c.op.name, Method: http.MethodGet, Bucket: s.bucket, Key: s.key, Header: h, Content: true}
	if s.version != "" {
		f.Query = url.Values{"versionId": {s.version}}
	}
	a, _, err := c.askAny(s.holders, f)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Status == http.StatusNotModified:
		_ = a.Body.Close()
		return nil, fail(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	case a.Status >= http.StatusBadRequest:
		defer a.Body.Close()
		return nil, c.sourceError(s, a)
	case a.Length < 0:
		_ = a.Body.Close()
		return nil, slowDown(fmt.Errorf("no length"), "The storage's answer could not be read. Please retry.")
	case a.Length > maxSingle:
		_ = a.Body.Close()
		return nil, badRequest("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(maxSingle))
	}
	storage.Original(a.Header, s.bucket, s.key)
	return a, nil
}

// maxSingle is the largest object that is copied or uploaded in one request.
const maxSingle = 5 << 30

func (c *call) sourceError(s *source, a *storage.Answer) error {
	if a.Status == http.StatusNotFound {
		return noSuchKey(s.key)
	}
	return c.storageError(a.Status, a.Header, a.Body)
}

// copiedHeaders are the headers of the new object: the source's or the request's, as the
// directives say.
func (c *call) copiedHeaders(s *source, from http.Header) (http.Header, error) {
	req := requestHeaders(c.r.Header)
	out := make(http.Header)
	for name, v := range req {
		if strings.HasPrefix(name, "If-") || strings.HasPrefix(name, "X-Amz-Object-Lock-") || name == "X-Amz-Storage-Class" ||
			strings.HasPrefix(name, "X-Amz-Server-Side-") {
			out[name] = v
		}
	}
	take := from
	if strings.EqualFold(c.r.Header.Get("X-Amz-Metadata-Directive"), "REPLACE") {
		take = req
	}
	for name, v := range take {
		if strings.HasPrefix(name, "X-Amz-Meta-") || slices.Contains(objectHeaders, name) {
			out[name] = v
		}
	}
	if strings.EqualFold(c.r.Header.Get("X-Amz-Tagging-Directive"), "REPLACE") {
		if v := req.Get("X-Amz-Tagging"); v != "" {
			out.Set("X-Amz-Tagging", v)
		}
		return out, nil
	}
	if n := from.Get("X-Amz-Tagging-Count"); n == "" || n == "0" {
		return out, nil
	}
	tags, err := c.tagsOf(s)
	if err == nil && tags != "" {
		out.Set("X-Amz-Tagging", tags)
	}
	return out, err
}

// objectHeaders are those that S3 keeps of an object beside its metadata.
var objectHeaders = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires", "X-Amz-Website-Redirect-Location",
}

// tagsOf reads the source's tags, as the value of x-amz-tagging.
func (c *call) tagsOf(s *source) (string, error) {
	f := storage.Forward{Name: "GetObjectTagging", Method: http.MethodGet, Bucket: s.bucket, Key: s.key, Query: url.Values{"tagging": {""}}}
	if s.version != "" {
		f.Query.Set("versionId", s.version)
	}
	a, _, err := c.askAny(s.holders, f)
	if err != nil {
		return "", err
	}
	body, err := c.readAnswer(a)
	if err != nil {
		return "", err
	}
	var doc struct {
		Tags []struct{ Key, Value string } `xml:"TagSet>Tag"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil {
		return "", slowDown(err, "The storage's answer could not be read. Please retry.")
	}
	v := make(url.Values)
	for _, t := range doc.Tags {
		v.Set(t.Key, t.Value)
	}
	return strings.ReplaceAll(v.Encode(), "+", "%20"), nil
}
