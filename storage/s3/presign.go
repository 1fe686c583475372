package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	dayForm  = "20060102"
	timeForm = "20060102T150405Z"
)

// dayKey is the key that signs all of a day's URLs.
type dayKey struct {
	scope string
	key   []byte
}

// Presign returns a URL by which anyone may read an object until it expires. It makes no request.
//
// minio-go's signer makes the same URLs (a test compares them) and derives the key of the day for
// each: an invocation may need many.
func (c *Client) Presign(bucket, key string, expires time.Duration) string {
	return c.presignAt(bucket, key, expires, time.Now().UTC())
}

func (c *Client) presignAt(bucket, key string, expires time.Duration, t time.Time) string {
	u := c.at.url(&Request{Method: http.MethodGet, Bucket: bucket, Key: key})
	if c.at.AccessKey == "" || c.at.SecretKey == "" {
		return u.String()
	}
	k, at := c.dayKey(t), t.Format(timeForm)
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + url.QueryEscape(c.at.AccessKey+"/"+k.scope) +
		"&X-Amz-Date=" + at + "&X-Amz-Expires=" + strconv.FormatInt(int64(expires/time.Second), 10) + "&X-Amz-SignedHeaders=host"
	// The canonical request and the string to sign of Signature Version 4, for query parameters.
	request := sha256.Sum256([]byte("GET\n" + u.RawPath + "\n" + query + "\nhost:" + u.Host + "\n\nhost\nUNSIGNED-PAYLOAD"))
	signature := sign(k.key, "AWS4-HMAC-SHA256\n"+at+"\n"+k.scope+"\n"+hex.EncodeToString(request[:]))
	u.RawQuery = query + "&X-Amz-Signature=" + hex.EncodeToString(signature)
	return u.String()
}

// dayKey returns the key of a day, which is derived once.
func (c *Client) dayKey(t time.Time) *dayKey {
	day := t.Format(dayForm)
	scope := day + "/" + c.at.Region + "/s3/aws4_request"
	if k := c.today.Load(); k != nil && k.scope == scope {
		return k
	}
	key := []byte("AWS4" + c.at.SecretKey)
	for _, part := range []string{day, c.at.Region, "s3", "aws4_request"} {
		key = sign(key, part)
	}
	k := &dayKey{scope, key}
	c.today.Store(k)
	return k
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
