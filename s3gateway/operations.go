package s3gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
)

// operations is the whole API. The first that matches a request is it, so those with a header
// come before those without.
var operations = []operation{
	{name: "ListBuckets", level: atService, method: http.MethodGet, run: listBuckets},

	{name: "HeadBucket", level: atBucket, method: http.MethodHead, run: headBucket},
	{name: "CreateBucket", level: atBucket, method: http.MethodPut, write: true, run: writes(createBucket)},
	{name: "DeleteBucket", level: atBucket, method: http.MethodDelete, write: true, run: writes(deleteBucket)},
	{name: "ListObjectsV2", level: atBucket, method: http.MethodGet, sub: "list-type", run: reads(listObjects)},
	{name: "ListObjects", level: atBucket, method: http.MethodGet, run: reads(listObjects)},
	{name: "ListObjectVersions", level: atBucket, method: http.MethodGet, sub: "versions", run: reads(listVersions)},
	{name: "ListMultipartUploads", level: atBucket, method: http.MethodGet, sub: "uploads", run: reads(listUploads)},
	{name: "DeleteObjects", level: atBucket, method: http.MethodPost, sub: "delete", write: true, run: writes(deleteObjects)},
	{name: "PostObject", level: atBucket, method: http.MethodPost, form: true, write: true, run: inParts(postObject)},
	{name: "GetBucketLocation", level: atBucket, method: http.MethodGet, sub: "location", run: getLocation},
	{name: "GetBucketVersioning", level: atBucket, method: http.MethodGet, sub: "versioning", run: reads(getBucketSetting)},
	{name: "PutBucketVersioning", level: atBucket, method: http.MethodPut, sub: "versioning", write: true, run: writes(putVersioning)},
	{name: "GetBucketAcl", level: atBucket, method: http.MethodGet, sub: "acl", run: reads(getACL)},
	{name: "PutBucketAcl", level: atBucket, method: http.MethodPut, sub: "acl", write: true, run: reads(putACL)},
	{name: "GetBucketCors", level: atBucket, method: http.MethodGet, sub: "cors", run: reads(getBucketSetting)},
	{name: "PutBucketCors", level: atBucket, method: http.MethodPut, sub: "cors", write: true, run: writes(putCORS)},
	{name: "DeleteBucketCors", level: atBucket, method: http.MethodDelete, sub: "cors", write: true, run: writes(putCORS)},
	{name: "Preflight", level: atBucket, method: http.MethodOptions, open: true, run: reads(preflight)},
	{name: "GetBucketTagging", level: atBucket, method: http.MethodGet, sub: "tagging", run: reads(getBucketSetting)},
	{name: "PutBucketTagging", level: atBucket, method: http.MethodPut, sub: "tagging", write: true, run: writes(setAtPrimary)},
	{name: "DeleteBucketTagging", level: atBucket, method: http.MethodDelete, sub: "tagging", write: true, run: writes(setAtPrimary)},
	{name: "GetObjectLockConfiguration", level: atBucket, method: http.MethodGet, sub: "object-lock", run: reads(getBucketSetting)},
	{name: "PutObjectLockConfiguration", level: atBucket, method: http.MethodPut, sub: "object-lock", write: true, run: writes(putLockRule)},

	{name: "GetObject", level: atObject, method: http.MethodGet, anonymous: true, run: reads(getObject)},
	{name: "HeadObject", level: atObject, method: http.MethodHead, anonymous: true, run: reads(getObject)},
	{name: "Preflight", level: atObject, method: http.MethodOptions, open: true, run: reads(preflight)},
	{name: "GetObjectAttributes", level: atObject, method: http.MethodGet, sub: "attributes", run: reads(getObjectPart)},
	{name: "GetObjectTagging", level: atObject, method: http.MethodGet, sub: "tagging", run: reads(getObjectPart)},
	{name: "GetObjectLegalHold", level: atObject, method: http.MethodGet, sub: "legal-hold", run: reads(getObjectPart)},
	{name: "GetObjectRetention", level: atObject, method: http.MethodGet, sub: "retention", run: reads(getObjectPart)},
	{name: "GetObjectAcl", level: atObject, method: http.MethodGet, sub: "acl", run: reads(getACL)},
	{name: "PutObjectAcl", level: atObject, method: http.MethodPut, sub: "acl", write: true, run: reads(putACL)},
	{name: "UploadPartCopy", level: atObject, method: http.MethodPut, sub: "uploadId", header: wire.CopySource, write: true, run: inParts(uploadPartCopy)},
	{name: "UploadPart", level: atObject, method: http.MethodPut, sub: "uploadId", write: true, run: inParts(uploadPart)},
	{name: "CopyObject", level: atObject, method: http.MethodPut, header: wire.CopySource, write: true, run: writes(copyObject)},
	{name: "PutObject", level: atObject, method: http.MethodPut, write: true, run: writes(putObject)},
	{name: "PutObjectTagging", level: atObject, method: http.MethodPut, sub: "tagging", write: true, run: writes(putObjectPart)},
	{name: "DeleteObjectTagging", level: atObject, method: http.MethodDelete, sub: "tagging", write: true, run: writes(putObjectPart)},
	{name: "PutObjectLegalHold", level: atObject, method: http.MethodPut, sub: "legal-hold", write: true, run: writes(putLock)},
	{name: "PutObjectRetention", level: atObject, method: http.MethodPut, sub: "retention", write: true, run: writes(putLock)},
	{name: "DeleteObject", level: atObject, method: http.MethodDelete, write: true, run: writes(deleteObject)},
	{name: "CreateMultipartUpload", level: atObject, method: http.MethodPost, sub: "uploads", write: true, run: inParts(createUpload)},
	{name: "CompleteMultipartUpload", level: atObject, method: http.MethodPost, sub: "uploadId", write: true, run: inParts(completeUpload)},
	{name: "AbortMultipartUpload", level: atObject, method: http.MethodDelete, sub: "uploadId", write: true, run: inParts(abortUpload)},
	{name: "ListParts", level: atObject, method: http.MethodGet, sub: "uploadId", run: inParts(listParts)},
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
	if r.Method == http.MethodOptions {
		query = nil // it is about the request that follows
	}
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
		return nil, s3err.New(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
	return nil, s3err.NotImplemented(nameOf(l, r.Method, sub))
}

var verbs = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}

// nameOf makes the API's name of an operation that is not supported.
func nameOf(l level, method, sub string) string {
	if n, ok := properNames[sub]; ok {
		return verbOf(method) + n
	}
	var b strings.Builder
	b.WriteString(verbOf(method))
	b.WriteString([...]string{"Service", "Bucket", "Object"}[l])
	for word := range strings.SplitSeq(sub, "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

func verbOf(method string) string { return method[:1] + strings.ToLower(method[1:]) }

// properNames are those that do not follow from the query parameter.
var properNames = map[string]string{
	"accelerate": "BucketAccelerateConfiguration", "analytics": "BucketAnalyticsConfiguration",
	"intelligent-tiering": "BucketIntelligentTieringConfiguration", "inventory": "BucketInventoryConfiguration",
	"lifecycle": "BucketLifecycleConfiguration", "metrics": "BucketMetricsConfiguration", "notification": "BucketNotificationConfiguration",
	"object-lock": "ObjectLockConfiguration", "publicAccessBlock": "PublicAccessBlock",
}
