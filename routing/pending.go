package routing

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v4"
)

// PendingIndex holds the exceptions to "the copy is synced": the keys known to
// differ now, per bucket and cluster. Readers take no lock and allocate nothing.
// Besides single keys it counts pending keys per "directory" (every prefix of a key
// that ends in "/"), so that prefix-level freshness is one look-up too.
//
// What is pending before a read begins and until it ends is seen by it, whatever
// else changes meanwhile. Changes of one bucket go one after the other.
type PendingIndex struct {
	objects *xsync.Map[pendingKey, *pendingObject]
	dirs    *xsync.Map[pendingDir, *atomic.Int64]
	// singles holds the set of just one cluster for every cluster: most pending
	// objects share one of them.
	singles *xsync.Map[string, *clusterSet]
	stripes [pendingStripes]pendingStripe
	len     atomic.Int64
}

const pendingStripes = 64

type pendingKey struct{ bucket, key string }

type pendingDir struct{ bucket, dir, cluster string }

// clusterSet is an immutable set of cluster names.
type clusterSet []string

func (s *clusterSet) has(cluster string) bool {
	return s != nil && slices.Contains(*s, cluster)
}

// pendingStripe serialises the changes of the buckets that hash to it, and knows
// which objects each has.
type pendingStripe struct {
	mu      sync.Mutex
	buckets map[string]*pendingBucket
}

type pendingBucket struct {
	name  string
	first *pendingObject
}

// pendingObject is one object pending somewhere. Only clusters is read without the
// stripe's lock; the links chain the objects of a bucket.
type pendingObject struct {
	clusters   atomic.Pointer[clusterSet]
	key        string
	prev, next *pendingObject
}

// NewPendingIndex returns an empty index.
func NewPendingIndex() *PendingIndex {
	p := &PendingIndex{
		objects: xsync.NewMap[pendingKey, *pendingObject](),
		dirs:    xsync.NewMap[pendingDir, *atomic.Int64](),
		singles: xsync.NewMap[string, *clusterSet](),
	}
	for i := range p.stripes {
		p.stripes[i].buckets = map[string]*pendingBucket{}
	}
	return p
}

// Add notes that a key is pending in a cluster. Adding it again changes nothing.
func (p *PendingIndex) Add(bucket, key, cluster string) {
	s := p.lock(bucket)
	defer s.mu.Unlock()
	o, known := p.objects.Load(pendingKey{bucket, key})
	if known && o.clusters.Load().has(cluster) {
		return
	}
	single, _ := p.singles.LoadOrCompute(cluster, func() (*clusterSet, bool) {
		return &clusterSet{strings.Clone(cluster)}, false
	})
	if known {
		more := append(slices.Clip(*o.clusters.Load()), *single...)
		o.clusters.Store(&more)
		p.count(s.buckets[bucket].name, o.key, (*single)[0])
		return
	}
	b := s.buckets[bucket]
	if b == nil {
		b = &pendingBucket{name: strings.Clone(bucket)}
		s.buckets[b.name] = b
	}
	o = &pendingObject{key: strings.Clone(key), next: b.first}
	o.clusters.Store(single)
	if b.first != nil {
		b.first.prev = o
	}
	b.first = o
	p.objects.Store(pendingKey{b.name, o.key}, o)
	p.count(b.name, o.key, (*single)[0])
}

// Remove takes a key's exception back. Removing what is not there does nothing.
func (p *PendingIndex) Remove(bucket, key, cluster string) {
	s := p.lock(bucket)
	defer s.mu.Unlock()
	if o, ok := p.objects.Load(pendingKey{bucket, key}); ok && o.clusters.Load().has(cluster) {
		p.drop(s, s.buckets[bucket], o, cluster)
	}
}

// RemoveAll drops every exception of a bucket (cluster "") or of a bucket's copies
// in a cluster. It costs as much as the bucket has pending objects.
func (p *PendingIndex) RemoveAll(bucket, cluster string) {
	s := p.lock(bucket)
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if b == nil || cluster != "" && !p.HasBelow(bucket, "", cluster) {
		return
	}
	for o := b.first; o != nil; o = o.next {
		for _, c := range *o.clusters.Load() {
			if cluster == "" || c == cluster {
				p.drop(s, b, o, c)
			}
		}
	}
}

// Has says whether a key is pending in a cluster.
func (p *PendingIndex) Has(bucket, key, cluster string) bool {
	return p.clustersOf(bucket, key).has(cluster)
}

// HasBelow says whether any key below a prefix is pending in a cluster. The prefix
// ends in "/", or is "" for the whole bucket; a key equal to it counts.
func (p *PendingIndex) HasBelow(bucket, prefix, cluster string) bool {
	n, ok := p.dirs.Load(pendingDir{bucket, prefix, cluster})
	return ok && n.Load() > 0
}

// Buckets calls f with the name of every bucket that has exceptions in a cluster, in no order,
// until f returns false. f must not change the index.
func (p *PendingIndex) Buckets(cluster string, f func(bucket string) bool) {
	for i := range p.stripes {
		s := &p.stripes[i]
		s.mu.Lock()
		for name := range s.buckets {
			if p.HasBelow(name, "", cluster) && !f(name) {
				s.mu.Unlock()
				return
			}
		}
		s.mu.Unlock()
	}
}

// Len returns how many (key, cluster) exceptions there are.
func (p *PendingIndex) Len() int { return int(p.len.Load()) }

// clustersOf returns the clusters a key is pending in, nil for none.
func (p *PendingIndex) clustersOf(bucket, key string) *clusterSet {
	if p.len.Load() == 0 {
		return nil
	}
	if o, ok := p.objects.Load(pendingKey{bucket, key}); ok {
		return o.clusters.Load()
	}
	return nil
}

func (p *PendingIndex) lock(bucket string) *pendingStripe {
	s := &p.stripes[nameHash(bucket)%pendingStripes]
	s.mu.Lock()
	return s
}

// count adds one to the directories of a key. All three strings are the index's own.
func (p *PendingIndex) count(bucket, key, cluster string) {
	p.len.Add(1)
	eachDir(key, func(dir string) {
		n, _ := p.dirs.LoadOrCompute(pendingDir{bucket, dir, cluster}, func() (*atomic.Int64, bool) {
			return new(atomic.Int64), false
		})
		n.Add(1)
	})
}

// drop takes one exception, which is there, back. The stripe is locked.
func (p *PendingIndex) drop(s *pendingStripe, b *pendingBucket, o *pendingObject, cluster string) {
	rest := slices.DeleteFunc(slices.Clone(*o.clusters.Load()), func(c string) bool { return c == cluster })
	switch len(rest) {
	case 0:
		p.objects.Delete(pendingKey{b.name, o.key})
		o.clusters.Store(&clusterSet{})
		b.unlink(o)
		if b.first == nil {
			delete(s.buckets, b.name)
		}
	case 1:
		single, _ := p.singles.Load(rest[0])
		o.clusters.Store(single)
	default:
		o.clusters.Store(&rest)
	}
	p.len.Add(-1)
	eachDir(o.key, func(dir string) {
		k := pendingDir{b.name, dir, cluster}
		if n, ok := p.dirs.Load(k); ok && n.Add(-1) == 0 {
			p.dirs.Delete(k)
		}
	})
}

func (b *pendingBucket) unlink(o *pendingObject) {
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		b.first = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	}
}

// eachDir calls f with every prefix of a key that ends in "/", and with "".
func eachDir(key string, f func(dir string)) {
	f("")
	for i := range len(key) {
		if key[i] == '/' {
			f(key[:i+1])
		}
	}
}
