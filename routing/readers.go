package routing

// Holder is a cluster whose storage an input may be read from.
type Holder struct {
	Cluster string
	Zones   []string // the cluster's, its failure domain first; shared
	Primary bool
	// Storage is what is known of the cluster's storage now.
	Storage StorageCondition
}

// Holders appends to dst the clusters that hold the current version of an input: of an
// object, or of every key below a prefix ("" for all of the bucket), in no order. None hold it
// where nothing current can be read. It reports false for an unknown bucket.
//
// Residency of the clusters does not matter here: a primary that leaves a place which its
// policy no longer allows is read from until it has moved. Where the bytes go is for the
// caller to check ([BucketView.Allows]).
//
// It takes no lock and does no I/O. What was an exception before the call is seen by it.
func (r *Router) Holders(dst []Holder, in Input) ([]Holder, bool) {
	snap := r.snap.Load() // before any exception is looked up, see assessment.resolve
	en := snap.buckets.get(in.Bucket)
	if en == nil {
		return dst, false
	}
	var t target
	t.set(&in, en, r)
	add := func(id clusterID, primary bool) {
		s := snap.tables.site(id)
		if s == nil || t.at(snap, s, r.Pending) != isCurrent {
			return
		}
		dst = append(dst, Holder{Cluster: s.name, Zones: s.cluster.Zones, Primary: primary, Storage: s.live.Storage()})
	}
	for i := range en.copies() {
		if c := en.copyAt(i); c.rule() == t.rule {
			add(c.cluster, c.primary())
		}
	}
	if t.pulled == nil {
		return dst, true
	}
	for _, e := range *t.pulled {
		id := snap.tables.clusterID(e.cluster)
		if _, there := t.copyIn(id); !there {
			add(id, false)
		}
	}
	return dst, true
}
