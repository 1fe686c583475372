package s3gateway

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/s3gateway/internal/sigv4"
	"github.com/fado-project/fado/storage"
)

// authenticateForm verifies the signed policy of a form, which is read up to its file.
func (s serving) authenticateForm() error {
	c := s.c
	if kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); kind != "multipart/form-data" {
		return fail(http.StatusPreconditionFailed, "PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data")
	}
	form, err := c.h.verifier().VerifyForm(c.r, c.bucket)
	if errors.Is(err, sigv4.ErrAnonymous) {
		return denied("Access Denied.")
	}
	if err != nil {
		return err
	}
	k, ok := c.h.accessKey(form.KeyID)
	if !ok {
		return denied("Access Denied.")
	}
	c.asker, c.form = k, form
	switch key := form.Fields["key"]; {
	case len(key) > maxKey:
		return badRequest("KeyTooLongError", "Your key is too long")
	case !utf8.ValidString(key), strings.ContainsRune(key, 0):
		return badRequest("InvalidArgument", "The key is not a text in UTF-8.")
	default:
		c.key = key
	}
	return nil
}

// postObject answers PostObject: a file that a browser sends by a form.
func postObject(c uploader) error {
	h, err := formHeaders(c.form.Fields)
	if err != nil {
		return err
	}
	status, err := formStatus(c.form.Fields["success_action_status"])
	if err != nil {
		return err
	}
	cluster, err := c.writePlace(c.key)
	if err != nil {
		return err
	}
	out, err := c.store(cluster, h, &countedReader{c.form.File, c.h.app})
	if err != nil {
		return err
	}
	return c.posted(status, token(cluster, c.bucket, c.key, out.Header), out.Header)
}

// formStatus reads success_action_status. What S3 does not know of is its default.
func formStatus(s string) (int, error) {
	switch s {
	case "200", "201":
		return strconv.Atoi(s)
	}
	return http.StatusNoContent, nil
}

// formHeaders are the fields of a form that belong to the object, as headers.
func formHeaders(fields map[string]string) (http.Header, error) {
	h := make(http.Header)
	for name, v := range fields {
		switch {
		case name == "acl":
			h.Set("X-Amz-Acl", v)
		case name == "tagging":
			tags, err := formTags(v)
			if err != nil {
				return nil, err
			}
			h.Set("X-Amz-Tagging", tags)
		case name == "content-md5", strings.HasPrefix(name, "x-amz-checksum-"): // verified here
		case strings.HasPrefix(name, "x-amz-meta-"), strings.HasPrefix(name, "x-amz-server-side-"), strings.HasPrefix(name, "x-amz-object-lock-"),
			name == "x-amz-storage-class", name == "x-amz-website-redirect-location",
			name == "cache-control", name == "expires", strings.HasPrefix(name, "content-"):
			h.Set(name, v)
		}
	}
	for name, values := range h {
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			return nil, badRequest("InvalidArgument", "The field %q can't be a header's name.", name)
		}
		if strings.ContainsFunc(values[0], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, badRequest("InvalidArgument", "The field %s holds a control character.", name)
		}
	}
	if err := checkSize(&http.Request{Header: h}); err != nil {
		return nil, err
	}
	return requestHeaders(h), checkHeaders(h)
}

// formTags reads a form's field tagging, which is a document, as the value of x-amz-tagging.
func formTags(doc string) (string, error) {
	var set tagSet
	if err := parseXML([]byte(doc), &set); err != nil {
		return "", err
	}
	return set.header(), nil
}

// posted answers a form as it asks for: with a redirection, a document or nothing.
func (c uploader) posted(status int, token string, of http.Header) error {
	h := c.w.Header()
	answerHeaders(h, of)
	for _, name := range []string{"Content-Length", "Content-Type"} {
		h.Del(name)
	}
	h.Set("X-Fado-Token", token)
	etag := of.Get("Etag")
	at := strings.TrimSuffix(c.location(), "/") + (&url.URL{Path: "/" + c.key}).EscapedPath()
	if to, ok := redirection(c.form.Fields, c.bucket, c.key, etag); ok {
		h.Set("Location", to)
		c.writeBody(http.StatusSeeOther, "", nil)
		return nil
	}
	h.Set("Location", at)
	if status != http.StatusCreated {
		c.writeBody(status, "", nil)
		return nil
	}
	c.writeXML(status, struct {
		XMLName                     xml.Name `xml:"PostResponse"`
		Location, Bucket, Key, ETag string
	}{Location: at, Bucket: c.bucket, Key: c.key, ETag: etag})
	return nil
}

