package s3gateway

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/s3gateway/internal/sigv4"
	"github.com/fado-project/fado/storage"
)

// Error is an error as S3 clients know them (S3 API reference, "Error responses").
type Error struct {
	Status     int
	Code       string
	Message    string
	Details    []sigv4.Detail // further elements of the document
	RetryAfter int            // seconds; 0: not told
	cause      error          // for the log
}

// Error implements error.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.cause)
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns what the error comes from.
func (e *Error) Unwrap() error { return e.cause }

func fail(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func badRequest(code, format string, args ...any) *Error {
	return fail(http.StatusBadRequest, code, format, args...)
}

func denied(format string, args ...any) *Error {
	return fail(http.StatusForbidden, "AccessDenied", format, args...)
}

func notImplemented(what string) *Error {
	return fail(http.StatusNotImplemented, "NotImplemented", "%s is not supported by this endpoint.", what)
}

func noSuchBucket(bucket string) *Error {
	e := fail(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
	e.Details = []sigv4.Detail{{Name: "BucketName", Value: bucket}}
	return e
}

func noSuchKey(key string) *Error {
	e := fail(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	e.Details = []sigv4.Detail{{Name: "Key", Value: key}}
	return e
}

func noSuchUpload() *Error {
	return fail(http.StatusNotFound, "NoSuchUpload",
		"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
}

func malformedXML(cause error) *Error {
	e := badRequest("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.")
	e.cause = cause
	return e
}

// slowDown asks the client to send the same request again: SDKs do so by themselves.
func slowDown(cause error, format string, args ...any) *Error {
	e := fail(http.StatusServiceUnavailable, "SlowDown", format, args...)
	e.RetryAfter, e.cause = retryAfter, cause
	return e
}

// retryAfter is what refusals that pass by themselves suggest, in seconds.
const retryAfter = 2

// asError turns any error into what the client is told.
func (c *call) asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return &Error{Status: e.Status, Code: e.Code, Message: e.Message, Details: e.Details}
	}
	if c.verified != nil && c.verified.Err != nil {
		if e, ok := errors.AsType[*sigv4.Error](c.verified.Err()); ok {
			return &Error{Status: e.Status, Code: e.Code, Message: e.Message, Details: e.Details, cause: err}
		}
	}
	if e := c.engineError(err); e != nil {
		e.cause = err
		return e
	}
	if e := controlError(err); e != nil {
		e.cause = err
		return e
	}
	e := fail(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	e.cause = err
	return e
}

// engineError translates what the engine and the storages refuse by.
func (c *call) engineError(err error) *Error {
	switch {
	case errors.Is(err, replication.ErrForbidden):
		return c.forbidden()
	case errors.Is(err, replication.ErrMoving):
		return slowDown(err, "The bucket's primary is moving. Please retry.")
	case errors.Is(err, control.ErrCutOff), errors.Is(err, control.ErrClosed), errors.Is(err, replication.ErrStore):
		e := fail(http.StatusServiceUnavailable, "ServiceUnavailable", "Writes can't be recorded now. Please retry.")
		e.RetryAfter = retryAfter
		return e
	case errors.Is(err, replication.ErrDown), errors.Is(err, storage.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return slowDown(err, "The storage does not answer. Please retry.")
	case errors.Is(err, storage.ErrRefused):
		return badRequest("InvalidArgument", "The storage of this bucket can't keep an object of this key or size.")
	case errors.Is(err, storage.ErrCorrupt):
		return badRequest("IncompleteBody", "The request body terminated unexpectedly")
	}
	return nil
}

// forbidden names the policy that does not allow the object here.
func (c *call) forbidden() *Error {
	rule, ok := c.router().Snapshot().RuleOf(c.bucket, c.key)
	if !ok {
		return noSuchBucket(c.bucket)
	}
	where := "here"
	if c.h.Cluster != "" {
		where = "in cluster " + c.h.Cluster
	}
	return denied("The policy %q does not allow this object %s, where this endpoint is.", rule.Policy, where)
}

func controlError(err error) *Error {
	if invalid, ok := errors.AsType[*catalog.ValidationError](err); ok {
		return badRequest("InvalidArgument", "%s", invalid.Error())
	}
	switch {
	case errors.Is(err, control.ErrConfigOwned):
		return denied("The bucket is declared by the configuration and is changed there.")
	case errors.Is(err, control.ErrExists):
		return fail(http.StatusConflict, "BucketAlreadyOwnedByYou",
			"Your previous request to create the named bucket succeeded and you already own it.")
	case errors.Is(err, control.ErrNotFound):
		return fail(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
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
func (c *call) refuse(e *Error) {
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
