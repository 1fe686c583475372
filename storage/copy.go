package storage

import (
	"bytes"
	"context"
	"crypto/md5" // S3 means MD5 by ETag and Content-MD5
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7/pkg/s3utils"
)

const (
	// smallObject is read into memory before it is sent: its checksum is known then,
	// and a connection that broke can be replaced without a sound.
	smallObject = 1 << 20
	// maxSingle is the largest object S3 takes in one request.
	maxSingle = 5 << 30
	maxKey    = 1024

	sdkChecksum    = "X-Amz-Sdk-Checksum-Algorithm" // of a request's body
	uploadChecksum = "X-Amz-Checksum-Algorithm"     // of a multipart upload's parts
)

// Copy copies one object as the caller saw it at src to dst, under the same key, and
// returns what is at dst then. Headers, user metadata and tags come along.
//
// It writes only if opts.If holds at dst; else, and when the object at src is no
// longer the one seen, it returns ErrPrecondition. It returns success only if dst
// acknowledged content that has the source's size and checksum. A failed copy leaves
// nothing at dst. [At] tells which of the two storages an error came from.
//
// Between two MinIOs version ID, ETag and modification time are preserved where the
// order of versions allows it, and dst raises no event; otherwise the source version
// is stamped into user metadata. See the package comment for what conditions are
// worth on which storage.
func Copy(ctx context.Context, src Reader, dst Writer, bucket string, o Object, opts CopyOptions) (Object, error) {
	s, err := clientOf(src)
	if err != nil {
		return Object{}, err
	}
	d, err := clientOf(dst)
	if err != nil {
		return Object{}, err
	}
	ctx, dog := watch(ctx, s.stallWait)
	defer dog.stop()
	t := &transfer{src: s, dst: d, bucket: bucket, obj: o, opts: opts, dog: dog}
	return t.run(ctx)
}

// transfer is one copy under way.
type transfer struct {
	src, dst *Client
	bucket   string
	obj      Object
	opts     CopyOptions
	dog      *watchdog

	from, to *provider
	state    versioningState // of the bucket at dst, if both are MinIO
	preserve bool            // version ID, ETag and time
	nullFree bool            // dst has no version of the key at all
	stamp    Source          // where nothing is preserved
	placed   placement       // among versions, where that is asked for
}

func (t *transfer) run(ctx context.Context) (Object, error) {
	if err := t.prepare(ctx); err != nil {
		return Object{}, err
	}
	var out Object
	var err error
	if t.inParts() {
		out, err = t.copyParts(ctx)
	} else {
		out, err = t.copyWhole(ctx)
	}
	if errors.Is(err, ErrNotFound) && At(err) == t.src.cfg.Name {
		return Object{}, fmt.Errorf("%w: it is gone: %w", ErrPrecondition, err)
	}
	return out, err
}

// prepare finds out how to write, and refuses what can't be written.
func (t *transfer) prepare(ctx context.Context) error {
	var err error
	if t.from, err = t.src.provider(ctx); err != nil {
		return err
	}
	if t.to, err = t.dst.provider(ctx); err != nil {
		return err
	}
	put := t.putRequest()
	switch why := t.to.refuse(t.obj.Key, t.obj.Size); {
	case why != "":
		return t.dst.fail(put, ErrRefused, "%s", why)
	case !utf8.ValidString(t.obj.Key) || t.obj.Key == "" || len(t.obj.Key) > maxKey:
		return t.dst.fail(put, ErrRefused, "not a key S3 knows")
	case t.obj.ETag == "":
		return t.src.fail(put, ErrRefused, "without an ETag it can't be told whether the object changes meanwhile")
	}
	t.preserve = t.from.preserve && t.to.preserve && !t.opts.Rewrite && !t.restamps()
	if t.preserve || t.to.preserve && t.opts.Version != nil {
		if t.state, err = t.dst.knownVersioning(ctx, t.bucket); err != nil {
			return err
		}
	}
	if t.opts.Version != nil {
		return t.place(ctx)
	}
	if t.preserve {
		if err := t.exactTime(ctx); err != nil {
			return err
		}
	}
	return t.checkBefore(ctx)
}

// exactTime makes the object's time exact to the millisecond. HEAD and GET tell
// whole seconds; listings and events more.
func (t *transfer) exactTime(ctx context.Context) error {
	if t.obj.LastModified.Nanosecond() != 0 {
		return nil
	}
	objs, _, _, err := t.src.Page(ctx, t.bucket, t.obj.Key, "", "", 1)
	if err != nil {
		return err
	}
	if len(objs) == 1 && objs[0].Key == t.obj.Key && objs[0].ETag == t.obj.ETag {
		t.obj.LastModified = objs[0].LastModified
	}
	return nil
}

