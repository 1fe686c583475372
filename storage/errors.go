package storage

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Error is a failed request: what was asked, of which storage, and what came back.
// It wraps one of the package's sentinels; the text holds no secret.
type Error struct {
	Op      string // for example "GET object"
	Storage string // the cluster's name
	Bucket  string // physical
	Key     string
	Status  int    // HTTP status; 0 when there was no answer
	Code    string // S3 error code; "" when there was none
	Message string

	deleteMarker bool // nothing is there because it was deleted

	kind error // sentinel
	err  error // underlying cause, may be nil
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Storage, e.Op)
	if e.Bucket != "" {
		fmt.Fprintf(&b, " %s", e.Bucket)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, "/%s", e.Key)
	}
	fmt.Fprintf(&b, ": %v", e.kind)
	if detail := e.detail(); detail != "" {
		fmt.Fprintf(&b, " (%s)", detail)
	}
	return b.String()
}

func (e *Error) detail() string {
	var parts []string
	if e.Code != "" {
		parts = append(parts, e.Code)
	} else if e.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", e.Status))
	}
	switch {
	case e.Message != "":
		parts = append(parts, e.Message)
	case e.err != nil:
		parts = append(parts, e.err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives errors.Is the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.err == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.err}
}

// At returns the name of the storage an error came from; "" if it tells none. A copy
// touches two of them.
func At(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Storage
	}
	return ""
}

// codeKinds maps S3 error codes to sentinels. Codes that are not here are judged by
// the HTTP status; names starting with XMinio are MinIO's own, those after it
// versitygw's.
var codeKinds = map[string]error{
	"NoSuchKey":     ErrNotFound,
	"NoSuchVersion": ErrNotFound,
	"NoSuchBucket":  ErrNoBucket,

	"PreconditionFailed":         ErrPrecondition,
	"ConditionalRequestConflict": ErrPrecondition,
	"BucketNotEmpty":             ErrPrecondition,

	"AccessDenied":                 ErrDenied,
	"AllAccessDisabled":            ErrDenied,
	"AccountProblem":               ErrDenied,
	"InvalidAccessKeyId":           ErrDenied,
	"InvalidSecurity":              ErrDenied,
	"InvalidToken":                 ErrDenied,
	"ExpiredToken":                 ErrDenied,
	"SignatureDoesNotMatch":        ErrDenied,
	"AuthorizationHeaderMalformed": ErrDenied,
	"RequestTimeTooSkewed":         ErrDenied,
	"XMinioReadOnly":               ErrDenied,
	"XAdminUserNotFound":           ErrDenied,

	"XMinioStorageFull":              ErrFull,
	"XMinioAdminBucketQuotaExceeded": ErrFull,
	"QuotaExceeded":                  ErrFull,
	"ServiceQuotaExceeded":           ErrFull,
	"InsufficientCapacity":           ErrFull,
	"EntityTooLarge":                 ErrRefused,
	"EntityTooSmall":                 ErrRefused,
	"KeyTooLongError":                ErrRefused,
	"InvalidObjectName":              ErrRefused,
	"InvalidBucketName":              ErrRefused,
	"InvalidURI":                     ErrRefused,
	"InvalidTag":                     ErrRefused,
	"InvalidStorageClass":            ErrRefused,
	"MetadataTooLarge":               ErrRefused,
	"XMinioInvalidObjectName":        ErrRefused,
	"XMinioInvalidResourceName":      ErrRefused,
	"XMinioObjectExistsAsDirectory":  ErrRefused,
	"XMinioParentIsObject":           ErrRefused,
	"XMinioObjectTampered":           ErrCorrupt,
	"ObjectParentIsFile":             ErrRefused,
	"DirectoryObjectContainsData":    ErrRefused,
	"ObjectExistsAsDirectory":        ErrRefused,
	"ExistingObjectIsDirectory":      ErrRefused,

	"BadDigest":                    ErrCorrupt,
	"InvalidDigest":                ErrCorrupt,
	"IncompleteBody":               ErrCorrupt,
	"XAmzContentSHA256Mismatch":    ErrCorrupt,
	"XAmzContentChecksumMismatch":  ErrCorrupt,
	"InvalidChecksum":              ErrCorrupt,
	"NotImplemented":               ErrUnsupported,
	"MethodNotAllowed":             ErrUnsupported,
	"APINotSupported":              ErrUnsupported,
	"XMinioServerNotInitialized":   ErrUnavailable,
	"ServerNotInitialized":         ErrUnavailable,
	"NoSuchUpload":                 ErrUnavailable, // a new attempt starts a new upload
	"InvalidPart":                  ErrUnavailable,
	"ObjectLockConfigurationError": ErrRefused,
}

