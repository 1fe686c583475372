package uploads

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Upload is an upload that was begun and neither completed nor aborted.
type Upload struct {
	Key     string
	Cluster string // whose storage has it
	ID      string // there
	Begun   time.Time
	Class   string // of storage, as its storage says it
	// Algorithm and Kind are those of its checksums, "" where its storage tells none.
	Algorithm, Kind string
}

// Query is what is asked for.
type Query struct {
	Prefix, Delimiter string
	// After is the key, or the common prefix, that the page begins behind; with Mark, an
	// upload of that key, behind that.
	After string
	Mark  *Upload
	Most  int // entries of the page: uploads and common prefixes
	// Shown reports whether an upload is to be listed; nil: each is.
	Shown func(*Upload) bool

	again bool // there is no such upload as Mark: those of its key are listed from the first
}

// Page is a part of the list.
type Page struct {
	Uploads  []Upload
	Prefixes []string
	// More: something follows Last, an upload or (without an ID) a common prefix.
	More bool
	Last Upload
}

// collector keeps the first entries of a page of all that it is given, in any order.
type collector struct {
	q     *Query
	least []Upload // sorted; a common prefix is one without an ID
}

// compare is the order of the list.
func compare(a, b Upload) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), a.Begun.Compare(b.Begun), strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.ID, b.ID))
}

// add takes an upload up if it belongs on the page.
func (c *collector) add(u Upload) {
	if !strings.HasPrefix(u.Key, c.q.Prefix) || c.told(&u) || c.q.Shown != nil && !c.q.Shown(&u) {
		return
	}
	e := u
	if folder := c.q.folder(u.Key); folder != "" {
		e = Upload{Key: folder}
	}
	if at, known := slices.BinarySearchFunc(c.least, e, compare); !known && at <= c.q.Most {
		c.least = slices.Insert(c.least, at, e)
		c.least = c.least[:min(len(c.least), c.q.Most+1)]
	}
}

// told reports whether an upload does not come behind where the page begins.
func (c *collector) told(u *Upload) bool {
	switch after := c.q.After; {
	case after == "":
		return false
	case u.Key == after && c.q.Mark != nil:
		return compare(*u, *c.q.Mark) <= 0
	default:
		return u.Key < after || u.Key == after && !c.q.again || c.q.folder(u.Key) == after
	}
}

// folder returns the common prefix that a key is below, "" for none.
func (q *Query) folder(key string) string {
	rest, below := strings.CutPrefix(key, q.Prefix)
	if q.Delimiter == "" || !below {
		return ""
	}
	name, _, in := strings.Cut(rest, q.Delimiter)
	if !in {
		return ""
	}
	return q.Prefix + name + q.Delimiter
}

// full reports whether there is more than has a place on the page.
func (c *collector) full() bool { return len(c.least) > c.q.Most }

// beyond reports whether what a storage lists behind an upload has no place on the page. Those
// of one key come in an order of the storage's own, finer than the times that it tells.
func (c *collector) beyond(u *Upload) bool { return c.full() && u.Key > c.least[c.q.Most].Key }

func (c *collector) page() *Page {
	p := new(Page)
	p.More = c.full()
	for _, e := range c.least[:min(len(c.least), c.q.Most)] {
		p.Last = e
		if e.ID == "" {
			p.Prefixes = append(p.Prefixes, e.Key)
		} else {
			p.Uploads = append(p.Uploads, e)
		}
	}
	return p
}
