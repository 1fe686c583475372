package sigv4

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// refused asserts the code and status of a refusal, be it by Verify or while the body is read.
func refused(t *testing.T, v *Verifier, r *http.Request, status int, code, message string) *Error {
	t.Helper()
	got, err := v.Verify(r)
	if err == nil {
		_, err = io.ReadAll(got.Body)
	}
	e := new(Error)
	if !errors.As(err, &e) || e.Status != status || e.Code != code || !strings.Contains(e.Message, message) {
		t.Fatalf("got %v, expected %d %s with %q", err, status, code, message)
	}
	return e
}

func TestHeaderErrors(t *testing.T) {
	replace := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
		}
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	const malformed = "AuthorizationHeaderMalformed"
	for name, c := range map[string]struct {
		change        func(*http.Request)
		status        int
		code, message string
	}{
		"version 2":         {set("Authorization", "AWS "+exampleKey+":c2lnbmF0dXJl"), 403, "AccessDenied", "Version 4"},
		"no space":          {set("Authorization", "whatever"), 400, "InvalidArgument", "one and only one ' '"},
		"bearer":            {set("Authorization", "Bearer x"), 400, "InvalidArgument", "Unsupported Authorization Type"},
		"two components":    {replace("Signature=", "SignedHeaders"), 400, malformed, "malformed"},
		"one missing":       {replace(",SignedHeaders=host;range;x-amz-content-sha256;x-amz-date", ""), 400, malformed, "three components"},
		"no credential":     {replace("Credential=", "Other="), 400, malformed, "missing Credential"},
		"no signed headers": {replace("SignedHeaders=", "Other="), 400, malformed, "missing SignedHeaders"},
		"no signature":      {replace("Signature=", "Other="), 400, malformed, "missing Signature"},
		"credential":        {replace("/20130524", ""), 400, malformed, "the Credential is mal-formed"},
		"terminal":          {replace("aws4_request", "aws_request"), 400, malformed, "incorrect terminal"},
		"service":           {replace("/s3/", "/ec2/"), 400, malformed, `incorrect service "ec2"`},
		"region":            {replace("us-east-1", "eu-west-1"), 400, malformed, `the region "eu-west-1" is wrong; expecting "us-east-1"`},
		"day":               {replace("20130524", "32234"), 400, malformed, "incorrect date format"},
		"another day":       {replace("20130524", "20130525"), 400, malformed, "Invalid credential date"},
		"no date":           {set("X-Amz-Date", ""), 403, "AccessDenied", "valid Date or x-amz-date"},
		"bad date":          {set("X-Amz-Date", "03032006"), 403, "AccessDenied", "valid Date or x-amz-date"},
		"unknown key":       {replace(exampleKey, "AKIDNOBODY"), 403, "InvalidAccessKeyId", "does not exist in our records"},
		"signature":         {replace("Signature=f", "Signature=e"), 403, "SignatureDoesNotMatch", "does not match the signature you provided"},
		"no content hash":   {func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, 400, "InvalidRequest", "x-amz-content-sha256"},
		"extra header":      {set("X-Amz-Acl", "public-read"), 403, "AccessDenied", "which were not signed"},
		"host not signed":   {replace("host;", ""), 403, "AccessDenied", "which were not signed"},
		"token":             {set("X-Amz-Security-Token", "x"), 400, "InvalidToken", "malformed or otherwise invalid"},
		"two mechanisms": {
			func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=1" }, 400, "InvalidArgument", "Only one auth mechanism allowed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := vectors[0].request()
			c.change(r)
			refused(t, exampleVerifier(), r, c.status, c.code, c.message)
		})
	}
}

