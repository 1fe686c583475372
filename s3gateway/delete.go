package s3gateway

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// maxDeletes is the most keys of a DeleteObjects.
const maxDeletes = 1000

// deleteRequest is the body of DeleteObjects.
type deleteRequest struct {
	XMLName xml.Name   `xml:"Delete"`
	Objects []toDelete `xml:"Object"`
	Quiet   bool
}

type toDelete struct {
	Key              string
	VersionID        string `xml:"VersionId,omitempty"`
	ETag             string `xml:",omitempty"` // this and what follows are conditions
	LastModifiedTime string `xml:",omitempty"`
	Size             string `xml:",omitempty"`
}

// named is what a request would name to delete it.
func (o *toDelete) named() *storage.Forward {
	return &storage.Forward{Names: []string{o.Key}, Query: url.Values{"versionId": {o.VersionID}}}
}

// conditions are those that it is deleted on, as the headers of a request of its own.
func (o *toDelete) conditions() http.Header {
	h := make(http.Header)
	for name, v := range map[string]string{ifMatch: o.ETag, ifModified: o.LastModifiedTime, ifSize: o.Size} {
		if v != "" {
			h.Set(name, v)
		}
	}
	return h
}

// Headers of the conditions of a delete.
const (
	ifMatch    = "If-Match"
	ifModified = "X-Amz-If-Match-Last-Modified-Time"
	ifSize     = "X-Amz-If-Match-Size"
)

// deleteObject answers DeleteObject.
func deleteObject(c writer) error {
	return c.change(&storage.Forward{
		Name: c.op.name, Method: http.MethodDelete, Bucket: c.bucket, Key: c.key,
		Query: wire.Pick(c.query, []string{"versionId"}), Header: wire.RequestHeaders(c.r.Header),
	}, []string{c.key})
}

// deletesOn refuses a delete on a condition where the storage would make it on none.
func deletesOn(c writer, cluster string, f *storage.Forward) error {
	if f.Method != http.MethodDelete || f.Header.Get(ifMatch)+f.Header.Get(ifModified)+f.Header.Get(ifSize) == "" {
		return nil
	}
	if can, known := c.gateway.Capabilities(cluster); known && can.ConditionalDelete {
		return nil
	}
	return s3err.NotImplemented("A delete on a condition, which the storage of this bucket does not look at,")
}

// deleteResult is its answer.
type deleteResult struct {
	XMLName xml.Name      `xml:"DeleteResult"`
	Xmlns   string        `xml:"xmlns,attr,omitempty"`
	Deleted []deleted     `xml:"Deleted"`
	Errors  []deleteError `xml:"Error"`
}

type deleted struct {
	Key                   string
	VersionID             string `xml:"VersionId,omitempty"`
	DeleteMarker          bool   `xml:",omitempty"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

type deleteError struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
	Code      string
	Message   string
}

// deletion removes several keys.
type deletion struct{ c writer }

// deleteObjects answers DeleteObjects: one request per place that the keys are written in.
func deleteObjects(c writer) error {
	b, err := c.readBody(wire.MaxDeleteXML)
	if err != nil {
		return err
	}
	var req deleteRequest
	if err := wire.ParseXML(b, &req); err != nil {
		return err
	}
	if n := len(req.Objects); n == 0 || n > maxDeletes {
		return s3err.MalformedXML(nil)
	}
	if slices.ContainsFunc(req.Objects, func(o toDelete) bool { return o.Key == "" || len(o.Key) > maxKey }) {
		return s3err.MalformedXML(nil)
	}
	out := deleteResult{Xmlns: wire.Namespace}
	if err := (deletion{c}).each(req.Objects, &out); err != nil {
		return err
	}
	if req.Quiet {
		out.Deleted = nil
	}
	c.writeXML(http.StatusOK, out)
	return nil
}

// each removes keys, each where it is written. One that the storage there would take for another key is
// refused by itself.
func (d deletion) each(objects []toDelete, out *deleteResult) error {
	c := d.c
	for attempt := 1; ; attempt++ {
		var order []string
		by := make(map[string][]toDelete)
		for _, o := range objects {
			cluster, err := c.writePlace(o.Key)
			if err != nil {
				return err
			}
			refuses, err := c.gateway.Refuses(c.ctx, cluster, o.named())
			if err != nil {
				return err
			}
			if refuses {
				out.Errors = append(out.Errors, deleteError{Key: o.Key, VersionID: o.VersionID, Code: "InvalidArgument", Message: "The storage of this bucket can't keep an object of this key."})
				continue
			}
			if len(o.conditions()) > 0 {
				if err := d.alone(o, out); err != nil {
					return err
				}
				continue
			}
			if by[cluster] == nil {
				order = append(order, cluster)
			}
			by[cluster] = append(by[cluster], o)
		}
		objects = nil
		for _, cluster := range order {
			err := d.at(cluster, by[cluster], out)
			switch {
			case errors.Is(err, replication.ErrMoved) && attempt < maxPlaces:
				objects = append(objects, by[cluster]...)
			case err != nil:
				return err
			}
		}
		if len(objects) == 0 {
			return nil
		}
	}
}

// alone removes one key on conditions, which storages look at in a request of its own.
func (d deletion) alone(o toDelete, out *deleteResult) error {
	c := d.c
	f := &storage.Forward{Name: c.op.name, Method: http.MethodDelete, Bucket: c.bucket, Key: o.Key, Header: o.conditions()}
	if o.VersionID != "" {
		f.Query = url.Values{"versionId": {o.VersionID}}
	}
	d.bypass(f.Header)
	var w *replication.Written
	err := c.placed(o.Key, func(cluster string) (err error) {
		w, err = c.write(cluster, f, []string{o.Key})
		return err
	})
	if e, ok := errors.AsType[*s3err.Error](err); ok {
		out.Errors = append(out.Errors, deleteError{Key: o.Key, VersionID: o.VersionID, Code: e.Code, Message: e.Message})
		return nil
	}
	if err != nil {
		return err
	}
	done := deleted{Key: o.Key, VersionID: o.VersionID, DeleteMarker: w.Header.Get("X-Amz-Delete-Marker") == "true"}
	if done.DeleteMarker {
		done.DeleteMarkerVersionID = w.Header.Get("X-Amz-Version-Id")
	}
	out.Deleted = append(out.Deleted, done)
	return nil
}

func (d deletion) bypass(h http.Header) {
	if v := d.c.r.Header.Get("X-Amz-Bypass-Governance-Retention"); v != "" {
		h.Set("X-Amz-Bypass-Governance-Retention", v)
	}
}

// at removes keys at one cluster.
func (d deletion) at(cluster string, objects []toDelete, out *deleteResult) error {
	c := d.c
	body, err := xml.Marshal(deleteRequest{Objects: objects})
	if err != nil {
		return err
	}
	keys := make([]string, len(objects))
	for i := range objects {
		keys[i] = objects[i].Key
	}
	h := make(http.Header)
	d.bypass(h)
	h.Set("Content-Type", "application/xml")
	wire.SetMD5(h, body)
	w, err := c.write(cluster, &storage.Forward{
		Name: c.op.name, Method: http.MethodPost, Bucket: c.bucket, Query: url.Values{"delete": {""}}, Header: h, Names: keys,
		Body: strings.NewReader(string(body)), Size: int64(len(body)),
	}, keys)
	if err != nil {
		return err
	}
	var part deleteResult
	if err := xml.Unmarshal(w.Body, &part); err != nil {
		return s3err.Unreadable(err)
	}
	out.Deleted, out.Errors = append(out.Deleted, part.Deleted...), append(out.Errors, part.Errors...)
	return nil
}
