package storage

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
)

// OnlyCopies says whether every version of a key that holds content carries FaDO's mark,
// so that removing all of them takes nothing of a user's away. Delete markers hold
// nothing and don't count. False where there are versions that can't be looked at.
func (c *Client) OnlyCopies(ctx context.Context, bucket, key string) (bool, error) {
	vs, err := c.versionsOf(ctx, bucket, key, 0)
	if errors.Is(err, ErrUnsupported) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, v := range vs {
		if v.deleteMarker {
			continue
		}
		q := &request{name: "HEAD", method: http.MethodHead, bucket: c.Physical(bucket), key: key}
		if v.id != "" {
			q.query = url.Values{"versionId": {v.id}}
		}
		resp, err := c.send(ctx, q)
		if errors.Is(err, ErrNotFound) {
			continue // it went meanwhile
		}
		if err != nil {
			return false, err
		}
		discard(resp)
		o, err := c.parseObject(q, bucket, resp.Header)
		if err != nil {
			return false, err
		}
		if !o.Replica {
			return false, nil
		}
	}
	return true, nil
}

// VersionedKeys yields, in order, every key below a prefix that has a version or a delete
// marker, current or not. The first error ends it.
func (c *Client) VersionedKeys(ctx context.Context, bucket, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		v := url.Values{"versions": {""}, "prefix": {prefix}, "encoding-type": {"url"}}
		last, begun := "", false
		for {
			q := &request{name: "listing versions in", method: http.MethodGet, bucket: c.Physical(bucket), query: v}
			x, err := c.versionPage(ctx, q)
			if err != nil {
				yield("", err)
				return
			}
			for i := range x.Entries {
				key, err := x.keyOf(i)
				if err != nil {
					yield("", c.rubbish(q, err))
					return
				}
				if key == "" || (begun && key == last) {
					continue
				}
				if last, begun = key, true; !yield(key, nil) {
					return
				}
			}
			if !x.IsTruncated {
				return
			}
			if err := x.advance(v); err != nil {
				yield("", c.fail(q, ErrCorrupt, "%s", err))
				return
			}
		}
	}
}

// keyOf returns the key of an entry, "" if it is neither a version nor a delete marker.
func (x *versionListing) keyOf(i int) (string, error) {
	e := &x.Entries[i]
	if e.XMLName.Local != "DeleteMarker" && e.XMLName.Local != "Version" {
		return "", nil
	}
	if x.EncodingType == "url" {
		return url.QueryUnescape(e.Key)
	}
	return e.Key, nil
}

// advance sets the markers of the page after this one.
func (x *versionListing) advance(v url.Values) error {
	if x.NextKeyMarker == v.Get("key-marker") && x.NextVersionIDMarker == v.Get("version-id-marker") {
		return errors.New("the listing does not go on")
	}
	marker := x.NextKeyMarker
	if x.EncodingType == "url" {
		var err error
		if marker, err = url.QueryUnescape(marker); err != nil {
			return err
		}
	}
	v.Set("key-marker", marker)
	v.Set("version-id-marker", x.NextVersionIDMarker)
	return nil
}
