package routing

import "github.com/fado-project/fado/catalog"

// Decision is the answer to a Query. It is reused: Route overwrites it and keeps
// its backing arrays, so that a decision allocates nothing.
type Decision struct {
	Reason   Reason
	Locality Locality
	// Candidates are the endpoints to balance among, all equally good by data.
	Candidates []*Endpoint
	// Balance is the selection policy (JSON) the first input's policy names, nil
	// for the default.
	Balance catalog.RawObject

	rank       rank // of the candidates
	assessment assessment
}

// Reset clears all that a decision refers to, so that one kept for later does not
// keep an old snapshot.
func (d *Decision) Reset() {
	clear(d.Candidates)
	clear(d.assessment.targets)
	d.assessment.snap = nil
	d.restart()
}

// restart empties the decision but for what its arrays hold.
func (d *Decision) restart() {
	d.Reason, d.Locality, d.Balance, d.rank = "", LocalityNone, nil, 0
	d.Candidates = d.Candidates[:0]
	a := &d.assessment
	a.targets, a.overloaded, a.lastResort, a.prepared, a.reject, a.weighed = a.targets[:0], false, false, false, false, false
}

// Inputs returns how many of the query's inputs name a bucket that is known.
func (d *Decision) Inputs() int { return len(d.assessment.targets) }

// Input returns the i-th of the inputs that Inputs counts.
func (d *Decision) Input(i int) Input { return d.assessment.targets[i].Input }

// Rule names the rule that the first input belongs to, by its bucket and prefix; both "" where no
// bucket is known.
func (d *Decision) Rule() (bucket, prefix string) {
	if len(d.assessment.targets) == 0 {
		return "", ""
	}
	t := &d.assessment.targets[0]
	return t.entry.name(), t.entry.prefixOf(t.rule)
}

// StorageFor returns the S3 endpoint URL and the physical bucket that the function
// at a chosen endpoint reads the first input from: the local storage on a hit, the
// best allowed holder's on a miss. Both "" when no bucket was named.
func (d *Decision) StorageFor(ep *Endpoint) (endpoint, bucket string) {
	s := d.assessment.source(d.Locality, ep)
	if s == nil {
		return "", ""
	}
	storage := s.cluster.Storage
	return storage.Endpoint, storage.BucketPrefix + d.assessment.targets[0].Bucket
}

// InputAt is an input and the storage that a function reads it from.
type InputAt struct {
	Input
	Cluster        string // of the storage
	Storage        string // S3 endpoint URL
	PhysicalBucket string
	Size           int64 // in bytes; -1 where it is not known
	Local          bool  // the storage is that of the function's own cluster, and current
}

// AppendInputs appends where the function at a chosen endpoint reads the inputs from, in their
// order, those of unknown buckets and those that are nowhere excepted.
func (d *Decision) AppendInputs(dst []InputAt, ep *Endpoint) []InputAt {
	a := &d.assessment
	for i := range a.targets {
		t := &a.targets[i]
		s := a.sourceOf(t, d.Locality, ep)
		if s == nil {
			continue
		}
		storage, size := s.cluster.Storage, int64(-1)
		if n, ok := a.snap.sizes.bytesOf(&t.Input); ok {
			size = n
		}
		dst = append(dst, InputAt{
			Input: t.Input, Cluster: s.name, Storage: storage.Endpoint, PhysicalBucket: storage.BucketPrefix + t.Bucket,
			Size:  size,
			Local: s.id == ep.cluster && (d.Locality == LocalityLocal || t.holds(a.snap, s, a.pending) == isCurrent),
		})
	}
	return dst
}

// ReadsFrom returns the cluster whose storage StorageFor gives, "" for none.
func (d *Decision) ReadsFrom(ep *Endpoint) string {
	if s := d.assessment.source(d.Locality, ep); s != nil {
		return s.name
	}
	return ""
}
