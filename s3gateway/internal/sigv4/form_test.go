package sigv4

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// The example of "Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)".
const examplePolicy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"

func exampleFields() map[string]string {
	return map[string]string{
		"key": "user/user1/${filename}", "acl": "public-read", "Content-Type": "image/jpeg", "x-amz-meta-uuid": "14365123651274",
		"success_action_redirect":      "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
		"x-amz-server-side-encryption": "AES256", "X-Amz-Credential": exampleKey + "/20151229/us-east-1/s3/aws4_request",
		"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": "20151229T000000Z", "x-amz-meta-tag": "", "Policy": examplePolicy,
		"X-Amz-Signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
	}
}

var formTime = time.Date(2015, 12, 29, 1, 0, 0, 0, time.UTC)

func formVerifier() *Verifier {
	v := exampleVerifier()
	v.Now = func() time.Time { return formTime }
	return v
}

func post(fields map[string]string, file string) *http.Request {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		_ = w.WriteField(name, fields[name])
	}
	part, _ := w.CreateFormFile("file", "photo.jpg")
	_, _ = io.WriteString(part, file)
	_ = w.WriteField("submit", "ignored: it comes after the file")
	_ = w.Close()
	r := httptest.NewRequest("POST", "/sigv4examplebucket", &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

func TestPublishedForm(t *testing.T) {
	form, err := formVerifier().VerifyForm(post(exampleFields(), "picture"), "sigv4examplebucket")
	if err != nil {
		t.Fatal(err)
	}
	if form.KeyID != exampleKey || form.Fields["key"] != "user/user1/photo.jpg" || form.FileName != "photo.jpg" || form.Fields["submit"] != "" {
		t.Fatalf("%+v", form)
	}
	if b, err := io.ReadAll(form.File); err != nil || string(b) != "picture" {
		t.Fatal(string(b), err)
	}
}

func refusedForm(t *testing.T, v *Verifier, r *http.Request, bucket string, status int, code, message string) {
	t.Helper()
	form, err := v.VerifyForm(r, bucket)
	if err == nil {
		_, err = io.ReadAll(form.File)
	}
	e := new(Error)
	if !errors.As(err, &e) || e.Status != status || e.Code != code || !strings.Contains(e.Message, message) {
		t.Fatalf("got %v, expected %d %s with %q", err, status, code, message)
	}
}

func TestFormErrors(t *testing.T) {
	const argument, denied = "InvalidArgument", "AccessDenied"
	for name, c := range map[string]struct {
		field, value  string // "-" removes
		status        int
		code, message string
	}{
		"no policy":     {"Policy", "-", 400, argument, "field named 'policy'"},
		"no signature":  {"X-Amz-Signature", "-", 400, argument, "field named 'x-amz-signature'"},
		"no key":        {"key", "-", 400, argument, "field named 'key'"},
		"algorithm":     {"X-Amz-Algorithm", "invalid", 400, argument, "Only AWS4-HMAC-SHA256"},
		"date":          {"X-Amz-Date", "invalid", 400, argument, "ISO8601"},
		"other day":     {"X-Amz-Date", "20151228T000000Z", 400, argument, "Invalid credential date"},
		"credential":    {"X-Amz-Credential", "malformed", 400, argument, "the Credential is mal-formed"},
		"region":        {"X-Amz-Credential", exampleKey + "/20151229/eu-west-1/s3/aws4_request", 400, argument, `the region "eu-west-1" is wrong`},
		"unknown key":   {"X-Amz-Credential", "AKIDNOBODY/20151229/us-east-1/s3/aws4_request", 403, "InvalidAccessKeyId", ""},
		"signature":     {"X-Amz-Signature", strings.Repeat("0", 64), 403, "SignatureDoesNotMatch", ""},
		"policy":        {"Policy", examplePolicy + "IA==", 403, "SignatureDoesNotMatch", ""},
		"token":         {"X-Amz-Security-Token", "x", 400, "InvalidToken", ""},
		"other prefix":  {"key", "user/user2/x", 403, denied, `Condition failed: ["starts-with", "$key", "user/user1/"]`},
		"acl":           {"acl", "private", 403, denied, `Condition failed: ["eq", "$acl", "public-read"]`},
		"type":          {"Content-Type", "text/html", 403, denied, `"$Content-Type", "image/"`},
		"types":         {"Content-Type", "image/jpeg,text/html", 403, denied, `"$Content-Type", "image/"`},
		"extra":         {"x-amz-meta-more", "1", 403, denied, "Extra input fields: x-amz-meta-more"},
		"ignored":       {"x-ignore-me", "1", 0, "", ""},
		"md5":           {"Content-MD5", "x", 403, denied, "Extra input fields"},
		"too much":      {"x-amz-meta-tag", strings.Repeat("x", 21<<10), 400, "MaxPostPreDataLengthExceededError", "too large"},
		"far too much":  {"x-amz-meta-tag", strings.Repeat("x", 1<<20), 400, "MaxPostPreDataLengthExceededError", "too large"},
		"version 2":     {"AWSAccessKeyId", "x", 403, denied, "Extra input"}, // beside a whole version 4
		"same in caps":  {"KEY", "x", 400, "MalformedPOSTRequest", ""},
		"another bytes": {"x-amz-meta-uuid", "14365123651275", 403, denied, "x-amz-meta-uuid"},
	} {
		t.Run(name, func(t *testing.T) {
			fields := exampleFields()
			fields[c.field] = c.value
			if c.value == "-" {
				delete(fields, c.field)
			}
			if c.code == "" {
				if _, err := formVerifier().VerifyForm(post(fields, "x"), "sigv4examplebucket"); err != nil {
					t.Fatal(err)
				}
				return
			}
			refusedForm(t, formVerifier(), post(fields, "x"), "sigv4examplebucket", c.status, c.code, c.message)
		})
	}
}

func TestFormOfOtherKinds(t *testing.T) {
	refusedForm(t, formVerifier(), post(exampleFields(), "x"), "otherbucket", 403, "AccessDenied", `"$bucket", "sigv4examplebucket"`)
	for at, message := range map[time.Duration]string{36 * time.Hour: "Policy expired", 8 * 24 * time.Hour: "Policy expired", -2 * time.Hour: "not valid yet"} {
		v := formVerifier()
		v.Now = func() time.Time { return formTime.Add(at) }
		refusedForm(t, v, post(exampleFields(), "x"), "sigv4examplebucket", 403, "AccessDenied", message)
	}
	if _, err := formVerifier().VerifyForm(post(map[string]string{"key": "k"}, "x"), "b"); !errors.Is(err, ErrAnonymous) {
		t.Fatal(err)
	}
	v2 := map[string]string{"key": "k", "AWSAccessKeyId": "x", "policy": "y", "signature": "z"}
	refusedForm(t, formVerifier(), post(v2, "x"), "b", 403, "AccessDenied", "Version 4")
	v := formVerifier()
	v.MaxBody = 3
	refusedForm(t, v, post(exampleFields(), "four"), "sigv4examplebucket", 400, "EntityTooLarge", "")
}

func TestMalformedForms(t *testing.T) {
	for name, c := range map[string]struct{ contentType, body, code string }{
		"no boundary":  {"multipart/form-data", "x", "MalformedPOSTRequest"},
		"not a form":   {"text/plain", "x", "MalformedPOSTRequest"},
		"empty":        {"multipart/form-data; boundary=b", "", "InvalidArgument"},
		"no file":      {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n", "InvalidArgument"},
		"cut":          {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx", "MalformedPOSTRequest"},
		"nameless":     {"multipart/form-data; boundary=b", "--b\r\n\r\nx\r\n--b--\r\n", "MalformedPOSTRequest"},
		"huge headers": {"multipart/form-data; boundary=b", "--b\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\nx\r\n--b--\r\n", "MaxPostPreDataLengthExceededError"},
		"preamble":     {"multipart/form-data; boundary=b", strings.Repeat("x", 1<<20), "MalformedPOSTRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/b", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			refusedForm(t, formVerifier(), r, "b", 400, c.code, "")
		})
	}
	r := post(exampleFields(), strings.Repeat("x", 100<<10))
	whole, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(whole[:len(whole)-50<<10]))
	refusedForm(t, formVerifier(), r, "sigv4examplebucket", 400, "IncompleteBody", "")
}

// signedForm signs a policy's text.
func signedForm(text string, fields map[string]string) map[string]string {
	cred := credential{exampleKey, formTime.Format(dayFormat), "us-east-1"}
	out := map[string]string{
		"key": "k", "policy": base64.StdEncoding.EncodeToString([]byte(text)), "x-amz-algorithm": algorithm,
		"x-amz-credential": exampleKey + "/" + cred.scope(), "x-amz-date": formTime.Format(stampFormat),
	}
	maps.Copy(out, fields)
	out["x-amz-signature"] = hexHMAC(signingKey(exampleSecret, cred), out["policy"])
	return out
}

func TestPolicyDocuments(t *testing.T) {
	const head = `{"expiration":"2016-01-01T00:00:00Z","conditions":`
	for text, message := range map[string]string{
		``: "End-of-Input", `nonsense`: "Invalid JSON", head + `[]}x`: "Invalid JSON", `[]`: "Invalid JSON",
		`{"conditions":[]}`: "missing expiration", `{"expiration":true,"conditions":[]}`: "Invalid JSON",
		`{"expiration":"soon","conditions":[]}`: "Invalid 'expiration' value: 'soon'",
		`{"expiration":"2016-01-01T00:00:00Z"}`: "missing conditions",
		head + `true}`:                          "must be a List", head + `[true]}`: "must be a List or Object",
		head + `[],"extra":1}`: `Unexpected: "extra"`, head + `[[]]}`: "missing operation identifier",
		head + `[["like","$key","x"]]}`: "unknown operation 'like'", head + `[["eq","$key"]]}`: "wrong number of arguments",
		head + `[["eq",1,"x"]]}`: "Invalid JSON", head + `[["eq","$key",1]]}`: "Invalid JSON", head + `[[1]]}`: "Invalid JSON",
		head + `[["content-length-range","1","2"]]}`: "Invalid JSON", head + `[{"a":"b","c":"d"}]}`: "exactly one property",
		head + `[{"a":1}]}`: "value must be a string",
	} {
		refusedForm(t, formVerifier(), post(signedForm(text, nil), "x"), "b", 400, "InvalidPolicyDocument", message)
	}
	fields := signedForm("", nil)
	fields["policy"] = "no base64"
	cred := credential{exampleKey, formTime.Format(dayFormat), "us-east-1"}
	fields["x-amz-signature"] = hexHMAC(signingKey(exampleSecret, cred), fields["policy"])
	refusedForm(t, formVerifier(), post(fields, "x"), "b", 400, "InvalidPolicyDocument", "Base64")
	refusedForm(t, formVerifier(), post(signedForm(head+`[["eq","key","k"]]}`, nil), "x"), "b", 403, "AccessDenied", `["eq","key","k"]`)
	refusedForm(t, formVerifier(), post(signedForm(head+`[["starts-with","$key",""]]}`, nil), "x"), "b", 403, "AccessDenied", "Extra input fields: bucket")
}

func TestFormFileBounds(t *testing.T) {
	text := `{"expiration":"2016-01-01T00:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key",""],["content-length-range",2,5],
		["starts-with","$x-amz-credential",""],["starts-with","$x-amz-date",""],["starts-with","$x-amz-algorithm",""],["starts-with","$x-amz-checksum-crc32",""]]}`
	for file, code := range map[string]string{"x": "EntityTooSmall", "hello": "", "hellp": "BadDigest", "hello!": "EntityTooLarge"} {
		fields := signedForm(text, map[string]string{"x-amz-checksum-crc32": "NhCmhg=="})
		if code != "" {
			refusedForm(t, formVerifier(), post(fields, file), "b", 400, code, "")
			continue
		}
		form, err := formVerifier().VerifyForm(post(fields, file), "b")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := io.ReadAll(form.File); err != nil {
				t.Fatal(err)
			}
		}
	}
	fields := signedForm(text, map[string]string{"x-amz-checksum-crc32": "x"})
	refusedForm(t, formVerifier(), post(fields, "hello"), "b", 400, "InvalidRequest", "x-amz-checksum-crc32")
}

// What minio-go signs for a browser is accepted.
func TestMinioForm(t *testing.T) {
	client, err := minio.New("localhost:9000", &minio.Options{Creds: credentials.NewStaticV4(exampleKey, exampleSecret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	p := minio.NewPostPolicy()
	for _, err := range []error{
		p.SetBucket("bkt"), p.SetKeyStartsWith("up/"), p.SetContentType("text/plain"), p.SetContentLengthRange(1, 10),
		p.SetUserMetadata("who", "me"), p.SetExpires(time.Now().Add(time.Hour)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, fields, err := client.PresignedPostPolicy(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	fields["key"] = "up/${filename}"
	form, err := minioVerifier().VerifyForm(post(fields, "hello"), "bkt")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(form.File); err != nil || string(b) != "hello" || form.Fields["x-amz-meta-who"] != "me" || form.Fields["key"] != "up/photo.jpg" {
		t.Fatal(fmt.Sprint(form.Fields), err)
	}
	refusedForm(t, minioVerifier(), post(fields, strings.Repeat("x", 11)), "bkt", 400, "EntityTooLarge", "")
}
