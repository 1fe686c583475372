package s3gateway

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/fado-project/fado/replication"
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

// copier is a call that makes something of an object: in a cluster, of a source.
type copier struct {
	writer
	src source
	to  string
}

// copier finds where the source can be read, and checks that the key may read it.
func (c writer) copier(to string) (*copier, error) {
	s, err := parseSource(c.r.Header.Get(copySource))
	if err != nil {
		return nil, err
	}
	if !c.sees(s.bucket) {
		return nil, denied("Access Denied.")
	}
	f := content
	if s.version != "" {
		f = history
	} else if c.r.Header.Get("X-Amz-Copy-Source-If-Match") != "" || c.r.Header.Get("X-Amz-Copy-Source-If-None-Match") != "" {
		f = onlySame
	}
	s.holders, err = c.readers(routing.Input{Bucket: s.bucket, Key: s.key, Scope: routing.ScopeObject}, f)
	if err != nil {
		return nil, err
	}
	snap := c.router().Snapshot()
	if c.h.Cluster != "" && !snap.Allows(s.bucket, s.key, c.h.Cluster) || !snap.Passes(s.bucket, s.key) {
		rule, _ := snap.RuleOf(s.bucket, s.key)
		return nil, denied("The policy %q does not allow the source %s.", rule.Policy, c.where(rule.Policy))
	}
	return &copier{writer: c, src: s, to: to}, nil
}

// inPlace reports whether the storage can copy by itself: it holds the current source.
func (c *copier) inPlace() bool {
	return slices.ContainsFunc(c.src.holders, func(h routing.Holder) bool { return h.Cluster == c.to })
}

// sourceHeader names the source to the storage.
func (c *copier) sourceHeader() string {
	prefix := ""
	if cl := c.router().Snapshot().Cluster(c.to); cl != nil && cl.Storage != nil {
		prefix = cl.Storage.BucketPrefix
	}
	v := s3utils.EncodePath("/" + prefix + c.src.bucket + "/" + c.src.key)
	if c.src.version != "" {
		v += "?versionId=" + url.QueryEscape(c.src.version)
	}
	return v
}

// copyObject answers CopyObject.
func copyObject(w writer) error {
	if err := checkHeaders(w.r.Header); err != nil {
		return err
	}
	return w.placed(w.key, func(cluster string) error {
		c, err := w.copier(cluster)
		if err != nil {
			return err
		}
		if !c.inPlace() {
			return c.copyAcross(nil, "")
		}
		out, err := c.copyHere(nil, []string{c.key})
		if err != nil {
			return err
		}
		return c.written(c.to, out, nil)
	})
}

// uploadPartCopy answers UploadPartCopy.
func uploadPartCopy(u uploader) error {
	cluster, id, err := u.theUpload()
	if err != nil {
		return err
	}
	query, err := u.partQuery(id)
	if err != nil {
		return err
	}
	c, err := u.copier(cluster)
	if err != nil {
		return err
	}
	if !c.inPlace() {
		return c.copyAcross(query, c.r.Header.Get("X-Amz-Copy-Source-Range"))
	}
	out, err := c.copyHere(query, nil)
	if err != nil {
		return err
	}
	answerHeaders(c.w.Header(), out.Header)
	c.w.Header().Del("Content-Length")
	c.writeBody(out.Status, "application/xml", out.Body)
	return nil
}

// copyHere has the storage copy by itself.
func (c *copier) copyHere(query url.Values, keys []string) (*replication.Written, error) {
	f := &storage.Forward{
		Name: c.op.name, Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Query: query,
		Header: requestHeaders(c.r.Header), Wait: completeWait,
	}
	f.Header.Set(copySource, c.sourceHeader())
	return c.write(c.to, f, keys)
}

// copyResult is the answer to a copy.
type copyResult struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
}

// copyAcross streams the source from one storage to another; with a query, as a part of an
// upload.
func (c *copier) copyAcross(query url.Values, rng string) error {
	a, err := c.openSource(rng)
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
		if f.Header, err = c.copiedHeaders(a.Header); err != nil {
			return err
		}
		keys, name = []string{c.key}, "CopyObjectResult"
	}
	out, err := c.write(c.to, f, keys)
	if err != nil {
		return err
	}
	if query == nil {
		c.w.Header().Set("X-Fado-Token", token(c.to, c.bucket, c.key, out.Header))
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
func (c *copier) openSource(rng string) (*storage.Answer, error) {
	h := make(http.Header)
	for _, cond := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if v := c.r.Header.Get("X-Amz-Copy-Source-" + cond); v != "" {
			h.Set(cond, v)
		}
	}
	if rng != "" {
		h.Set("Range", rng)
	}
	f := storage.Forward{Name: c.op.name, Method: http.MethodGet, Bucket: c.src.bucket, Key: c.src.key, Header: h, Content: true}
	if c.src.version != "" {
		f.Query = url.Values{"versionId": {c.src.version}}
	}
	a, _, err := c.askAny(c.src.holders, f)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Status == http.StatusNotModified:
		_ = a.Body.Close()
		return nil, fail(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	case a.Status >= http.StatusBadRequest:
		defer a.Body.Close()
		return nil, c.sourceError(a)
	case a.Length < 0:
		_ = a.Body.Close()
		return nil, unreadable(fmt.Errorf("no length"))
	case a.Length > maxSingle:
		_ = a.Body.Close()
		return nil, badRequest("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(maxSingle))
	}
	storage.Original(a.Header, c.src.bucket, c.src.key)
	return a, nil
}

// maxSingle is the largest object that is copied or uploaded in one request.
const maxSingle = 5 << 30

func (c *copier) sourceError(a *storage.Answer) error {
	if a.Status == http.StatusNotFound {
		return noSuchKey(c.src.key)
	}
	return c.storageError(a.Status, a.Header, a.Body)
}

// copiedHeaders are the headers of the new object: the source's or the request's, as the
// directives say.
func (c *copier) copiedHeaders(from http.Header) (http.Header, error) {
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
	tags, err := c.tagsOf()
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
func (c *copier) tagsOf() (string, error) {
	f := storage.Forward{Name: "GetObjectTagging", Method: http.MethodGet, Bucket: c.src.bucket, Key: c.src.key, Query: url.Values{"tagging": {""}}}
	if c.src.version != "" {
		f.Query.Set("versionId", c.src.version)
	}
	a, _, err := c.askAny(c.src.holders, f)
	if err != nil {
		return "", err
	}
	body, err := c.readAnswer(a)
	if err != nil {
		return "", err
	}
	var set tagSet
	if err := xml.Unmarshal(body, &set); err != nil {
		return "", unreadable(err)
	}
	return set.header(), nil
}
