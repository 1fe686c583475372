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

	"github.com/fado-project/fado/storage/internal/kind"
	"github.com/fado-project/fado/storage/internal/sums"
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

// job is what one copy is about: which object, from where to where, and how.
type job struct {
	src, dst *conn
	bucket   string
	obj      Object
	opts     CopyOptions
	dog      *s3.Watchdog

	from, to *kind.Provider
}

// source is the object of a job as its source has it.
type source struct {
	*job
	gaps bool // its parts are not numbered from 1 on
}

// destination is where a job's copy comes: on what condition, with which version ID and time, over or below what.
type destination struct {
	*job
	state    Versioning // of the bucket at dst, if both are MinIO
	preserve bool       // version ID, ETag and time
	nullFree bool       // dst has no version of the key at all
	placed   placement  // among versions, where that is asked for
	unpacks  bool       // dst would unpack the object if it came in one piece
}

// transfer is one copy under way.
type transfer struct {
	job
	source source
	dest   destination

	locks bool   // retention periods and legal holds are kept
	stamp Source // where nothing is preserved
	token string // of the stamp; "" where an upload resumes that another process began
}

func newTransfer(j job) *transfer {
	t := &transfer{job: j}
	t.source.job, t.dest.job = &t.job, &t.job
	return t
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
	if i >= 0 && sums.RealETag(vs[i].ETag) {
		p.marker = vs[i].ETag
	}
	p.overMarker = p.marker == ""
}

func (p placement) setTime(h http.Header) {
	if !p.at.IsZero() {
		h.Set(minioSourceMTime, p.at.UTC().Format(time.RFC3339Nano))
	}
}

func (t *job) putRequest() *s3.Request {
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
