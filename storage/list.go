package storage

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const pageSize = 1000 // S3's maximum

// listing is a ListObjectsV2 answer.
type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	EncodingType          string
	IsTruncated           bool
	NextContinuationToken string
	Contents              []struct {
		Key          string
		LastModified string
		ETag         string
		Size         int64
	}
	CommonPrefixes []struct{ Prefix string }
}

// page is a decoded listing.
type page struct {
	objects  []Object
	prefixes []string
	token    string // "" at the end
}

// List implements [Storage]. The next page is asked for while the caller works on
// the one before.
func (c *Client) List(ctx context.Context, bucket, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		next := c.fetch(ctx, bucket, listQuery{prefix: prefix, after: after})
		last := after
		for next != nil {
			r := <-next
			next = nil
			if r.err == nil && r.page.token != "" {
				q := listQuery{prefix: prefix, token: r.page.token}
				next = c.fetch(ctx, bucket, q)
			}
			var ok bool
			if last, ok = c.yieldPage(bucket, prefix, last, r, yield); !ok {
				cancel()
				if next != nil {
					<-next // the request must not outlive the loop
				}
				return
			}
		}
	}
}

type fetched struct {
	page page
	err  error
}

func (c *Client) fetch(ctx context.Context, bucket string, l listQuery) <-chan fetched {
	ch := make(chan fetched, 1)
	go func() {
		p, err := c.listPage(ctx, bucket, l)
		ch <- fetched{p, err}
	}()
	return ch
}

// yieldPage hands a page on, key by key, and checks that keys rise and lie below the
// prefix: a merge of two listings relies on it.
func (c *Client) yieldPage(bucket, prefix, last string, r fetched, yield func(Object, error) bool) (string, bool) {
	if r.err != nil {
		yield(Object{}, r.err)
		return last, false
	}
	for _, o := range r.page.objects {
		if (o.Key <= last && last != "") || !strings.HasPrefix(o.Key, prefix) {
			q := &request{name: "listing", bucket: c.Physical(bucket)}
			yield(Object{}, c.fail(q, ErrCorrupt, "the listing is out of order: %q after %q below %q", o.Key, last, prefix))
			return last, false
		}
		last = o.Key
		if !yield(o, nil) {
			return last, false
		}
	}
	return last, true
}

// Page implements [Storage].
func (c *Client) Page(ctx context.Context, bucket, prefix, delimiter, after string, limit int) ([]Object, []string, string, error) {
	p, err := c.listPage(ctx, bucket, listQuery{prefix: prefix, delimiter: delimiter, after: after, limit: limit})
	if err != nil {
		return nil, nil, "", err
	}
	next := ""
	if p.token != "" {
		if n := len(p.objects); n > 0 {
			next = p.objects[n-1].Key
		}
		if n := len(p.prefixes); n > 0 && p.prefixes[n-1] > next {
			next = p.prefixes[n-1]
		}
	}
	return p.objects, p.prefixes, next, nil
}

type listQuery struct {
	prefix, delimiter string
	after, token      string
	limit             int
}

func (l listQuery) values() url.Values {
	v := url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "max-keys": {strconv.Itoa(pageSize)}}
	if l.limit > 0 && l.limit < pageSize {
		v.Set("max-keys", strconv.Itoa(l.limit))
	}
	if l.prefix != "" {
		v.Set("prefix", l.prefix)
	}
	if l.delimiter != "" {
		v.Set("delimiter", l.delimiter)
	}
	switch {
	case l.token != "":
		v.Set("continuation-token", l.token)
	case l.after != "":
		v.Set("start-after", afterParam(l.after, l.delimiter))
	}
	return v
}

// afterParam makes start-after skip a whole common prefix: keys below "a/" come
// after "a/" itself, and would bring "a/" up again.
func afterParam(after, delimiter string) string {
	if delimiter != "" && strings.HasSuffix(after, delimiter) {
		return after + "\U0010FFFF"
	}
	return after
}

func (c *Client) listPage(ctx context.Context, bucket string, l listQuery) (page, error) {
	q := &request{name: "listing", method: http.MethodGet, bucket: c.Physical(bucket), query: l.values()}
	resp, err := c.send(ctx, q)
	if err != nil {
		return page{}, noKey(err)
	}
	defer discard(resp)
	var x listing
	if err := xml.NewDecoder(resp.Body).Decode(&x); err != nil {
		return page{}, c.rubbish(q, err)
	}
	p, err := x.decode()
	if err != nil {
		return page{}, c.rubbish(q, err)
	}
	if x.IsTruncated && (p.token == "" || len(p.objects)+len(p.prefixes) == 0) {
		return page{}, c.fail(q, ErrCorrupt, "the listing breaks off without a way to go on")
	}
	return p, nil
}

