package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A VersionEntry is a version or a delete marker as a listing of versions shows it.
type VersionEntry struct {
	Key, ID, ETag string
	Latest        bool
	DeleteMarker  bool
	Size          int64
	LastModified  time.Time
}

// maxSameKey is how many pages may tell of one and the same key: a million versions.
const maxSameKey = 1000

// maxVersions bounds the versions of one key that are held at a time.
const maxVersions = 100_000

// Versions yields the versions and delete markers below a prefix, in the order of keys and
// newest first, in pages of limit entries (0: PageSize). The first error ends it; a listing
// that does not advance is ErrCorrupt.
func (c *Client) Versions(ctx context.Context, bucket, prefix string, limit int) iter.Seq2[VersionEntry, error] {
	return func(yield func(VersionEntry, error) bool) {
		w := &versionWalk{c: c, bucket: bucket, prefix: prefix, limit: ListQuery{Limit: limit}.limit()}
		for {
			x, vs, err := w.page(ctx)
			if err != nil {
				yield(VersionEntry{}, err)
				return
			}
			for _, v := range vs {
				if !yield(v, nil) {
					return
				}
			}
			if !x.IsTruncated {
				return
			}
			if err := w.advance(x); err != nil {
				yield(VersionEntry{}, w.c.at.fail(w.q, ErrCorrupt, "%s", err))
				return
			}
		}
	}
}

// VersionsOf lists the versions and delete markers of one key, newest first, at most limit
// (0: all). More than maxVersions are ErrUnavailable.
func (c *Client) VersionsOf(ctx context.Context, bucket, key string, limit int) ([]VersionEntry, error) {
	w := &versionWalk{c: c, bucket: bucket, prefix: key, limit: ListQuery{Limit: limit}.limit()}
	var all []VersionEntry
	for {
		x, vs, err := w.page(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range vs {
			if v.Key == key {
				all = append(all, v)
			}
		}
		switch {
		case !x.IsTruncated, w.last > key, limit > 0 && len(all) >= limit:
			return all, nil
		case len(all) > maxVersions:
			return nil, c.at.fail(w.q, ErrUnavailable, "key %q has more than %d versions", key, maxVersions)
		}
		if err := w.advance(x); err != nil {
			return nil, c.at.fail(w.q, ErrCorrupt, "%s", err)
		}
	}
}

// versionWalk is a listing of versions under way.
type versionWalk struct {
	c              *Client
	bucket, prefix string
	limit          int
	q              *Request // of the last page
	key, id        string   // the markers of the next page
	last           string   // the last key seen
	pages          int      // that began at key
	seen           map[string]bool
}

// page asks for the next page.
func (w *versionWalk) page(ctx context.Context) (*versionListing, []VersionEntry, error) {
	v := url.Values{
		"versions": {""}, "prefix": {w.prefix}, "encoding-type": {"url"}, "max-keys": {strconv.Itoa(w.limit)},
	}
	if w.key != "" {
		v.Set("key-marker", w.key)
		v.Set("version-id-marker", w.id)
	}
	w.q = &Request{
		Name: "listing versions in", Method: http.MethodGet, Bucket: w.bucket, Query: v,
		Limit: LimitPage,
	}
	x := new(versionListing)
	if _, err := w.c.decode(ctx, w.q, x); err != nil {
		return nil, nil, noKey(err)
	}
	vs, err := w.entries(x)
	return x, vs, err
}

// entries reads those of a page, which come after those before them.
func (w *versionWalk) entries(x *versionListing) ([]VersionEntry, error) {
	vs := make([]VersionEntry, len(x.Entries))
	for i := range vs {
		var err error
		if vs[i], err = w.entry(x, &x.Entries[i]); err != nil {
			return nil, err
		}
	}
	mix(vs)
	for _, v := range vs {
		if v.Key < w.last || !strings.HasPrefix(v.Key, w.prefix) {
			return nil, w.c.at.fail(w.q, ErrCorrupt, "the listing is out of order: %q after %q below %q", v.Key, w.last, w.prefix)
		}
		w.last = v.Key
	}
	return vs, nil
}

// mix brings versions and delete markers of a page in order where the page tells of one kind first
// and then of the other, as versitygw's pages do. There is nothing but the times to go by below the
// latest of a key.
func mix(vs []VersionEntry) {
	n := slices.IndexFunc(vs, func(v VersionEntry) bool { return v.DeleteMarker != vs[0].DeleteMarker })
	if n < 0 || slices.ContainsFunc(vs[n:], func(v VersionEntry) bool { return v.DeleteMarker == vs[0].DeleteMarker }) {
		return // one kind, or mixed already
	}
	order := func(a, b VersionEntry) int {
		switch {
		case a.Key != b.Key:
			return strings.Compare(a.Key, b.Key)
		case a.Latest != b.Latest:
			return map[bool]int{true: -1, false: 1}[a.Latest]
		default:
			return b.LastModified.Compare(a.LastModified)
		}
	}
	first, second := vs[n-1], vs[n]
	if first.Key < second.Key || first.Key == second.Key && !second.Latest {
		return // in order as it is
	}
	slices.SortStableFunc(vs, order)
}

// entry reads one.
func (w *versionWalk) entry(x *versionListing, e *listedVersion) (VersionEntry, error) {
	key, err := unescape(x.EncodingType, e.Key)
	if err != nil {
		return VersionEntry{}, w.c.at.rubbish(w.q, err)
	}
	t, err := time.Parse(time.RFC3339Nano, e.LastModified)
	if err != nil {
		return VersionEntry{}, w.c.at.rubbish(w.q, err)
	}
	return VersionEntry{
		Key: key, ID: e.VersionID, Latest: e.IsLatest, DeleteMarker: e.XMLName.Local == "DeleteMarker",
		ETag: TrimETag(e.ETag), Size: e.Size, LastModified: t.UTC(),
	}, nil
}

// advance sets the markers of the page after this one. They rise: by key, and below one
// key, whose versions' IDs have no order, to one that was not there before.
func (w *versionWalk) advance(x *versionListing) error {
	key, err := unescape(x.EncodingType, x.NextKeyMarker)
	if err != nil {
		return err
	}
	if key > w.key {
		w.pages, w.seen = 0, make(map[string]bool)
	}
	w.pages++
	if key < w.key || key == "" || w.seen[x.NextVersionIDMarker] || w.pages > maxSameKey {
		return fmt.Errorf("the listing does not advance: after %q comes %q", w.key, key)
	}
	w.seen[x.NextVersionIDMarker] = true
	w.key, w.id = key, x.NextVersionIDMarker
	return nil
}

// versionListing is a ListObjectVersions answer. Versions and delete markers come
// mixed; ",any" keeps their order.
type versionListing struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	EncodingType        string
	IsTruncated         bool
	NextKeyMarker       string
	NextVersionIDMarker string         `xml:"NextVersionIdMarker"`
	Entries             listedVersions `xml:",any"`
}

type listedVersions []listedVersion

type listedVersion struct {
	XMLName      xml.Name // Version or DeleteMarker
	Key          string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
	ETag         string
	Size         int64
	LastModified string
}

// UnmarshalXML implements [xml.Unmarshaler] for one of the elements, and passes over those
// that are neither a version nor a delete marker.
func (l *listedVersions) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if start.Name.Local != "Version" && start.Name.Local != "DeleteMarker" {
		return d.Skip()
	}
	return appendElement((*[]listedVersion)(l), PageSize, d, start)
}
