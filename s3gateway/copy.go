package s3gateway

import (
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// copier is a call that makes something of an object: in a cluster, of a source.
type copier struct {
	c       writer
	src     wire.Source
	holders []routing.Holder // of the source
	to      string
}

// newCopier finds where the source can be read, and checks that the key may read it.
func newCopier(c writer, to string) (*copier, error) {
	s, err := wire.ParseSource(c.r.Header.Get(wire.CopySource))
	if err != nil {
		return nil, err
	}
	if !c.sees(s.Bucket) {
		return nil, s3err.Denied("Access Denied.")
	}
	f := content
	if s.Version != "" {
		f = history
	} else if conditional(c.r.Header, wire.CopySource+"-") {
		f = onlySame
	}
	holders, err := c.readers(routing.Input{Bucket: s.Bucket, Key: s.Key, Scope: routing.ScopeObject}, f)
	if err != nil {
		return nil, err
	}
	snap := c.router().Snapshot()
	if c.h.Cluster != "" && !snap.Of(s.Bucket).Allows(s.Key, c.h.Cluster) || !snap.Of(s.Bucket).Passes(s.Key) {
		rule, _ := snap.Of(s.Bucket).RuleOf(s.Key)
		return nil, s3err.Denied("The policy %q does not allow the source %s.", rule.Policy, c.where(rule.Policy))
	}
	return &copier{c: c, src: s, holders: holders, to: to}, nil
}

// inPlace reports whether the storage can copy by itself: it holds the current source.
func (k *copier) inPlace() bool {
	return slices.ContainsFunc(k.holders, func(h routing.Holder) bool { return h.Cluster == k.to })
}

// sourceHeader names the source to the storage.
func (k *copier) sourceHeader() string {
	c := k.c
	prefix := ""
	if cl := c.router().Snapshot().Cluster(k.to); cl != nil && cl.Storage != nil {
		prefix = cl.Storage.BucketPrefix
	}
	v := s3utils.EncodePath("/" + prefix + k.src.Bucket + "/" + k.src.Key)
	if k.src.Version != "" {
		v += "?versionId=" + url.QueryEscape(k.src.Version)
	}
	return v
}

// copyObject answers CopyObject.
func copyObject(w writer) error {
	if err := wire.CheckHeaders(w.r.Header); err != nil {
		return err
	}
	return w.placed(w.key, func(cluster string) error {
		k, err := newCopier(w, cluster)
		if err != nil {
			return err
		}
		if !k.inPlace() {
			return k.copyAcross(nil, "")
		}
		out, err := k.copyHere(nil, []string{w.key})
		if err != nil {
			return err
		}
		return w.written(k.to, out, nil)
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
	k, err := newCopier(u.c, cluster)
	if err != nil {
		return err
	}
	if !k.inPlace() {
		return k.copyAcross(query, u.c.r.Header.Get("X-Amz-Copy-Source-Range"))
	}
	out, err := k.copyHere(query, nil)
	if err != nil {
		return err
	}
	wire.AnswerHeaders(u.c.w.Header(), out.Header)
	u.c.w.Header().Del("Content-Length")
	u.c.writeBody(out.Status, "application/xml", out.Body)
	return nil
}

// copyHere has the storage copy by itself.
func (k *copier) copyHere(query url.Values, keys []string) (*replication.Written, error) {
	c := k.c
	source := &storage.Forward{Names: []string{k.src.Key}, Query: url.Values{"versionId": {k.src.Version}}}
	switch refuses, err := c.gateway.Refuses(c.ctx, k.to, source); {
	case err != nil:
		return nil, err
	case refuses:
		return nil, s3err.NoSuchKey(k.src.Key) // it can't be there
	}
	f := &storage.Forward{
		Name: c.op.name, Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Query: query,
		Header: wire.RequestHeaders(c.r.Header), Names: source.Names, Wait: completeWait,
	}
	f.Header.Set(wire.CopySource, k.sourceHeader())
	if len(keys) > 0 {
		if err := k.leaveStamp(f.Header); err != nil {
			return nil, err
		}
	}
	out, err := c.write(k.to, f, keys)
	own := f.Header.Get(sourceMatch) != c.r.Header.Get(sourceMatch) && !conditional(c.r.Header, "")
	if e, ok := errors.AsType[*s3err.Error](err); ok && own && e.Status == http.StatusPreconditionFailed {
		return nil, s3err.SlowDown(err, "The copy source was changed a moment ago; please try again.")
	}
	return out, err
}

// sourceMatch names the version that a copy is made of.
const sourceMatch = wire.CopySource + "-If-Match"

// leaveStamp has a copy of an object that FaDO brought to its storage carry its metadata but for
// the stamp. A stamp belongs to a key: carried to another and back it would tell the times of a
// version that is long gone.
func (k *copier) leaveStamp(to http.Header) error {
	itself := k.src.Bucket == k.c.bucket && k.src.Key == k.c.key && k.src.Version == ""
	if itself || strings.EqualFold(to.Get(metadataDirective), replace) {
		return nil // S3 takes no copy of an object to itself that changes nothing
	}
	here := slices.DeleteFunc(slices.Clone(k.holders), func(h routing.Holder) bool { return h.Cluster != k.to })
	a, _, err := k.c.askAny(here, k.sourceForward(http.MethodHead))
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.Status != http.StatusOK || !slices.ContainsFunc(slices.Collect(maps.Keys(a.Header)), storage.Stamped) {
		return nil // the storage says what is wrong with the source
	}
	maps.DeleteFunc(to, func(name string, _ []string) bool { return isKept(name) })
	for name, v := range a.Header {
		if isKept(name) && !storage.Stamped(name) {
			to[name] = v
		}
	}
	to.Set(metadataDirective, replace)
	to.Set(sourceMatch, a.Header.Get("Etag")) // the metadata are that version's
	return nil
}

// sourceForward asks for the source under the conditions of the copy.
func (k *copier) sourceForward(method string) storage.Forward {
	f := storage.Forward{Name: k.c.op.name, Method: method, Bucket: k.src.Bucket, Key: k.src.Key, Header: make(http.Header)}
	for _, cond := range conditions {
		if v := k.c.r.Header.Get(wire.CopySource + "-" + cond); v != "" {
			f.Header.Set(cond, v)
		}
	}
	if k.src.Version != "" {
		f.Query = url.Values{"versionId": {k.src.Version}}
	}
	return f
}

// copyResult is the answer to a copy.
type copyResult struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
}

// copyAcross streams the source from one storage to another; with a query, as a part of an
// upload.
func (k *copier) copyAcross(query url.Values, rng string) error {
	c := k.c
	a, err := k.openSource(rng)
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
		if f.Header, err = k.copiedHeaders(a.Header); err != nil {
			return err
		}
		keys, name = []string{c.key}, "CopyObjectResult"
	}
	out, err := c.write(k.to, f, keys)
	if err != nil {
		return err
	}
	if query == nil {
		c.w.Header().Set("X-Fado-Token", token(k.to, c.bucket, c.key, out.Header))
	}
	if v := a.Header.Get("X-Amz-Version-Id"); v != "" {
		c.w.Header().Set("X-Amz-Copy-Source-Version-Id", v)
	}
	if v := out.Header.Get("X-Amz-Version-Id"); v != "" {
		c.w.Header().Set("X-Amz-Version-Id", v)
	}
	c.writeXML(http.StatusOK, copyResult{
		XMLName: xml.Name{Space: wire.Namespace, Local: name}, ETag: out.Header.Get("Etag"),
		LastModified: c.h.now().UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	return nil
}

// openSource opens the source under the conditions of the copy.
func (k *copier) openSource(rng string) (*storage.Answer, error) {
	c := k.c
	f := k.sourceForward(http.MethodGet)
	f.Content = true
	if rng != "" {
		f.Header.Set("Range", rng)
	}
	a, _, err := c.askAny(k.holders, f)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Status == http.StatusNotModified:
		_ = a.Body.Close()
		return nil, s3err.New(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	case a.Status >= http.StatusBadRequest:
		defer a.Body.Close()
		return nil, k.sourceError(a)
	case a.Length < 0:
		_ = a.Body.Close()
		return nil, s3err.Unreadable(fmt.Errorf("no length"))
	case a.Length > maxSingle:
		_ = a.Body.Close()
		return nil, s3err.BadRequest("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(maxSingle))
	}
	storage.Original(a.Header, k.src.Bucket, k.src.Key)
	return a, nil
}

// maxSingle is the largest object that is copied or uploaded in one request.
const maxSingle = 5 << 30

func (k *copier) sourceError(a *storage.Answer) error {
	c := k.c
	if a.Status == http.StatusNotFound {
		return s3err.NoSuchKey(k.src.Key)
	}
	return c.storageError(a.Status, a.Header, a.Body)
}

// copiedHeaders are the headers of the new object: the source's or the request's, as the
// directives say.
func (k *copier) copiedHeaders(from http.Header) (http.Header, error) {
	c := k.c
	req := wire.RequestHeaders(c.r.Header)
	out := make(http.Header)
	for name, v := range req {
		if strings.HasPrefix(name, "If-") || strings.HasPrefix(name, "X-Amz-Object-Lock-") || name == "X-Amz-Storage-Class" ||
			strings.HasPrefix(name, "X-Amz-Server-Side-") {
			out[name] = v
		}
	}
	take := from
	if strings.EqualFold(c.r.Header.Get(metadataDirective), replace) {
		take = req
	}
	for name, v := range take {
		if isKept(name) {
			out[name] = v
		}
	}
	if strings.EqualFold(c.r.Header.Get("X-Amz-Tagging-Directive"), replace) {
		if v := req.Get("X-Amz-Tagging"); v != "" {
			out.Set("X-Amz-Tagging", v)
		}
		return out, nil
	}
	if n := from.Get("X-Amz-Tagging-Count"); n == "" || n == "0" {
		return out, nil
	}
	tags, err := k.tagsOf()
	if err == nil && tags != "" {
		out.Set("X-Amz-Tagging", tags)
	}
	return out, err
}

// metadataDirective says whether the new object has the source's headers or the request's.
const (
	metadataDirective = "X-Amz-Metadata-Directive"
	replace           = "REPLACE"
)

// isKept reports whether S3 keeps a header of an object.
func isKept(name string) bool {
	return strings.HasPrefix(name, wire.MetaPrefix) || slices.Contains(objectHeaders, name)
}

// objectHeaders are those that S3 keeps of an object beside its metadata.
var objectHeaders = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires", "X-Amz-Website-Redirect-Location",
}

// tagsOf reads the source's tags, as the value of x-amz-tagging.
func (k *copier) tagsOf() (string, error) {
	c := k.c
	f := storage.Forward{Name: "GetObjectTagging", Method: http.MethodGet, Bucket: k.src.Bucket, Key: k.src.Key, Query: url.Values{"tagging": {""}}}
	if k.src.Version != "" {
		f.Query.Set("versionId", k.src.Version)
	}
	a, _, err := c.askAny(k.holders, f)
	if err != nil {
		return "", err
	}
	body, err := c.readAnswer(a)
	if err != nil {
		return "", err
	}
	var set wire.TagSet
	if err := xml.Unmarshal(body, &set); err != nil {
		return "", s3err.Unreadable(err)
	}
	return set.Header(), nil
}
