package catalog

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// physical finds out whether the names that buckets have at storages are good, and are of
// one bucket each. Its in is not nil.
type physical struct {
	out *violations
	in  Lookup
}

// bucket checks the physical names of a bucket.
func (p physical) bucket(b *Bucket) {
	p.names(b)
	p.twins(b)
}

// sharing notes clusters that would keep their data in the same physical buckets.
func (p physical) sharing(cl *Cluster) {
	if other := SharedStorage(cl, p.in); other != "" {
		p.out.conflict("storage.endpoint", redactURL(cl.Storage.Endpoint),
			"a storage of its own: cluster "+other+" has the same endpoint and bucket prefix")
		return
	}
	buckets, ok := p.in.(BucketLookup)
	if !ok {
		return
	}
	overlaps := overlapping(cl, p.in)
	if len(overlaps) == 0 {
		return
	}
	buckets.Buckets(func(name string) bool {
		for _, other := range overlaps {
			if twin := twinOf(cl.Storage, other.Storage, name); twin != "" && buckets.Bucket(twin) != nil {
				p.out.conflict("storage.bucket_prefix", cl.Storage.BucketPrefix,
					"a prefix that keeps buckets apart: bucket "+name+" here and bucket "+twin+" in cluster "+other.Name+" would be one")
				return false
			}
		}
		return true
	})
}

// physicalNames checks that every cluster that could get a copy can put its bucket
// prefix before the bucket's name.
func (p physical) names(b *Bucket) {
	p.in.Clusters(func(cl *Cluster) bool {
		if cl.Storage == nil || cl.Storage.BucketPrefix == "" || ValidBucketName(cl.Storage.BucketPrefix+b.Name) {
			return true
		}
		if mayHold(b, cl, p.in) {
			p.out.add("name", b.Name, "a name that makes a bucket name of at most 63 characters behind the bucket prefix "+
				strconv.Quote(cl.Storage.BucketPrefix)+" of cluster "+cl.Name)
		}
		return true
	})
}

// mayHold says whether a rule of the bucket allows a cluster.
func mayHold(b *Bucket, cl *Cluster, in Lookup) bool {
	for _, r := range rulesOf(b) {
		if p := bucketPolicy(r.Policy, in); p != nil && PolicyAllows(p, cl, in) {
			return true
		}
	}
	return false
}

// twins notes another bucket that would be the same physical bucket at a storage
// endpoint that two clusters share. Policies are not asked: they may change.
func (p physical) twins(b *Bucket) {
	buckets, ok := p.in.(BucketLookup)
	if !ok {
		return
	}
	p.in.Clusters(func(cl *Cluster) bool {
		if cl.Storage == nil {
			return true
		}
		for _, other := range overlapping(cl, p.in) {
			twin := twinOf(cl.Storage, other.Storage, b.Name)
			if twin != "" && buckets.Bucket(twin) != nil {
				p.out.conflict("name", b.Name, "a name of its own: in cluster "+cl.Name+" its physical bucket would be that of bucket "+twin+" in cluster "+other.Name)
				return false
			}
		}
		return true
	})
}

// SharedStorage returns the name of another cluster that has the same storage
// endpoint and bucket prefix, so that the two would share their data; "" when there
// is none. Endpoints are compared as connections go: scheme and host in any case, the
// scheme's port filled in, addresses however they are written.
func SharedStorage(c *Cluster, in Lookup) (other string) {
	if c.Storage == nil {
		return ""
	}
	address := serverAddress(c.Storage.Endpoint)
	in.Clusters(func(o *Cluster) bool {
		if o.Name != c.Name && o.Storage != nil && o.Storage.BucketPrefix == c.Storage.BucketPrefix &&
			serverAddress(o.Storage.Endpoint) == address && (other == "" || o.Name < other) {
			other = o.Name
		}
		return true
	})
	return other
}

// serverAddress is endpointAddress with a host that can be written in several ways in one: an
// absolute name without its last dot, an IP address in its canonical form. Unlike
// [Storage.Address] it is stored nowhere.
func serverAddress(endpoint string) string {
	u, problem := parseHTTP(endpoint)
	if problem != "" {
		return endpoint
	}
	host, port, err := net.SplitHostPort(hostPort(u))
	if err != nil {
		return endpoint
	}
	host = strings.TrimSuffix(host, ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return u.Scheme + "://" + net.JoinHostPort(host, port)
}

// overlapping returns the clusters at the same storage endpoint whose bucket prefix
// begins with this one's or the other way round.
func overlapping(c *Cluster, in Lookup) (others []*Cluster) {
	address := serverAddress(c.Storage.Endpoint)
	in.Clusters(func(o *Cluster) bool {
		if o.Name != c.Name && o.Storage != nil && o.Storage.BucketPrefix != c.Storage.BucketPrefix &&
			(strings.HasPrefix(o.Storage.BucketPrefix, c.Storage.BucketPrefix) ||
				strings.HasPrefix(c.Storage.BucketPrefix, o.Storage.BucketPrefix)) &&
			serverAddress(o.Storage.Endpoint) == address {
			others = append(others, o)
		}
		return true
	})
	return others
}

// twinOf returns the name of the bucket that is, in another storage at the same
// endpoint, the physical bucket that name is in this one; "" when there is none.
func twinOf(here, there *Storage, name string) string {
	twin, ok := strings.CutPrefix(here.BucketPrefix+name, there.BucketPrefix)
	if !ok || twin == name || !ValidBucketName(twin) {
		return ""
	}
	return twin
}
