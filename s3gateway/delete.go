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
	ETag             string `xml:",omitempty"`
	LastModifiedTime string `xml:",omitempty"`
	Size             string `xml:",omitempty"`
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

// each removes keys, each where it is written.
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
	if v := c.r.Header.Get("X-Amz-Bypass-Governance-Retention"); v != "" {
		h.Set("X-Amz-Bypass-Governance-Retention", v)
	}
	h.Set("Content-Type", "application/xml")
	wire.SetMD5(h, body)
	w, err := c.write(cluster, &storage.Forward{
		Name: c.op.name, Method: http.MethodPost, Bucket: c.bucket, Query: url.Values{"delete": {""}}, Header: h,
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
