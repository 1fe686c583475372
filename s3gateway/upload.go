package s3gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// uploader is a call about an upload in parts.
type uploader struct{ c writer }

// inParts makes an uploader of the call of an operation.
func inParts(run func(uploader) error) func(*call) error {
	return func(c *call) error { return run(uploader{writer{reader{c}}}) }
}

// theUpload returns where the request's upload is. One at a storage that users no longer write
// in is no upload: what was completed there would not be seen.
func (u uploader) theUpload() (cluster, id string, err error) {
	c := u.c
	cluster, id, ok := wire.DecodeUpload(c.query.Get("uploadId"))
	if !ok || !c.router().Snapshot().Of(c.bucket).Writer(c.key, cluster) {
		return "", "", s3err.NoSuchUpload()
	}
	refuses, err := c.gateway.Refuses(c.ctx, cluster, &storage.Forward{Query: url.Values{"uploadId": {id}}})
	if err == nil && refuses {
		err = s3err.NoSuchUpload() // the storage has never given it
	}
	return cluster, id, err
}

// createUpload answers CreateMultipartUpload.
func createUpload(u uploader) error {
	c := u.c
	if err := wire.CheckHeaders(c.r.Header); err != nil {
		return err
	}
	return c.placed(c.key, func(cluster string) error {
		out, err := c.write(cluster, &storage.Forward{
			Name: c.op.name, Method: http.MethodPost, Bucket: c.bucket, Key: c.key,
			Query: url.Values{"uploads": {""}}, Header: wire.RequestHeaders(c.r.Header),
		}, nil)
		if err != nil {
			return err
		}
		return u.unfinished(cluster, out.Status, out.Header, out.Body)
	})
}

// unfinished passes on an answer about an upload, names translated.
func (u uploader) unfinished(cluster string, status int, h http.Header, body []byte) error {
	c := u.c
	body, err := wire.RewriteXML(body, u.uploadNames(cluster))
	if err != nil {
		return s3err.Unreadable(err)
	}
	wire.AnswerHeaders(c.w.Header(), h)
	c.w.Header().Del("Content-Length")
	c.writeBody(status, "application/xml", body)
	return nil
}

// uploadNames translates what names buckets and uploads.
func (u uploader) uploadNames(cluster string) map[string]func(string) string {
	c := u.c
	bucket := func(string) string { return c.bucket }
	upload := func(id string) string { return wire.EncodeUpload(cluster, id) }
	return wire.OwnerNames(map[string]func(string) string{
		"InitiateMultipartUploadResult/Bucket":   bucket,
		"InitiateMultipartUploadResult/UploadId": upload,
		"ListPartsResult/Bucket":                 bucket,
		"ListPartsResult/UploadId":               upload,
		"CompleteMultipartUploadResult/Bucket":   bucket,
		"CompleteMultipartUploadResult/Location": func(string) string { return c.location() },
	}, "ListPartsResult/Owner", "ListPartsResult/Initiator")
}

// location is the URL of the call's object at this endpoint.
func (c *call) location() string {
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.r.Host + (&url.URL{Path: c.r.URL.Path}).EscapedPath()
}

func (u uploader) partQuery(id string) (url.Values, error) {
	c := u.c
	n, err := strconv.Atoi(c.query.Get("partNumber"))
	if err != nil || n < 1 || n > wire.MaxParts {
		return nil, s3err.BadRequest("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", wire.MaxParts)
	}
	return url.Values{"partNumber": {strconv.Itoa(n)}, "uploadId": {id}}, nil
}

// uploadPart answers UploadPart.
func uploadPart(u uploader) error {
	c := u.c
	if err := wire.CheckHeaders(c.r.Header); err != nil {
		return err
	}
	cluster, id, err := u.theUpload()
	if err != nil {
		return err
	}
	query, err := u.partQuery(id)
	if err != nil {
		return err
	}
	f, err := c.upload(query)
	if err != nil {
		return err
	}
	out, err := c.write(cluster, f, nil)
	if err != nil {
		return err
	}
	wire.AnswerHeaders(c.w.Header(), out.Header)
	c.writeBody(out.Status, "", nil)
	return nil
}

// completeWait is how long a storage may take to assemble an upload.
const completeWait = 10 * time.Minute

// completeUpload answers CompleteMultipartUpload.
func completeUpload(u uploader) error {
	c := u.c
	cluster, id, err := u.theUpload()
	if err != nil {
		return err
	}
	b, err := c.readBody(wire.MaxCompleteXML)
	if err != nil {
		return err
	}
	if err := wire.CheckParts(b); err != nil {
		return err
	}
	f, err := c.document(b, nil)
	if err != nil {
		return err
	}
	f.Query, f.Wait = url.Values{"uploadId": {id}}, completeWait
	f.Header.Del("Content-Md5")
	out, err := c.write(cluster, f, []string{c.key})
	if err != nil {
		return err
	}
	return c.written(cluster, out, u.uploadNames(cluster))
}

// abortUpload answers AbortMultipartUpload.
func abortUpload(u uploader) error {
	c := u.c
	cluster, id, err := u.theUpload()
	if err != nil {
		return err
	}
	out, err := c.write(cluster, &storage.Forward{
		Name: c.op.name, Method: http.MethodDelete, Bucket: c.bucket, Key: c.key,
		Query: url.Values{"uploadId": {id}}, Header: wire.RequestHeaders(c.r.Header),
	}, nil)
	if err != nil {
		return err
	}
	wire.AnswerHeaders(c.w.Header(), out.Header)
	c.writeBody(out.Status, "", nil)
	return nil
}

// listParts answers ListParts.
func listParts(u uploader) error {
	c := u.c
	cluster, id, err := u.theUpload()
	if err != nil {
		return err
	}
	query := wire.Pick(c.query, []string{"max-parts", "part-number-marker", "encoding-type"})
	query.Set("uploadId", id)
	return u.listAt(cluster, query, u.uploadNames(cluster))
}

// listAt passes on a listing of uploads or parts.
func (u uploader) listAt(cluster string, query url.Values, text map[string]func(string) string) error {
	c := u.c
	f := storage.Forward{
		Name: c.op.name, Method: http.MethodGet, Bucket: c.bucket, Key: c.key, Query: query, Header: wire.RequestHeaders(c.r.Header),
	}
	a, body, err := c.page(&routing.Holder{Cluster: cluster, Primary: true}, f)
	if err != nil {
		return err
	}
	if body, err = wire.RewriteXML(body, text); err != nil {
		return s3err.Unreadable(err)
	}
	wire.AnswerHeaders(c.w.Header(), a.Header)
	c.writeBody(a.Status, "application/xml", body)
	return nil
}
