package s3gateway

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// An upload's ID says which storage has it: its cluster's name and its ID there.

func encodeUpload(cluster, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte("1." + cluster + "." + id))
}

func decodeUpload(s string) (cluster, id string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(string(b), "1.")
	if !ok {
		return "", "", false
	}
	cluster, id, ok = strings.Cut(rest, ".")
	return cluster, id, ok && cluster != "" && id != ""
}

// theUpload returns where the request's upload is. One at a storage that users no longer write
// in is no upload: what was completed there would not be seen.
func (c *call) theUpload() (cluster, id string, err error) {
	cluster, id, ok := decodeUpload(c.query.Get("uploadId"))
	if !ok || !c.router().Snapshot().Writer(c.bucket, c.key, cluster) {
		return "", "", noSuchUpload()
	}
	return cluster, id, nil
}

// createUpload answers CreateMultipartUpload.
func createUpload(c *call) error {
	if err := checkHeaders(c.r.Header); err != nil {
		return err
	}
	cluster, err := c.writer(c.key)
	if err != nil {
		return err
	}
	out, err := c.write(cluster, &storage.Forward{
		Name: c.op.name, Method: http.MethodPost, Bucket: c.bucket, Key: c.key,
		Query: url.Values{"uploads": {""}}, Header: requestHeaders(c.r.Header),
	}, nil)
	if err != nil {
		return err
	}
	return c.unfinished(cluster, out.Status, out.Header, out.Body)
}

// unfinished passes on an answer about an upload, names translated.
func (c *call) unfinished(cluster string, status int, h http.Header, body []byte) error {
	body, err := rewriteXML(body, c.uploadNames(cluster))
	if err != nil {
		return slowDown(err, "The storage's answer could not be read. Please retry.")
	}
	answerHeaders(c.w.Header(), h)
	c.w.Header().Del("Content-Length")
	c.writeBody(status, "application/xml", body)
	return nil
}

// uploadNames translates what names buckets and uploads.
func (c *call) uploadNames(cluster string) map[string]func(string) string {
	bucket := func(string) string { return c.bucket }
	upload := func(id string) string { return encodeUpload(cluster, id) }
	return ownerNames(map[string]func(string) string{
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

// maxParts is the highest number of a part.
const maxParts = 10_000

func (c *call) partQuery(id string) (url.Values, error) {
	n, err := strconv.Atoi(c.query.Get("partNumber"))
	if err != nil || n < 1 || n > maxParts {
		return nil, badRequest("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", maxParts)
	}
	return url.Values{"partNumber": {strconv.Itoa(n)}, "uploadId": {id}}, nil
}

// uploadPart answers UploadPart.
func uploadPart(c *call) error {
	if err := checkHeaders(c.r.Header); err != nil {
		return err
	}
	cluster, id, err := c.theUpload()
	if err != nil {
		return err
	}
	query, err := c.partQuery(id)
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
	answerHeaders(c.w.Header(), out.Header)
	c.writeBody(out.Status, "", nil)
	return nil
}

// completeWait is how long a storage may take to assemble an upload.
const completeWait = 10 * time.Minute

// completeUpload answers CompleteMultipartUpload. It reads the storage's answer to its end
// first: a storage may begin with 200 and end in an error.
func completeUpload(c *call) error {
	cluster, id, err := c.theUpload()
	if err != nil {
		return err
	}
	f, err := c.document(maxCompleteXML, nil)
	if err != nil {
		return err
	}
	if f.Size == 0 {
		return malformedXML(nil)
	}
	f.Query, f.Wait = url.Values{"uploadId": {id}}, completeWait
	f.Header.Del("Content-Md5")
	out, err := c.write(cluster, f, []string{c.key})
	if err != nil {
		return err
	}
	if isError(out.Body) {
		return c.storageError(http.StatusInternalServerError, out.Header, strings.NewReader(string(out.Body)))
	}
	return c.written(cluster, out, c.uploadNames(cluster))
}

// isError reports whether a document is an error, whatever the status.
func isError(b []byte) bool {
	var root struct{ XMLName xml.Name }
	return xml.Unmarshal(b, &root) == nil && root.XMLName.Local == "Error"
}

// abortUpload answers AbortMultipartUpload.
func abortUpload(c *call) error {
	cluster, id, err := c.theUpload()
	if err != nil {
		return err
	}
	out, err := c.write(cluster, &storage.Forward{
		Name: c.op.name, Method: http.MethodDelete, Bucket: c.bucket, Key: c.key,
		Query: url.Values{"uploadId": {id}}, Header: requestHeaders(c.r.Header),
	}, nil)
	if err != nil {
		return err
	}
	answerHeaders(c.w.Header(), out.Header)
	c.writeBody(out.Status, "", nil)
	return nil
}

// listParts answers ListParts.
func listParts(c *call) error {
	cluster, id, err := c.theUpload()
	if err != nil {
		return err
	}
	query := pick(c.query, []string{"max-parts", "part-number-marker", "encoding-type"})
	query.Set("uploadId", id)
	return c.listAt(cluster, query, c.uploadNames(cluster))
}

// listAt passes on a listing of uploads or parts.
func (c *call) listAt(cluster string, query url.Values, text map[string]func(string) string) error {
	f := storage.Forward{
		Name: c.op.name, Method: http.MethodGet, Bucket: c.bucket, Key: c.key, Query: query, Header: requestHeaders(c.r.Header),
	}
	a, body, err := c.page(&routing.Holder{Cluster: cluster, Primary: true}, f)
	if err != nil {
		return err
	}
	if body, err = rewriteXML(body, text); err != nil {
		return slowDown(err, "The storage's answer could not be read. Please retry.")
	}
	answerHeaders(c.w.Header(), a.Header)
	c.writeBody(a.Status, "application/xml", body)
	return nil
}

// listUploads answers ListMultipartUploads: those at the bucket's primary.
func listUploads(c *call) error {
	cluster, err := c.writer(c.query.Get("prefix"))
	if err != nil {
		return err
	}
	query := pick(c.query, []string{"uploads", "prefix", "delimiter", "key-marker", "max-uploads", "encoding-type"})
	if marker := c.query.Get("upload-id-marker"); marker != "" {
		at, id, ok := decodeUpload(marker)
		if !ok || at != cluster {
			return badRequest("InvalidArgument", "Invalid uploadId marker")
		}
		query.Set("upload-id-marker", id)
	}
	upload := func(id string) string { return encodeUpload(cluster, id) }
	marker := func(id string) string {
		if id == "" {
			return ""
		}
		return upload(id)
	}
	return c.listAt(cluster, query, ownerNames(map[string]func(string) string{
		"ListMultipartUploadsResult/Bucket":             func(string) string { return c.bucket },
		"ListMultipartUploadsResult/UploadIdMarker":     marker,
		"ListMultipartUploadsResult/NextUploadIdMarker": marker,
		"ListMultipartUploadsResult/Upload/UploadId":    upload,
	}, "ListMultipartUploadsResult/Upload/Owner", "ListMultipartUploadsResult/Upload/Initiator"))
}
