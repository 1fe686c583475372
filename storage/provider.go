package storage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

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
	// classes: storage classes it takes.
	classes []string
	// refuse says why it must not be given a key; "" if it may. It is asked before a
	// byte is sent, because such a key would end up under another name.
	refuse func(key string, size int64) string
}

var providers = []*provider{
	{
		name: "MinIO", server: "MinIO",
		listener: true, preserve: true, conditionalPut: true, tagsInAnswer: true, trailers: true,
		versions: true, tags: true, sorted: true,
		classes: []string{"STANDARD", "REDUCED_REDUNDANCY"},
		refuse:  func(key string, _ int64) string { return refuseSegments(key) },
	},
	{
		name: "versitygw", server: "VERSITYGW",
		conditionalPut: true, conditionalDelete: true, trailers: true, tags: true, sorted: true,
		classes: []string{"STANDARD"},
		refuse:  refusePath,
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

// learnProvider finds the row of the table that an answer's headers point to.
func (c *Client) learnProvider(h http.Header) {
	known := c.who.Load()
	if known != nil && known.server != "" {
		return
	}
	server := h.Get("Server")
	for _, p := range providers {
		byHeader := p.name == "MinIO" && (h.Get("X-Minio-Error-Code") != "" || h.Get("X-Minio-Deployment-Id") != "")
		if (p.server != "" && strings.HasPrefix(server, p.server)) || byHeader {
			c.who.Store(p)
			return
		}
	}
	if known == nil && server != "" {
		c.who.Store(providers[len(providers)-1])
	}
}

// provider returns what is known of the server, asking it if nothing is yet.
func (c *Client) provider(ctx context.Context) (*provider, error) {
	if p := c.who.Load(); p != nil {
		return p, nil
	}
	if err := c.Ping(ctx); err != nil && !errors.Is(err, ErrDenied) {
		return nil, err
	}
	if p := c.who.Load(); p != nil {
		return p, nil
	}
	return providers[len(providers)-1], nil
}

// Capabilities implements [Storage].
func (c *Client) Capabilities() (Capabilities, bool) {
	if p := c.caps.Load(); p != nil {
		return *p, true
	}
	return Capabilities{}, false
}

// Probe implements [Storage]. It writes nothing: whether conditional writes are
// honoured is asked by completing an upload that does not exist.
func (c *Client) Probe(ctx context.Context, bucket string) (Capabilities, error) {
	if err := c.Ping(ctx); err != nil {
		return Capabilities{}, err
	}
	p, err := c.provider(ctx)
	if err != nil {
		return Capabilities{}, err
	}
	caps := Capabilities{
		Provider: p.name, ConditionalPut: p.conditionalPut, ConditionalDelete: p.conditionalDelete, PreserveVersion: p.preserve,
		Versioning: p.versions, Tags: p.tags, Checksums: p.trailers, SortedList: p.sorted, Multipart: s3Multipart,
	}
	if p.listener {
		if caps.Notifications, err = c.canListen(ctx); err != nil {
			return Capabilities{}, err
		}
	}
	if bucket != "" {
		if err := c.probeBucket(ctx, p, bucket, &caps); err != nil {
			return Capabilities{}, err
		}
	}
	c.caps.Store(&caps)
	return caps, nil
}

func (c *Client) probeBucket(ctx context.Context, p *provider, bucket string, caps *Capabilities) error {
	name := c.Physical(bucket)
	var err error
	caps.Versioning, err = c.supports(ctx, &request{
		name: "asking for the versioning of", method: http.MethodGet, bucket: name, query: url.Values{"versioning": {""}},
	})
	if err != nil {
		return err
	}
	key := probeKey
	objs, _, _, err := c.Page(ctx, bucket, "", "", "", pageSize)
	if err != nil {
		return err
	}
	// For a storage that is not known, a page in order is all that can be told beforehand;
	// List watches every page.
	caps.SortedList = p.sorted || slices.IsSortedFunc(objs, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	if len(objs) > 0 {
		key = objs[0].Key
		caps.ConditionalPut = caps.ConditionalPut || c.honoursConditions(ctx, name, key)
	}
	caps.Tags, err = c.supports(ctx, &request{
		name: "asking for tags of", method: http.MethodGet, bucket: name, key: key, query: url.Values{"tagging": {""}},
	})
	return err
}

// probeKey is asked about where a bucket has no object.
const probeKey = ".fado-probe"

// supports makes a request that reads, and says whether the storage knows it.
func (c *Client) supports(ctx context.Context, q *request) (bool, error) {
	_, err := c.call(ctx, q)
	var e *Error
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		return true, nil
	case errors.As(err, &e) && e.Status >= 400 && e.Status != http.StatusNotFound && e.Code != "" &&
		!errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnsupported):
		return false, nil
	case errors.As(err, &e) && (e.Code == "VersioningNotConfigured" || e.Code == "NoSuchTagSet"):
		return e.Code == "NoSuchTagSet", nil
	default:
		return false, err
	}
}

// honoursConditions completes a multipart upload that was never begun, on condition
// that an existing key does not exist. Nothing can come of it but the order in which
// the server finds the two faults.
func (c *Client) honoursConditions(ctx context.Context, name, key string) bool {
	body := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"00000000000000000000000000000000"</ETag></Part></CompleteMultipartUpload>`)
	_, err := c.call(ctx, &request{
		name: "probing", method: http.MethodPost, bucket: name, key: key,
		query:  url.Values{"uploadId": {"00000000-0000-0000-0000-000000000000"}},
		header: http.Header{"If-None-Match": {"*"}},
		body:   strings.NewReader(string(body)), size: int64(len(body)), replay: body,
	})
	return errors.Is(err, ErrPrecondition)
}

// canListen asks for notifications as Listen does, waits for the first sign of life,
// and hangs up. A listener that stays mute is none.
func (c *Client) canListen(ctx context.Context) (bool, error) {
	ctx, dog := watch(ctx, c.silence/3)
	defer dog.stop()
	resp, err := c.openListener(ctx, dog)
	if err == nil {
		_, err = resp.Body.Read(make([]byte, 1))
		_ = resp.Body.Close()
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrDenied), errors.Is(context.Cause(ctx), errStalled):
		return false, nil
	default:
		return false, err
	}
}