func TestSkew(t *testing.T) {
	for _, c := range []struct {
		now time.Duration
		ok  bool
	}{{15 * time.Minute, true}, {-15 * time.Minute, true}, {15*time.Minute + 1, false}, {-15*time.Minute - 1, false}} {
		v := exampleVerifier()
		v.Now = func() time.Time { return exampleTime.Add(c.now) }
		if c.ok {
			if _, err := v.Verify(vectors[0].request()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		e := refused(t, v, vectors[0].request(), 403, "RequestTimeTooSkewed", "too large")
		if len(e.Details) != 3 || e.Details[0].Value != "20130524T000000Z" {
			t.Fatal(e.Details)
		}
	}
}

func TestPresignErrors(t *testing.T) {
	const query, denied = "AuthorizationQueryParametersError", "AccessDenied"
	for name, c := range map[string]struct {
		from, to      string
		now           time.Duration
		status        int
		code, message string
	}{
		"expired":       {now: 24*time.Hour + 1, status: 403, code: denied, message: "Request has expired"},
		"not yet":       {now: -16 * time.Minute, status: 403, code: denied, message: "not valid yet"},
		"a week":        {from: "86400", to: "604801", status: 400, code: query, message: "less than a week"},
		"negative":      {from: "86400", to: "-1", status: 400, code: query, message: "non-negative"},
		"no number":     {from: "86400", to: "x", status: 400, code: query, message: "should be a number"},
		"missing":       {from: "X-Amz-Expires=86400&", status: 400, code: query, message: "requires the X-Amz-Algorithm"},
		"twice":         {from: "X-Amz-Expires=86400", to: "X-Amz-Expires=86400&X-Amz-Expires=86401", status: 400, code: query, message: "requires"},
		"algorithm":     {from: "AWS4-HMAC-SHA256", to: "AWS4-ECDSA-P256-SHA256", status: 400, code: query, message: "only supports"},
		"date":          {from: "20130524T000000Z", to: "2013", status: 400, code: query, message: "ISO8601"},
		"other day":     {from: "20130524T000000Z", to: "20130525T000000Z", status: 400, code: query, message: `not the same as X-Amz-Date: "20130525"`},
		"region":        {from: "us-east-1", to: "eu-west-1", status: 400, code: query, message: `expecting "us-east-1"`},
		"credential":    {from: "%2Fs3", status: 400, code: query, message: "X-Amz-Credential parameter; the Credential is mal-formed"},
		"key":           {from: exampleKey, to: "AKIDNOBODY", status: 403, code: "InvalidAccessKeyId", message: "does not exist"},
		"longer":        {from: "86400", to: "86401", status: 403, code: "SignatureDoesNotMatch", message: "does not match"},
		"signature":     {from: "Signature=a", to: "Signature=b", status: 403, code: "SignatureDoesNotMatch", message: "does not match"},
		"host":          {from: "SignedHeaders=host", to: "SignedHeaders=date", status: 403, code: denied, message: "not signed"},
		"session token": {from: "X-Amz-Date", to: "X-Amz-Security-Token=x&X-Amz-Date", status: 400, code: "InvalidToken", message: "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := vectors[4].request()
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, c.from, c.to, 1)
			v := exampleVerifier()
			v.Now = func() time.Time { return exampleTime.Add(c.now) }
			refused(t, v, r, c.status, c.code, c.message)
		})
	}
	r := httptest.NewRequest("GET", "/b/k?AWSAccessKeyId=x&Signature=y&Expires=1", nil)
	refused(t, exampleVerifier(), r, 403, "AccessDenied", "Version 4")
}

func TestExpiredKey(t *testing.T) {
	v := exampleVerifier()
	v.Expired = func(id string) bool { return id == exampleKey }
	refused(t, v, vectors[0].request(), 400, "ExpiredToken", "expired")
	r := vectors[0].request()
	r.URL.Path = "/other" // who has not the secret does not learn that the key expired
	refused(t, v, r, 403, "SignatureDoesNotMatch", "")
}

func TestAnonymous(t *testing.T) {
	for _, target := range []string{"/b/k", "/b?list-type=2&prefix=X-Amz-", "/b?Signature=x"} {
		if _, err := exampleVerifier().Verify(httptest.NewRequest("GET", target, nil)); !errors.Is(err, ErrAnonymous) {
			t.Fatal(target, err)
		}
	}
}

// An unknown key costs what a wrong signature costs: the secret that is nobody's takes the same way.
func TestUnknownKeyIsComputed(t *testing.T) {
	asked := 0
	v := exampleVerifier()
	v.Secret = func(string) (string, bool) { asked++; return "", true } // nor does an empty secret sign
	sig, err := v.parse(vectors[0].request())
	if err != nil {
		t.Fatal(err)
	}
	canonical := canonicalRequest(vectors[0].request(), sig)
	sig.value = hexHMAC(signingKey("", sig.cred), stringToSign(sig, canonical))
	if _, err := v.check(sig, canonical); !errors.Is(err, &Error{Code: "InvalidAccessKeyId"}) || asked != 1 {
		t.Fatal(err, asked)
	}
	sig.value = hexHMAC(signingKey(nobodysSecret, sig.cred), stringToSign(sig, canonical))
	if _, err := v.check(sig, canonical); !errors.Is(err, &Error{Code: "InvalidAccessKeyId"}) {
		t.Fatal("the dummy secret signs: ", err)
	}
}

func TestSignatureErrorTellsWhatWasSigned(t *testing.T) {
	r := vectors[0].request()
	r.URL.Path = "/a//b"
	e := refused(t, exampleVerifier(), r, 403, "SignatureDoesNotMatch", "")
	all := ""
	for _, d := range e.Details {
		all += d.Name + "=" + d.Value + "\n"
		if strings.Contains(d.Value, exampleSecret) {
			t.Fatal("the secret is in the answer")
		}
	}
	for _, want := range []string{"AWSAccessKeyId=" + exampleKey, "StringToSign=AWS4-HMAC-SHA256\n20130524T000000Z", "CanonicalRequest=GET\n/a//b\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	r = vectors[0].request()
	r.URL.RawQuery = strings.Repeat("x", maxEcho)
	for _, d := range refused(t, exampleVerifier(), r, 403, "SignatureDoesNotMatch", "").Details {
		if len(d.Value) > maxEcho {
			t.Error(d.Name, " echoes ", len(d.Value), " bytes")
		}
	}
}
