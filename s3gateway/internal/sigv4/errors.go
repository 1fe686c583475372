package sigv4

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrAnonymous means that the request carries no signature at all. What an anonymous client may do is the caller's decision.
var ErrAnonymous = errors.New("the request is not signed")

// Error is a refusal, with the code, the status and the message that S3 gives.
type Error struct {
	Status  int
	Code    string
	Message string
	// Details are further elements of S3's error document, in order, such as StringToSign or Region.
	Details []Detail
}

// Detail is one further element of S3's error document.
type Detail struct{ Name, Value string }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Is reports whether target is an *Error of the same code, so that errors.Is(err, &Error{Code: "BadDigest"}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func refuse(status int, code, message string, details ...Detail) *Error {
	return &Error{Status: status, Code: code, Message: message, Details: details}
}

func badRequest(code, format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, code, fmt.Sprintf(format, args...))
}

func denied(message string) *Error {
	return refuse(http.StatusForbidden, "AccessDenied", message)
}

func invalidRequest(format string, args ...any) *Error {
	return badRequest("InvalidRequest", format, args...)
}

func invalidArgument(name, value, message string) *Error {
	return refuse(http.StatusBadRequest, "InvalidArgument", message, Detail{"ArgumentName", name}, Detail{"ArgumentValue", value})
}

// malformed is how the reader of a signature's parts reports one of them: the same finding has another code in a header,
// in a query and in a form.
type malformed func(format string, args ...any) *Error

func malformedHeader(format string, args ...any) *Error {
	return badRequest("AuthorizationHeaderMalformed", "The authorization header is malformed; "+format, args...)
}

func malformedQuery(format string, args ...any) *Error {
	return badRequest("AuthorizationQueryParametersError", format, args...)
}

func malformedQueryCredential(format string, args ...any) *Error {
	return malformedQuery("Error parsing the X-Amz-Credential parameter; "+format, args...)
}

func onlyVersion4() *Error {
	return denied("This endpoint supports AWS Signature Version 4 only. Please use AWS4-HMAC-SHA256.")
}

func missingDate() *Error {
	return denied("AWS authentication requires a valid Date or x-amz-date header.")
}

func tooSkewed(at, now time.Time, allowed time.Duration) *Error {
	return refuse(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.",
		Detail{"RequestTime", at.Format(stampFormat)}, Detail{"ServerTime", now.UTC().Format(time.RFC3339)},
		Detail{"MaxAllowedSkewMilliseconds", strconv.FormatInt(allowed.Milliseconds(), 10)})
}

func notSigned(headers []string) *Error {
	e := denied("There were headers present in the request which were not signed")
	e.Details = []Detail{{"HeadersNotSigned", strings.Join(headers, ", ")}}
	return e
}

func unknownKey(id string) *Error {
	return refuse(http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.",
		Detail{"AWSAccessKeyId", id})
}

func wrongSignature(details ...Detail) *Error {
	return refuse(http.StatusForbidden, "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.", details...)
}

func expiredToken() *Error {
	return badRequest("ExpiredToken", "The provided token has expired.")
}

func invalidToken() *Error {
	return badRequest("InvalidToken", "The provided token is malformed or otherwise invalid.")
}

func notImplemented(what string) *Error {
	return refuse(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented: "+what)
}

func missingLength() *Error {
	return refuse(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
}

// cutBody is a body that ends, or stops making sense, before its framing says so.
func cutBody() *Error {
	return badRequest("IncompleteBody", "The request body terminated unexpectedly")
}

// wrongLength is a body with more or fewer bytes than announced.
func wrongLength() *Error {
	return badRequest("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

func malformedTrailer() *Error {
	return badRequest("MalformedTrailerError",
		"The request contained trailing data that was not well-formed or did not conform to our published schema.")
}

func tooLarge(size, limit int64) *Error {
	return refuse(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size",
		Detail{"ProposedSize", strconv.FormatInt(size, 10)}, Detail{"MaxSizeAllowed", strconv.FormatInt(limit, 10)})
}
