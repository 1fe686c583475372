package storage

import "strings"

// A provider is what is known of an S3 implementation beyond the S3 API: one row of
// a table, so that differences are data.
type provider struct {
	name string
	// server is how its Server header begins; "" matches every server.
	server string

	// listener: GET /?events= streams notifications of all buckets.
	listener bool
	// preserve: writes may carry version ID, ETag and modification time
	// (X-Minio-Source-*), are then marked REPLICA and raise no event.
	preserve bool
	// conditionalPut: If-None-Match: * and If-Match are honoured, atomically, by
	// PutObject and CompleteMultipartUpload; conditionalDelete: If-Match by
	// DeleteObject.
	conditionalPut, conditionalDelete bool
	// tagsInAnswer: GET and HEAD return the tags themselves when asked with
	// X-Amz-Tagging-Directive: ACCESS, which saves a request.
	tagsInAnswer bool
	// versions and tags: the API is there; some buckets may still be without.
	versions, tags bool
	// sorted: listings come in the order of keys.
	sorted bool
	// trailers: aws-chunked bodies with a trailing CRC-32C are understood and
	// checked, and checksums kept.
	trailers bool
	// births: the date of a bucket in the list of buckets is the one it was made at, for
	// good.
	births bool
	// markersCount: for conditions of writes a delete marker is an object, with the ETag of
	// what it covers.
	markersCount bool
	// dropsRedirects: X-Amz-Website-Redirect-Location is taken and not kept.
	dropsRedirects bool
	// uploads: how it lists uploads under way.
	uploads UploadLists
	// classes: storage classes it takes.
	classes []string
	// refuse says why it must not be given a key; "" if it may. It is asked before a
	// byte is sent, because such a key would end up under another name.
	refuse func(key string, size int64) string
}

// UploadLists is how a storage answers ListMultipartUploads.
type UploadLists uint8

const (
	// UploadPages: as S3 does.
	UploadPages UploadLists = iota
	// UploadsOfKey: of a prefix only those of that key, in pages; without a prefix those of all
	// keys that were begun since the storage started, whatever page is asked for.
	UploadsOfKey
	// UploadsBehindKey: as S3 does, but that the upload of a marker is looked for behind the
	// marker's key, so that the markers it gives are refused.
	UploadsBehindKey
)

var providers = []*provider{
	{
		name: "MinIO", server: "MinIO",
		listener: true, preserve: true, conditionalPut: true, tagsInAnswer: true, trailers: true,
		versions: true, tags: true, sorted: true, births: true,
		dropsRedirects: true,
		uploads:        UploadsOfKey,
		classes:        []string{"STANDARD", "REDUCED_REDUNDANCY"},
		refuse:         func(key string, _ int64) string { return refuseSegments(key) },
	},
	{
		name: "versitygw", server: "VERSITYGW",
		conditionalPut: true, conditionalDelete: true, trailers: true, tags: true, sorted: true,
		markersCount: true,
		uploads:      UploadsBehindKey,
		classes:      []string{"STANDARD"},
		refuse:       refusePath,
	},
	{
		// By the S3 API reference and User Guide: If-None-Match and If-Match of PutObject and
		// CompleteMultipartUpload ("How to prevent object overwrites with conditional
		// writes"), If-Match of DeleteObject ("conditional deletes"), trailing checksums
		// ("Checking object integrity"), listings "in lexicographical order" for general
		// purpose buckets; directory buckets, whose listings are not, are not for FaDO.
		name: "AWS S3", server: "AmazonS3",
		conditionalPut: true, conditionalDelete: true, trailers: true, versions: true, tags: true, sorted: true,
		classes: []string{
			"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR",
		},
		refuse: func(string, int64) string { return "" },
	},
	{
		name: "S3", refuse: func(string, int64) string { return "" },
		classes: []string{"STANDARD"},
	},
}

// refusePath is for storages that keep objects as files of the same name.
func refusePath(key string, size int64) string {
	if strings.HasSuffix(key, "/") && size > 0 {
		return "it takes no content for a key that ends in /"
	}
	for part := range strings.SplitSeq(key, "/") {
		if len(part) > 255 {
			return "a path segment is longer than a file name may be"
		}
	}
	return refuseSegments(key)
}

// refuseSegments is for storages that clean paths: such a key would be refused, or
// stored under another name.
func refuseSegments(key string) string {
	for part := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		switch part {
		case "":
			return "it takes no key with an empty path segment"
		case ".", "..":
			return "it takes no key with the path segment " + part
		}
	}
	return ""
}
