package jobs

import (
	"context"
	"fmt"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/verify"
)

// Verifications is how people have buckets verified.
type Verifications struct{ o *Options }

// Request asks for a verification of a bucket; one that waits or runs already is
// what is asked for, unless it is to be deep and was not. control.ErrNotFound if there is
// no such bucket.
func (v *Verifications) Request(ctx context.Context, bucket string, deep bool) (verify.Verification, error) {
	if v.o.Router.Snapshot().Bucket(bucket) == nil {
		return verify.Verification{}, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	by, err := v.o.Hooks.Verifier()
	if err != nil {
		return verify.Verification{}, err
	}
	if deep {
		if left, err := by.Delegate(ctx, bucket); err != nil {
			return verify.Verification{}, err
		} else if left {
			return verify.Waiting(bucket, v.o.Now()), nil
		}
	}
	return by.Request(ctx, bucket, deep)
}

// Last returns the last verification of a bucket, or the one under way.
func (v *Verifications) Last(ctx context.Context, bucket string) (verify.Verification, error) {
	if v.o.Router.Snapshot().Bucket(bucket) == nil {
		return verify.Verification{}, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	if by, _ := v.o.Hooks.Verifier(); by != nil {
		return by.Get(ctx, bucket)
	}
	return verify.Last(ctx, v.o.Control.Store().Verifications(), bucket)
}
