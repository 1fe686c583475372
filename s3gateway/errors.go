package s3gateway

import (
	"errors"
	"fmt"
	"net/http"
	"os"

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

// unreadable is an answer of a storage that makes no sense.
func unreadable(cause error) *Error {
	return slowDown(cause, "The storage's answer could not be read. Please retry.")
}

// clientError is a failure to send to the client: nothing that another storage could mend.
type clientError struct{ error }

// refusal is what the client does not get to see, but the metrics show.
func (e clientError) refusal() *Error {
	out := badRequest("ClientDisconnected", "The client went away.")
	if errors.Is(e.error, os.ErrDeadlineExceeded) {
		out = requestTimeout()
	}
	out.cause = e.error
	return out
}

func requestTimeout() *Error {
	return badRequest("RequestTimeout",
		"Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.")
}

// retryAfter is what refusals that pass by themselves suggest, in seconds.
const retryAfter = 2
