package routing

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// Sizes remembers sizes of objects, so that an invocation with several inputs goes to where most
// of their bytes are. What it forgets is harmless to forget: a newer one takes the place of an
// older one, in a table of at most 8 MiB that grows as it is used. Its methods take no lock
// and are safe for concurrent use.
//
// An entry is 64 bits, of which some tell keys apart: one look-up in a million finds the size of
// another object, which makes a choice worse, and none wrong.
type Sizes struct {
	pages [sizePages]atomic.Pointer[sizePage]
}

type sizePage [pageSizes]atomic.Uint64

const (
	sizePages = 1 << 8
	pageSizes = 1 << 12

	sizeBits = 44 // 16 TiB
	maxSize  = 1<<sizeBits - 1
)

// sizeSeeds are those of objects, and of rules.
var sizeSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func sizeHash(kind int, bucket, key string) uint64 {
	return nameHash(bucket) ^ bits.RotateLeft64(maphash.String(sizeSeeds[kind], key), 31)
}

// Note remembers the size of an object in bytes.
func (s *Sizes) Note(bucket, key string, size int64) { s.note(sizeHash(0, bucket, key), size) }

// Of returns the size of an object, and whether it is known.
func (s *Sizes) Of(bucket, key string) (int64, bool) { return s.of(sizeHash(0, bucket, key)) }

// noteRule remembers the mean size of the objects of a bucket's rule.
func (s *Sizes) noteRule(bucket, prefix string, mean int64) {
	s.note(sizeHash(1, bucket, prefix), mean)
}

// ofRule returns the mean size of the objects of a rule, 0 where it is not known.
func (s *Sizes) ofRule(bucket, prefix string) int64 {
	mean, _ := s.of(sizeHash(1, bucket, prefix))
	return mean
}

func (s *Sizes) note(h uint64, size int64) {
	if size < 0 {
		return
	}
	at := &s.pages[h%sizePages]
	page := at.Load()
	if page == nil {
		page = new(sizePage)
		if !at.CompareAndSwap(nil, page) {
			page = at.Load()
		}
	}
	page[h/sizePages%pageSizes].Store(h&^maxSize | min(uint64(size)+1, maxSize))
}

func (s *Sizes) of(h uint64) (size int64, ok bool) {
	page := s.pages[h%sizePages].Load()
	if page == nil {
		return 0, false
	}
	v := page[h/sizePages%pageSizes].Load()
	if v&maxSize == 0 || v&^maxSize != h&^maxSize { // what is kept is one more
		return 0, false
	}
	return int64(v&maxSize) - 1, true
}

// bytesOf returns the size of an input as it is known, or as a client says.
func (s *Sizes) bytesOf(in *Input) (int64, bool) {
	if in.Scope == ScopeObject {
		if n, ok := s.Of(in.Bucket, in.Key); ok {
			return n, true
		}
	}
	return min(in.Bytes-1, maxSize), in.Bytes > 0
}

// weigh gives each target the bytes that it counts for: its own where they are known, else those
// of a mean object of its rule, or of the others here. Where nothing is known all count alike.
func (a *assessment) weigh() {
	if a.weighed {
		return
	}
	a.weighed = true
	sum, known := uint64(0), uint64(0)
	for i := range a.targets {
		t := &a.targets[i]
		n, ok := a.snap.sizes.bytesOf(&t.Input)
		if !ok {
			n = a.snap.sizes.ofRule(t.Bucket, t.entry.prefixOf(t.rule))
		}
		if t.weight = uint64(n); ok || n > 0 {
			t.weight = max(1, t.weight)
			sum, known = sum+t.weight, known+1
		}
	}
	mean := uint64(1)
	if known > 0 {
		mean = max(1, sum/known)
	}
	for i := range a.targets {
		if t := &a.targets[i]; t.weight == 0 {
			t.weight = mean
		}
	}
}
