package kind

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Provider is what is known of an S3 implementation beyond the S3 API: one row of
// a table, so that differences are data.
type Provider struct {
	Name string
	// server is how its Server header begins; "" matches every server.
	server string

	// Listener: GET /?events= streams notifications of all buckets.
	Listener bool
	// Preserve: writes may carry version ID, ETag and modification time
	// (X-Minio-Source-*), are then marked REPLICA and raise no event.
	Preserve bool
	// ConditionalPut: If-None-Match: * and If-Match are honoured, atomically, by
	// PutObject and CompleteMultipartUpload; ConditionalDelete: If-Match by
	// DeleteObject.
	ConditionalPut, ConditionalDelete bool
	// tagsInAnswer: GET and HEAD return the tags themselves when asked with
	// X-Amz-Tagging-Directive: ACCESS, which saves a request.
	tagsInAnswer bool
	// Versions and Tags: the API is there; some buckets may still be without.
	Versions, Tags bool
	// Sorted: listings come in the order of keys.
	Sorted bool
	// Trailers: aws-chunked bodies with a trailing CRC-32C are understood and
	// checked, and checksums kept.
	Trailers bool
	// Births: the date of a bucket in the list of buckets is the one it was made at, for
	// good.
	Births bool
	// MarkersCount: for conditions of writes a delete marker is an object, with the ETag of
	// what it covers.
	MarkersCount bool
	// cutsPass: where a connection ends in the middle of a body, what came so far is stored as
	// the whole, whatever Content-Length said, unless a checksum tells otherwise.
	cutsPass bool
	// DropsRedirects: X-Amz-Website-Redirect-Location is taken and not kept.
	DropsRedirects bool
	// unpackedBy is the header that has it take the content of a PUT for an archive and store what is in that,
	// under the names there, in place of the object; "" for none.
	unpackedBy string
	// Uploads: how it lists uploads under way.
	Uploads UploadLists
	// Classes: storage classes it takes.
	Classes []string
	// Refuse says why it must not be given a key; "" if it may. It is asked before a
	// byte is sent, because such a key would end up under another name.
	Refuse func(key string, size int64) string
	// uploadPath is the path that it looks for an upload by, of the upload's ID; nil: the ID.
	uploadPath func(id string) string
}

// Request is what a request names.
type Request struct {
	Method, Key string
	Size        int64    // of its body
	Names       []string // keys that it names elsewhere
	Query       url.Values
	Header      http.Header
}

// RefuseRequest says why the storage would take a name of a request for another one, or keep nothing under it;
// "" if it would not.
//
// Invariant: no request of a user's is made that names a key, an upload or a version that its storage would take
// for another one, or that has it store what the request does not name. What is allowed, and what is noted as
// changed, is judged by the names that FaDO reads. Storages clean keys as paths where these come as such, and some
// look for an upload by a path that its ID is a part of: such a name leads to other keys, and to other buckets.
func (p *Provider) RefuseRequest(r Request) string {
	if r.Key != "" {
		if why := p.Refuse(r.Key, r.Size); why != "" {
			return why
		}
	}
	for _, key := range r.Names {
		if why := p.Refuse(key, 0); why != "" {
			return why
		}
	}
	if r.Method == http.MethodPut && len(r.Query) == 0 && r.Header.Get("X-Amz-Copy-Source") == "" && p.Unpacks(r.Header) {
		return "it would unpack the object"
	}
	if why := p.RefuseUpload(r.Query.Get("uploadId")); why != "" {
		return why
	}
	return RefuseVersion(r.Query.Get("versionId"))
}

// RefuseUpload says why it must not be given what a client says is the ID of an upload; "" if it may. Storages
// that keep uploads as files look for them by paths.
func (p *Provider) RefuseUpload(id string) string {
	if p.uploadPath != nil {
		id = p.uploadPath(id)
	}
	return RefuseVersion(id)
}

// RefuseVersion is [Provider.RefuseUpload] for the ID of a version.
func RefuseVersion(id string) string {
	for part := range strings.FieldsFuncSeq(id, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == "." || part == ".." {
			return "no ID is a path"
		}
	}
	return ""
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

var providers = []*Provider{
	{
		Name: "MinIO", server: "MinIO",
		Listener: true, Preserve: true, ConditionalPut: true, tagsInAnswer: true, Trailers: true,
		Versions: true, Tags: true, Sorted: true, Births: true,
		DropsRedirects: true,
		unpackedBy:     "X-Amz-Meta-Snowball-Auto-Extract",
		Uploads:        UploadsOfKey,
		uploadPath:     minioUploadPath,
		Classes:        []string{"STANDARD", "REDUCED_REDUNDANCY"},
		Refuse:         refuseMinIO,
	},
	{
		Name: "versitygw", server: "VERSITYGW",
		ConditionalPut: true, ConditionalDelete: true, Trailers: true, Tags: true, Sorted: true,
		MarkersCount: true, cutsPass: true,
		Uploads: UploadsBehindKey,
		Classes: []string{"STANDARD"},
		Refuse:  refusePath,
	},
	{
		// By the S3 API reference and User Guide: If-None-Match and If-Match of PutObject and
		// CompleteMultipartUpload ("How to prevent object overwrites with conditional
		// writes"), If-Match of DeleteObject ("conditional deletes"), trailing checksums
		// ("Checking object integrity"), listings "in lexicographical order" for general
		// purpose buckets; directory buckets, whose listings are not, are not for FaDO.
		Name: "AWS S3", server: "AmazonS3",
		ConditionalPut: true, ConditionalDelete: true, Trailers: true, Versions: true, Tags: true, Sorted: true,
		Classes: []string{
			"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR",
		},
		Refuse: func(string, int64) string { return "" },
	},
	{
		Name: "S3", Refuse: refuseLeaving,
		Classes: []string{"STANDARD"},
	},
}

// Unpacks reports whether a PUT of an object with these headers stores what is in the object's content
// instead of the object: under any names, over whatever is there. An upload in parts does not.
func (p *Provider) Unpacks(h http.Header) bool {
	return p.unpackedBy != "" && slices.ContainsFunc(h.Values(p.unpackedBy), func(v string) bool { return strings.Contains(v, "true") })
}

// minioUploadPath: an ID is the deployment's and the upload's own, encoded.
func minioUploadPath(id string) string {
	plain, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return id
	}
	if _, own, two := strings.Cut(string(plain), "."); two {
		return own
	}
	return id
}

// refuseMinIO: it keeps keys that end in / under names of its own.
func refuseMinIO(key string, _ int64) string {
	if strings.HasSuffix(key, "__XLDIR__") {
		return "it takes a key that ends in __XLDIR__ for one that ends in /"
	}
	return refuseSegments(key)
}

// refusePath is for storages that keep objects as files of the same name.
func refusePath(key string, size int64) string {
	if strings.HasSuffix(key, "/") && size > 0 {
		return "it takes no content for a key that ends in /"
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case len(part) > 255:
			return "a path segment is longer than a file name may be"
		case part == ".sgwtmp":
			return "it keeps files of its own under " + part + ", and lists nothing there"
		}
	}
	return refuseSegments(key)
}

// refuseLeaving is for storages of which nothing is known: one that cleans paths, be it behind a proxy
// that hides what it is, would take such a key for one of another bucket.
func refuseLeaving(key string, _ int64) string {
	depth := 0
	for part := range strings.SplitSeq(key, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return "it may take a key that begins with .. for one of another bucket"
			}
		default:
			depth++
		}
	}
	return ""
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
