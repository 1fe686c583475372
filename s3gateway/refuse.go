package s3gateway

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/sigv4"
	"github.com/fado-project/fado/storage"
)

// asError turns any error into what the client is told.
func (s serving) asError(err error) *s3err.Error {
	c := s.c
	if e, ok := errors.AsType[*s3err.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return s3err.Of(e)
	}
	if c.verified != nil && c.verified.Err != nil {
		if e, ok := errors.AsType[*s3err.Error](c.verified.Err()); ok {
			return e
		}
		if e, ok := errors.AsType[*sigv4.Error](c.verified.Err()); ok {
			return s3err.Of(e).Because(err)
		}
	}
	if gone, ok := errors.AsType[clientError](err); ok {
		return gone.refusal()
	}
	if c.ctx.Err() != nil && errors.Is(err, context.Canceled) { // the server noticed before a write to the client failed
		return clientError{err}.refusal()
	}
	if e := s.engineError(err); e != nil {
		return e.Because(err)
	}
	if e := controlError(err); e != nil {
		return e.Because(err)
	}
	return s3err.New(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.").Because(err)
}

// engineError translates what the engine and the storages refuse by.
func (s serving) engineError(err error) *s3err.Error {
	c := s.c
	switch {
	case errors.Is(err, replication.ErrForbidden), errors.Is(err, replication.ErrPath):
		return c.forbidden()
	case errors.Is(err, replication.ErrMoving):
		return s3err.SlowDown(err, "The bucket's primary is moving. Please retry.")
	case errors.Is(err, control.ErrCutOff), errors.Is(err, control.ErrClosed), errors.Is(err, replication.ErrStore):
		return s3err.New(http.StatusServiceUnavailable, "ServiceUnavailable", "Writes can't be recorded now. Please retry.").Later()
	case errors.Is(err, replication.ErrDown), errors.Is(err, storage.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return s3err.SlowDown(err, "The storage does not answer. Please retry.")
	case errors.Is(err, storage.ErrRefused):
		return s3err.BadRequest("InvalidArgument", "The storage of this bucket can't keep an object of this key, size or metadata.")
	case errors.Is(err, storage.ErrCorrupt):
		return s3err.BadRequest("IncompleteBody", "The request body terminated unexpectedly")
	}
	return nil
}

// forbidden names the policy that does not allow the object here.
func (c *call) forbidden() *s3err.Error {
	rule, ok := c.router().Snapshot().Of(c.bucket).RuleOf(c.key)
	if !ok {
		return s3err.NoSuchBucket(c.bucket)
	}
	return s3err.Denied("The policy %q does not allow this object %s.", rule.Policy, c.where(rule.Policy))
}

// where says which of the places that bytes pass here a policy does not allow.
func (c *call) where(policy string) string {
	snap := c.router().Snapshot()
	switch here := snap.Here(); {
	case c.h.Cluster != "" && !snap.AllowsPolicy(policy, c.h.Cluster):
		return "in cluster " + c.h.Cluster + ", where this endpoint is"
	case !snap.PassesPolicy(policy, here):
		return "in cluster " + here + ", where this instance is"
	case c.h.Cluster != "":
		return "in cluster " + c.h.Cluster + ", where this endpoint is"
	default:
		return "here, where this endpoint is"
	}
}

func controlError(err error) *s3err.Error {
	if invalid, ok := errors.AsType[*catalog.ValidationError](err); ok {
		return s3err.BadRequest("InvalidArgument", "%s", invalid.Error())
	}
	switch {
	case errors.Is(err, control.ErrConfigOwned):
		return s3err.Denied("The bucket is declared by the configuration and is changed there.")
	case errors.Is(err, control.ErrExists):
		return s3err.New(http.StatusConflict, "BucketAlreadyOwnedByYou",
			"Your previous request to create the named bucket succeeded and you already own it.")
	case errors.Is(err, control.ErrNotFound):
		return s3err.New(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
	}
	return nil
}

// errorDocument is the body of an error.
type errorDocument struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Details   []errorDetail
	Resource  string
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

type errorDetail struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// refuse answers with an error.
func (s serving) refuse(e *s3err.Error) {
	c := s.c
	h := c.w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	doc := errorDocument{
		Code: e.Code, Message: e.Message, Resource: c.r.URL.EscapedPath(),
		RequestID: c.id, HostID: c.h.node(),
	}
	for _, d := range e.Details {
		doc.Details = append(doc.Details, errorDetail{xml.Name{Local: d.Name}, d.Value})
	}
	c.writeXML(e.Status, doc)
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
	cause := errors.New("the storage answered " + strconv.Itoa(status) + " " + said.Code)
	e := (&s3err.Error{Status: status, Code: said.Code, Message: said.Message}).Because(cause)
	switch {
	case e.Code == "NoSuchBucket":
		return s3err.SlowDown(errNoPhysical, "The storage has no bucket of this name. Please retry.")
	case credentialCodes[e.Code]:
		// It is about FaDO's own request, not about the client's.
		return s3err.SlowDown(cause, "The storage refuses the request. Please retry.")
	case e.Code == "NoSuchKey" || e.Code == "" && status == http.StatusNotFound && c.key != "":
		e = s3err.NoSuchKey(c.key)
	case e.Code == "":
		e.Code, e.Message = codeOf(status), http.StatusText(status)
	}
	for _, name := range []string{"X-Amz-Delete-Marker", "X-Amz-Version-Id", "Etag", "Last-Modified"} {
		if v := h.Get(name); v != "" {
			c.w.Header().Set(name, v)
		}
	}
	if status == http.StatusServiceUnavailable {
		_ = e.Later()
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