// redirection is where a form leads its browser, with what was stored.
func redirection(fields map[string]string, bucket, key, etag string) (string, bool) {
	to := fields["success_action_redirect"]
	if to == "" {
		to = fields["redirect"] // its former name
	}
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", false
	}
	q := u.Query()
	q.Set("bucket", bucket)
	q.Set("key", key)
	q.Set("etag", etag)
	u.RawQuery = q.Encode()
	return u.String(), true
}

// store writes an object of unknown length: in one request if it is short, else in parts, so
// that no more than one part is in memory.
func (c uploader) store(cluster string, h http.Header, body io.Reader) (*replication.Written, error) {
	part := &filePart{room: c.h.forms}
	defer part.release()
	more, err := part.fill(c.ctx, body)
	if err != nil {
		return nil, err
	}
	if !more {
		for name, v := range c.form.Fields {
			if storage.KnownTrailer(http.CanonicalHeaderKey(name)) {
				h.Set(name, v) // a checksum, verified here, that the storage keeps
			}
		}
		return c.storePart(cluster, part, &storage.Forward{Header: h}, []string{c.key})
	}
	out, err := c.write(cluster, &storage.Forward{
		Name: c.op.name, Method: http.MethodPost, Bucket: c.bucket, Key: c.key, Header: h, Query: url.Values{"uploads": {""}},
	}, nil)
	if err != nil {
		return nil, err
	}
	var begun struct {
		UploadID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal(out.Body, &begun); err != nil || begun.UploadID == "" {
		return nil, unreadable(fmt.Errorf("an upload without an ID: %w", err))
	}
	out, err = c.storeParts(cluster, begun.UploadID, part, body)
	if err != nil {
		c.forget(cluster, begun.UploadID)
	}
	return out, err
}

// storePart makes a request whose body is what is held of a file, which is released.
func (c uploader) storePart(cluster string, part *filePart, f *storage.Forward, keys []string) (*replication.Written, error) {
	body := part.reader()
	f.Name, f.Method, f.Bucket, f.Key, f.Body, f.Size = c.op.name, http.MethodPut, c.bucket, c.key, body, int64(part.n)
	out, err := c.write(cluster, f, keys)
	_ = body.Close()
	part.release()
	return out, err
}

// storeParts uploads a part that is held and those that follow it.
func (c uploader) storeParts(cluster, id string, part *filePart, body io.Reader) (*replication.Written, error) {
	var doc completed
	for more := true; part.n > 0; {
		number := len(doc.Parts) + 1
		out, err := c.storePart(cluster, part, &storage.Forward{
			Query: url.Values{"partNumber": {strconv.Itoa(number)}, "uploadId": {id}},
		}, nil)
		if err != nil {
			return nil, err
		}
		doc.Parts = append(doc.Parts, completedPart{number, out.Header.Get("Etag")})
		if !more {
			break
		}
		if more, err = part.fill(c.ctx, body); err != nil {
			return nil, err
		}
	}
	return c.complete(cluster, id, &doc)
}

// complete makes an object of an upload's parts.
func (c uploader) complete(cluster, id string, doc *completed) (*replication.Written, error) {
	b, err := xml.Marshal(doc)
	if err != nil {
		return nil, err
	}
	out, err := c.write(cluster, &storage.Forward{
		Name: c.op.name, Method: http.MethodPost, Bucket: c.bucket, Key: c.key, Query: url.Values{"uploadId": {id}},
		Body: bytes.NewReader(b), Size: int64(len(b)), Wait: completeWait,
	}, []string{c.key})
	if err != nil {
		return nil, err
	}
	var done struct{ ETag string }
	if err := xml.Unmarshal(out.Body, &done); err != nil {
		return nil, unreadable(err)
	}
	out.Header.Set("Etag", done.ETag)
	return out, nil
}

// forgetWait is how long an upload that failed is tried to be removed.
const forgetWait = 10 * time.Second

// forget removes the parts of an upload that comes to nothing.
func (c uploader) forget(cluster, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), forgetWait)
	defer cancel()
	_, err := c.gateway.Write(ctx, replication.UserWrite{Passage: c.writing(cluster)}, &storage.Forward{
		Name: "AbortMultipartUpload", Method: http.MethodDelete, Bucket: c.bucket, Key: c.key, Query: url.Values{"uploadId": {id}},
	})
	if err != nil {
		c.h.log.Warn("the parts of a form's file stay until the storage removes unfinished uploads: " + err.Error())
	}
}