// checkBefore looks at dst before the write where the write itself can't be made
// conditional: the storage knows no conditions, or it is a MinIO that is given a
// version ID, which looks for that version then and not for the current one. It also
// looks before a large object is moved in vain; some servers then reset the
// connection rather than say why.
//
// On such a MinIO nothing can be lost in between: a version that somebody adds stays,
// and stays on top if it is newer. If what is there now is not older than the
// source, the preserved time would put the copy below it; then the copy is a new
// version instead.
func (t *transfer) checkBefore(ctx context.Context) error {
	blind := t.preserve && t.state != unversioned
	if t.to.conditionalPut && !blind && t.obj.Size <= smallObject {
		return nil
	}
	cur, err := t.dst.current(ctx, t.bucket, t.obj.Key)
	if err != nil {
		return err
	}
	c := t.opts.If
	switch {
	case c.Absent && cur.etag != "":
		return t.dst.fail(t.putRequest(), ErrPrecondition, "something is there: ETag %s", cur.etag)
	case !c.Absent && c.IfETag != "" && cur.etag != c.IfETag:
		return t.dst.fail(t.putRequest(), ErrPrecondition, "ETag is %q, expected %q", cur.etag, c.IfETag)
	}
	if !blind {
		return nil
	}
	return t.checkOrder(ctx, cur)
}

// checkOrder gives up the preserved time, and with it the version ID, where the copy
// would come below what is there.
func (t *transfer) checkOrder(ctx context.Context, cur version) error {
	t.nullFree = cur.etag == "" && !cur.deleteMarker
	same := sameVersion(cur.id, t.obj.VersionID) && cur.etag == t.obj.ETag
	older := cur.etag != "" && cur.lastModified.Add(time.Second).Before(t.obj.LastModified)
	if t.nullFree || same || older {
		return nil
	}
	vs, err := t.dst.versionsOf(ctx, t.bucket, t.obj.Key, 1)
	if err != nil {
		return err
	}
	if len(vs) > 0 && !vs[0].lastModified.Before(t.obj.LastModified.Truncate(time.Millisecond)) {
		t.preserve = false
	}
	return nil
}

func (t *transfer) putRequest() *request {
	return &request{
		name: "PUT", method: http.MethodPut, bucket: t.dst.Physical(t.bucket), key: t.obj.Key,
		query: url.Values{}, dog: t.dog,
	}
}

// get opens the source object, or a part or range of it; it checks that it is the
// one the caller saw.
func (t *transfer) get(ctx context.Context, query url.Values, byteRange string) (*http.Response, error) {
	q := &request{
		name: "GET", method: http.MethodGet, bucket: t.src.Physical(t.bucket), key: t.obj.Key,
		query: query, header: http.Header{"If-Match": {quoteETag(t.obj.ETag)}}, dog: t.dog,
	}
	if byteRange != "" {
		q.header.Set("Range", byteRange)
	}
	t.askVersion(q)
	t.src.askForTags(q.header)
	resp, err := t.src.send(ctx, q)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Status == http.StatusRequestedRangeNotSatisfiable {
			e.kind = ErrPrecondition // another object, with fewer parts or bytes
		}
		return nil, err
	}
	if got := trimETag(resp.Header.Get("ETag")); got != t.obj.ETag {
		_ = resp.Body.Close()
		return nil, t.src.fail(q, ErrPrecondition, "ETag is %s, expected %s", got, t.obj.ETag)
	}
	if resp.ContentLength < 0 {
		_ = resp.Body.Close()
		return nil, t.src.fail(q, ErrUnavailable, "the answer has no length")
	}
	return resp, nil
}

// copyWhole copies with one GET and one PUT.
func (t *transfer) copyWhole(ctx context.Context) (Object, error) {
	resp, err := t.get(ctx, nil, "")
	if err != nil {
		return Object{}, err
	}
	defer resp.Body.Close()
	put := t.putRequest()
	if resp.ContentLength != t.obj.Size {
		return Object{}, t.src.fail(put, ErrPrecondition, "size is %d, expected %d", resp.ContentLength, t.obj.Size)
	}
	if put.header, err = t.describe(ctx, resp.Header); err != nil {
		return Object{}, err
	}
	t.placeVersion(put, resp.Header)
	t.setCondition(put.header)
	body := &sourceReader{t: t, ctx: ctx, r: resp.Body}
	check, err := t.prepareBody(put, body, resp.Header)
	if err != nil {
		return Object{}, err
	}
	t.dog.touch()
	h, err := t.dst.call(ctx, put)
	switch {
	case body.err != nil:
		return Object{}, body.err
	case err != nil:
		return t.afterRefusal(ctx, put, resp.Header, err)
	}
	if err := check(trimETag(h.Get("ETag"))); err != nil {
		return Object{}, err
	}
	return t.result(h), nil
}

