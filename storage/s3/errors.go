package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// What went wrong, told apart with errors.Is.
var (
	// ErrNotFound: the bucket is there and the key is not (or its current version is
	// a delete marker). Only ever returned on positive evidence.
	ErrNotFound = errors.New("no such key")
	// ErrNoBucket: the physical bucket is not there.
	ErrNoBucket = errors.New("no such bucket")
	// ErrPrecondition: a conditional write found something else there, or a read's
	// source changed meanwhile.
	ErrPrecondition = errors.New("the object changed meanwhile")
	// ErrDenied: the credentials are refused or may not do this.
	ErrDenied = errors.New("access denied")
	// ErrFull: no space or quota left.
	ErrFull = errors.New("the storage is full")
	// ErrRefused: this storage will never take this key or object.
	ErrRefused = errors.New("the storage refuses this object")
	// ErrInconsistent: the storage's answers about a key contradict each other.
	ErrInconsistent = errors.New("the storage's answers contradict each other")
	// ErrLocked: object lock keeps the version: its retention period is not over, or it is
	// under a legal hold.
	ErrLocked = errors.New("the version is locked")
	// ErrUnavailable: the storage can't be reached, is overloaded or answers rubbish;
	// the same call may succeed later.
	ErrUnavailable = errors.New("the storage is unavailable")
	// ErrCorrupt: what arrived is not what was sent (size or checksum differ).
	ErrCorrupt = errors.New("size or checksum differ")
	// ErrUnsupported: the storage does not have this feature.
	ErrUnsupported = errors.New("not supported by the storage")
	// ErrSilent: a listener's keep-alive pings stopped.
	ErrSilent = errors.New("the listener has gone silent")
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

	// DeleteMarker: nothing is there because it was deleted.
	DeleteMarker bool
	// Region is the one that the storage expects, where the request was refused for another.
	Region string
	// Kind is one of the package's sentinels. Who knows better what an answer means
	// to a request may set it.
	Kind error

	err error // underlying cause, may be nil
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
	fmt.Fprintf(&b, ": %v", e.Kind)
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
		return []error{e.Kind}
	}
	return []error{e.Kind, e.err}
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

// kindOf is the sentinel for an answer with an S3 error code, or "" for none.
func kindOf(code string, status int) error {
	if k := codeKinds[code]; k != nil {
		return k
	}
	return statusKind(status)
}

// lockedMessages tell what no code tells: that an object lock is why a request was refused.
// MinIO says the first with InvalidRequest, versitygw and AWS S3 the second with AccessDenied.
var lockedMessages = []string{"WORM protected", "protected by object lock"}

// judged is the sentinel for an error answer.
func judged(e *Error) error {
	if slices.ContainsFunc(lockedMessages, func(m string) bool { return strings.Contains(e.Message, m) }) {
		return ErrLocked
	}
	return kindOf(e.Code, e.Status)
}

// errorBody is the body of an S3 error answer.
type errorBody struct {
	XMLName  xml.Name `xml:"Error"`
	Code     string
	Message  string
	Region   string // that is expected, or that of the server
	Endpoint string // where to send the request
}

// parseError reads an error answer's body; false for anything else.
func parseError(body []byte) (errorBody, bool) {
	var x errorBody
	err := xml.Unmarshal(body, &x)
	return x, err == nil && x.Code != ""
}

func looksLikeXML(b []byte) bool {
	s := strings.TrimSpace(string(b[:min(len(b), 64)]))
	return s == "" || strings.HasPrefix(s, "<?xml") || strings.HasPrefix(s, "<Error")
}

// rootMessage is the innermost error's text: the outer ones repeat the URL.
func rootMessage(err error) string {
	for {
		u := errors.Unwrap(err)
		if u == nil || slices.Contains([]error{errTooLarge, errTooSlow, ErrStalled}, u) {
			return err.Error()
		}
		var op interface{ Timeout() bool }
		if errors.As(err, &op) && !errors.As(u, &op) {
			return err.Error()
		}
		err = u
	}
}

// Reasons of this package for ending an answer.
var (
	// errTooLarge: an answer is longer than its Limit.
	errTooLarge = errors.New("the answer is larger than S3's")
	// errTooSlow: an answer took longer than Waits.Whole.
	errTooSlow = errors.New("the answer does not end")
	// ErrStalled is the cause of a context that a Watchdog cancelled.
	ErrStalled = errors.New("no byte moved")
)
