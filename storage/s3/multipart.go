package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// MaxParts is the most parts of an upload, and MinPart the least size of all but the last
// (S3 User Guide, "Amazon S3 multipart upload limits").
const (
	MaxParts = 10000
	MinPart  = 5 << 20
)

// A Part is one part of an upload, as its writing was answered.
type Part struct {
	Number int
	ETag   string
	CRC32C string // "" where the part has none
}

// A ListedPart is a part as the storage lists it.
type ListedPart struct {
	Part
	Size int64
}

// BeginUpload makes a request that begins a multipart upload and returns its ID.
func (c *Client) BeginUpload(ctx context.Context, q *Request) (id string, err error) {
	q.Method, q.Query = http.MethodPost, withUploads(q.Query)
	var x struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadID string   `xml:"UploadId"`
	}
	if _, err := c.decode(ctx, q, &x); err != nil {
		return "", err
	}
	if x.UploadID == "" {
		return "", c.at.fail(q, ErrUnavailable, "the answer is not S3's: no upload ID")
	}
	return x.UploadID, nil
}

func withUploads(v url.Values) url.Values {
	if v == nil {
		v = make(url.Values)
	}
	v.Set("uploads", "")
	return v
}

type completeBody struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Parts   []completeBodyPart
}

type completeBodyPart struct {
	XMLName        xml.Name `xml:"Part"`
	PartNumber     int
	ETag           string
	ChecksumCRC32C string `xml:",omitempty"`
}

// CompleteUpload makes a request that completes an upload, and returns the answer's
// headers, among them the object's ETag.
func (c *Client) CompleteUpload(ctx context.Context, q *Request, id string, parts []Part) (http.Header, error) {
	body := completeBody{}
	for _, p := range parts {
		body.Parts = append(body.Parts, completeBodyPart{PartNumber: p.Number, ETag: QuoteETag(p.ETag), ChecksumCRC32C: p.CRC32C})
	}
	b, err := xml.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("completing the upload: %w", err)
	}
	q.Method, q.Query, q.Within = http.MethodPost, url.Values{"uploadId": {id}}, c.Waits.Complete
	q.SetBody(b)
	var x struct {
		XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
		ETag    string
	}
	h, err := c.decode(ctx, q, &x)
	if err != nil {
		return nil, err
	}
	if TrimETag(x.ETag) == "" {
		return nil, c.at.fail(q, ErrUnavailable, "the answer is not S3's: no ETag")
	}
	h = h.Clone()
	h.Set("ETag", x.ETag)
	return h, nil
}

// Parts asks what parts of an upload of an object the storage has.
func (c *Client) Parts(ctx context.Context, bucket, key, id string, dog *Watchdog) ([]ListedPart, error) {
	var all []ListedPart
	for marker := 0; ; {
		q := &Request{
			Name: "asking for the parts of", Method: http.MethodGet, Bucket: bucket, Key: key,
			Query: url.Values{"uploadId": {id}}, Dog: dog, Limit: LimitParts,
		}
		if marker > 0 {
			q.Query.Set("part-number-marker", strconv.Itoa(marker))
		}
		var x partListing
		if _, err := c.decode(ctx, q, &x); err != nil {
			return nil, err
		}
		for _, p := range x.Parts {
			all = append(all, ListedPart{Part{p.PartNumber, TrimETag(p.ETag), p.ChecksumCRC32C}, p.Size})
		}
		if !x.IsTruncated {
			return all, nil
		}
		next, err := strconv.Atoi(x.NextPartNumberMarker)
		if err != nil {
			return nil, c.at.rubbish(q, err)
		}
		if next <= marker || len(all) > MaxParts {
			return nil, c.at.fail(q, ErrCorrupt, "the list of parts does not advance: after part %d comes %d", marker, next)
		}
		marker = next
	}
}

type partListing struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	IsTruncated          bool
	NextPartNumberMarker string
	Parts                listedParts `xml:"Part"`
}

type listedParts []listedPart

type listedPart struct {
	PartNumber     int
	ETag           string
	Size           int64
	ChecksumCRC32C string
}

// UnmarshalXML implements [xml.Unmarshaler] for one of the parts.
func (l *listedParts) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	return appendElement((*[]listedPart)(l), MaxParts, d, start)
}

// AbortUpload removes what an upload has brought so far. Parts whose connection was cut
// may still be arriving and need another abort (S3 API reference, AbortMultipartUpload),
// so it asks until the storage knows the upload no more, or ctx ends.
func (c *Client) AbortUpload(ctx context.Context, bucket, key, id string) error {
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		err := c.Remove(ctx, &Request{
			Name: "aborting the upload of", Bucket: bucket, Key: key, Query: url.Values{"uploadId": {id}},
		})
		if err == nil || NoUpload(err) {
			_, err = c.Parts(ctx, bucket, key, id, nil)
		}
		if NoUpload(err) {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done(): // storages expire what stays
			return errors.Join(ctx.Err(), err)
		}
	}
}

// NoUpload reports whether a request failed because its upload is not there.
func NoUpload(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}
