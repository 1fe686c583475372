package storage

import (
	"context"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// List implements [Reader]. The next page is asked for while the caller works on
// the one before.
func (c objects) List(ctx context.Context, bucket, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		next := fetchPage(ctx, c.conn, bucket, s3.ListQuery{Prefix: prefix, After: after})
		last := after
		for next != nil {
			r := <-next
			next = nil
			if r.err == nil && r.page.Token != "" {
				next = fetchPage(ctx, c.conn, bucket, s3.ListQuery{Prefix: prefix, Token: r.page.Token})
			}
			var ok bool
			if last, ok = yieldPage(c.conn, bucket, prefix, last, r, yield); !ok {
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
	page s3.Page
	err  error
}

func fetchPage(ctx context.Context, c *conn, bucket string, l s3.ListQuery) <-chan fetched {
	ch := make(chan fetched, 1)
	go func() {
		p, err := c.wire.List(ctx, c.Physical(bucket), l)
		ch <- fetched{p, err}
	}()
	return ch
}

// yieldPage hands a page on, key by key, and checks that keys rise and lie below the
// prefix: a merge of two listings relies on it.
func yieldPage(c *conn, bucket, prefix, last string, r fetched, yield func(Object, error) bool) (string, bool) {
	if r.err != nil {
		yield(Object{}, r.err)
		return last, false
	}
	for i := range r.page.Entries {
		o := objectOf(&r.page.Entries[i])
		if o.Key == last && strings.ContainsRune(o.Key, utf8.RuneError) {
			continue // names that the listing can't show look alike
		}
		if (o.Key <= last && last != "") || !strings.HasPrefix(o.Key, prefix) {
			yield(Object{}, disorder(c, bucket, "%q after %q below %q", o.Key, last, prefix))
			return last, false
		}
		last = o.Key
		if !yield(o, nil) {
			return last, false
		}
	}
	return last, true
}

func disorder(c *conn, bucket, format string, args ...any) error {
	q := &s3.Request{Name: "listing", Bucket: c.Physical(bucket)}
	return c.wire.Fail(q, ErrCorrupt, "the listing is out of order: "+format, args...)
}

func objectOf(e *s3.Entry) Object {
	return Object{Key: e.Key, Size: e.Size, ETag: sums.ETagOr(e.ETag, e.Size, e.LastModified), LastModified: e.LastModified}
}

// Page implements [Reader].
func (c objects) Page(ctx context.Context, bucket, prefix, delimiter, after string, limit int) ([]Object, []string, string, error) {
	p, err := c.wire.List(ctx, c.Physical(bucket), s3.ListQuery{
		Prefix: prefix, Delimiter: delimiter, After: afterParam(after, delimiter), Limit: limit,
	})
	if err != nil {
		return nil, nil, "", err
	}
	objs := make([]Object, len(p.Entries))
	for i := range p.Entries {
		objs[i] = objectOf(&p.Entries[i])
	}
	if p.Token == "" {
		return objs, p.Prefixes, "", nil
	}
	next := ""
	if n := len(objs); n > 0 {
		next = objs[n-1].Key
	}
	if n := len(p.Prefixes); n > 0 && p.Prefixes[n-1] > next {
		next = p.Prefixes[n-1]
	}
	if next <= after {
		return nil, nil, "", disorder(c.conn, bucket, "%q after %q below %q", next, after, prefix)
	}
	return objs, p.Prefixes, next, nil
}

// afterParam makes start-after skip a whole common prefix: keys below "a/" come
// after "a/" itself, and would bring "a/" up again.
func afterParam(after, delimiter string) string {
	if delimiter != "" && strings.HasSuffix(after, delimiter) {
		return after + "\U0010FFFF"
	}
	return after
}
