package listing

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/fado-project/fado/storage"
)

// chunk is a piece of a listing, read ahead.
type chunk[T any] struct {
	entries []T
	err     error
}

// Listings are read ahead in chunks, so that both sides of a merge are fetched at the same
// time. A reader holds at most chunksAhead+2 chunks in memory.
const (
	chunkSize   = 500
	chunksAhead = 2
)

// errDisorder is the error of a listing that is not in S3's order: the merge can't tell
// which keys are absent.
var errDisorder = errors.New("the listing is not in key order")

// errEnd marks a listing that was read to its end.
var errEnd = errors.New("end of listing")

// reader is one side of a merge.
type reader[T any] struct {
	name    string // of the side, for errors
	keyOf   func(*T) string
	chunks  <-chan chunk[T]
	read    []T    // read, but not taken
	last    string // key taken last, if started
	started bool
	err     error // why reading ended; errEnd at the end of the listing
}

// readAhead reads a listing in the background, until the listing or ctx ends.
func readAhead[T any](ctx context.Context, name string, entries iter.Seq2[T, error], keyOf func(*T) string) *reader[T] {
	ch := make(chan chunk[T], chunksAhead)
	go func() {
		defer close(ch)
		send := func(c chunk[T]) bool {
			select {
			case ch <- c:
				return true
			case <-ctx.Done():
				return false
			}
		}
		var c chunk[T]
		for o, err := range entries {
			if err != nil {
				c.err = err
				break
			}
			if c.entries = append(c.entries, o); len(c.entries) == chunkSize {
				if !send(c) {
					return
				}
				c = chunk[T]{entries: make([]T, 0, chunkSize)}
			}
		}
		send(c)
	}()
	return &reader[T]{name: name, keyOf: keyOf, chunks: ch}
}

// peek returns the next entry without taking it; nil at the end and after an error.
func (r *reader[T]) peek(ctx context.Context) *T {
	for len(r.read) == 0 {
		if r.err != nil {
			return nil
		}
		select {
		case c, ok := <-r.chunks:
			if !ok {
				if r.err = ctx.Err(); r.err == nil {
					r.err = errEnd
				}
				return nil
			}
			r.read = c.entries
			if c.err != nil {
				r.err = fmt.Errorf("listing %s: %w", r.name, c.err)
			}
		case <-ctx.Done():
			r.err = ctx.Err()
			return nil
		}
	}
	o := &r.read[0]
	if key := r.keyOf(o); r.started && key <= r.last {
		r.err = fmt.Errorf("listing %s: %q after %q: %w", r.name, key, r.last, errDisorder)
		r.read = nil
		return nil
	}
	return o
}

// take takes the entry that peek returned.
func (r *reader[T]) take() {
	r.last, r.started = r.keyOf(&r.read[0]), true
	r.read = r.read[1:]
}

// failure returns why the listing ended early, nil if it did not.
func (r *reader[T]) failure() error {
	if errors.Is(r.err, errEnd) {
		return nil
	}
	return r.err
}

// Pair is one key with its objects at the source and the destination; nil where it is absent.
type Pair struct {
	Key      string
	Src, Dst *storage.Object
}

// Clone returns a pair that stays valid.
func (p Pair) Clone() Pair {
	clone := func(o *storage.Object) *storage.Object {
		if o != nil {
			o = new(*o)
		}
		return o
	}
	p.Src, p.Dst = clone(p.Src), clone(p.Dst)
	return p
}

// Merge yields every key of two listings in key order. The objects of a pair are valid until
// the next one. The first error of either side ends the merge: every key yielded before it
// is complete, so that a nil object means absent, not unknown. Merge reads both listings in
// the background, and waits for these reads before it returns.
func Merge(ctx context.Context, src, dst iter.Seq2[storage.Object, error], srcName, dstName string) iter.Seq2[Pair, error] {
	keyOf := func(o *storage.Object) string { return o.Key }
	return func(yield func(Pair, error) bool) {
		merge(ctx, src, dst, srcName, dstName, keyOf, func(key string, s, d *storage.Object, err error) bool {
			return yield(Pair{Key: key, Src: s, Dst: d}, err)
		})
	}
}

// Histories is one key with its histories at the source and the destination, without versions
// where it has none.
type Histories struct {
	Key      string
	Src, Dst storage.History
}

// MergeHistories is Merge for two listings of versions.
func MergeHistories(ctx context.Context, src, dst iter.Seq2[storage.History, error], srcName, dstName string) iter.Seq2[Histories, error] {
	keyOf := func(h *storage.History) string { return h.Key }
	return func(yield func(Histories, error) bool) {
		merge(ctx, src, dst, srcName, dstName, keyOf, func(key string, s, d *storage.History, err error) bool {
			h := Histories{Key: key}
			if s != nil {
				h.Src = *s
			}
			if d != nil {
				h.Dst = *d
			}
			return yield(h, err)
		})
	}
}

// merge calls yield for every key of two listings, with nil for a side that has not got it,
// until it returns false.
func merge[T any](ctx context.Context, src, dst iter.Seq2[T, error], srcName, dstName string, keyOf func(*T) string,
	yield func(key string, s, d *T, err error) bool,
) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left, right := readAhead(ctx, srcName, src, keyOf), readAhead(ctx, dstName, dst, keyOf)
	defer stop(cancel, left, right)
	for {
		s, d := left.peek(ctx), right.peek(ctx)
		if err := errors.Join(left.failure(), right.failure()); err != nil {
			yield("", nil, nil, err)
			return
		}
		if s == nil && d == nil {
			return
		}
		key, s, d := lesser(s, d, keyOf)
		if s != nil {
			left.take()
		}
		if d != nil {
			right.take()
		}
		if !yield(key, s, d, nil) {
			return
		}
	}
}

// lesser pairs the next entries of both sides, at least one of which is there: the one with
// the lesser key is alone.
func lesser[T any](src, dst *T, keyOf func(*T) string) (key string, s, d *T) {
	switch {
	case dst == nil || src != nil && keyOf(src) < keyOf(dst):
		return keyOf(src), src, nil
	case src == nil || keyOf(dst) < keyOf(src):
		return keyOf(dst), nil, dst
	default:
		return keyOf(src), src, dst
	}
}

// stop ends the background reads and waits for them.
func stop[T any](cancel context.CancelFunc, readers ...*reader[T]) {
	cancel()
	for _, r := range readers {
		for range r.chunks { // until the channel is closed
		}
	}
}
