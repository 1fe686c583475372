package s3err

import (
	"fmt"
	"net/http"

	"github.com/fado-project/fado/s3gateway/internal/sigv4"
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

// Because says what the error comes from, and returns it.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// Later has the client wait before it sends the request again.
func (e *Error) Later() *Error {
	e.RetryAfter = retryAfter
	return e
}

// retryAfter is what refusals that pass by themselves suggest, in seconds.
const retryAfter = 2

// Of turns a refusal of a signature or of a body into the same error.
func Of(e *sigv4.Error) *Error {
	return &Error{Status: e.Status, Code: e.Code, Message: e.Message, Details: e.Details}
}

// New returns an error whose message is a format's.
func New(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// BadRequest returns an error of status 400.
func BadRequest(code, format string, args ...any) *Error {
	return New(http.StatusBadRequest, code, format, args...)
}

// Denied returns an AccessDenied.
func Denied(format string, args ...any) *Error {
	return New(http.StatusForbidden, "AccessDenied", format, args...)
}

// NotImplemented returns the error for what this endpoint does not do.
func NotImplemented(what string) *Error {
	return New(http.StatusNotImplemented, "NotImplemented", "%s is not supported by this endpoint.", what)
}

// NoSuchBucket names a bucket that is not.
func NoSuchBucket(bucket string) *Error {
	e := New(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
	e.Details = []sigv4.Detail{{Name: "BucketName", Value: bucket}}
	return e
}

// NoSuchKey names an object that is not.
func NoSuchKey(key string) *Error {
	e := New(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	e.Details = []sigv4.Detail{{Name: "Key", Value: key}}
	return e
}

// NoSuchUpload is about an upload that is not.
func NoSuchUpload() *Error {
	return New(http.StatusNotFound, "NoSuchUpload",
		"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
}

// NoACLs refuses to grant what only ACLs could grant.
func NoACLs() *Error {
	return BadRequest("AccessControlListNotSupported", "The bucket does not allow ACLs")
}

// MalformedXML refuses a document.
func MalformedXML(cause error) *Error {
	return BadRequest("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.").Because(cause)
}

// SlowDown asks the client to send the same request again: SDKs do so by themselves.
func SlowDown(cause error, format string, args ...any) *Error {
	return New(http.StatusServiceUnavailable, "SlowDown", format, args...).Because(cause).Later()
}

// Unreadable is an answer of a storage that makes no sense.
func Unreadable(cause error) *Error {
	return SlowDown(cause, "The storage's answer could not be read. Please retry.")
}

// RequestTimeout tells a client that it rested for too long.
func RequestTimeout() *Error {
	return BadRequest("RequestTimeout",
		"Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.")
}
