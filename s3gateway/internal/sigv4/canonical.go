package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxEcho bounds what of the signed strings an error repeats, in bytes.
	maxEcho = 8 << 10
	// nobodysSecret signs in place of unknown keys.
	nobodysSecret = "no key has this secret; it costs the time of one"
	emptySHA256   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// canonicalRequest is the text whose hash is signed. S3 encodes the decoded path once and changes nothing else in it.
func canonicalRequest(r *http.Request, sig *signature) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, r.Method...)
	b = append(b, '\n')
	if r.URL.Path == "" {
		b = append(b, '/')
	}
	b = appendEncoded(b, r.URL.Path, true)
	b = append(b, '\n')
	b = appendQuery(b, r.URL.RawQuery)
	b = append(b, '\n')
	for _, name := range sig.signed {
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeader(b, r, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, strings.Join(sig.signed, ";")...)
	b = append(b, '\n')
	return append(b, sig.payload...)
}

func stringToSign(sig *signature, canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return algorithm + "\n" + sig.at.Format(stampFormat) + "\n" + sig.cred.scope() + "\n" + hex.EncodeToString(sum[:])
}

// appendQuery sorts the parameters by encoded name, then value. The signature itself is not signed.
func appendQuery(b []byte, raw string) []byte {
	if raw == "" {
		return b
	}
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		if part == "" || name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, pair{reencode(name), reencode(value)})
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.value, y.value)
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

// reencode brings a part of a query into the one encoding that is signed. '+' is a space, as S3 reads it; a '%' that
// encodes nothing stands for itself.
func reencode(s string) string {
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			plain = append(plain, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			plain = append(plain, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			plain = append(plain, c)
		}
	}
	return string(appendEncoded(nil, string(plain), false))
}

// appendEncoded appends s in S3's URI encoding: all but unreserved characters (RFC 3986) become %XX, in a path '/' stays.
func appendEncoded(b []byte, s string, path bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~', path && c == '/':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// appendHeader appends the signed form of a header: values joined by commas, runs of spaces as one. net/http moves some
// headers out of r.Header.
func appendHeader(b []byte, r *http.Request, name string) []byte {
	values := r.Header[textproto.CanonicalMIMEHeaderKey(name)]
	switch {
	case name == "host":
		values = []string{r.Host}
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	case name == "transfer-encoding" && len(values) == 0:
		values = r.TransferEncoding
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		for j, field := range strings.Fields(v) {
			if j > 0 {
				b = append(b, ' ')
			}
			b = append(b, field...)
		}
	}
	return b
}

// unsignedHeaders lists the headers of r that change what S3 does, and are not signed: Host and x-amz-*.
func unsignedHeaders(r *http.Request, signed []string) []string {
	var missing []string
	if !slices.Contains(signed, "host") {
		missing = append(missing, "host")
	}
	for name := range r.Header {
		if len(name) > 6 && strings.EqualFold(name[:6], "x-amz-") {
			if low := strings.ToLower(name); !slices.Contains(signed, low) {
				missing = append(missing, low)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// signingKey derives the key of one day, region and service from a secret.
func signingKey(secret string, c credential) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{c.day, c.region, service, terminal} {
		key = sumHMAC(key, part)
	}
	return key
}

func sumHMAC(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

func hexHMAC(key []byte, s string) string { return hex.EncodeToString(sumHMAC(key, s)) }

// equal compares two signatures in constant time.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}

// isSHA256 reports whether s is a hash in hex.
func isSHA256(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}
