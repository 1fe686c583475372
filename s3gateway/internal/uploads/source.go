package uploads

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Way is how a storage lists uploads.
type Way uint8

const (
	// Pages: as S3 does.
	Pages Way = iota
	// OneKey is MinIO's way: a prefix is a key, whose uploads are listed in pages; without one
	// come those of all keys, at once, in the order of their beginning.
	OneKey
	// NextKey is versitygw's way: a marker's upload is looked for behind the marker's key.
	NextKey
)

// Source is a storage.
type Source struct {
	Cluster string
	Way     Way
	// Ask makes the request ListMultipartUploads with some parameters and returns the document
	// that answers it, of whatever length.
	Ask func(ctx context.Context, query url.Values) (io.ReadCloser, error)
}

const (
	// pageSize is how many uploads a storage is asked for at a time.
	pageSize = 1000
	// maxElement bounds an element of a list, and what is read ahead of it.
	maxElement = 64 << 10
	// maxWaiting bounds the uploads of a list that does not say in front how keys are written.
	maxWaiting = 10 * pageSize
)

// head is what a storage's page says beside its uploads.
type head struct {
	encoded, truncated bool
	nextKey, nextID    string
	last               Upload
}

// listed is an upload as a storage lists it.
type listed struct {
	Key          string
	UploadID     string `xml:"UploadId"`
	Initiated    time.Time
	StorageClass string

	ChecksumAlgorithm, ChecksumType string
}

// ask makes a request and hands each upload of the answer on.
func (s *Source) ask(ctx context.Context, query url.Values, each func(Upload)) (*head, error) {
	query.Set("uploads", "")
	query.Set("encoding-type", "url")
	body, err := s.Ask(ctx, query)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return s.read(body, each)
}

// read takes a page apart while it comes, and hands each upload on.
func (s *Source) read(body io.Reader, each func(Upload)) (*head, error) {
	bounded := &boundedReader{body, maxElement}
	p := &parsing{s: s, d: xml.NewDecoder(bounded), each: each}
	for began := false; ; {
		t, err := p.d.Token()
		if err != nil {
			return nil, fmt.Errorf("a list of uploads: %w", err)
		}
		bounded.left = maxElement
		switch t := t.(type) {
		case xml.StartElement:
			switch {
			case began:
				err = p.element(&t)
			case t.Name.Local != "ListMultipartUploadsResult":
				err = fmt.Errorf("a document %s", t.Name.Local)
			}
			began = true
		case xml.EndElement: // of the document: what is in it was read to its end
			return &p.head, errors.Join(p.flush(), p.decode())
		}
		if err != nil {
			return nil, fmt.Errorf("a list of uploads: %w", err)
		}
		bounded.left = maxElement
	}
}

// parsing is a page that is being read. Uploads wait until it is known how their keys are
// written: to the end, but that MinIO says it in front of them.
type parsing struct {
	head
	s       *Source
	d       *xml.Decoder
	each    func(Upload)
	waiting []listed
}

func (p *parsing) element(t *xml.StartElement) (err error) {
	var text string
	switch t.Name.Local {
	case "Upload":
		var l listed
		if err := p.d.DecodeElement(&l, t); err != nil {
			return err
		}
		if p.waiting = append(p.waiting, l); len(p.waiting) > maxWaiting {
			return errors.New("it does not say how its keys are written")
		}
		if p.encoded {
			return p.flush()
		}
	case "EncodingType":
		err = p.d.DecodeElement(&text, t)
		p.encoded = text == "url"
	case "IsTruncated":
		err = p.d.DecodeElement(&text, t)
		p.truncated = text == "true"
	case "NextKeyMarker":
		err = p.d.DecodeElement(&p.nextKey, t)
	case "NextUploadIdMarker":
		err = p.d.DecodeElement(&p.nextID, t)
	default:
		err = p.d.Skip()
	}
	return err
}

// flush hands on what waits.
func (p *parsing) flush() error {
	for i := range p.waiting {
		u, err := p.s.upload(&p.waiting[i], p.encoded)
		if err != nil {
			return err
		}
		p.each(u)
		p.last = u
	}
	p.waiting = p.waiting[:0]
	return nil
}

func (h *head) decode() (err error) {
	if h.encoded {
		h.nextKey, err = url.QueryUnescape(h.nextKey)
	}
	return err
}

func (s *Source) upload(l *listed, encoded bool) (u Upload, err error) {
	u = Upload{
		Key: l.Key, Cluster: s.Cluster, ID: l.UploadID, Begun: l.Initiated, Class: l.StorageClass, Algorithm: l.ChecksumAlgorithm, Kind: l.ChecksumType,
	}
	if encoded {
		u.Key, err = url.QueryUnescape(l.Key)
	}
	if s.Way == OneKey {
		u.Begun = begunBy(u.ID, u.Begun)
	}
	return u, err
}

// begunBy reads from the ID of a MinIO's upload when it began: its two lists say it differently.
func begunBy(id string, said time.Time) time.Time {
	plain, err := base64.RawURLEncoding.DecodeString(id)
	_, at, ok := strings.Cut(string(plain), "x")
	if err != nil || !ok {
		return said
	}
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return said
	}
	return time.Unix(0, n).UTC()
}

// boundedReader reads so many bytes, until it may read more.
type boundedReader struct {
	r    io.Reader
	left int
}

var errElement = errors.New("an element without end")

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errElement
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
