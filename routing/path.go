package routing

// Here is the cluster that this instance is in, "" where that is not said.
func (s *Snapshot) Here() string { return s.here }

// PassesPolicy says whether bytes of what a policy covers may pass through an instance in a
// cluster; "": in one of which nobody says where it is.
func (s *Snapshot) PassesPolicy(policy, here string) bool {
	return here == "" || s.AllowsPolicy(policy, here)
}

// Passes says whether residency lets bytes of the object (bucket, key) pass through this
// instance: it is in a cluster that the object's policy allows, or nobody says where it is. Key
// "" asks for what the bucket's own rule covers.
func (b BucketView) Passes(key string) bool {
	return b.snap.here == "" || b.Allows(key, b.snap.here)
}

// PassesAny says whether bytes of what some rule of a bucket covers may pass through this
// instance. An unknown bucket's may, where nobody says where this instance is.
func (b BucketView) PassesAny() bool {
	if b.snap.here == "" {
		return true
	}
	en := b.entry
	if en == nil {
		return false
	}
	here := b.snap.tables.clusterID(b.snap.here)
	for i := range 1 + len(en.rules()) {
		if b.snap.tables.allows(en.policyOf(i), here) {
			return true
		}
	}
	return false
}
