package s3gateway

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// listing is ListObjects and ListObjectsV2, of a storage and of this endpoint. Keys are as
// encoding-type says.
type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Xmlns                 string   `xml:"xmlns,attr,omitempty"`
	Name                  string
	Prefix                string
	Marker                *string `xml:",omitempty"`
	NextMarker            string  `xml:",omitempty"`
	StartAfter            string  `xml:",omitempty"`
	ContinuationToken     string  `xml:",omitempty"`
	NextContinuationToken string  `xml:",omitempty"`
	KeyCount              *int    `xml:",omitempty"`
	MaxKeys               int
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listed
	CommonPrefixes        []commonPrefix
}

type listed struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm []string `xml:",omitempty"`
	ChecksumType      string   `xml:",omitempty"`
	Size              int64
	StorageClass      string      `xml:",omitempty"`
	Owner             *wire.Owner `xml:",omitempty"`
}

type commonPrefix struct{ Prefix string }

// listQuery is what a client asks of a listing.
type listQuery struct {
	v2                bool
	prefix, delimiter string
	after             string // a key or common prefix
	most              int
	encode            bool // answer with encoded keys
	owners            bool
}

func (l lister) query() (q listQuery, err error) {
	c := l.c
	v := c.query
	q = listQuery{
		prefix: v.Get("prefix"), delimiter: v.Get("delimiter"), after: v.Get("marker"), owners: true,
		v2: c.op.name == "ListObjectsV2",
	}
	if q.v2 {
		if v.Get("list-type") != "2" {
			return q, s3err.BadRequest("InvalidArgument", "Invalid List Type, expected 2")
		}
		q.after, q.owners = v.Get("start-after"), v.Get("fetch-owner") == "true"
		if token, ok := v["continuation-token"]; ok {
			if q.after, ok = wire.DecodePage(token[0]); !ok {
				return q, s3err.BadRequest("InvalidArgument", "The continuation token provided is incorrect")
			}
		}
	}
	if q.most, err = wire.LimitOf(v.Get("max-keys"), "max-keys"); err != nil {
		return q, err
	}
	q.encode, err = wire.EncodesNames(v)
	return q, err
}

// lister lists the objects of the bucket of a call.
type lister struct{ c reader }

// listObjects answers ListObjects and ListObjectsV2.
func listObjects(c reader) error {
	q, err := lister{c}.query()
	if err != nil {
		return err
	}
	page := new(listing)
	if q.most > 0 {
		if page, err = (lister{c}).page(&q); err != nil {
			return err
		}
	}
	return lister{c}.show(&q, page)
}

// page asks a current copy for a page.
func (l lister) page(q *listQuery) (*listing, error) {
	c := l.c
	holders, err := c.readers(routing.Input{Bucket: c.bucket, Key: q.prefix, Scope: routing.ScopePrefix}, preferSame)
	if err != nil {
		return nil, err
	}
	query := url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "max-keys": {strconv.Itoa(q.most)}}
	for name, v := range map[string]string{"prefix": q.prefix, "delimiter": q.delimiter, "start-after": q.startAfter()} {
		if v != "" {
			query.Set(name, v)
		}
	}
	if q.owners {
		query.Set("fetch-owner", "true")
	}
	a, at, err := c.askAny(holders, storage.Forward{Name: c.op.name, Method: http.MethodGet, Bucket: c.bucket, Query: query})
	if err != nil {
		return nil, err
	}
	body, err := c.readAnswer(a)
	if err != nil {
		return nil, err
	}
	page := new(listing)
	if err := xml.Unmarshal(body, page); err != nil {
		return nil, s3err.Unreadable(err)
	}
	c.w.Header().Set("X-Fado-Cluster", holders[at].Cluster)
	return page, page.decode()
}

// startAfter skips a whole common prefix: keys below "a/" come after "a/" itself, and would
// bring it up again.
func (q *listQuery) startAfter() string {
	if q.delimiter != "" && strings.HasSuffix(q.after, q.delimiter) && strings.HasPrefix(q.after, q.prefix) && len(q.after) > len(q.prefix) {
		return q.after + "\U0010FFFF"
	}
	return q.after
}

