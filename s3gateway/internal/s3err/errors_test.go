package s3err

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/fado-project/fado/s3gateway/internal/sigv4"
)

// Each error has the status and the code by which SDKs decide, and only what passes by itself tells
// when to come again.
func TestErrorsAreS3s(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause")
	for code, c := range map[string]struct {
		err    *Error
		status int
		later  bool
	}{
		"InvalidArgument":               {BadRequest("InvalidArgument", "%d parts", 3), http.StatusBadRequest, false},
		"AccessDenied":                  {Denied("Access Denied."), http.StatusForbidden, false},
		"NotImplemented":                {NotImplemented("GetBucketPolicy"), http.StatusNotImplemented, false},
		"NoSuchBucket":                  {NoSuchBucket("b"), http.StatusNotFound, false},
		"NoSuchKey":                     {NoSuchKey("k"), http.StatusNotFound, false},
		"NoSuchUpload":                  {NoSuchUpload(), http.StatusNotFound, false},
		"AccessControlListNotSupported": {NoACLs(), http.StatusBadRequest, false},
		"MalformedXML":                  {MalformedXML(cause), http.StatusBadRequest, false},
		"RequestTimeout":                {RequestTimeout(), http.StatusBadRequest, false},
		"SlowDown":                      {SlowDown(cause, "Please retry."), http.StatusServiceUnavailable, true},
		"BadDigest":                     {Of(&sigv4.Error{Status: 400, Code: "BadDigest", Message: "m", Details: []sigv4.Detail{{Name: "a"}}}), http.StatusBadRequest, false},
		"ServiceUnavailable":            {New(http.StatusServiceUnavailable, "ServiceUnavailable", "m").Later(), http.StatusServiceUnavailable, true},
	} {
		e := c.err
		if e.Code != code || e.Status != c.status || e.Message == "" || (e.RetryAfter > 0) != c.later || !strings.HasPrefix(e.Error(), code+": "+e.Message) {
			t.Errorf("%s: %+v", code, e)
		}
	}
	if e := Unreadable(cause); !errors.Is(e, cause) || !strings.Contains(e.Error(), "the cause") || strings.Contains(e.Message, "the cause") {
		t.Errorf("%v: the cause is for the log alone", e)
	}
	if e := NoSuchKey("a/b"); len(e.Details) != 1 || e.Details[0].Value != "a/b" {
		t.Errorf("%+v names no key", e)
	}
	if e := NoSuchBucket("b"); len(e.Details) != 1 || e.Details[0].Value != "b" {
		t.Errorf("%+v names no bucket", e)
	}
	if e := NotImplemented("GetBucketPolicy"); !strings.Contains(e.Message, "GetBucketPolicy") {
		t.Errorf("%+v does not name what is not supported", e)
	}
}

// What an error comes from can be found in it, and does not change what the client is told.
func TestCausesAreKept(t *testing.T) {
	t.Parallel()
	cause := errors.New("the disk of 10.1.2.3 is full")
	for _, e := range []*Error{
		MalformedXML(cause), SlowDown(cause, "Please retry."), Unreadable(cause), RequestTimeout().Because(cause), Denied("No.").Because(cause),
	} {
		if !errors.Is(e, cause) || strings.Contains(e.Message, "disk") || !strings.Contains(e.Error(), "disk") {
			t.Errorf("%v", e)
		}
		said := *e
		if later := e.Later(); later != e || e.Status != said.Status || e.Code != said.Code || e.Message != said.Message || !errors.Is(e, cause) {
			t.Errorf("%v became %v", &said, later)
		}
	}
	if e := SlowDown(nil, "Please retry."); e.Unwrap() != nil || e.RetryAfter != retryAfter {
		t.Errorf("%v comes from %v, to be retried after %d s", e, e.Unwrap(), e.RetryAfter)
	}
	if e := Denied("No."); e.Unwrap() != nil || e.Error() != "AccessDenied: No." {
		t.Errorf("%v comes from %v", e, e.Unwrap())
	}
}