// prepareBody sets the request's body and the checksum that dst is to check it by;
// the returned function checks the answer's ETag where dst checks nothing.
func (t *transfer) prepareBody(put *request, body io.Reader, h http.Header) (func(etag string) error, error) {
	put.size = t.obj.Size
	known := plainMD5(t.obj.ETag) && !encrypted(h)
	if put.size <= smallObject {
		return noCheck, t.bufferBody(put, body, known || (partsOf(t.obj.ETag) == 1 && !encrypted(h)))
	}
	put.body, put.askFirst = body, true
	switch {
	case known:
		// The source's own MD5: dst checks the whole way, and nobody here has to.
		sum, _ := hex.DecodeString(t.obj.ETag)
		put.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum))
	case t.to.trailers:
		put.trailing = true
		put.header.Set(sdkChecksum, "CRC32C")
	default:
		sum := md5.New()
		put.body = io.TeeReader(body, sum)
		return t.checkAnswer(put, sum), nil
	}
	return noCheck, nil
}

func noCheck(string) error { return nil }

func (t *transfer) bufferBody(put *request, body io.Reader, known bool) error {
	buf := make([]byte, t.obj.Size)
	if _, err := io.ReadFull(body, buf); err != nil {
		return err
	}
	sum := md5.Sum(buf)
	etag := hex.EncodeToString(sum[:])
	if partsOf(t.obj.ETag) == 1 {
		etag = fmt.Sprintf("%x-1", md5.Sum(sum[:]))
	}
	if known && etag != t.obj.ETag {
		return t.src.fail(put, ErrCorrupt, "by its content the ETag is %s, not %s", etag, t.obj.ETag)
	}
	put.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	put.body, put.replay = bytes.NewReader(buf), buf
	return nil
}

// checkAnswer compares the ETag of an answer with the MD5 of what was sent.
func (t *transfer) checkAnswer(put *request, sum hash.Hash) func(string) error {
	return func(etag string) error {
		if got := hex.EncodeToString(sum.Sum(nil)); plainMD5(etag) && got != etag {
			return t.dst.fail(put, ErrCorrupt, "ETag is %s, sent %s", etag, got)
		}
		return nil
	}
}

// encrypted says whether an answer is of an object whose ETag is not its MD5 for
// being encrypted (S3 API reference, "Object", ETag).
func encrypted(h http.Header) bool {
	return h.Get("X-Amz-Server-Side-Encryption") == "aws:kms" ||
		h.Get("X-Amz-Server-Side-Encryption") == "aws:kms:dsse" ||
		h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != ""
}

// describe makes the headers that describe the object: everything but content and
// condition.
func (t *transfer) describe(ctx context.Context, h http.Header) (http.Header, error) {
	out := kept(h)
	if class := h.Get("X-Amz-Storage-Class"); t.from == t.to && slices.Contains(t.to.classes, class) {
		out.Set("X-Amz-Storage-Class", class)
	}
	tags, err := t.src.tagsOf(ctx, t.bucket, t.obj.Key, h.Get("X-Amz-Version-Id"), h)
	if err != nil {
		return nil, err
	}
	if tags != "" {
		out.Set("X-Amz-Tagging", tags)
	}
	if t.to.preserve {
		out.Set(minioRequest, "true")
		out.Set(replicaStatus, "REPLICA")
	}
	if t.preserve {
		out.Set(minioSourceETag, t.obj.ETag)
		out.Set(minioSourceMTime, t.obj.LastModified.UTC().Format(time.RFC3339Nano))
	} else {
		t.stamp = Source{
			ETag: t.obj.ETag, VersionID: h.Get("X-Amz-Version-Id"), ModTime: t.obj.LastModified,
			Size: t.obj.Size, Attributes: attributes(h, tags),
		}
		if t.opts.Version != nil {
			t.stamp = t.opts.Version.stampOn(t.stamp)
		}
		setStamp(out, t.bucket, t.obj.Key, t.stamp)
		t.placed.setTime(out)
	}
	return out, nil
}

// placeVersion asks for the source's version ID. A null version is only written
// where there is no version at all: it would replace another null version for good.
func (t *transfer) placeVersion(q *request, h http.Header) {
	if t.placed.id != "" {
		q.query.Set("versionId", t.placed.id)
		return
	}
	if !t.preserve || t.state == unversioned {
		return
	}
	id := h.Get("X-Amz-Version-Id")
	if null := strings.HasSuffix(t.obj.Key, "/"); null || isNull(id) { // MinIO keeps one version of keys that end in /
		if !null && !t.nullFree {
			return
		}
		id = "null"
	}
	if t.state == suspended && id != "null" {
		return
	}
	q.query.Set("versionId", id)
}