// decode turns the keys of a storage's listing into what they are.
func (l *listing) decode() error {
	if l.EncodingType != "url" {
		return nil
	}
	var errs []error
	plain := func(s *string) {
		p, err := url.QueryUnescape(*s)
		*s = p
		errs = append(errs, err)
	}
	for i := range l.Contents {
		plain(&l.Contents[i].Key)
	}
	for i := range l.CommonPrefixes {
		plain(&l.CommonPrefixes[i].Prefix)
	}
	if err := errors.Join(errs...); err != nil {
		return s3err.Unreadable(err)
	}
	return nil
}

// last returns the greatest name of a page.
func (l *listing) last() string {
	last := ""
	if n := len(l.Contents); n > 0 {
		last = l.Contents[n-1].Key
	}
	if n := len(l.CommonPrefixes); n > 0 {
		last = max(last, l.CommonPrefixes[n-1].Prefix)
	}
	return last
}

// show answers with a page.
func (l lister) show(q *listQuery, page *listing) error {
	c := l.c
	out := &listing{
		Xmlns: wire.Namespace, Name: c.bucket, Prefix: q.text(q.prefix), Delimiter: q.text(q.delimiter), MaxKeys: q.most,
		IsTruncated: page.IsTruncated && q.most > 0, Contents: page.Contents, CommonPrefixes: page.CommonPrefixes,
	}
	if q.encode {
		out.EncodingType = "url"
	}
	last := page.last()
	if out.IsTruncated && last <= q.after {
		return s3err.Unreadable(fmt.Errorf("the listing does not advance after %q", q.after))
	}
	for i := range out.Contents {
		out.Contents[i].Key = q.text(out.Contents[i].Key)
		out.Contents[i].Owner = nil
		if q.owners {
			out.Contents[i].Owner = wire.TheOwner
		}
	}
	for i := range out.CommonPrefixes {
		out.CommonPrefixes[i].Prefix = q.text(out.CommonPrefixes[i].Prefix)
	}
	if q.v2 {
		n := len(out.Contents) + len(out.CommonPrefixes)
		out.KeyCount = &n
		out.StartAfter, out.ContinuationToken = q.text(c.query.Get("start-after")), c.query.Get("continuation-token")
		if out.IsTruncated {
			out.NextContinuationToken = wire.EncodePage(last)
		}
	} else {
		marker := q.text(q.after)
		out.Marker = &marker
		if out.IsTruncated {
			out.NextMarker = q.text(last)
		}
	}
	c.writeXML(http.StatusOK, out)
	return nil
}

// text is a name as the client wants it.
func (q *listQuery) text(s string) string {
	if !q.encode {
		return s
	}
	return wire.EncodeName(s)
}

// page asks one storage for a page of something.
func (c reader) page(h *routing.Holder, f storage.Forward) (*storage.Answer, []byte, error) {
	a, err := c.ask(c.ctx, h, f, false)
	if err != nil {
		return nil, nil, err
	}
	body, err := c.readAnswer(a)
	return a, body, err
}

// listVersions answers ListObjectVersions, from where versions are the primary's.
func listVersions(c reader) error {
	if _, err := wire.LimitOf(c.query.Get("max-keys"), "max-keys"); err != nil {
		return err
	}
	prefix := c.query.Get("prefix")
	holders, err := c.readers(routing.Input{Bucket: c.bucket, Key: prefix, Scope: routing.ScopePrefix}, history)
	if err != nil {
		return err
	}
	a, at, err := c.askAny(holders, storage.Forward{
		Name: c.op.name, Method: http.MethodGet, Bucket: c.bucket,
		Query: wire.Pick(c.query, []string{"versions", "prefix", "delimiter", "key-marker", "version-id-marker", "max-keys", "encoding-type"}),
	})
	if err != nil {
		return err
	}
	body, err := c.readAnswer(a)
	if err != nil {
		return err
	}
	text := wire.OwnerNames(map[string]func(string) string{"ListVersionsResult/Name": func(string) string { return c.bucket }},
		"ListVersionsResult/Version/Owner", "ListVersionsResult/DeleteMarker/Owner")
	if body, err = wire.RewriteXML(body, text); err != nil {
		return s3err.Unreadable(err)
	}
	c.w.Header().Set("X-Fado-Cluster", holders[at].Cluster)
	c.writeBody(http.StatusOK, "application/xml", body)
	return nil
}
