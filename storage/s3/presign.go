package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	dayForm  = "20060102"
	timeForm = "20060102T150405Z"
)

// SigningKey signs URLs, and chunks of bodies, of one access key on one day.
//
// minio-go's signer makes the same URLs (tests compare them) and takes ten times as long: an
// invocation may need many.
type SigningKey struct {
	id, scope string
	key       []byte
}

// NewSigningKey derives the key of a day.
func NewSigningKey(id, secret, region string, day time.Time) *SigningKey {
	k := &SigningKey{id: id, scope: scopeOf(region, day), key: []byte("AWS4" + secret)}
	for part := range strings.SplitSeq(k.scope, "/") {
		k.key = sign(k.key, part)
	}
	return k
}

func scopeOf(region string, day time.Time) string {
	return day.UTC().Format(dayForm) + "/" + region + "/s3/aws4_request"
}

// Presign returns a URL by which anyone may make a request from a time of the key's day on, until
// it expires. The URL's RawPath is its path as S3 encodes it. Names in the query begin with small
// letters.
func (k *SigningKey) Presign(method string, u *url.URL, query url.Values, expires time.Duration, t time.Time) string {
	at := t.UTC().Format(timeForm)
	text := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + url.QueryEscape(k.id+"/"+k.scope) +
		"&X-Amz-Date=" + at + "&X-Amz-Expires=" + strconv.FormatInt(int64(expires/time.Second), 10) + "&X-Amz-SignedHeaders=host"
	if len(query) > 0 { // small letters come after X
		text += "&" + strings.ReplaceAll(query.Encode(), "+", "%20")
	}
	// The canonical request and the string to sign of Signature Version 4, for query parameters.
	request := sha256.Sum256([]byte(method + "\n" + u.RawPath + "\n" + text + "\nhost:" + u.Host + "\n\nhost\nUNSIGNED-PAYLOAD"))
	signature := sign(k.key, "AWS4-HMAC-SHA256\n"+at+"\n"+k.scope+"\n"+hex.EncodeToString(request[:]))
	signed := *u
	signed.RawQuery = text + "&X-Amz-Signature=" + hex.EncodeToString(signature)
	return signed.String()
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Presign returns a URL by which anyone may read an object until it expires. It makes no request.
func (c *Client) Presign(bucket, key string, expires time.Duration) string {
	return c.presignAt(bucket, key, expires, time.Now().UTC())
}

func (c *Client) presignAt(bucket, key string, expires time.Duration, t time.Time) string {
	u := c.at.url(&Request{Method: http.MethodGet, Bucket: bucket, Key: key})
	if c.at.AccessKey == "" || c.at.SecretKey == "" {
		return u.String()
	}
	return c.at.keyOf(t).Presign(http.MethodGet, u, nil, expires, t)
}

// keyOf returns the key of a day, which is derived once.
func (at *endpoint) keyOf(t time.Time) *SigningKey {
	if k := at.today.Load(); k != nil && k.scope == scopeOf(at.Region, t) {
		return k
	}
	k := NewSigningKey(at.AccessKey, at.SecretKey, at.Region, t)
	at.today.Store(k)
	return k
}
