package replication

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/fado-project/fado/storage"
)

// chunk is a piece of a listing, read ahead.
type chunk struct {
	objects []storage.Object
	err     error
}

// Listings are read ahead in chunks, so that the two sides of a merge are fetched at the
// same time. A listing holds at most chunksAhead+2 chunks in memory.
const (
	chunkSize   = 500
	chunksAhead = 2
)

// errDisorder says that a listing is not in S3's order, so that merging it would prove
// nothing.
var errDisorder = errors.New("the listing is not in key order")

// listing is one side of a merge.
type listing struct {
	side   string // names it in errors
	chunks <-chan chunk
	cur    []storage.Object
	last   string
	begun  bool
	err    error
}

// readAhead starts reading a listing in the background, until it or ctx ends.
func readAhead(ctx context.Context, side string, objects iter.Seq2[storage.Object, error]) *listing {
	ch := make(chan chunk, chunksAhead)
	go func() {
		defer close(ch)
		send := func(c chunk) bool {
			select {
			case ch <- c:
				return true
			case <-ctx.Done():
				return false
			}
		}
		var c chunk
		for o, err := range objects {
			if err != nil {
				c.err = err
				break
			}
			if c.objects = append(c.objects, o); len(c.objects) == chunkSize {
				if !send(c) {
					return
				}
				c = chunk{objects: make([]storage.Object, 0, chunkSize)}
			}
		}
		send(c)
	}()
	return &listing{side: side, chunks: ch}
}

// peek returns the next object without taking it; nil at the end, or after an error.
func (l *listing) peek(ctx context.Context) *storage.Object {
	for len(l.cur) == 0 {
		if l.err != nil {
			return nil
		}
		select {
		case c, ok := <-l.chunks:
			if !ok {
				if l.err = ctx.Err(); l.err == nil {
					l.err = errEnd
				}
				return nil
			}
			l.cur = c.objects
			if c.err != nil {
				l.err = fmt.Errorf("listing %s: %w", l.side, c.err)
			}
		case <-ctx.Done():
			l.err = ctx.Err()
			return nil
		}
	}
	o := &l.cur[0]
	if l.begun && o.Key <= l.last {
		l.err = fmt.Errorf("listing %s: %q after %q: %w", l.side, o.Key, l.last, errDisorder)
		l.cur = nil
		return nil
	}
	return o
}

func (l *listing) take() {
	l.last, l.begun = l.cur[0].Key, true
	l.cur = l.cur[1:]
}

// errEnd marks a listing that was read to its end.
var errEnd = errors.New("end of listing")

// failure is why the listing ended early, nil if it did not.
func (l *listing) failure() error {
	if errors.Is(l.err, errEnd) {
		return nil
	}
	return l.err
}

// pair is one key with what lies at the source and the destination; nil for nothing.
type pair struct {
	key      string
	src, dst *storage.Object
}

// merge yields every key of two sorted listings in order. The objects are only valid
// until the next pair. The first error of either side ends it: up to there every key of
// both sides was seen.
func merge(ctx context.Context, src, dst iter.Seq2[storage.Object, error], srcName, dstName string) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		left, right := readAhead(ctx, srcName, src), readAhead(ctx, dstName, dst)
		defer drain(cancel, left, right)
		for {
			s, d := left.peek(ctx), right.peek(ctx)
			if err := errors.Join(left.failure(), right.failure()); err != nil {
				yield(pair{}, err)
				return
			}
			if s == nil && d == nil {
				return
			}
			p := pair{src: s, dst: d}
			switch {
			case d == nil || (s != nil && s.Key < d.Key):
				p.dst, p.key = nil, s.Key
			case s == nil || d.Key < s.Key:
				p.src, p.key = nil, d.Key
			default:
				p.key = s.Key
			}
			if p.src != nil {
				left.take()
			}
			if p.dst != nil {
				right.take()
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// drain ends the background reads and waits for them.
func drain(cancel context.CancelFunc, ls ...*listing) {
	cancel()
	for _, l := range ls {
		for range l.chunks { // waiting for the close is the point
		}
	}
}
