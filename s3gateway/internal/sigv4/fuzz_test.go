package sigv4

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// judged fails if an error is none that S3 has.
func judged(t *testing.T, err error) {
	t.Helper()
	if e := new(Error); err != nil && !errors.Is(err, ErrAnonymous) && (!errors.As(err, &e) || e.Status < 400 || e.Code == "" || e.Message == "") {
		t.Fatalf("%v is no S3 error", err)
	}
}

// Whatever the header says, nothing verifies that was not signed.
func FuzzHeader(f *testing.F) {
	good := vectors[0].request().Header.Get("Authorization")
	for _, s := range []string{
		good, "", "AWS x:y", "AWS4-HMAC-SHA256 ", "Bearer x", strings.ReplaceAll(good, ",", ", "),
		"AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;,Signature=", strings.Replace(good, "range;", "", 1),
	} {
		f.Add(s, "20130524T000000Z", "/test.txt")
	}
	f.Add(good, "Fri, 24 May 2013 00:00:00 GMT", "//a/../%2f+?")
	f.Fuzz(func(t *testing.T, authorization, date, path string) {
		r := vectors[0].request()
		r.Header["Authorization"] = []string{authorization}
		r.Header["X-Amz-Date"] = []string{date}
		r.URL.Path = path
		got, err := exampleVerifier().Verify(r)
		judged(t, err)
		if err == nil && (path != "/test.txt" || got.KeyID != exampleKey) {
			t.Fatal("verifies: ", authorization, path)
		}
	})
}

func FuzzQuery(f *testing.F) {
	good := vectors[4].request().URL.RawQuery
	for _, s := range []string{good, "", "X-Amz-Signature=x", "AWSAccessKeyId=x&Signature=y", good + "&a=%", good + "&X-Amz-Date=1", "a=b;c&&=&%zz=+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := vectors[4].request()
		r.URL.RawQuery = query
		_, err := exampleVerifier().Verify(r)
		judged(t, err)
		if err != nil {
			return
		}
		// Another spelling of the same parameters is as good.
		want, _ := url.ParseQuery(good)
		got, _ := url.ParseQuery(query)
		if got.Encode() != want.Encode() {
			t.Fatal("verifies: ", query)
		}
	})
}

// Whatever comes as chunks: no more than the announced length comes out, and the whole of it only if its checksum is right.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{
		"5\r\nhello\r\n0\r\n" + helloCRC + "\r\n\r\n", "5\r\nhello\r\n0\r\n" + helloCRC + "\n\r\n\r\n", "0\r\n\r\n", "", "5\r\nhello\r\n0\r\n\r\n",
		"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "5;x\r\nhello\r\n", "00000000000000005\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n:\r\n\r\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	for _, v := range vectors[5:] {
		f.Add([]byte(v.body), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, sign bool) {
		payload := unsignedTrailer
		if sign {
			payload = signedTrailer
		}
		r := signed("PUT", "/b/k", payload, "", "x-amz-decoded-content-length", "5", "x-amz-trailer", crcName)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		got, err := exampleVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(got.Body)
		judged(t, err)
		if len(out) > 5 || err != nil && len(out) == 5 || err == nil && string(out) != "hello" && !collides(out, got.Trailer()) {
			t.Fatalf("%q, %v", out, err)
		}
		if err == nil && sign {
			t.Fatal("nobody signed this")
		}
	})
}

// collides reports whether the trailer fits the body, as it may where the fuzzer made both.
func collides(body []byte, trailer http.Header) bool {
	c := checksumOf(crcName)
	h := c.new()
	h.Write(body)
	want, ok := c.decode(trailer.Get(crcName))
	return ok && bytes.Equal(want, h.Sum(nil))
}

func FuzzForm(f *testing.F) {
	r := post(exampleFields(), "picture")
	whole, _ := io.ReadAll(r.Body)
	f.Add(r.Header.Get("Content-Type"), whole)
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n"))
	f.Add("text/plain", []byte("x"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := httptest.NewRequest("POST", "/b", bytes.NewReader(body))
		r.Header["Content-Type"] = []string{contentType}
		form, err := formVerifier().VerifyForm(r, "sigv4examplebucket")
		judged(t, err)
		if err != nil {
			return
		}
		if !strings.HasPrefix(form.Fields["key"], "user/user1/") || form.Fields["acl"] != "public-read" {
			t.Fatal("against the policy: ", form.Fields)
		}
		_, err = io.ReadAll(form.File)
		judged(t, err)
	})
}

func FuzzPolicy(f *testing.F) {
	for _, s := range []string{
		`{"expiration":"2016-01-01T00:00:00Z","conditions":[{"bucket":"b"},["eq","$key","k"],["content-length-range",1,2]]}`,
		`{"expiration":"2016-01-01T00:00:00Z","conditions":[[]]}`, `null`, `{"conditions":[null]}`, `[[[[`, `{"expiration":null,"conditions":[["eq",null,null]]}`,
	} {
		f.Add(s, "k", "v")
	}
	f.Fuzz(func(t *testing.T, text, field, value string) {
		fields := signedForm(text, nil)
		fields[field] = value
		p, err := parsePolicy(fields["policy"])
		judged(t, err)
		if err != nil {
			return
		}
		judged(t, p.check(formTime, "b", map[string]string{field: value}))
	})
}
