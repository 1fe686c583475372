package catalog

// References calls f with every name that a resource refers to, a name as often as it is
// named. The default policy of a bucket that names none is no reference.
func References(r Resource, f func(k Kind, name string)) {
	each := func(k Kind, names ...string) {
		for _, n := range names {
			if n != "" {
				f(k, n)
			}
		}
	}
	switch r := r.(type) {
	case *Zone:
		each(KindZone, r.Parent)
	case *Cluster:
		each(KindZone, r.Zones...)
		for _, l := range r.Links {
			each(KindCluster, l.To)
		}
	case *Policy:
		each(KindZone, r.Zones...)
		each(KindZone, r.ExcludeZones...)
		each(KindCluster, r.Clusters...)
		each(KindCluster, r.Prefer...)
	case *Bucket:
		each(KindPolicy, r.Policy)
		each(KindCluster, r.Primary)
		for _, p := range r.Prefixes {
			each(KindPolicy, p.Policy)
		}
	}
}
