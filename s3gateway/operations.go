package s3gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// level is what a request is about.
type level uint8

const (
	atService level = iota
	atBucket
	atObject
)

// operation is one operation of the S3 API.
type operation struct {
	name   string
	level  level
	method string
	sub    string // the query parameter that names it; "" for the plain one
	header string // a header that, present, names it

	write     bool // a key that is read_only may not
	anonymous bool // public buckets offer it to everyone
	run       func(*call) error
}

// operations is the whole API. The first that matches a request is it, so those with a header
// come before those without.
var operations = []operation{
	{name: "ListBuckets", level: atService, method: http.MethodGet, run: listBuckets},

	{name: "HeadBucket", level: atBucket, method: http.MethodHead, run: headBucket},
	{name: "CreateBucket", level: atBucket, method: http.MethodPut, write: true, run: createBucket},
	{name: "DeleteBucket", level: atBucket, method: http.MethodDelete, write: true, run: deleteBucket},
	{name: "ListObjectsV2", level: atBucket, method: http.MethodGet, sub: "list-type", run: listObjects},
	{name: "ListObjects", level: atBucket, method: http.MethodGet, run: listObjects},
	{name: "ListObjectVersions", level: atBucket, method: http.MethodGet, sub: "versions", run: listVersions},
	{name: "ListMultipartUploads", level: atBucket, method: http.MethodGet, sub: "uploads", run: listUploads},
	{name: "DeleteObjects", level: atBucket, method: http.MethodPost, sub: "delete", write: true, run: deleteObjects},
	{name: "GetBucketLocation", level: atBucket, method: http.MethodGet, sub: "location", run: getLocation},
	{name: "GetBucketVersioning", level: atBucket, method: http.MethodGet, sub: "versioning", run: getBucketSetting},
	{name: "PutBucketVersioning", level: atBucket, method: http.MethodPut, sub: "versioning", write: true, run: putVersioning},
	{name: "GetBucketAcl", level: atBucket, method: http.MethodGet, sub: "acl", run: getACL},
	{name: "PutBucketAcl", level: atBucket, method: http.MethodPut, sub: "acl", write: true, run: putACL},
	{name: "GetBucketCors", level: atBucket, method: http.MethodGet, sub: "cors", run: getBucketSetting},
	{name: "PutBucketCors", level: atBucket, method: http.MethodPut, sub: "cors", write: true, run: putBucketSetting},
	{name: "DeleteBucketCors", level: atBucket, method: http.MethodDelete, sub: "cors", write: true, run: putBucketSetting},
	{name: "GetBucketTagging", level: atBucket, method: http.MethodGet, sub: "tagging", run: getBucketSetting},
	{name: "PutBucketTagging", level: atBucket, method: http.MethodPut, sub: "tagging", write: true, run: putBucketSetting},
	{name: "DeleteBucketTagging", level: atBucket, method: http.MethodDelete, sub: "tagging", write: true, run: putBucketSetting},
	{name: "GetObjectLockConfiguration", level: atBucket, method: http.MethodGet, sub: "object-lock", run: getBucketSetting},

	{name: "GetObject", level: atObject, method: http.MethodGet, anonymous: true, run: getObject},
	{name: "HeadObject", level: atObject, method: http.MethodHead, anonymous: true, run: getObject},
	{name: "GetObjectAttributes", level: atObject, method: http.MethodGet, sub: "attributes", run: getObjectPart},
	{name: "GetObjectTagging", level: atObject, method: http.MethodGet, sub: "tagging", run: getObjectPart},
	{name: "GetObjectLegalHold", level: atObject, method: http.MethodGet, sub: "legal-hold", run: getObjectPart},
	{name: "GetObjectRetention", level: atObject, method: http.MethodGet, sub: "retention", run: getObjectPart},
	{name: "GetObjectAcl", level: atObject, method: http.MethodGet, sub: "acl", run: getACL},
	{name: "PutObjectAcl", level: atObject, method: http.MethodPut, sub: "acl", write: true, run: putACL},
	{name: "UploadPartCopy", level: atObject, method: http.MethodPut, sub: "uploadId", header: copySource, write: true, run: uploadPartCopy},
	{name: "UploadPart", level: atObject, method: http.MethodPut, sub: "uploadId", write: true, run: uploadPart},
	{name: "CopyObject", level: atObject, method: http.MethodPut, header: copySource, write: true, run: copyObject},
	{name: "PutObject", level: atObject, method: http.MethodPut, write: true, run: putObject},
	{name: "PutObjectTagging", level: atObject, method: http.MethodPut, sub: "tagging", write: true, run: putObjectPart},
	{name: "DeleteObjectTagging", level: atObject, method: http.MethodDelete, sub: "tagging", write: true, run: putObjectPart},
	{name: "PutObjectLegalHold", level: atObject, method: http.MethodPut, sub: "legal-hold", write: true, run: putObjectPart},
	{name: "PutObjectRetention", level: atObject, method: http.MethodPut, sub: "retention", write: true, run: putObjectPart},
	{name: "DeleteObject", level: atObject, method: http.MethodDelete, write: true, run: deleteObject},
	{name: "CreateMultipartUpload", level: atObject, method: http.MethodPost, sub: "uploads", write: true, run: createUpload},
	{name: "CompleteMultipartUpload", level: atObject, method: http.MethodPost, sub: "uploadId", write: true, run: completeUpload},
	{name: "AbortMultipartUpload", level: atObject, method: http.MethodDelete, sub: "uploadId", write: true, run: abortUpload},
	{name: "ListParts", level: atObject, method: http.MethodGet, sub: "uploadId", run: listParts},
}

// subresources are the query parameters that make a request another operation than the plain
// one, in the whole of the S3 API: one that is not in operations must not be taken for it.
var subresources = []string{
	"abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "events", "intelligent-tiering",
	"inventory", "legal-hold", "lifecycle", "list-type", "location", "logging", "metadataConfiguration", "metadataTable",
	"metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock",
	"renameObject", "replication", "requestPayment", "restore", "retention", "select", "session", "tagging", "torrent",
	"uploadId", "uploads", "versioning", "versions", "website",
}

// find returns the operation of a request, or why there is none.
func find(l level, r *http.Request, query url.Values) (*operation, error) {
	sub := ""
	for _, s := range subresources {
		if query.Has(s) {
			sub = s
			break
		}
	}
	known := false
	for i := range operations {
		o := &operations[i]
		if o.level != l || o.sub != sub {
			continue
		}
		known = known || sub == ""
		if o.method == r.Method && (o.header == "" || r.Header.Get(o.header) != "") {
			return o, nil
		}
	}
	if known || !slices.Contains(verbs, r.Method) {
		return nil, fail(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
	return nil, notImplemented(nameOf(l, r.Method, sub))
}

var verbs = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}

// nameOf makes the API's name of an operation that is not supported.
func nameOf(l level, method, sub string) string {
	var b strings.Builder
	b.WriteString(method[:1] + strings.ToLower(method[1:]))
	b.WriteString([...]string{"Service", "Bucket", "Object"}[l])
	for word := range strings.SplitSeq(sub, "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}