// statusKinds judges answers whose code says nothing.
func statusKind(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrDenied
	case http.StatusPreconditionFailed:
		return ErrPrecondition
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return ErrUnsupported
	case http.StatusRequestEntityTooLarge:
		return ErrRefused
	case http.StatusInsufficientStorage:
		return ErrFull
	default:
		return ErrUnavailable
	}
}

// s3Error is the body of an S3 error answer.
type s3Error struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
}

const maxErrorBody = 64 << 10

// answerError turns an answer that is not a success into an Error. It takes for
// truth only what S3 says in S3's words: a page of HTML, whatever its status, is an
// unavailable storage.
func (c *Client) answerError(q *request, resp *http.Response) *Error {
	e := c.newError(q, nil)
	e.Status = resp.StatusCode
	e.deleteMarker = resp.Header.Get("X-Amz-Delete-Marker") == "true"
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var x s3Error
	if err := xml.Unmarshal(body, &x); err == nil && x.Code != "" {
		e.Code, e.Message = x.Code, x.Message
	}
	if code := resp.Header.Get("X-Minio-Error-Code"); code != "" && e.Code == "" {
		e.Code = code // MinIO's way where there is no body: HEAD
		e.Message = strings.Trim(resp.Header.Get("X-Minio-Error-Desc"), `"`)
	}
	if e.Code == "" && q.method != http.MethodHead && !looksLikeXML(body) {
		e.Message = "the answer is not S3's"
	}
	e.kind = codeKinds[e.Code]
	if e.kind == nil {
		e.kind = statusKind(resp.StatusCode)
	}
	e.Message = c.redact(shorten(e.Message))
	return e
}

func looksLikeXML(b []byte) bool {
	s := strings.TrimSpace(string(b[:min(len(b), 64)]))
	return s == "" || strings.HasPrefix(s, "<?xml") || strings.HasPrefix(s, "<Error")
}

// transportError turns a request that got no answer into an Error.
func (c *Client) transportError(ctx context.Context, q *request, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		err = cause // the watchdog's reason, or the caller's
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return fmt.Errorf("%s: %s %s/%s: %w", c.cfg.Name, q.op(), q.bucket, q.key, err)
	}
	e := c.newError(q, err)
	e.kind = ErrUnavailable
	e.Message = c.redact(shorten(rootMessage(err)))
	return e
}

func (c *Client) newError(q *request, cause error) *Error {
	return &Error{Op: q.op(), Storage: c.cfg.Name, Bucket: q.bucket, Key: q.key, err: cause}
}

// fail makes an Error of a kind with a reason of our own.
func (c *Client) fail(q *request, kind error, format string, args ...any) *Error {
	e := c.newError(q, nil)
	e.kind, e.Message = kind, fmt.Sprintf(format, args...)
	return e
}

// fromMinio classifies an error of a minio-go call.
func (c *Client) fromMinio(ctx context.Context, op, bucket, key string, err error) error {
	if err == nil {
		return nil
	}
	q := &request{name: op, bucket: bucket, key: key}
	var resp minio.ErrorResponse
	if !errors.As(err, &resp) || resp.StatusCode == 0 {
		return c.transportError(ctx, q, err)
	}
	e := c.newError(q, nil)
	e.Status, e.Code, e.Message = resp.StatusCode, resp.Code, c.redact(shorten(resp.Message))
	e.kind = codeKinds[e.Code]
	// minio-go makes up a code where the answer had none; its own has a root element.
	if e.kind == nil || (resp.XMLName.Local == "" && resp.Server == "") {
		e.kind = statusKind(resp.StatusCode)
	}
	return e
}

// redact takes the secrets out of a text that a server or library wrote.
func (c *Client) redact(s string) string {
	for _, secret := range []string{c.cfg.SecretKey, c.cfg.AccessKey} {
		if len(secret) > 2 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return s
}

// rootMessage is the innermost error's text: the outer ones repeat the URL.
func rootMessage(err error) string {
	for {
		u := errors.Unwrap(err)
		if u == nil {
			return err.Error()
		}
		var op interface{ Timeout() bool }
		if errors.As(err, &op) && !errors.As(u, &op) {
			return err.Error()
		}
		err = u
	}
}

func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
