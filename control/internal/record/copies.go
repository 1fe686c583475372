package record

import (
	"context"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// Routed returns what routing reads of rows.
func Routed(rows []state.Copy) []catalog.Copy {
	cs := make([]catalog.Copy, len(rows))
	for i := range rows {
		cs[i] = rows[i].Routed()
	}
	return cs
}

// FindCopy returns where the row of the same rule and cluster is, -1 if nowhere.
func FindCopy(rows []state.Copy, c catalog.Copy) int {
	return slices.IndexFunc(rows, func(r state.Copy) bool { return r.Prefix == c.Prefix && r.Cluster == c.Cluster })
}

// WriteCopies stores the difference between the rows of a bucket that are there and those
// that should be.
func WriteCopies(tx state.Tx, bucket string, before, next []state.Copy) error {
	for i := range next {
		next[i].Bucket = bucket
		if j := FindCopy(before, next[i].Copy); j >= 0 && before[j] == next[i] {
			continue
		}
		if err := tx.PutCopy(next[i]); err != nil {
			return err
		}
	}
	for _, b := range before {
		if FindCopy(next, b.Copy) < 0 {
			if err := tx.DeleteCopy(bucket, b.Prefix, b.Cluster); err != nil {
				return err
			}
		}
	}
	return nil
}

// EachBucket streams the copies by bucket. The rows are f's to keep.
func EachBucket(ctx context.Context, s Copies, f func(bucket string, rows []state.Copy) error) error {
	var rows []state.Copy
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		defer func() { rows = nil }()
		return f(rows[0].Bucket, rows)
	}
	err := s.EachCopy(ctx, func(c state.Copy) error {
		if len(rows) > 0 && rows[0].Bucket != c.Bucket {
			if err := flush(); err != nil {
				return err
			}
		}
		rows = append(rows, c)
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// Copies is what EachBucket reads of a store.
type Copies interface {
	EachCopy(ctx context.Context, f func(state.Copy) error) error
}
