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

// PageSize is the most entries of a page (S3 API reference, ListObjectsV2).
const PageSize = 1000

// A ListQuery asks for a page of a bucket's objects: after a key, or, with a Token, after
// another page.
type ListQuery struct {
	Prefix, Delimiter string
	After, Token      string
	Limit             int // 0: PageSize
}

// An Entry is an object as a listing shows it.
type Entry struct {
	Key, ETag    string
	Size         int64
	LastModified time.Time
}

// A Page is one page of a listing.
type Page struct {
	Entries  []Entry
	Prefixes []string
	Token    string // of the next page; "" at the end
}

// List asks for one page (ListObjectsV2). A page that would leave the next one where this
// one was is ErrCorrupt, but for the order of keys, which the caller sees.
func (c *Client) List(ctx context.Context, bucket string, l ListQuery) (Page, error) {
	q := &Request{
		Name: "listing", Method: http.MethodGet, Bucket: bucket, Query: l.values(),
		Limit: LimitPage,
	}
	var x listing
	if _, err := c.decode(ctx, q, &x); err != nil {
		return Page{}, noKey(err)
	}
	p, err := x.decode()
	if err != nil {
		return Page{}, c.at.rubbish(q, err)
	}
	switch n := len(p.Entries) + len(p.Prefixes); {
	case n > l.limit():
		return Page{}, c.at.fail(q, ErrCorrupt, "the listing has %d entries, %d were asked for", n, l.limit())
	case l.Delimiter == "" && len(p.Prefixes) > 0:
		return Page{}, c.at.fail(q, ErrCorrupt, "the listing has common prefixes, which were not asked for")
	case x.IsTruncated && (p.Token == "" || n == 0):
		return Page{}, c.at.fail(q, ErrCorrupt, "the listing breaks off without a way to continue")
	case p.Token != "" && p.Token == l.Token:
		return Page{}, c.at.fail(q, ErrCorrupt, "the listing does not advance: its next page is itself")
	}
	return p, nil
}

func (l ListQuery) limit() int {
	if l.Limit > 0 && l.Limit < PageSize {
		return l.Limit
	}
	return PageSize
}

func (l ListQuery) values() url.Values {
	v := url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "max-keys": {strconv.Itoa(l.limit())}}
	if l.Prefix != "" {
		v.Set("prefix", l.Prefix)
	}
	if l.Delimiter != "" {
		v.Set("delimiter", l.Delimiter)
	}
	switch {
	case l.Token != "":
		v.Set("continuation-token", l.Token)
	case l.After != "":
		v.Set("start-after", l.After)
	}
	return v
}

// noKey: a bucket's listing knows no missing keys.
func noKey(err error) error {
	var e *Error
	if errors.As(err, &e) && errors.Is(e.Kind, ErrNotFound) {
		e.Kind = ErrUnavailable
	}
	return err
}

// listing is a ListObjectsV2 answer.
type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	EncodingType          string
	IsTruncated           bool
	NextContinuationToken string
	Contents              atMost[listedObject]
	CommonPrefixes        atMost[commonPrefix]
}

type listedObject struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
}

type commonPrefix struct{ Prefix string }

func (x *listing) decode() (Page, error) {
	p := Page{Entries: make([]Entry, 0, len(x.Contents))}
	if x.IsTruncated {
		p.Token = x.NextContinuationToken
	}
	for i := range x.Contents {
		o := &x.Contents[i]
		key, err := unescape(x.EncodingType, o.Key)
		if err != nil {
			return Page{}, err
		}
		t, err := time.Parse(time.RFC3339Nano, o.LastModified)
		if err != nil {
			return Page{}, err
		}
		p.Entries = append(p.Entries, Entry{Key: key, Size: o.Size, ETag: TrimETag(o.ETag), LastModified: t.UTC()})
	}
	for _, cp := range x.CommonPrefixes {
		prefix, err := unescape(x.EncodingType, cp.Prefix)
		if err != nil {
			return Page{}, err
		}
		p.Prefixes = append(p.Prefixes, prefix)
	}
	return p, nil
}

// unescape reads a key of a listing by its encoding type.
func unescape(encoding, s string) (string, error) {
	if encoding != "url" {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// atMost is a repeated element of which no answer has more than PageSize.
type atMost[T any] []T

// UnmarshalXML implements [xml.Unmarshaler] for one of the elements.
func (a *atMost[T]) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	return appendElement((*[]T)(a), PageSize, d, start)
}

// appendElement decodes an element that is repeated at most so often. A hostile answer has
// many in a few bytes each, and memory for all of them is never taken.
func appendElement[T any](to *[]T, most int, d *xml.Decoder, start xml.StartElement) error {
	if len(*to) >= most {
		return fmt.Errorf("more than %d elements %s", most, start.Name.Local)
	}
	var v T
	if err := d.DecodeElement(&v, &start); err != nil {
		return err
	}
	*to = append(*to, v)
	return nil
}
