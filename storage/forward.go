package storage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/fado-project/fado/storage/internal/kind"
	"github.com/fado-project/fado/storage/s3"
)

// Forward is a request of an S3 client's, to be made at a storage under this storage's own
// credentials. What it says of the object passes as it is; the caller that makes a Forward decides
// which of the client's headers and query parameters are the storage's business.
type Forward struct {
	// Name says what is done, for errors.
	Name   string
	Method string
	Bucket string // FaDO's name; "" for the service
	Key    string
	Query  url.Values
	Header http.Header
	// Names are the keys that the request names elsewhere: in its document, or as what a copy is made of.
	Names []string

	// Body is nil for none. Size is its length, which must be known.
	Body io.Reader
	Size int64
	// Trailers gives checksums to send after the body, under the canonical names in
	// TrailerNames, once the body has been read to its end; nil for none. A body of no bytes
	// has none.
	Trailers     func() http.Header
	TrailerNames []string

	// Content marks a request whose answer is an object's content, of any length; other
	// answers are bounded to a page of a listing.
	Content bool
	// Wait bounds the time to the head of the answer, after the last byte of the body; 0:
	// that of ordinary answers. An upload that is completed may take minutes.
	Wait time.Duration
}

// KnownTrailer reports whether a checksum, by the canonical name of its header, can follow the
// body of a Forward.
func KnownTrailer(name string) bool { return s3.KnownTrailer(name) }

// Answer is what a storage answered to a Forward, whatever its status. The body is to be
// closed.
type Answer struct {
	Status int
	Header http.Header
	Body   io.ReadCloser
	Length int64 // of the body; -1 where it is not told
}

// UploadLists is how a storage answers ListMultipartUploads.
type UploadLists = kind.UploadLists

// The values of UploadLists; see package kind.
const (
	UploadPages      = kind.UploadPages
	UploadsOfKey     = kind.UploadsOfKey
	UploadsBehindKey = kind.UploadsBehindKey
)

// ListsUploads tells how a storage lists uploads.
func ListsUploads(ctx context.Context, r Reader) (UploadLists, error) {
	p, err := providerOf(ctx, r)
	if err != nil {
		return 0, err
	}
	return p.Uploads, nil
}

func providerOf(ctx context.Context, r Reader) (*kind.Provider, error) {
	c, err := connOf(r)
	if err != nil {
		return nil, err
	}
	return c.who.Provider(ctx, c.wire)
}

// Refused says why a storage would take a name of a request for another one, or keep nothing under it;
// "" if it would not. See [kind.Provider.RefuseRequest].
func Refused(ctx context.Context, r Reader, f *Forward) (string, error) {
	p, err := providerOf(ctx, r)
	if err != nil {
		return "", err
	}
	return p.RefuseRequest(kind.Request{Method: f.Method, Key: f.Key, Size: f.Size, Names: f.Names, Query: f.Query, Header: f.Header}), nil
}

// Ask makes a request that changes nothing: a GET or a HEAD. An answer of any status is an
// Answer; errors are [ErrUnavailable] or the context's.
func Ask(ctx context.Context, r Reader, f *Forward) (*Answer, error) {
	if f.Method != http.MethodGet && f.Method != http.MethodHead {
		return nil, fmt.Errorf("asking by %s: %w", f.Method, ErrRefused)
	}
	c, err := connOf(r)
	if err != nil {
		return nil, err
	}
	return forward(ctx, c, f)
}

// Send makes a request that may change something; see [Ask]. A request that was cancelled when
// the storage may have all of it waits for the answer for some seconds. Bodies of 1 MiB and
// more, and those sent under a condition, are sent once the storage agrees to take them (Expect:
// 100-continue), so that a refusal arrives instead of a broken connection.
func Send(ctx context.Context, w Writer, f *Forward) (*Answer, error) {
	c, err := connOf(w)
	if err != nil {
		return nil, err
	}
	return forward(ctx, c, f)
}

// askFirst is the size of a body from which on consent is worth a round trip.
const askFirst = 1 << 20

func (f *Forward) asksFirst() bool {
	return f.Size >= askFirst || f.Size > 0 && (f.Header.Get("If-Match") != "" || f.Header.Get("If-None-Match") != "")
}

func forward(ctx context.Context, c *conn, f *Forward) (*Answer, error) {
	wait := c.wire.Waits.Answer
	if f.Wait > 0 {
		wait = f.Wait
	}
	ctx, dog := s3.Watch(ctx, wait)
	q := &s3.Request{
		Name: f.Name, Method: f.Method, Key: f.Key, Query: f.Query, Header: f.Header,
		Trailers: f.Trailers, TrailerNames: f.TrailerNames, AskFirst: f.asksFirst(),
		AnyStatus: true, Limit: s3.LimitPage, Within: c.wire.Waits.Complete, Dog: dog,
	}
	if f.Bucket != "" {
		q.Bucket = c.Physical(f.Bucket)
	}
	if f.Body != nil {
		q.Body, q.Size = patientReader{f.Body, dog}, f.Size
	}
	if f.Content {
		q.Limit = s3.Unlimited
	}
	resp, err := c.wire.Send(ctx, q) //nolint:bodyclose // forwardedBody closes it
	if err != nil {
		dog.Stop()
		return nil, err
	}
	dog.Allow(c.wire.Waits.Stall)
	dog.Pause()
	return &Answer{
		Status: resp.StatusCode, Header: resp.Header, Length: resp.ContentLength,
		Body: &forwardedBody{body: resp.Body, dog: dog},
	}, nil
}

// patientReader does not blame the storage for the time that the client takes to send.
type patientReader struct {
	r   io.Reader
	dog *s3.Watchdog
}

func (p patientReader) Read(b []byte) (int, error) {
	p.dog.Pause()
	defer p.dog.Resume()
	return p.r.Read(b)
}

// forwardedBody is an answer's body that is watched only while it is being read: between two
// reads it is the client that takes its time.
type forwardedBody struct {
	body io.ReadCloser
	dog  *s3.Watchdog
}

func (b *forwardedBody) Read(p []byte) (int, error) {
	b.dog.Resume()
	defer b.dog.Pause()
	return b.body.Read(p)
}

func (b *forwardedBody) Close() error {
	err := b.body.Close()
	b.dog.Stop()
	return err
}
