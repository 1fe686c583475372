package sigv4

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// signed returns a request that the example key signed.
func signed(method, target, payload, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("X-Amz-Date", exampleTime.Format(stampFormat))
	r.Header.Set("X-Amz-Content-Sha256", payload)
	names := []string{"host", "x-amz-content-sha256", "x-amz-date"}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
		names = append(names, strings.ToLower(header[i]))
	}
	cred := credential{exampleKey, exampleTime.Format(dayFormat), "us-east-1"}
	sig := &signature{cred: cred, at: exampleTime, payload: payload, signed: names}
	sig.value = hexHMAC(signingKey(exampleSecret, cred), stringToSign(sig, canonicalRequest(r, sig)))
	r.Header.Set("Authorization", algorithm+" Credential="+exampleKey+"/"+cred.scope()+", SignedHeaders="+strings.Join(names, ";")+", Signature="+sig.value)
	return r
}

func seed(r *http.Request) string {
	_, s, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	return s
}

func TestChecksumHeaders(t *testing.T) {
	const body = "hello"
	for name, value := range map[string]string{
		"Content-Md5": "XUFAKrxLKna5cZ2REBfFkg==", "x-amz-checksum-crc32": "NhCmhg==", "x-amz-checksum-crc32c": "mnG7TA==",
		"x-amz-checksum-crc64nvme": "M3eFcAZSQlc=", "x-amz-checksum-sha1": "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
		"x-amz-checksum-sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", "x-amz-checksum-md5": "XUFAKrxLKna5cZ2REBfFkg==",
		"x-amz-checksum-sha512":   "m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==",
		"x-amz-checksum-xxhash64": "JseCfYifbaM=", "x-amz-checksum-xxhash3": "lVXoVVxi3P0=", "x-amz-checksum-xxhash128": "tenBrQcbPn/Hec+qXlI4GA==",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := exampleVerifier().Verify(signed("PUT", "/b/k", unsignedPayload, body, name, value))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(got.Body); err != nil || string(b) != body {
				t.Fatal(string(b), err)
			}
			r := signed("PUT", "/b/k", unsignedPayload, "hellp", name, value)
			refused(t, exampleVerifier(), r, 400, "BadDigest", "did not match")
			code := "InvalidRequest"
			if name == "Content-Md5" {
				code = "InvalidDigest"
			}
			refused(t, exampleVerifier(), signed("PUT", "/b/k", unsignedPayload, body, name, "AAAA"), 400, code, "")
			refused(t, exampleVerifier(), signed("PUT", "/b/k", unsignedPayload, body, name, "no base64"), 400, code, "")
		})
	}
}

func TestChecksumHeaderErrors(t *testing.T) {
	for name, c := range map[string]struct {
		header  []string
		message string
	}{
		"two":        {[]string{"x-amz-checksum-crc32", "NhCmhg==", "x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="}, "Multiple checksum"},
		"unknown":    {[]string{"x-amz-checksum-crc99", "NhCmhg=="}, "algorithm type"},
		"other than": {[]string{"x-amz-checksum-crc32", "NhCmhg==", "x-amz-sdk-checksum-algorithm", "SHA1"}, "x-amz-sdk-checksum-algorithm"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, exampleVerifier(), signed("PUT", "/b/k", unsignedPayload, "hello", c.header...), 400, "InvalidRequest", c.message)
		})
	}
	for _, r := range []*http.Request{
		signed("GET", "/b/k", emptySHA256, "", "x-amz-checksum-mode", "ENABLED"),
		signed("POST", "/b/k?uploads", emptySHA256, "", "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "COMPOSITE"),
		signed("POST", "/b/k?uploadId=1", unsignedPayload, "<x/>", "x-amz-checksum-crc32", "NhCmhg=="), // the object's
		signed("PUT", "/b/k", unsignedPayload, "hello", "x-amz-checksum-crc32", "NhCmhg==", "x-amz-sdk-checksum-algorithm", "crc32"),
	} {
		got, err := exampleVerifier().Verify(r)
		if err == nil {
			_, err = io.ReadAll(got.Body)
		}
		if err != nil {
			t.Fatal(r.URL, err)
		}
	}
}

