package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
)

// ListBuckets asks for a list of one bucket, which proves endpoint and credentials.
func (c *Client) ListBuckets(ctx context.Context) error {
	var x struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
	}
	_, err := c.decode(ctx, &Request{
		Name: "listing buckets", Method: http.MethodGet, Query: url.Values{"max-buckets": {"1"}},
		Limit: LimitPing,
	}, &x)
	return err
}
