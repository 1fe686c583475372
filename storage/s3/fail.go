package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"
)

// answerError turns an answer that is not a success into an Error. It takes for
// truth only what S3 says in S3's words: a page of HTML, whatever its status, is an
// unavailable storage.
func (at *endpoint) answerError(q *Request, resp *http.Response) *Error {
	e := at.newError(q, nil)
	e.Status = resp.StatusCode
	e.DeleteMarker = resp.Header.Get("X-Amz-Delete-Marker") == "true"
	body, _ := io.ReadAll(io.LimitReader(resp.Body, int64(LimitSmall)))
	x, ok := parseError(body)
	if ok {
		e.Code, e.Message = x.Code, x.Message
	}
	if code := resp.Header.Get("X-Minio-Error-Code"); code != "" && e.Code == "" {
		e.Code = code // MinIO's way where there is no body: HEAD
		e.Message = strings.Trim(resp.Header.Get("X-Minio-Error-Desc"), `"`)
	}
	if e.Code == "" && q.Method != http.MethodHead && !looksLikeXML(body) {
		e.Message = "the answer is not S3's"
	}
	e.Kind = judged(e)
	if e.Code == "SignatureDoesNotMatch" && at.frames(q) {
		e.Kind = ErrCorrupt // a chunk is not what was signed; wrong keys are refused before, by requests without a body
	}
	e.Message = at.clean(e.Message)
	at.misplaced(e, x, resp.Header.Get("X-Amz-Bucket-Region"))
	return e
}

// expecting is how MinIO and AWS S3 tell the region that they expect, which a HEAD is told by a header only.
var expecting = regexp.MustCompile(`expecting '([^']+)'`)

// misplaced has an error that is for a wrong region, or an endpoint of another one, name what was given
// and what is expected.
func (at *endpoint) misplaced(e *Error, x errorBody, bucketRegion string) {
	region := cmp.Or(bucketRegion, x.Region)
	if m := expecting.FindStringSubmatch(e.Message); m != nil {
		region = m[1]
	}
	switch {
	case e.Code == "AuthorizationHeaderMalformed", e.Code == "IllegalLocationConstraintException", e.Code == "PermanentRedirect",
		e.Code == "IncorrectEndpoint", e.Status == http.StatusMovedPermanently, e.Status == http.StatusBadRequest && bucketRegion != "":
	default:
		return
	}
	var parts []string
	if region != "" && region != at.Region {
		e.Region = at.clean(region)
		parts = append(parts, fmt.Sprintf("storage.region is %q: expected %q", at.Region, e.Region))
	}
	if x.Endpoint != "" {
		parts = append(parts, fmt.Sprintf("storage.endpoint: expected %q", at.clean(x.Endpoint)))
	}
	if len(parts) > 0 {
		e.Message = strings.Join(parts, "; ")
	}
}

// saidError is an <Error> in an answer with the status of a success: S3 may begin to
// answer before it is done.
func (at *endpoint) saidError(q *Request, x errorBody) *Error {
	e := at.fail(q, ErrUnavailable, "%s", at.clean(x.Message))
	e.Code = x.Code
	if k := codeKinds[x.Code]; k != nil {
		e.Kind = k
	}
	return e
}

// transportError turns a request that got no answer into an error.
func (at *endpoint) transportError(ctx context.Context, q *Request, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		err = cause // the watchdog's reason, or the caller's
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return fmt.Errorf("%s: %s %s/%s: %w", at.Name, q.op(), q.Bucket, q.Key, err)
	}
	e := at.newError(q, err)
	e.Kind = ErrUnavailable
	e.Message = at.clean(rootMessage(err))
	return e
}

func (at *endpoint) newError(q *Request, cause error) *Error {
	return &Error{Op: q.op(), Storage: at.Name, Bucket: q.Bucket, Key: q.Key, err: cause}
}

// fail makes an Error of a kind with a reason of the caller's.
func (at *endpoint) fail(q *Request, kind error, format string, args ...any) *Error {
	e := at.newError(q, nil)
	e.Kind, e.Message = kind, fmt.Sprintf(format, args...)
	return e
}

// rubbish is the error of an answer that is a success by its status and not S3's by
// its content.
func (at *endpoint) rubbish(q *Request, err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err // reading failed, not parsing
	}
	return at.fail(q, ErrUnavailable, "the answer is not S3's: %s", at.clean(err.Error()))
}

// fromMinio classifies an error of a minio-go call.
func (at *endpoint) fromMinio(ctx context.Context, q *Request, err error) error {
	if err == nil {
		return nil
	}
	var resp minio.ErrorResponse
	if !errors.As(err, &resp) || resp.StatusCode == 0 {
		return at.transportError(ctx, q, err)
	}
	e := at.newError(q, nil)
	e.Status, e.Code, e.Message = resp.StatusCode, resp.Code, at.clean(resp.Message)
	e.Kind = judged(e)
	at.misplaced(e, errorBody{Region: resp.Region}, "")
	// minio-go makes up a code where the answer had none; its own has a root element.
	if resp.XMLName.Local == "" && resp.Server == "" {
		e.Kind = statusKind(resp.StatusCode)
	}
	return e
}

// clean makes one short line of a text that a server or library wrote, without secrets.
func (at *endpoint) clean(s string) string {
	for _, secret := range []string{at.SecretKey, at.AccessKey} {
		if len(secret) > 2 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return shorten(s)
}
