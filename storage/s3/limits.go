package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// A Limit is the most bytes that are read of an answer's body. More than that is no answer
// of S3's.
type Limit int64

// The limits by kind of answer.
const (
	// LimitSmall is for versioning, tags, the answers to changes and errors. The zero
	// Limit stands for it.
	LimitSmall Limit = 64 << 10
	// LimitPing is for a list of buckets: some servers list all, whatever is asked for.
	LimitPing Limit = 1 << 20
	// LimitBuckets is for a list of all buckets.
	LimitBuckets Limit = 64 << 20
	// LimitPage is for a page of a listing: 1,000 entries with keys of 1,024 bytes, each
	// of which an escape makes three, and 1 KiB for the rest, twice.
	LimitPage Limit = 8 << 20
	// LimitParts is for a list of at most 10,000 parts.
	LimitParts Limit = 4 << 20
	// Unlimited is for an object's content and for streams of events.
	Unlimited Limit = -1
)

// bytes is the limit as a number; negative for none.
func (l Limit) bytes() int64 {
	if l == 0 {
		return int64(LimitSmall)
	}
	return int64(l)
}

type limitKey struct{}

// withLimit has limitedTransport bound the answer to requests made in the context.
func withLimit(ctx context.Context, l Limit) context.Context {
	return context.WithValue(ctx, limitKey{}, l)
}

// limitedTransport bounds every answer: by withLimit, or else as a small one.
type limitedTransport struct{ base *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (t limitedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	l, _ := req.Context().Value(limitKey{}).(Limit)
	if n := l.bytes(); n >= 0 {
		resp.Body = &limitedBody{ReadCloser: resp.Body, limit: n, left: n}
	}
	return resp, nil
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (t limitedTransport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// limitedBody ends in an error, not in EOF, where a body is longer than it may be.
type limitedBody struct {
	io.ReadCloser
	limit, left int64
	err         error
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if int64(len(p))-1 > b.left {
		p = p[:b.left+1] // one more than may be there tells that there is more
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), fmt.Errorf("%w: more than %d KiB", errTooLarge, b.limit>>10)
	}
	b.left -= int64(n)
	b.err = err
	return n, err
}
