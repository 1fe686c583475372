package transfer

import (
	"context"

	"github.com/fado-project/fado/state"
)

// pageRows is how many rows are read at a time of what is read by pages.
const pageRows = 1000

// purgeKey is a key of a bucket's purge as a row.
type purgeKey struct {
	Bucket string
	state.PurgeKey
}

// mismatch is a mismatch of a bucket as a row.
type mismatch struct {
	Bucket string
	state.Mismatch
}

// switches are what a store has once.
type switches struct {
	Paused bool
	Scrub  state.Scrub
}

// listed streams what a store reads as a whole, of which there is little.
func listed[R, T any](role func(state.Movable) R, list func(R, context.Context) ([]T, error)) func(state.Movable, context.Context, func(T) error) error {
	return func(s state.Movable, ctx context.Context, f func(T) error) error {
		rows, err := list(role(s), ctx)
		for _, row := range rows {
			if err := f(row); err != nil {
				return err
			}
		}
		return err
	}
}

// through has a method of one of the roles called on a store.
func through[R, A any](role func(state.Movable) R, method func(R, context.Context, A) error) func(state.Movable, context.Context, A) error {
	return func(s state.Movable, ctx context.Context, a A) error { return method(role(s), ctx, a) }
}

// paged streams what page reads after a row, at most pageRows at a time.
func paged[T any](page func(after T) ([]T, error), f func(T) error) error {
	var after T
	for {
		rows, err := page(after)
		if err != nil {
			return err
		}
		for _, after = range rows {
			if err := f(after); err != nil {
				return err
			}
		}
		if len(rows) < pageRows {
			return nil
		}
	}
}

// grouped writes rows of one bucket at a time, in the order in which they came.
func grouped[T any](bucketOf func(T) string, put func(state.Movable, context.Context, string, []T) error) func(context.Context, state.Movable, []T) error {
	return func(ctx context.Context, to state.Movable, rows []T) error {
		for len(rows) > 0 {
			n, bucket := 1, bucketOf(rows[0])
			for n < len(rows) && bucketOf(rows[n]) == bucket {
				n++
			}
			if err := put(to, ctx, bucket, rows[:n]); err != nil {
				return err
			}
			rows = rows[n:]
		}
		return nil
	}
}

func eachPurgeKey(s state.Movable, ctx context.Context, f func(purgeKey) error) error {
	purges, err := s.Purges().Purges(ctx)
	if err != nil {
		return err
	}
	for _, p := range purges {
		err := paged(func(after state.PurgeKey) ([]state.PurgeKey, error) {
			return s.Purges().PurgeKeys(ctx, p.Bucket, after, pageRows)
		},
			func(k state.PurgeKey) error { return f(purgeKey{p.Bucket, k}) })
		if err != nil {
			return err
		}
	}
	return nil
}

func eachVerification(s state.Movable, ctx context.Context, f func(state.Verification) error) error {
	return paged(func(after state.Verification) ([]state.Verification, error) {
		return s.Verifications().ListVerifications(ctx, state.VerificationFilter{}, after.Bucket, pageRows)
	}, f)
}

func eachMismatch(s state.Movable, ctx context.Context, f func(mismatch) error) error {
	return eachVerification(s, ctx, func(v state.Verification) error {
		return paged(func(after state.Mismatch) ([]state.Mismatch, error) {
			return s.Verifications().ListMismatches(ctx, v.Bucket, state.MismatchFilter{}, after, pageRows)
		}, func(m state.Mismatch) error { return f(mismatch{v.Bucket, m}) })
	})
}

// eachSwitch streams the one row, if it says anything.
func eachSwitch(s state.Movable, ctx context.Context, f func(switches) error) error {
	paused, err := s.Pauses().Paused(ctx)
	if err != nil {
		return err
	}
	scrub, err := s.Verifications().GetScrub(ctx)
	if err != nil || !paused && scrub == (state.Scrub{}) {
		return err
	}
	return f(switches{paused, scrub})
}
