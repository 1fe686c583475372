package s3

import (
	"context"
	"io"
)

type fenceKey struct{}

// WithFence has every request that changes something ask f before it goes out and before
// every piece of its body does; an error of f ends it there. It is for writing that is
// allowed only until a certain moment: unlike a context, which something has to be awake to
// cancel, f is asked by the writing itself, so that a process that was stopped for a while
// does not send what it was about to send.
func WithFence(ctx context.Context, f func() error) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// fenceOf returns what WithFence was given, nil for nothing.
func fenceOf(ctx context.Context) func() error {
	f, _ := ctx.Value(fenceKey{}).(func() error)
	return f
}

// fencedReader hands out nothing behind a fence.
type fencedReader struct {
	fence func() error
	r     io.Reader
}

func (r fencedReader) Read(p []byte) (int, error) {
	if err := r.fence(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p) // may take as long as the source does
	if after := r.fence(); after != nil {
		return 0, after
	}
	return n, err
}

// fenced puts a body behind the fence of the request's context, if it has one.
func fenced(ctx context.Context, r io.Reader) io.Reader {
	if f := fenceOf(ctx); f != nil {
		return fencedReader{f, r}
	}
	return r
}