func TestPayloadErrors(t *testing.T) {
	v := exampleVerifier()
	refused(t, v, signed("PUT", "/b/k", "nonsense", "x"), 400, "InvalidArgument", "valid sha256 value")
	refused(t, v, signed("PUT", "/b/k", asymmetricChunks, "x"), 501, "NotImplemented", "ECDSA")
	refused(t, v, signed("PUT", "/b/k", signedChunks, "x"), 411, "MissingContentLength", "")
	refused(t, v, signed("PUT", "/b/k", unsignedTrailer, "x", "x-amz-decoded-content-length", "12x"), 411, "MissingContentLength", "")
	refused(t, v, signed("PUT", "/b/k", unsignedTrailer, "x", "x-amz-decoded-content-length", "-1"), 411, "MissingContentLength", "")
	refused(t, v, signed("PUT", "/b/k", unsignedTrailer, "", "x-amz-decoded-content-length", "5368709121"), 400, "EntityTooLarge", "maximum")
	v.MaxBody = 3
	refused(t, v, signed("PUT", "/b/k", unsignedPayload, "four"), 400, "EntityTooLarge", "maximum")
	// The body of a GET is empty, and the hash has to say so: nobody reads it.
	_, err := v.Verify(signed("GET", "/b/k", strings.Repeat("0", 64), ""))
	if !errors.Is(err, &Error{Code: "XAmzContentSHA256Mismatch"}) {
		t.Fatal(err)
	}
	computed := Detail{"S3ComputedContentSHA256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
	if e, _ := errors.AsType[*Error](err); !slices.Contains(e.Details, computed) {
		t.Errorf("details %v, want %v among them", e.Details, computed)
	}
}

// A body that breaks off or is longer than the client said.
func TestLengths(t *testing.T) {
	r := signed("PUT", "/b/k", unsignedPayload, "hello")
	r.ContentLength = 7
	refused(t, exampleVerifier(), r, 400, "IncompleteBody", "")
	r = signed("PUT", "/b/k", unsignedPayload, "hello")
	r.ContentLength = 3
	refused(t, exampleVerifier(), r, 400, "IncompleteBody", "")
	r = signed("PUT", "/b/k", unsignedPayload, "hello")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("he"), failing{io.ErrUnexpectedEOF}))
	refused(t, exampleVerifier(), r, 400, "IncompleteBody", "terminated unexpectedly")
	r = signed("PUT", "/b/k", unsignedPayload, "hello")
	boom := errors.New("connection reset")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("he"), failing{boom}))
	got, err := exampleVerifier().Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if b, err := io.ReadAll(got.Body); !errors.Is(err, boom) || len(b) > 2 {
			t.Fatal(string(b), err)
		}
	}
	if err := got.Body.Close(); err != nil {
		t.Fatal(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

const (
	helloCRC = "x-amz-checksum-crc64nvme:M3eFcAZSQlc="
	crcName  = "x-amz-checksum-crc64nvme"
)

func TestUnsignedTrailer(t *testing.T) {
	for name, c := range map[string]struct {
		announced, body, code, message string
	}{
		"good":              {crcName, "5\r\nhello\r\n0\r\n" + helloCRC + "\r\n\r\n", "", ""},
		"no trailer":        {"", "5\r\nhello\r\n0\r\n\r\n", "", ""},
		"two chunks":        {crcName, "2\r\nhe\r\n3\r\nllo\r\n0\r\n" + helloCRC + "\r\n\r\n", "InvalidChunkSizeError", "8192"},
		"value":             {crcName, "5\r\nhello\r\n0\r\nx-amz-checksum-crc64nvme:nonsense\r\n\r\n", "InvalidRequest", "trailing header is invalid"},
		"mismatch":          {crcName, "5\r\nhello\r\n0\r\nx-amz-checksum-crc64nvme:QFRKMGE3tuw=\r\n\r\n", "BadDigest", "CRC64NVME"},
		"missing":           {crcName, "5\r\nhello\r\n0\r\n\r\n", "MalformedTrailerError", ""},
		"nameless":          {crcName, "5\r\nhello\r\n0\r\n:M3eFcAZSQlc=\r\n\r\n", "MalformedTrailerError", ""},
		"not announced":     {"", "5\r\nhello\r\n0\r\n" + helloCRC + "\r\n\r\n", "MalformedTrailerError", ""},
		"another":           {crcName, "5\r\nhello\r\n0\r\nx-other:M3eFcAZSQlc=\r\n\r\n", "MalformedTrailerError", ""},
		"twice":             {crcName, "5\r\nhello\r\n0\r\n" + helloCRC + "\r\n" + helloCRC + "\r\n\r\n", "MalformedTrailerError", ""},
		"huge":              {crcName, "5\r\nhello\r\n0\r\n" + helloCRC + strings.Repeat(" ", 1<<20) + "\r\n\r\n", "MalformedTrailerError", ""},
		"unknown algorithm": {"x-amz-meta-x", "", "InvalidRequest", "x-amz-trailer"},
		"no end":            {crcName, "5\r\nhello\r\n0\r\n" + helloCRC + "\r\n", "IncompleteBody", ""},
		"nothing":           {crcName, "", "IncompleteBody", ""},
		"bare newline":      {crcName, "5\nhello\r\n0\r\n\r\n", "IncompleteBody", ""},
		"no newline":        {crcName, "5\r\nhello0\r\n\r\n", "IncompleteBody", ""},
		"size":              {crcName, "z\r\nhello\r\n0\r\n\r\n", "IncompleteBody", ""},
		"negative":          {crcName, "-5\r\nhello\r\n0\r\n\r\n", "IncompleteBody", ""},
		"signed":            {crcName, "5;chunk-signature=x\r\nhello\r\n0\r\n\r\n", "IncompleteBody", ""},
		"overflow":          {crcName, "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "IncompleteBody", ""},
		"long header":       {crcName, strings.Repeat("0", 1<<20) + "5\r\nhello\r\n0\r\n\r\n", "IncompleteBody", ""},
		"longer":            {crcName, "6\r\nhello!\r\n0\r\n" + helloCRC + "\r\n\r\n", "IncompleteBody", "number of bytes"},
		"shorter":           {crcName, "4\r\nhell\r\n0\r\n" + helloCRC + "\r\n\r\n", "IncompleteBody", "number of bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			header := []string{"x-amz-decoded-content-length", "5"}
			if c.announced != "" {
				header = append(header, "x-amz-trailer", c.announced)
			}
			r := signed("PUT", "/b/k", unsignedTrailer, c.body, header...)
			if c.code != "" {
				refused(t, exampleVerifier(), r, 400, c.code, c.message)
				return
			}
			got, err := exampleVerifier().Verify(r)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(got.Body); err != nil || string(b) != "hello" {
				t.Fatal(string(b), err)
			}
			if (got.Trailer().Get(crcName) != "") != (c.announced != "") {
				t.Fatal(got.Trailer())
			}
		})
	}
	r := signed("PUT", "/b/k", unsignedTrailer, "", "x-amz-decoded-content-length", "5", "x-amz-trailer", crcName, "x-amz-checksum-crc32", "NhCmhg==")
	refused(t, exampleVerifier(), r, 400, "InvalidRequest", "Multiple checksum")
	r = signed("PUT", "/b/k", unsignedTrailer, "", "x-amz-decoded-content-length", "5", "x-amz-trailer", crcName, "x-amz-sdk-checksum-algorithm", "sha1")
	refused(t, exampleVerifier(), r, 400, "InvalidRequest", "x-amz-sdk-checksum-algorithm")
}

// An empty payload in chunks has been verified when Verify returns: no consumer reads it.
func TestEmptyChunked(t *testing.T) {
	r := signed("PUT", "/b/k", unsignedTrailer, "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
		"x-amz-decoded-content-length", "0", "x-amz-trailer", "x-amz-checksum-crc32")
	got, err := exampleVerifier().Verify(r)
	if err != nil || got.Length != 0 || got.Trailer().Get("x-amz-checksum-crc32") != "AAAAAA==" {
		t.Fatal(got, err)
	}
	r = signed("PUT", "/b/k", unsignedTrailer, "0\r\nx-amz-checksum-crc32:AAAAAQ==\r\n\r\n",
		"x-amz-decoded-content-length", "0", "x-amz-trailer", "x-amz-checksum-crc32")
	if _, err := exampleVerifier().Verify(r); !errors.Is(err, &Error{Code: "BadDigest"}) {
		t.Fatal(err)
	}
}

// chunked signs body in chunks of size, as a client does.
func chunked(r *http.Request, body string, size int) string {
	cred := credential{exampleKey, exampleTime.Format(dayFormat), "us-east-1"}
	s := newChunkSigner(&signature{cred: cred, at: exampleTime, value: seed(r)}, signingKey(exampleSecret, cred))
	var out strings.Builder
	for {
		n := min(size, len(body))
		s.data.Write([]byte(body[:n]))
		sum := hex.EncodeToString(s.data.Sum(nil))
		s.data.Reset()
		s.previous = hexHMAC(s.key, "AWS4-HMAC-SHA256-PAYLOAD\n"+s.scope+s.previous+"\n"+emptySHA256+"\n"+sum)
		out.WriteString(strconv.FormatInt(int64(n), 16) + ";chunk-signature=" + s.previous + "\r\n" + body[:n] + "\r\n")
		if n == 0 {
			return out.String()
		}
		body = body[n:]
	}
}

func TestChunkSizes(t *testing.T) {
	for size, ok := range map[int]bool{8191: false, 8192: true, 10: false, 20000: true, 30000: true} {
		body := strings.Repeat("b", 20000)
		r := signed("PUT", "/b/k", signedChunks, "", "x-amz-decoded-content-length", "20000")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(chunked(r, body, size))), -1
		if !ok {
			refused(t, exampleVerifier(), r, 400, "InvalidChunkSizeError", "8192")
			continue
		}
		got, err := exampleVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(got.Body); err != nil || string(b) != body {
			t.Fatal(size, err)
		}
	}
}

// Swapped, dropped or repeated chunks are as wrong as changed ones: signatures are a chain.
func TestChunkOrder(t *testing.T) {
	body := strings.Repeat("1", 8192) + strings.Repeat("2", 8192)
	r := signed("PUT", "/b/k", signedChunks, "", "x-amz-decoded-content-length", "16384")
	whole := chunked(r, body, 8192)
	one := len("2000;chunk-signature=") + 64 + 2 + 8192 + 2
	first, second, end := whole[:one], whole[one:2*one], whole[2*one:]
	for name, wrong := range map[string]string{"swapped": second + first + end, "repeated": first + first + end, "unsigned end": first + second + "0\r\n\r\n"} {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(wrong)), int64(len(wrong))
		got, err := exampleVerifier().Verify(r)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(got.Body); err == nil || len(b) >= len(body) {
			t.Fatal(name, len(b), err)
		}
	}
}
