package catalog

// PendingIndex holds the exceptions to "the copy is synced": the keys known to
// differ now, per bucket and cluster. Readers take no lock. Besides single keys it
// counts pending keys per "directory" (every prefix of a key that ends in "/"), so
// that prefix-level freshness is one look-up too.
//
// TODO(pending): implement (xsync.Map is the intended core).
type PendingIndex struct{}

// NewPendingIndex returns an empty index.
func NewPendingIndex() *PendingIndex { return &PendingIndex{} }

// Add notes that a key is pending in a cluster. Adding it again changes nothing.
func (p *PendingIndex) Add(bucket, key, cluster string) {}

// Remove takes a key's exception back. Removing what is not there does nothing.
func (p *PendingIndex) Remove(bucket, key, cluster string) {}

// RemoveAll drops every exception of a bucket (cluster "") or of a bucket's copies
// in a cluster.
func (p *PendingIndex) RemoveAll(bucket, cluster string) {}

// Has says whether a key is pending in a cluster.
func (p *PendingIndex) Has(bucket, key, cluster string) bool { return false }

// HasBelow says whether any key below a prefix ending in "/" is pending in a
// cluster.
func (p *PendingIndex) HasBelow(bucket, prefix, cluster string) bool { return false }

// Len returns how many (key, cluster) exceptions there are.
func (p *PendingIndex) Len() int { return 0 }
