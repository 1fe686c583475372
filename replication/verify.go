package replication

import (
	"context"
	"fmt"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/verify"
)

// VerifyBucket asks for a verification of a bucket; one that waits or runs already is
// what is asked for, unless it is to be deep and was not. control.ErrNotFound if there is
// no such bucket.
func (e *Engine) VerifyBucket(ctx context.Context, bucket string, deep bool) (Verification, error) {
	if e.core.snap().Bucket(bucket) == nil {
		return Verification{}, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	r := e.run.Load()
	if r == nil || e.core.conf().Disabled {
		return Verification{}, ErrOff
	}
	if deep {
		if left, err := r.paths.delegate(ctx, bucket); err != nil {
			return Verification{}, err
		} else if left {
			return verify.Waiting(bucket, e.core.now()), nil
		}
	}
	return r.verifier.Request(ctx, bucket, deep)
}

// Verification returns the last verification of a bucket, or the one under way.
func (e *Engine) Verification(ctx context.Context, bucket string) (Verification, error) {
	if e.core.snap().Bucket(bucket) == nil {
		return Verification{}, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	if r := e.run.Load(); r != nil {
		return r.verifier.Get(ctx, bucket)
	}
	return verify.Last(ctx, e.core.ctl.Store(), bucket)
}
