package s3gateway

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
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

// uploader is a call about an upload in parts.
type uploader struct{ writer }

// inParts makes an uploader of the call of an operation.
func inParts(run func(uploader) error) func(*call) error {
	return func(c *call) error { return run(uploader{writer{reader{c}}}) }
}

// theUpload returns where the request's upload is. One at a storage that users no longer write
// in is no upload: what was completed there would not be seen.
func (c uploader) theUpload() (cluster, id string, err error) {
	cluster, id, ok := decodeUpload(c.query.Get("uploadId"))
	if !ok || !c.router().Snapshot().Writer(c.bucket, c.key, cluster) {
		return "", "", noSuchUpload()
	}
	return cluster, id, nil
}

// createUpload answers CreateMultipartUpload.
func createUpload(c uploader) error {
	if err := checkHeaders(c.r.Header); err != nil {
		return err
	}
	return c.placed(c.key, func(cluster string) error {
		out, err := c.write(cluster, &storage.Forward{
			Name: c.op.name, Method: http.MethodPost, Bucket: c.bucket, Key: c.key,
			Query: url.Values{"uploads": {""}}, Header: requestHeaders(c.r.Header),
		}, nil)
		if err != nil {
			return err
		}
		return c.unfinished(cluster, out.Status, out.Header, out.Body)
	})
}

// unfinished passes on an answer about an upload, names translated.
func (c uploader) unfinished(cluster string, status int, h http.Header, body []byte) error {
	body, err := rewriteXML(body, c.uploadNames(cluster))
	if err != nil {
		return unreadable(err)
	}
	answerHeaders(c.w.Header(), h)
	c.w.Header().Del("Content-Length")
	c.writeBody(status, "application/xml", body)
	return nil
}

// uploadNames translates what names buckets and uploads.
func (c uploader) uploadNames(cluster string) map[string]func(string) string {
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

func (c uploader) partQuery(id string) (url.Values, error) {
	n, err := strconv.Atoi(c.query.Get("partNumber"))
	if err != nil || n < 1 || n > maxParts {
		return nil, badRequest("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", maxParts)
	}
	return url.Values{"partNumber": {strconv.Itoa(n)}, "uploadId": {id}}, nil
}

// uploadPart answers UploadPart.
func uploadPart(c uploader) error {
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

// completeUpload answers CompleteMultipartUpload.
func completeUpload(c uploader) error {
	cluster, id, err := c.theUpload()
	if err != nil {
		return err
	}
	b, err := c.readBody(maxCompleteXML)
	if err != nil {
		return err
	}
	if err := checkParts(b); err != nil {
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
	return c.written(cluster, out, c.uploadNames(cluster))
}

// completed is the body of CompleteMultipartUpload.
type completed struct {
	XMLName xml.Name        `xml:"CompleteMultipartUpload"`
	Parts   []completedPart `xml:"Part"`
}

type completedPart struct {
	PartNumber int
	ETag       string
}

// checkParts judges the list of parts as S3 does: storages differ in what they say of a bad one.
func checkParts(doc []byte) error {
	var list completed
	if err := parseXML(doc, &list); err != nil {
		return err
	}
	if n := len(list.Parts); n == 0 || n > maxParts {
		return malformedXML(fmt.Errorf("%d parts", n))
	}
	last := 0
	for _, p := range list.Parts {
		if p.PartNumber == 0 || p.ETag == "" {
			return malformedXML(errors.New("a part without its number or its ETag"))
		}
		if p.PartNumber < 0 || p.PartNumber > maxParts {
			return badRequest("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", maxParts)
		}
		if p.PartNumber <= last {
			return badRequest("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
		}
		last = p.PartNumber
	}
	return nil
}

// abortUpload answers AbortMultipartUpload.
func abortUpload(c uploader) error {
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
func listParts(c uploader) error {
	cluster, id, err := c.theUpload()
	if err != nil {
		return err
	}
	query := pick(c.query, []string{"max-parts", "part-number-marker", "encoding-type"})
	query.Set("uploadId", id)
	return c.listAt(cluster, query, c.uploadNames(cluster))
}

// listAt passes on a listing of uploads or parts.
func (c uploader) listAt(cluster string, query url.Values, text map[string]func(string) string) error {
	f := storage.Forward{
		Name: c.op.name, Method: http.MethodGet, Bucket: c.bucket, Key: c.key, Query: query, Header: requestHeaders(c.r.Header),
	}
	a, body, err := c.page(&routing.Holder{Cluster: cluster, Primary: true}, f)
	if err != nil {
		return err
	}
	if body, err = rewriteXML(body, text); err != nil {
		return unreadable(err)
	}
	answerHeaders(c.w.Header(), a.Header)
	c.writeBody(a.Status, "application/xml", body)
	return nil
}
