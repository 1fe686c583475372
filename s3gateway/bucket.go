package s3gateway

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// bucketList is the answer to ListBuckets.
type bucketList struct {
	XMLName           xml.Name      `xml:"ListAllMyBucketsResult"`
	Xmlns             string        `xml:"xmlns,attr"`
	Owner             *wire.Owner   `xml:"Owner"`
	Buckets           []bucketEntry `xml:"Buckets>Bucket"`
	ContinuationToken string        `xml:",omitempty"`
	Prefix            string        `xml:",omitempty"`
}

type bucketEntry struct {
	Name         string
	CreationDate string
	BucketRegion string
}

// created stands for when a bucket was created, which FaDO does not record.
const created = "2000-01-01T00:00:00.000Z"

// maxBuckets is the most buckets of a page (S3 API reference, ListBuckets).
const maxBuckets = 10_000

// listBuckets answers ListBuckets with the buckets that the key sees, sorted.
func listBuckets(c *call) error {
	most := maxBuckets
	if v := c.query.Get("max-buckets"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxBuckets {
			return s3err.BadRequest("InvalidArgument", "Argument max-buckets must be an integer between 1 and %d", maxBuckets)
		}
		most = n
	}
	after, prefix := "", c.query.Get("prefix")
	if token := c.query.Get("continuation-token"); token != "" {
		var ok bool
		if after, ok = wire.DecodePage(token); !ok {
			return s3err.BadRequest("InvalidArgument", "The continuation token provided is incorrect")
		}
	}
	var names []string
	c.router().Snapshot().Buckets(func(name string) bool {
		if name > after && strings.HasPrefix(name, prefix) && c.sees(name) {
			names = append(names, name)
		}
		return true
	})
	slices.Sort(names)
	out := bucketList{Xmlns: wire.Namespace, Owner: wire.TheOwner, Prefix: prefix}
	if len(names) > most {
		names = names[:most]
		out.ContinuationToken = wire.EncodePage(names[most-1])
	}
	for _, n := range names {
		out.Buckets = append(out.Buckets, bucketEntry{n, created, c.h.Region})
	}
	c.writeXML(http.StatusOK, out)
	return nil
}

// headBucket answers HeadBucket.
func headBucket(c *call) error {
	c.w.Header().Set("X-Amz-Bucket-Region", c.h.Region)
	c.writeBody(http.StatusOK, "", nil)
	return nil
}

// getLocation answers GetBucketLocation: the region that clients sign with.
func getLocation(c *call) error {
	region := c.h.Region
	if region == defaultRegion {
		region = "" // as S3 says it
	}
	c.writeXML(http.StatusOK, struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		Xmlns   string   `xml:"xmlns,attr"`
		Region  string   `xml:",chardata"`
	}{Xmlns: wire.Namespace, Region: region})
	return nil
}

// making is the call of a bucket that is made or removed.
type making struct{ c writer }

// createBucket answers CreateBucket: a bucket of the catalogue. It answers when objects can be
// written.
func createBucket(c writer) error {
	if err := wire.CheckHeaders(c.r.Header); err != nil {
		return err
	}
	b := &catalog.Bucket{
		Name: c.bucket, Policy: c.r.Header.Get("X-Fado-Policy"),
		ObjectLock: strings.EqualFold(c.r.Header.Get("X-Amz-Bucket-Object-Lock-Enabled"), "true"),
	}
	body, err := c.readBody(wire.MaxSmallXML)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		var conf struct {
			XMLName            xml.Name `xml:"CreateBucketConfiguration"`
			LocationConstraint string
			Tags               *struct{}
		}
		if err := wire.ParseXML(body, &conf); err != nil {
			return err
		}
		if conf.Tags != nil {
			return s3err.NotImplemented("Creating a bucket with tags")
		}
		if b.Primary, err = (making{c}).primaryIn(conf.LocationConstraint); err != nil {
			return err
		}
	}
	if err := (making{c}).checkName(b); err != nil {
		return err
	}
	if _, err := c.control.Resources.Create(c.ctx, b); err != nil {
		return err
	}
	if err := (making{c}).awaitBucket(b.ObjectLock); err != nil {
		return err
	}
	c.w.Header().Set("Location", "/"+c.bucket)
	c.writeBody(http.StatusOK, "", nil)
	return nil
}

// checkName tells a bad name from a bad policy, as S3 clients expect it.
func (m making) checkName(b *catalog.Bucket) error {
	c := m.c
	if !catalog.ValidBucketName(b.Name) {
		return s3err.BadRequest("InvalidBucketName", "The specified bucket is not valid.")
	}
	if b.Policy != "" && c.router().Snapshot().Policy(b.Policy) == nil {
		return s3err.BadRequest("InvalidArgument", "x-fado-policy: there is no policy %q", b.Policy)
	}
	return nil
}

