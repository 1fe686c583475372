package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"time"
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

// maxBucketPages bounds the pages of a list of buckets.
const maxBucketPages = 1000

// Births asks for a list of all buckets that the credentials may see, and returns when each
// was made.
func (c *Client) Births(ctx context.Context) (map[string]time.Time, error) {
	births := make(bucketDates)
	for token, pages := "", 0; pages < maxBucketPages; pages++ {
		q := &Request{Name: "listing buckets", Method: http.MethodGet, Limit: LimitBuckets}
		if token != "" {
			q.Query = url.Values{"continuation-token": {token}}
		}
		x := struct {
			XMLName xml.Name `xml:"ListAllMyBucketsResult"`
			Buckets struct {
				Bucket bucketDates
			}
			ContinuationToken string
		}{}
		x.Buckets.Bucket = births
		if _, err := c.decode(ctx, q, &x); err != nil {
			return nil, err
		}
		if x.ContinuationToken == "" || x.ContinuationToken == token {
			break
		}
		token = x.ContinuationToken
	}
	return births, nil
}

// bucketDates collects the dates of buckets by name, one element at a time.
type bucketDates map[string]time.Time

// UnmarshalXML implements [xml.Unmarshaler] for one of the buckets.
func (b bucketDates) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	var v struct {
		Name         string
		CreationDate time.Time
	}
	if err := d.DecodeElement(&v, &start); err != nil {
		return err
	}
	b[v.Name] = v.CreationDate.UTC()
	return nil
}
