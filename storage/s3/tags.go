package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
)

// TagsRequest asks for the tags of an object, or of one version of it.
func TagsRequest(bucket, key, versionID string) *Request {
	q := &Request{
		Name: "GET tags of", Method: http.MethodGet, Bucket: bucket, Key: key,
		Query: url.Values{"tagging": {""}},
	}
	if versionID != "" {
		q.Query.Set("versionId", versionID)
	}
	return q
}

// Tags returns an object's tags.
func (c *Client) Tags(ctx context.Context, bucket, key, versionID string) (url.Values, error) {
	var x struct {
		XMLName xml.Name                            `xml:"Tagging"`
		Tags    atMost[struct{ Key, Value string }] `xml:"TagSet>Tag"`
	}
	if _, err := c.decode(ctx, TagsRequest(bucket, key, versionID), &x); err != nil {
		return nil, err
	}
	v := make(url.Values, len(x.Tags))
	for _, t := range x.Tags {
		v.Set(t.Key, t.Value)
	}
	return v, nil
}