// primaryIn reads a LocationConstraint: a cluster, or this endpoint's region, which is none.
func (m making) primaryIn(constraint string) (cluster string, err error) {
	c := m.c
	if constraint == "" || constraint == c.h.Region {
		return "", nil
	}
	if c.router().Snapshot().Cluster(constraint) == nil {
		return "", s3err.BadRequest("InvalidLocationConstraint", "The specified location-constraint is not valid: expected the name of a cluster or %s", c.h.Region)
	}
	return constraint, nil
}

// Times of CreateBucket and DeleteBucket.
const (
	bucketPatience = 20 * time.Second
	bucketPoll     = 20 * time.Millisecond
)

// awaitBucket returns when the new bucket has a primary, and its storage the physical bucket, with
// object lock where it is to have that: storages show a bucket a moment before it has.
func (m making) awaitBucket(locks bool) error {
	c := m.c
	ctx, cancel := context.WithTimeout(c.ctx, bucketPatience)
	defer cancel()
	for {
		if primary := c.router().Snapshot().Of(c.bucket).Primary(); primary != "" && m.bucketIn(ctx, primary, locks) {
			return nil
		}
		select {
		case <-time.After(bucketPoll):
		case <-ctx.Done():
			return s3err.SlowDown(ctx.Err(), "The bucket exists, but its storage is not ready yet. Please retry what you want to do with it.")
		}
	}
}

// bucketIn reports whether a cluster's storage has the physical bucket.
func (m making) bucketIn(ctx context.Context, cluster string, locks bool) bool {
	c := m.c
	f := &storage.Forward{Name: "HeadBucket", Method: http.MethodHead, Bucket: c.bucket}
	if locks {
		f = &storage.Forward{Name: "GetObjectLockConfiguration", Method: http.MethodGet, Bucket: c.bucket, Query: url.Values{"object-lock": {""}}}
	}
	a, err := c.gateway.Read(ctx, c.reading(cluster, c.bucket, ""), f)
	if err != nil {
		return false
	}
	_ = a.Body.Close()
	return a.Status == http.StatusOK
}

// settingQuery are the parameters of a bucket's settings.
var settingQuery = []string{"versioning", "cors", "tagging", "object-lock"}

// getBucketSetting passes on what the primary's storage knows of the bucket.
func getBucketSetting(c reader) error {
	primary := c.router().Snapshot().Of(c.bucket).Primary()
	if primary == "" {
		return s3err.SlowDown(errNoPrimary, "The bucket has no primary yet. Please retry.")
	}
	_, body, err := c.page(&routing.Holder{Cluster: primary, Primary: true}, storage.Forward{
		Name: c.op.name, Method: http.MethodGet, Bucket: c.bucket, Query: wire.Pick(c.query, settingQuery),
	})
	if err != nil {
		return err
	}
	c.writeBody(http.StatusOK, "application/xml", body)
	return nil
}

// putLockRule answers PutObjectLockConfiguration. The rule locks what is written at the primary.
func putLockRule(c writer) error {
	snap := c.router().Snapshot()
	for _, rule := range snap.Of(c.bucket).Rules() {
		if snap.Of(c.bucket).Anywhere(rule.Prefix) {
			return locksAnywhere(c)
		}
	}
	return setAtPrimary(c)
}

// setAtPrimary answers PutBucketTagging and DeleteBucketTagging: it changes what the primary's
// storage knows of the bucket.
func setAtPrimary(c writer) error {
	cluster := c.router().Snapshot().Of(c.bucket).Primary()
	if cluster == "" {
		return s3err.SlowDown(errNoPrimary, "The bucket has no primary yet. Please retry.")
	}
	b, err := c.readBody(wire.MaxSmallXML)
	if err != nil {
		return err
	}
	f, err := c.document(b, settingQuery)
	if err != nil {
		return err
	}
	out, err := c.write(cluster, f, nil)
	if err != nil {
		return err
	}
	c.writeBody(out.Status, "", out.Body)
	return nil
}

// putVersioning answers PutBucketVersioning. The versioning of copies follows the primary's.
func putVersioning(c writer) error {
	if err := setAtPrimary(c); err != nil {
		return err
	}
	if err := c.h.app.Replication().SyncBucket(c.ctx, c.bucket); err != nil && !errors.Is(err, replication.ErrOff) {
		c.h.log.Warn("versioning of the copies follows at the next scan: " + err.Error())
	}
	return nil
}
