package storage

import (
	"context"

	"github.com/fado-project/fado/storage/s3"
)

// WithFence has every request that changes something ask f before it goes out and before
// every piece of its body does; an error of f ends it there. It is for writing that is
// allowed only until a certain moment; see [s3.WithFence].
func WithFence(ctx context.Context, f func() error) context.Context { return s3.WithFence(ctx, f) }
