package s3gateway

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/uploads"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// uploadList is the answer to ListMultipartUploads.
type uploadList struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Xmlns              string   `xml:"xmlns,attr"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	Prefix             string
	Delimiter          string `xml:",omitempty"`
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Uploads            []unfinishedUpload `xml:"Upload"`
	CommonPrefixes     []commonPrefix
}

type unfinishedUpload struct {
	Key          string
	UploadID     string `xml:"UploadId"`
	Initiator    *wire.Owner
	Owner        *wire.Owner
	StorageClass string
	Initiated    string

	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

// uploadLister lists the uploads of the bucket of a call.
type uploadLister struct{ c reader }

// listUploads answers ListMultipartUploads: those of all storages that users write in.
func listUploads(c reader) error {
	q := listQuery{prefix: c.query.Get("prefix"), delimiter: c.query.Get("delimiter"), after: c.query.Get("key-marker")}
	var err error
	if q.most, err = wire.LimitOf(c.query.Get("max-uploads"), "max-uploads"); err != nil {
		return err
	}
	if q.encode, err = wire.EncodesNames(c.query); err != nil {
		return err
	}
	ask := uploads.Query{Prefix: q.prefix, Delimiter: q.delimiter, After: q.after, Most: q.most}
	if marker := c.query.Get("upload-id-marker"); marker != "" && q.after != "" {
		cluster, id, ok := wire.DecodeUpload(marker)
		if !ok {
			return s3err.BadRequest("InvalidArgument", "Invalid uploadId marker")
		}
		ask.Mark = &uploads.Upload{Cluster: cluster, ID: id}
	}
	page := new(uploads.Page)
	if q.most > 0 {
		if page, err = (uploadLister{c}).page(ask); err != nil {
			return err
		}
	}
	c.writeXML(http.StatusOK, uploadLister{c}.show(&q, page))
	return nil
}

// page asks the storages for a page of uploads. Those that FaDO makes itself, of copies,
// are left out.
func (l uploadLister) page(q uploads.Query) (*uploads.Page, error) {
	c := l.c
	snap := c.router().Snapshot()
	q.Shown = func(u *uploads.Upload) bool { return snap.Of(c.bucket).Writer(u.Key, u.Cluster) }
	var sources []uploads.Source
	for _, cluster := range writersOf(snap, c.bucket) {
		lists, err := c.gateway.ListsUploads(c.ctx, cluster)
		if err != nil {
			return nil, err
		}
		sources = append(sources, uploads.Source{Cluster: cluster, Way: waysOf[lists], Ask: func(ctx context.Context, query url.Values) (io.ReadCloser, error) {
			return l.open(ctx, cluster, query)
		}})
	}
	if len(sources) == 0 {
		return nil, s3err.SlowDown(errNoPrimary, "The bucket has no primary yet. Please retry.")
	}
	page, err := uploads.List(c.ctx, q, sources)
	if err != nil {
		if _, said := errors.AsType[*s3err.Error](err); !said && !passes(err) && !errors.Is(err, replication.ErrForbidden) {
			err = s3err.Unreadable(err)
		}
		return nil, err
	}
	own, err := c.gateway.OwnUploads(c.ctx, c.bucket)
	if err != nil { // they are shown until the store is there again
		c.h.log.Debug("telling uploads of copies from those of users", zap.String("request_id", c.id), zap.Error(err))
	}
	page.Uploads = slices.DeleteFunc(page.Uploads, func(u uploads.Upload) bool { return slices.Contains(own[u.Cluster], u.ID) })
	return page, nil
}

// writersOf returns the clusters in which users write keys of a bucket.
func writersOf(snap *routing.Snapshot, bucket string) (clusters []string) {
	if primary := snap.Of(bucket).Primary(); primary != "" {
		clusters = append(clusters, primary)
	}
	if len(snap.Of(bucket).RulesAnywhere()) == 0 {
		return clusters
	}
	for _, cp := range snap.Of(bucket).Copies() {
		if !slices.Contains(clusters, cp.Cluster) {
			clusters = append(clusters, cp.Cluster)
		}
	}
	return clusters
}

// waysOf are the ways in which storages list uploads.
var waysOf = map[storage.UploadLists]uploads.Way{
	storage.UploadPages: uploads.Pages, storage.UploadsOfKey: uploads.OneKey, storage.UploadsBehindKey: uploads.NextKey,
}

// open opens a storage's list of uploads.
func (l uploadLister) open(ctx context.Context, cluster string, query url.Values) (io.ReadCloser, error) {
	c := l.c
	a, err := c.ask(ctx, &routing.Holder{Cluster: cluster, Primary: true}, storage.Forward{
		Name: c.op.name, Method: http.MethodGet, Bucket: c.bucket, Query: query,
		Content: true, // it may have any length, and is read as it comes
	}, false)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		defer a.Body.Close()
		return nil, c.storageError(a.Status, a.Header, a.Body)
	}
	return a.Body, nil
}

// show is a page as the client wants it.
func (l uploadLister) show(q *listQuery, page *uploads.Page) *uploadList {
	c := l.c
	out := &uploadList{
		Xmlns: wire.Namespace, Bucket: c.bucket, KeyMarker: q.text(q.after), UploadIDMarker: c.query.Get("upload-id-marker"),
		Prefix: q.text(q.prefix), Delimiter: q.text(q.delimiter), MaxUploads: q.most, IsTruncated: page.More,
	}
	if q.encode {
		out.EncodingType = "url"
	}
	if page.More {
		out.NextKeyMarker = q.text(page.Last.Key)
		if page.Last.ID != "" {
			out.NextUploadIDMarker = wire.EncodeUpload(page.Last.Cluster, page.Last.ID)
		}
	}
	for _, u := range page.Uploads {
		out.Uploads = append(out.Uploads, unfinishedUpload{
			Key: q.text(u.Key), UploadID: wire.EncodeUpload(u.Cluster, u.ID), Initiator: wire.TheOwner, Owner: wire.TheOwner,
			StorageClass: cmp.Or(u.Class, "STANDARD"), Initiated: u.Begun.UTC().Format("2006-01-02T15:04:05.000Z"),
			ChecksumAlgorithm: u.Algorithm, ChecksumType: u.Kind,
		})
	}
	for _, p := range page.Prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{q.text(p)})
	}
	return out
}
