package s3gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/storage"
)

// putObject answers PutObject.
func putObject(c *call) error {
	if err := checkHeaders(c.r.Header); err != nil {
		return err
	}
	f, err := c.upload(nil)
	if err != nil {
		return err
	}
	return c.change(f, []string{c.key})
}

// putObjectPart answers what is changed of an object beside its content.
func putObjectPart(c *call) error {
	f, err := c.document(maxSmallXML, objectQuery)
	if err != nil {
		return err
	}
	return c.change(f, []string{c.key})
}

// deleteObject answers DeleteObject.
func deleteObject(c *call) error {
	return c.change(&storage.Forward{
		Name: c.op.name, Method: http.MethodDelete, Bucket: c.bucket, Key: c.key,
		Query: pick(c.query, []string{"versionId"}), Header: requestHeaders(c.r.Header),
	}, []string{c.key})
}

// upload is a request whose body streams through. The checksums that follow it follow it at the
// storage too, where that keeps them.
func (c *call) upload(query url.Values) (*storage.Forward, error) {
	v := c.verified
	if v.Length < 0 {
		return nil, fail(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	f := &storage.Forward{
		Name: c.op.name, Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Query: query,
		Header: requestHeaders(c.r.Header), Body: c.counted(v.Body), Size: v.Length,
	}
	name := http.CanonicalHeaderKey(strings.TrimSpace(c.r.Header.Get("X-Amz-Trailer")))
	if name == "" {
		return f, nil
	}
	if v.Length == 0 { // it is verified already
		if sum := v.Trailer(); sum != nil {
			f.Header.Set(name, sum.Get(name))
		}
		return f, nil
	}
	f.Trailers, f.TrailerNames = v.Trailer, []string{name}
	return f, nil
}

// counted counts what a client sends.
func (c *call) counted(r io.Reader) io.Reader { return &countedReader{r, c.h.app} }

type countedReader struct {
	r   io.Reader
	app App
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.app.CountS3Bytes("in", int64(n))
	return n, err
}

// document is a request whose body is short and was read whole, so that it is known to be
// right before anything is asked for.
func (c *call) document(limit int64, query []string) (*storage.Forward, error) {
	b, err := c.readBody(limit)
	if err != nil {
		return nil, err
	}
	f := &storage.Forward{
		Name: c.op.name, Method: c.r.Method, Bucket: c.bucket, Key: c.key,
		Query: pick(c.query, query), Header: requestHeaders(c.r.Header), Size: int64(len(b)),
	}
	if len(b) > 0 {
		if err := checkDepth(b); err != nil {
			return nil, malformedXML(err)
		}
		f.Body = strings.NewReader(string(b))
		setMD5(f.Header, b)
	}
	return f, nil
}

// change makes a request that changes keys where they are written, and passes its answer on.
func (c *call) change(f *storage.Forward, keys []string) error {
	cluster, err := c.writer(c.key)
	if err != nil {
		return err
	}
	out, err := c.write(cluster, f, keys)
	if err != nil {
		return err
	}
	return c.written(cluster, out, nil)
}

// write makes a request that may change something at a cluster.
func (c *call) write(cluster string, f *storage.Forward, keys []string) (*replication.Written, error) {
	out, err := c.gateway.Write(c.ctx, replication.UserWrite{
		Passage: c.writing(cluster), Keys: keys, Whole: len(keys) == 0 && f.Key == "",
	}, f)
	if err != nil {
		return nil, err
	}
	if out.Status/100 != 2 {
		return nil, c.storageError(out.Status, out.Header, strings.NewReader(string(out.Body)))
	}
	return out, nil
}

// written passes the answer to a write on, its body rewritten by text.
func (c *call) written(cluster string, out *replication.Written, text map[string]func(string) string) error {
	body := out.Body
	if len(body) > 0 && text != nil {
		var err error
		if body, err = rewriteXML(body, text); err != nil {
			return slowDown(err, "The storage's answer could not be read. Please retry.")
		}
	}
	if c.key != "" {
		if err := c.awaitCopies(cluster); err != nil {
			return err
		}
	}
	h := c.w.Header()
	answerHeaders(h, out.Header)
	h.Del("Content-Length")
	if c.key != "" {
		h.Set("X-Fado-Token", token(cluster, c.bucket, c.key, out.Header))
	}
	c.writeBody(out.Status, "", body)
	return nil
}

// ackPatience bounds how long an answer waits for more copies.
const ackPatience = time.Minute

// awaitCopies returns when as many copies as write_ack says have what was written. One has it
// already.
func (c *call) awaitCopies(written string) error {
	if c.h.WriteAck == ackOne {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, ackPatience)
	defer cancel()
	for {
		changed := c.control.Pending.Changed(c.bucket)
		have, want := 1, 0
		for _, cluster := range c.router().Snapshot().WantedIn(nil, c.bucket, c.key) {
			want++
			if cluster != written && c.has(cluster) {
				have++
			}
		}
		if have >= want || c.h.WriteAck != ackAll && have >= c.h.WriteAck {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return slowDown(ctx.Err(), "The write is stored, but not yet in %s copies. Please retry.", c.h.ack())
		}
	}
}

// has reports whether a cluster's copy has what was written to the call's key, whether or not it
// is a hit otherwise.
func (c *call) has(cluster string) bool {
	state, _, ok := c.router().Snapshot().CopyState(c.bucket, c.key, cluster)
	return ok && state == catalog.CopySynced && !c.router().Pending.Has(c.bucket, c.key, cluster)
}

// token names a write: where it was made, of which key, as which version. It is opaque to
// clients, who put it into X-FaDO-Token of an invocation.
func token(cluster, bucket, key string, h http.Header) string {
	name := sha256.Sum256([]byte(bucket + "/" + key))
	version := h.Get("X-Amz-Version-Id")
	if version == "" {
		version = strings.Trim(h.Get("Etag"), `"`)
	}
	if len(version) > 64 {
		version = version[:64]
	}
	return "1." + base64.RawURLEncoding.EncodeToString(name[:12]) + "." + cluster + "." + base64.RawURLEncoding.EncodeToString([]byte(version))
}

// maxErrorBody bounds what is read of a storage's error.
const maxErrorBody = 64 << 10

// storageError translates a storage's refusal: its code and its words, with this endpoint's
// names.
func (c *call) storageError(status int, h http.Header, body io.Reader) error {
	var said struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	raw, _ := io.ReadAll(io.LimitReader(body, maxErrorBody))
	if err := xml.Unmarshal(raw, &said); err != nil {
		said.Code, said.Message = h.Get("X-Minio-Error-Code"), strings.Trim(h.Get("X-Minio-Error-Desc"), `"`)
	}
	e := &Error{Status: status, Code: said.Code, Message: said.Message, cause: errors.New("the storage answered " + strconv.Itoa(status) + " " + said.Code)}
	switch {
	case e.Code == "NoSuchBucket":
		return slowDown(errNoPhysical, "The storage has no bucket of this name. Please retry.")
	case credentialCodes[e.Code]:
		// It is about FaDO's own request, not about the client's.
		return slowDown(e.cause, "The storage refuses the request. Please retry.")
	case e.Code == "NoSuchKey" || e.Code == "" && status == http.StatusNotFound && c.key != "":
		e = noSuchKey(c.key)
	case e.Code == "":
		e.Code, e.Message = codeOf(status), http.StatusText(status)
	}
	for _, name := range []string{"X-Amz-Delete-Marker", "X-Amz-Version-Id", "Etag", "Last-Modified"} {
		if v := h.Get(name); v != "" {
			c.w.Header().Set(name, v)
		}
	}
	if status == http.StatusServiceUnavailable {
		e.RetryAfter = retryAfter
	}
	return e
}

// credentialCodes are refusals of FaDO's own credentials or signature.
var credentialCodes = map[string]bool{
	"InvalidAccessKeyId": true, "SignatureDoesNotMatch": true, "RequestTimeTooSkewed": true, "ExpiredToken": true,
	"InvalidToken": true, "AuthorizationHeaderMalformed": true,
}

// codeOf is S3's code for answers that have none, those to HEAD.
func codeOf(status int) string {
	switch status {
	case http.StatusPreconditionFailed:
		return "PreconditionFailed"
	case http.StatusRequestedRangeNotSatisfiable:
		return "InvalidRange"
	case http.StatusForbidden:
		return "AccessDenied"
	case http.StatusMethodNotAllowed:
		return "MethodNotAllowed"
	case http.StatusServiceUnavailable:
		return "SlowDown"
	case http.StatusBadRequest:
		return "BadRequest"
	}
	return "InternalError"
}