// isNull says whether a version ID is that of the null version, which MinIO does not
// name in headers.
func isNull(id string) bool { return id == "" || id == "null" }

func sameVersion(a, b string) bool { return a == b || (isNull(a) && isNull(b)) }

func (t *transfer) setCondition(h http.Header) {
	if !t.to.conditionalPut || t.opts.Below || t.placed.overMarker {
		return
	}
	switch c := t.opts.If; {
	case c.Absent:
		h.Set("If-None-Match", "*")
	case c.IfETag != "":
		h.Set("If-Match", quoteETag(c.IfETag))
	}
}

// result is what is at dst after a successful write.
func (t *transfer) result(answer http.Header) Object {
	o := Object{
		Key: t.obj.Key, Size: t.obj.Size, ETag: trimETag(answer.Get("ETag")),
		VersionID: answer.Get("X-Amz-Version-Id"), Replica: true,
	}
	if t.preserve {
		o.LastModified = t.obj.LastModified
	} else {
		o.Source = t.stamp
		o.LastModified, _ = http.ParseTime(answer.Get("Date"))
	}
	return o
}

// afterRefusal looks at a write that dst refused for a condition. MinIO does so for a
// version it has already, too: then there is nothing to write but, perhaps, headers
// and tags.
func (t *transfer) afterRefusal(ctx context.Context, put *request, src http.Header, err error) (Object, error) {
	id := put.query.Get("versionId")
	if errors.Is(err, ErrPrecondition) && t.opts.Below {
		return t.obj, nil // it is there already
	}
	if !errors.Is(err, ErrPrecondition) || id == "" {
		return Object{}, t.refused(put, err)
	}
	o, serr := t.dst.Stat(ctx, t.bucket, t.obj.Key)
	if serr != nil {
		return Object{}, serr
	}
	if !sameVersion(o.VersionID, id) || o.ETag != t.obj.ETag {
		return Object{}, err
	}
	tags, serr := t.src.tagsOf(ctx, t.bucket, t.obj.Key, id, src)
	if serr != nil {
		return Object{}, serr
	}
	if o.Attributes == attributes(src, tags) && o.Replica {
		o.LastModified = t.obj.LastModified
		return o, nil
	}
	return t.updateAttributes(ctx, put)
}

// refused gives an error of a write its meaning.
func (t *transfer) refused(put *request, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Code == "NoSuchKey" && t.opts.If.IfETag != "":
		e.kind = ErrPrecondition // If-Match, and nothing is there
	case e.Code == "InvalidArgument" && put.query.Get("versionId") != "":
		t.dst.forgetVersioning(put.bucket) // it is not versioned any more
		e.kind = ErrUnavailable
	}
	return err
}

// updateAttributes rewrites the headers and tags of the version dst has already.
func (t *transfer) updateAttributes(ctx context.Context, put *request) (Object, error) {
	id := put.query.Get("versionId")
	q := t.putRequest()
	q.name, q.query, q.header = "COPY onto itself", url.Values{"versionId": {id}}, put.header.Clone()
	for _, k := range []string{"Content-Md5", "If-Match", "If-None-Match", sdkChecksum, uploadChecksum} {
		q.header.Del(k)
	}
	q.header.Set("X-Amz-Copy-Source", s3utils.EncodePath("/"+put.bucket+"/"+put.key)+"?versionId="+id)
	q.header.Set("X-Amz-Copy-Source-If-Match", quoteETag(t.obj.ETag))
	q.header.Set("X-Amz-Metadata-Directive", "REPLACE")
	q.header.Set("X-Amz-Tagging-Directive", "REPLACE")
	if _, err := t.dst.call(ctx, q); err != nil {
		return Object{}, err
	}
	return t.dst.Stat(ctx, t.bucket, t.obj.Key)
}

// sourceReader passes the source's bytes on. It asks the limiter, reports progress,
// and keeps the source's error, which the destination would only know as a broken
// upload.
type sourceReader struct {
	t   *transfer
	ctx context.Context
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 {
		if lerr := s.account(n); lerr != nil && err == nil {
			n, err = 0, lerr
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *sourceReader) account(n int) error {
	if limit := s.t.opts.Limit; limit != nil {
		s.t.dog.pause()
		err := limit(s.ctx, n)
		s.t.dog.resume()
		if err != nil {
			return fmt.Errorf("waiting for bandwidth: %w", err)
		}
	}
	if progress := s.t.opts.Progress; progress != nil {
		progress(int64(n))
	}
	return nil
}

func partQuery(uploadID string, part int) url.Values {
	return url.Values{"uploadId": {uploadID}, "partNumber": {strconv.Itoa(part)}}
}
