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
	"github.com/fado-project/fado/s3gateway/internal/forms"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/sigv4"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// authenticateForm verifies the signed policy of a form, which is read up to its file.
func (s serving) authenticateForm() error {
	c := s.c
	if kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); kind != "multipart/form-data" {
		return s3err.New(http.StatusPreconditionFailed, "PreconditionFailed", "Bucket POST must be of the enclosure-type multipart/form-data")
	}
	form, err := c.h.verifier().VerifyForm(c.r, c.bucket)
	if errors.Is(err, sigv4.ErrAnonymous) {
		return s3err.Denied("Access Denied.")
	}
	if err != nil {
		return err
	}
	k, ok := c.h.accessKey(form.KeyID)
	if !ok {
		return s3err.Denied("Access Denied.")
	}
	c.asker, c.form = k, form
	switch key := form.Fields["key"]; {
	case len(key) > maxKey:
		return s3err.BadRequest("KeyTooLongError", "Your key is too long")
	case !utf8.ValidString(key), strings.ContainsRune(key, 0):
		return s3err.BadRequest("InvalidArgument", "The key is not a text in UTF-8.")
	default:
		c.key = key
	}
	return nil
}

// postObject answers PostObject: a file that a browser sends by a form.
func postObject(u uploader) error {
	c := u.c
	h, err := forms.Headers(c.form.Fields)
	if err != nil {
		return err
	}
	status, err := forms.Status(c.form.Fields["success_action_status"])
	if err != nil {
		return err
	}
	cluster, err := c.writePlace(c.key)
	if err != nil {
		return err
	}
	out, err := u.store(cluster, h, &countedReader{c.form.File, c.h.app})
	if err != nil {
		return err
	}
	return u.posted(status, token(cluster, c.bucket, c.key, out.Header), out.Header)
}

// posted answers a form as it asks for: with a redirection, a document or nothing.
func (u uploader) posted(status int, token string, of http.Header) error {
	c := u.c
	h := c.w.Header()
	wire.AnswerHeaders(h, of)
	for _, name := range []string{"Content-Length", "Content-Type"} {
		h.Del(name)
	}
	h.Set("X-Fado-Token", token)
	etag := of.Get("Etag")
	at := strings.TrimSuffix(c.location(), "/") + (&url.URL{Path: "/" + c.key}).EscapedPath()
	if to, ok := forms.Redirection(c.form.Fields, c.bucket, c.key, etag); ok {
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

// store writes an object of unknown length: in one request if it is short, else in parts, so
// that no more than one part is in memory.
func (u uploader) store(cluster string, h http.Header, body io.Reader) (*replication.Written, error) {
	c := u.c
	part := c.h.forms.Part()
	defer part.Release()
	more, err := part.Fill(c.ctx, body)
	if err != nil {
		return nil, err
	}
	if !more {
		for name, v := range c.form.Fields {
			if storage.KnownTrailer(http.CanonicalHeaderKey(name)) {
				h.Set(name, v) // a checksum, verified here, that the storage keeps
			}
		}
		return u.storePart(cluster, part, &storage.Forward{Header: h}, []string{c.key})
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
		return nil, s3err.Unreadable(fmt.Errorf("an upload without an ID: %w", err))
	}
	out, err = u.storeParts(cluster, begun.UploadID, part, body)
	if err != nil {
		u.forget(cluster, begun.UploadID)
	}
	return out, err
}

// storePart makes a request whose body is what is held of a file, which is released.
func (u uploader) storePart(cluster string, part *forms.Part, f *storage.Forward, keys []string) (*replication.Written, error) {
	c := u.c
	body := part.Reader()
	f.Name, f.Method, f.Bucket, f.Key, f.Body, f.Size = c.op.name, http.MethodPut, c.bucket, c.key, body, int64(part.Len())
	out, err := c.write(cluster, f, keys)
	_ = body.Close()
	part.Release()
	return out, err
}

// storeParts uploads a part that is held and those that follow it.
func (u uploader) storeParts(cluster, id string, part *forms.Part, body io.Reader) (*replication.Written, error) {
	c := u.c
	var doc wire.Completed
	for more := true; part.Len() > 0; {
		number := len(doc.Parts) + 1
		out, err := u.storePart(cluster, part, &storage.Forward{
			Query: url.Values{"partNumber": {strconv.Itoa(number)}, "uploadId": {id}},
		}, nil)
		if err != nil {
			return nil, err
		}
		doc.Parts = append(doc.Parts, wire.CompletedPart{PartNumber: number, ETag: out.Header.Get("Etag")})
		if !more {
			break
		}
		if more, err = part.Fill(c.ctx, body); err != nil {
			return nil, err
		}
	}
	return u.complete(cluster, id, &doc)
}

// complete makes an object of an upload's parts.
func (u uploader) complete(cluster, id string, doc *wire.Completed) (*replication.Written, error) {
	c := u.c
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
		return nil, s3err.Unreadable(err)
	}
	out.Header.Set("Etag", done.ETag)
	return out, nil
}

// forgetWait is how long an upload that failed is tried to be removed.
const forgetWait = 10 * time.Second

// forget removes the parts of an upload that comes to nothing.
func (u uploader) forget(cluster, id string) {
	c := u.c
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), forgetWait)
	defer cancel()
	_, err := c.gateway.Write(ctx, replication.UserWrite{Passage: c.writing(cluster)}, &storage.Forward{
		Name: "AbortMultipartUpload", Method: http.MethodDelete, Bucket: c.bucket, Key: c.key, Query: url.Values{"uploadId": {id}},
	})
	if err != nil {
		c.h.log.Warn("the parts of a form's file stay until the storage removes unfinished uploads: " + err.Error())
	}
}
