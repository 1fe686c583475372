package s3

import (
	"net/http"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// Presign returns a URL by which anyone may read an object until it expires. It makes no request.
func (c *Client) Presign(bucket, key string, expires time.Duration) string {
	q := Request{Method: http.MethodGet, Bucket: bucket, Key: key}
	u := c.at.url(&q)
	req := http.Request{Method: q.Method, URL: u, Host: u.Host, Header: make(http.Header)}
	return signer.PreSignV4(req, c.at.AccessKey, c.at.SecretKey, "", c.at.Region, int64(expires/time.Second)).URL.String()
}
