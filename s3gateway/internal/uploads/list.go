package uploads

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// List returns a page of the uploads of some storages.
func List(ctx context.Context, q Query, sources []Source) (*Page, error) {
	if err := q.find(ctx, sources); err != nil {
		return nil, err
	}
	c := &collector{q: &q}
	for i := range sources {
		if err := sources[i].walk(ctx, c); err != nil {
			return nil, fmt.Errorf("%s: %w", sources[i].Cluster, err)
		}
	}
	return c.page(), nil
}

// find finds out when the upload of the marker began.
func (q *Query) find(ctx context.Context, sources []Source) error {
	m := q.Mark
	if m == nil {
		return nil
	}
	q.Mark, q.again = nil, true // until it is found
	for i := range sources {
		if sources[i].Cluster != m.Cluster {
			continue
		}
		err := sources[i].ofKey(ctx, q.After, func(u Upload) {
			if u.ID == m.ID {
				q.Mark, q.again = &u, false
			}
		})
		if err != nil {
			return fmt.Errorf("%s: %w", m.Cluster, err)
		}
	}
	return nil
}

// walk adds a storage's uploads, as far as they may belong on the page.
func (s *Source) walk(ctx context.Context, c *collector) error {
	if s.Way == OneKey {
		if c.q.Prefix != "" { // of this key it knows those that it began before its restart, too
			if err := s.ofKey(ctx, c.q.Prefix, c.add); err != nil {
				return err
			}
		}
		_, err := s.ask(ctx, url.Values{}, c.add)
		return err
	}
	from := s.begin(c.q)
	return s.pages(ctx, c.q.Prefix, from, c.add, func(h *head) (marker, bool) {
		if c.beyond(&h.last) {
			return marker{}, false
		}
		if folder := c.q.folder(h.last.Key); folder != "" {
			return marker{key: behind(folder)}, true
		}
		return s.next(h), true
	})
}

// ofKey hands on a storage's uploads of one key.
func (s *Source) ofKey(ctx context.Context, key string, each func(Upload)) error {
	return s.pages(ctx, key, marker{}, func(u Upload) {
		if u.Key == key {
			each(u)
		}
	}, func(h *head) (marker, bool) { return s.next(h), h.last.Key == key })
}

// marker is where a page of a storage begins.
type marker struct{ key, id string }

// pages hands on a storage's uploads of a prefix, page by page, as long as next says where the
// following one begins.
func (s *Source) pages(ctx context.Context, prefix string, from marker, each func(Upload), next func(*head) (marker, bool)) error {
	for {
		query := url.Values{"max-uploads": {strconv.Itoa(pageSize)}}
		for name, v := range map[string]string{"prefix": prefix, "key-marker": from.key, "upload-id-marker": from.id} {
			if v != "" {
				query.Set(name, v)
			}
		}
		h, err := s.ask(ctx, query, each)
		if err != nil || !h.truncated {
			return err
		}
		to, more := next(h)
		if !more {
			return nil
		}
		if to == from {
			return fmt.Errorf("the list of uploads does not advance behind %q", to.key)
		}
		from = to
	}
}

// begin is where a storage's uploads begin that are asked for.
func (s *Source) begin(q *Query) marker {
	switch {
	case q.Mark != nil, q.again: // those of the key come in an order of the storage's own
		return marker{key: before(q.After)}
	case q.Delimiter != "" && q.folder(q.After) == q.After && q.After != "":
		return marker{key: behind(q.After)}
	}
	return marker{key: q.After}
}

// next is where the page that follows another one begins.
func (s *Source) next(h *head) marker {
	if s.Way == OneKey { // it names no key
		return marker{h.last.Key, h.nextID}
	}
	return s.marker(cmp.Or(h.nextKey, h.last.Key), h.nextID)
}

// marker begins behind an upload of a key.
func (s *Source) marker(key, id string) marker {
	if s.Way == NextKey && id != "" {
		key = before(key)
	}
	return marker{key, id}
}

// last is the greatest character: no key has it.
const last = "\U0010FFFF"

// behind is behind all keys that begin with a prefix.
func behind(prefix string) string { return prefix + last }

// before is right in front of a key.
func before(key string) string {
	r, size := utf8.DecodeLastRuneInString(key)
	key = key[:len(key)-size]
	switch {
	case r <= 1:
		return key
	case r == 0xE000: // what is below are no characters
		r = 0xD800
	}
	return key + string(r-1) + last
}
