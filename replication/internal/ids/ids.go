// Package ids has the names that replication works by: that of an object in one cluster,
// and that of a bucket's copy. It has no behaviour; every room of replication may use it.
package ids

// Object names an object in one cluster.
type Object struct{ Bucket, Key, Cluster string }

// ObjectIn returns the name of a bucket's object in a cluster.
func ObjectIn(bucket, key, cluster string) Object {
	return Object{Bucket: bucket, Key: key, Cluster: cluster}
}

// Copy names the copy of one prefix rule of a bucket in a cluster.
type Copy struct{ Bucket, Prefix, Cluster string }

// CopyIn returns the name of the copy of a bucket's rule in a cluster.
func CopyIn(bucket, prefix, cluster string) Copy {
	return Copy{Bucket: bucket, Prefix: prefix, Cluster: cluster}
}