// noKey: a bucket's listing knows no missing keys.
func noKey(err error) error {
	var e *Error
	if errors.As(err, &e) && errors.Is(e.kind, ErrNotFound) {
		e.kind = ErrUnavailable
	}
	return err
}

func (x *listing) decode() (page, error) {
	name := func(s string) (string, error) { return s, nil }
	if x.EncodingType == "url" {
		name = url.QueryUnescape
	}
	p := page{objects: make([]Object, 0, len(x.Contents))}
	if x.IsTruncated {
		p.token = x.NextContinuationToken
	}
	for i := range x.Contents {
		e := &x.Contents[i]
		key, err := name(e.Key)
		if err != nil {
			return page{}, err
		}
		t, err := time.Parse(time.RFC3339Nano, e.LastModified)
		if err != nil {
			return page{}, err
		}
		p.objects = append(p.objects, Object{Key: key, Size: e.Size, ETag: trimETag(e.ETag), LastModified: t.UTC()})
	}
	for _, e := range x.CommonPrefixes {
		prefix, err := name(e.Prefix)
		if err != nil {
			return page{}, err
		}
		p.prefixes = append(p.prefixes, prefix)
	}
	return p, nil
}

// version is one entry of a listing of versions.
type version struct {
	key          string
	id           string
	latest       bool
	deleteMarker bool
	etag         string
	size         int64
	lastModified time.Time
}

// versionListing is a ListObjectVersions answer. Versions and delete markers come
// mixed; ",any" keeps their order.
type versionListing struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	EncodingType        string
	IsTruncated         bool
	NextKeyMarker       string
	NextVersionIDMarker string `xml:"NextVersionIdMarker"`
	Entries             []struct {
		XMLName      xml.Name
		Key          string
		VersionID    string `xml:"VersionId"`
		IsLatest     bool
		ETag         string
		Size         int64
		LastModified string
	} `xml:",any"`
}

// versionsOf lists the versions and delete markers of one key, newest first, at most
// limit (0: all).
func (c *Client) versionsOf(ctx context.Context, bucket, key string, limit int) ([]version, error) {
	var all []version
	v := url.Values{"versions": {""}, "prefix": {key}, "encoding-type": {"url"}}
	if limit > 0 {
		v.Set("max-keys", strconv.Itoa(limit))
	}
	for {
		q := &request{name: "listing versions in", method: http.MethodGet, bucket: c.Physical(bucket), query: v}
		x, err := c.versionPage(ctx, q)
		if err != nil {
			return nil, err
		}
		vs, past, err := x.decode(key)
		if err != nil {
			return nil, c.rubbish(q, err)
		}
		all = append(all, vs...)
		if past || !x.IsTruncated || (limit > 0 && len(all) >= limit) {
			return all, nil
		}
		if x.NextKeyMarker == v.Get("key-marker") && x.NextVersionIDMarker == v.Get("version-id-marker") {
			return nil, c.fail(q, ErrCorrupt, "the listing does not go on")
		}
		marker := x.NextKeyMarker
		if x.EncodingType == "url" {
			if marker, err = url.QueryUnescape(marker); err != nil {
				return nil, c.rubbish(q, err)
			}
		}
		v.Set("key-marker", marker)
		v.Set("version-id-marker", x.NextVersionIDMarker)
	}
}

func (c *Client) versionPage(ctx context.Context, q *request) (*versionListing, error) {
	resp, err := c.send(ctx, q)
	if err != nil {
		return nil, noKey(err)
	}
	defer discard(resp)
	x := new(versionListing)
	if err := xml.NewDecoder(resp.Body).Decode(x); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, c.rubbish(q, err)
	}
	return x, nil
}

// decode returns the entries of key, and whether the listing went past it.
func (x *versionListing) decode(key string) (vs []version, past bool, err error) {
	for _, e := range x.Entries {
		marker := e.XMLName.Local == "DeleteMarker"
		if !marker && e.XMLName.Local != "Version" {
			continue
		}
		name := e.Key
		if x.EncodingType == "url" {
			if name, err = url.QueryUnescape(name); err != nil {
				return nil, false, err
			}
		}
		if name != key {
			past = past || name > key
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, e.LastModified)
		if err != nil {
			return nil, false, err
		}
		vs = append(vs, version{
			key: name, id: e.VersionID, latest: e.IsLatest, deleteMarker: marker,
			etag: trimETag(e.ETag), size: e.Size, lastModified: t.UTC(),
		})
	}
	return vs, past, nil
}

func trimETag(s string) string {
	return strings.Trim(strings.TrimPrefix(s, "W/"), `"`)
}
