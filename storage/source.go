package storage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/fado-project/fado/storage/s3"
)

// exactTime makes the object's time exact to the millisecond. HEAD and GET tell
// whole seconds; listings and events more.
func (t *source) exactTime(ctx context.Context) error {
	if t.obj.LastModified.Nanosecond() != 0 {
		return nil
	}
	objs, _, _, err := objects{t.src}.Page(ctx, t.bucket, t.obj.Key, "", "", 1)
	if err != nil {
		return err
	}
	if len(objs) == 1 && objs[0].Key == t.obj.Key && objs[0].ETag == t.obj.ETag {
		t.obj.LastModified = objs[0].LastModified
	}
	return nil
}

// askVersion makes a GET request exactly the version that is to be copied.
func (o CopyOptions) askVersion(q *s3.Request) {
	if !o.Below || o.Version.VersionID == "" {
		return
	}
	if q.Query == nil {
		q.Query = make(url.Values)
	}
	q.Query.Set("versionId", o.Version.VersionID)
}

// get opens the source object, or a part or range of it; it checks that it is the
// one the caller saw.
func (t *source) get(ctx context.Context, query url.Values, byteRange string) (*http.Response, error) {
	q := &s3.Request{
		Name: "GET", Method: http.MethodGet, Bucket: t.src.Physical(t.bucket), Key: t.obj.Key,
		Query: query, Header: make(http.Header), Dog: t.dog,
	}
	setIfMatch(q.Header, t.obj.ETag)
	if byteRange != "" {
		q.Header.Set("Range", byteRange)
	}
	t.opts.askVersion(q)
	t.src.who.AskForTags(q.Header)
	resp, err := t.src.wire.Object(ctx, q)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Status == http.StatusRequestedRangeNotSatisfiable {
			e.Kind = ErrPrecondition // another object, with fewer parts or bytes
		}
		return nil, err
	}
	if got, ok := answersFor(t.obj, resp.Header); !ok {
		_ = resp.Body.Close()
		return nil, t.src.wire.Fail(q, ErrPrecondition, "ETag is %s, expected %s", got, t.obj.ETag)
	}
	if resp.ContentLength < 0 {
		_ = resp.Body.Close()
		return nil, t.src.wire.Fail(q, ErrUnavailable, "the answer has no length")
	}
	return resp, nil
}

// head asks for the source object's headers, its stored checksum among them.
func (t *source) head(ctx context.Context) (http.Header, error) {
	q := &s3.Request{
		Name: "HEAD", Method: http.MethodHead, Bucket: t.src.Physical(t.bucket), Key: t.obj.Key,
		Header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}, Dog: t.dog,
	}
	t.opts.askVersion(q)
	t.src.who.AskForTags(q.Header)
	h, err := t.src.wire.Head(ctx, q)
	if err != nil {
		return nil, explain404(ctx, t.src, q, err)
	}
	if got, ok := answersFor(t.obj, h); !ok {
		return nil, t.src.wire.Fail(q, ErrPrecondition, "ETag is %s, expected %s", got, t.obj.ETag)
	}
	if got := h.Get("Content-Length"); got != strconv.FormatInt(t.obj.Size, 10) {
		return nil, t.src.wire.Fail(q, ErrPrecondition, "size is %s, expected %d", got, t.obj.Size)
	}
	return h, nil
}
