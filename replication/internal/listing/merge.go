package listing

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
type reader struct {
	name    string // of the side, for errors
	chunks  <-chan chunk
	read    []storage.Object // read, but not taken
	last    string           // key taken last, if started
	started bool
	err     error // why reading ended; errEnd at the end of the listing
}

// readAhead reads a listing in the background, until the listing or ctx ends.
func readAhead(ctx context.Context, name string, objects iter.Seq2[storage.Object, error]) *reader {
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
	return &reader{name: name, chunks: ch}
}

// peek returns the next object without taking it; nil at the end and after an error.
func (r *reader) peek(ctx context.Context) *storage.Object {
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
			r.read = c.objects
			if c.err != nil {
				r.err = fmt.Errorf("listing %s: %w", r.name, c.err)
			}
		case <-ctx.Done():
			r.err = ctx.Err()
			return nil
		}
	}
	o := &r.read[0]
	if r.started && o.Key <= r.last {
		r.err = fmt.Errorf("listing %s: %q after %q: %w", r.name, o.Key, r.last, errDisorder)
		r.read = nil
		return nil
	}
	return o
}

// take takes the object that peek returned.
func (r *reader) take() {
	r.last, r.started = r.read[0].Key, true
	r.read = r.read[1:]
}

// failure returns why the listing ended early, nil if it did not.
func (r *reader) failure() error {
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

// Merge yields every key of two listings in key order. The objects of a pair are valid until
// the next one. The first error of either side ends the merge: every key yielded before it
// is complete, so that a nil object means absent, not unknown. Merge reads both listings in
// the background, and waits for these reads before it returns.
func Merge(ctx context.Context, src, dst iter.Seq2[storage.Object, error], srcName, dstName string) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		left, right := readAhead(ctx, srcName, src), readAhead(ctx, dstName, dst)
		defer stop(cancel, left, right)
		for {
			s, d := left.peek(ctx), right.peek(ctx)
			if err := errors.Join(left.failure(), right.failure()); err != nil {
				yield(Pair{}, err)
				return
			}
			if s == nil && d == nil {
				return
			}
			p := pairOf(s, d)
			if p.Src != nil {
				left.take()
			}
			if p.Dst != nil {
				right.take()
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// pairOf pairs the next objects of both sides, at least one of which is there: the one with
// the lesser key is alone.
func pairOf(src, dst *storage.Object) Pair {
	switch {
	case dst == nil || src != nil && src.Key < dst.Key:
		return Pair{Key: src.Key, Src: src}
	case src == nil || dst.Key < src.Key:
		return Pair{Key: dst.Key, Dst: dst}
	default:
		return Pair{Key: src.Key, Src: src, Dst: dst}
	}
}

// stop ends the background reads and waits for them.
func stop(cancel context.CancelFunc, readers ...*reader) {
	cancel()
	for _, r := range readers {
		for range r.chunks { // until the channel is closed
		}
	}
}
