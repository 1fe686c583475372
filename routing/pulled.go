package routing

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/fado-project/fado/catalog"
)

// PulledIndex holds the objects copied on demand, with when they were used. Readers take
// no lock and allocate nothing.
type PulledIndex struct {
	objects *xsync.Map[pendingKey, *pulledSet]
	len     atomic.Int64

	mu      sync.Mutex     // orders changes
	buckets map[string]int // how many there are of each
	// present returns the address that a cluster's storage has now.
	present func(cluster string) addressNo

	usedMu sync.Mutex
	used   []*pulledEntry // those used since TakeUsed
}

// pulledSet is an immutable set of where one object was pulled to.
type pulledSet []*pulledEntry

type pulledEntry struct {
	bucket, key, cluster string
	catalog.Pulled
	at       addressNo     // of the storage that it was put into; 0: not known
	compared atomic.Uint32 // a moment
	usedAt   atomic.Int64  // Unix milliseconds; 0: not since TakeUsed
}

// NewPulledIndex returns an empty index.
func NewPulledIndex() *PulledIndex {
	return &PulledIndex{objects: xsync.NewMap[pendingKey, *pulledSet](), buckets: make(map[string]int), present: func(string) addressNo { return 0 }}
}

func (s *pulledSet) in(cluster string) *pulledEntry {
	if s != nil {
		for _, e := range *s {
			if e.cluster == cluster {
				return e
			}
		}
	}
	return nil
}

// holds says whether the object may be used in a cluster: not where the cluster has another storage
// by now than the one that it was put into.
func (s *pulledSet) holds(at *site) bool {
	e := s.in(at.name)
	return e != nil && e.Current && (e.at == 0 || e.at == at.at)
}

// of returns where an object was pulled to, nil for nowhere.
func (p *PulledIndex) of(bucket, key string) *pulledSet {
	if p.len.Load() == 0 {
		return nil
	}
	s, _ := p.objects.Load(pendingKey{bucket, key})
	return s
}

// Set adds an object or replaces what is known of it.
func (p *PulledIndex) Set(bucket, key, cluster string, o catalog.Pulled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, _ := p.objects.Load(pendingKey{bucket, key})
	e := &pulledEntry{bucket: strings.Clone(bucket), key: strings.Clone(key), cluster: strings.Clone(cluster), Pulled: o}
	old := was.in(cluster)
	if old == nil || !o.Current { // what is about to be put there is put into the present storage
		e.at = p.present(cluster)
	}
	if old == nil {
		p.len.Add(1)
		p.buckets[e.bucket]++
	} else {
		if o.Current {
			e.at = old.at
		}
		e.usedAt.Store(old.usedAt.Load())
		e.compared.Store(old.compared.Load())
	}
	next := append(was.without(cluster), e)
	p.objects.Store(pendingKey{e.bucket, e.key}, &next)
}

// Compare notes that a comparison with the primary which began at a time found an object to
// be the primary's version, or has made it pending.
func (p *PulledIndex) Compare(bucket, key, cluster string, began time.Time) {
	if e := p.of(bucket, key).in(cluster); e != nil {
		e.compared.Store(uint32(momentOf(began)))
	}
}

func (s *pulledSet) without(cluster string) pulledSet {
	if s == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(*s), func(e *pulledEntry) bool { return e.cluster == cluster })
}

// Remove takes an object out. Removing what is not there does nothing.
func (p *PulledIndex) Remove(bucket, key, cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, _ := p.objects.Load(pendingKey{bucket, key})
	if was.in(cluster) == nil {
		return
	}
	if rest := was.without(cluster); len(rest) > 0 {
		p.objects.Store(pendingKey{bucket, key}, &rest)
	} else {
		p.objects.Delete(pendingKey{bucket, key})
	}
	p.len.Add(-1)
	if p.buckets[bucket]--; p.buckets[bucket] == 0 {
		delete(p.buckets, bucket)
	}
}

// RemoveAll takes out all objects of a bucket, or with bucket "" everything. It costs as
// much as there are objects.
func (p *PulledIndex) RemoveAll(bucket string) {
	for _, o := range p.list(func(e *pulledEntry) bool { return bucket == "" || e.bucket == bucket }) {
		p.Remove(o.Bucket, o.Key, o.Cluster)
	}
}

// Get returns what is known of an object in a cluster.
func (p *PulledIndex) Get(bucket, key, cluster string) (catalog.Pulled, bool) {
	if e := p.of(bucket, key).in(cluster); e != nil {
		return e.Pulled, true
	}
	return catalog.Pulled{}, false
}

// AppendClusters appends the clusters an object was, or is being, pulled to.
func (p *PulledIndex) AppendClusters(dst []string, bucket, key string) []string {
	if s := p.of(bucket, key); s != nil {
		for _, e := range *s {
			dst = append(dst, e.cluster)
		}
	}
	return dst
}

// Len returns how many (object, cluster) pairs there are.
func (p *PulledIndex) Len() int { return int(p.len.Load()) }

// HasBucket says whether anything of a bucket was pulled anywhere.
func (p *PulledIndex) HasBucket(bucket string) bool {
	if p.len.Load() == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buckets[bucket] > 0
}

// PulledObject names an object in a cluster.
type PulledObject struct {
	Bucket, Key, Cluster string
	catalog.Pulled
	// UsedAt is the last use that TakeUsed has returned.
	UsedAt time.Time
}

// List returns the objects that match, in no order. It costs as much as there are objects.
func (p *PulledIndex) List(match func(bucket, key, cluster string) bool) []PulledObject {
	return p.list(func(e *pulledEntry) bool { return match(e.bucket, e.key, e.cluster) })
}

func (p *PulledIndex) list(match func(*pulledEntry) bool) (all []PulledObject) {
	p.objects.Range(func(_ pendingKey, s *pulledSet) bool {
		for _, e := range *s {
			if match(e) {
				all = append(all, PulledObject{Bucket: e.bucket, Key: e.key, Cluster: e.cluster, Pulled: e.Pulled})
			}
		}
		return true
	})
	return all
}

// touch notes that an object is used in a cluster. A use is noted again only after TakeUsed
// has returned the one before, so that a busy object costs one atomic write per use.
func (p *PulledIndex) touch(s *pulledSet, cluster string) {
	e := s.in(cluster)
	if e == nil || e.usedAt.Swap(time.Now().UnixMilli()) != 0 {
		return
	}
	p.usedMu.Lock()
	defer p.usedMu.Unlock()
	p.used = append(p.used, e)
}

// TakeUsed returns the objects used since it was last called, once each.
func (p *PulledIndex) TakeUsed() []PulledObject {
	p.usedMu.Lock()
	used := p.used
	p.used = nil
	p.usedMu.Unlock()
	all := make([]PulledObject, 0, len(used))
	for _, e := range used {
		at := time.UnixMilli(e.usedAt.Swap(0))
		all = append(all, PulledObject{Bucket: e.bucket, Key: e.key, Cluster: e.cluster, Pulled: e.Pulled, UsedAt: at})
	}
	return all
}
