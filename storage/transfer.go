package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/fado-project/fado/storage/s3"
)

const (
	// smallObject is read into memory before it is sent: its checksum is known then,
	// and a connection that broke can be replaced without a sound.
	smallObject = 1 << 20
	maxKey      = 1024

	sdkChecksum    = "X-Amz-Sdk-Checksum-Algorithm" // of a request's body
	uploadChecksum = "X-Amz-Checksum-Algorithm"     // of a multipart upload's parts
)

// transfer is one copy under way.
type transfer struct {
	src, dst *Client
	bucket   string
	obj      Object
	opts     CopyOptions
	dog      *s3.Watchdog

	from, to *provider
	state    Versioning // of the bucket at dst, if both are MinIO
	preserve bool       // version ID, ETag and time
	locks    bool       // retention periods and legal holds are kept
	nullFree bool       // dst has no version of the key at all
	stamp    Source     // where nothing is preserved
	token    string     // of the stamp; "" where an upload resumes that another process began
	placed   placement  // among versions, where that is asked for
	gaps     bool       // the source's parts are not numbered from 1 on
}

// placement is where a copy comes among the versions of its key. A MinIO that keeps
// versions orders them by time, any other storage by arrival.
type placement struct {
	at time.Time // the time to give it; zero: the storage's own
	id string    // its version ID; "": as placeVersion decides

	// What a write over a delete marker is made on, where what is there would be an object at a storage whose
	// versions are in order of arrival. First If-None-Match: *, for which a marker is nothing, by S3's
	// documentation. There are storages whose markers count as objects and have the ETag of what they cover:
	// they refuse that, and take If-Match with marker. What refuses that, too, or has nothing that the marker
	// covers, is written without a condition, if the marker was there a moment ago: the bucket
	// keeps what might come between.
	marker     string
	markerID   string
	overMarker bool
}

// cover has the marker that is the newest of a key's versions be what is written over.
func (p *placement) cover(vs []s3.VersionEntry) {
	p.markerID = vs[0].ID
	i := slices.IndexFunc(vs, func(v s3.VersionEntry) bool { return !v.DeleteMarker })
	if i >= 0 && realETag(vs[i].ETag) {
		p.marker = vs[i].ETag
	}
	p.overMarker = p.marker == ""
}

func (p placement) setTime(h http.Header) {
	if !p.at.IsZero() {
		h.Set(minioSourceMTime, p.at.UTC().Format(time.RFC3339Nano))
	}
}

func (t *transfer) putRequest() *s3.Request {
	return &s3.Request{
		Name: "PUT", Method: http.MethodPut, Bucket: t.dst.Physical(t.bucket), Key: t.obj.Key,
		Query: url.Values{}, Dog: t.dog,
	}
}

// sourceReader passes the source's bytes on. It asks the limiter, reports progress,
// and keeps the source's error, which the destination would only know as a broken
// upload.
type sourceReader struct {
	t   *transfer
	ctx context.Context
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 {
		if lerr := s.account(n); lerr != nil && err == nil {
			n, err = 0, lerr
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *sourceReader) account(n int) error {
	if limit := s.t.opts.Limit; limit != nil {
		s.t.dog.Pause()
		err := limit(s.ctx, n)
		s.t.dog.Resume()
		if err != nil {
			return fmt.Errorf("waiting for bandwidth: %w", err)
		}
	}
	if progress := s.t.opts.Progress; progress != nil {
		progress(int64(n))
	}
	return nil
}

// encrypted reports whether an answer is of an object whose ETag is not its MD5 for
// being encrypted (S3 API reference, "Object", ETag).
func encrypted(h http.Header) bool {
	return h.Get("X-Amz-Server-Side-Encryption") == "aws:kms" ||
		h.Get("X-Amz-Server-Side-Encryption") == "aws:kms:dsse" ||
		h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != ""
}
