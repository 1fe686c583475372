package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// batchRows is how many rows are written at a time.
const batchRows = 1000

// kind is one kind of row: how a store's rows of it are read, and copied.
type kind struct {
	what string
	// sum reads every row.
	sum func(ctx context.Context, s state.Movable, told func(int64)) (sum, error)
	// move copies every row, and sums what it read.
	move func(ctx context.Context, from, to state.Movable, told func(int64)) (sum, error)
}

func (k kind) count(ctx context.Context, s state.Movable) (int64, error) {
	got, err := k.sum(ctx, s, func(int64) {})
	return got.n, err
}

// kinds are all rows there are, resources in the order in which they refer to each
// other.
var kinds = []kind{
	resources(catalog.KindZone, "zones"),
	resources(catalog.KindCluster, "clusters"),
	resources(catalog.KindPolicy, "policies"),
	resources(catalog.KindBucket, "buckets"),
	resources(catalog.KindKey, "keys"),
	// Before the pending rows, of which a purge that is added takes keys.
	kindOf("purges", listed(state.Movable.Purges, state.Purges.Purges),
		each(func(to state.Movable, ctx context.Context, p state.Purge) error {
			_, err := to.Purges().AddPurge(ctx, p)
			return err
		}), func(p state.Purge) any {
			p.ID = 0
			return p
		}),
	kindOf("keys of purges", eachPurgeKey,
		grouped(func(r purgeKey) string { return r.Bucket }, func(to state.Movable, ctx context.Context, bucket string, rows []purgeKey) error {
			keys := make([]state.PurgeKey, len(rows))
			for i, r := range rows {
				keys[i] = r.PurgeKey
			}
			return to.Purges().PutPurgeKeys(ctx, bucket, keys...)
		}), func(r purgeKey) any { return r }),
	kindOf("copies", through(state.Movable.Catalogue, state.Catalogue.EachCopy), inTx(state.Tx.PutCopy), func(c state.Copy) any {
		utc(&c.VerifiedAt, &c.OwnedUntil, &c.DrainSince, &c.Born)
		c.Error = message(c.Error)
		return c
	}),
	kindOf("pending objects", through(state.Movable.Queue, state.Queue.EachPending),
		func(ctx context.Context, to state.Movable, rows []state.Pending) error {
			_, err := to.Queue().AddPending(ctx, rows...)
			return err
		}, func(p state.Pending) any {
			p.Gen, p.ClaimedBy, p.ClaimUntil = 0, "", time.Time{}
			utc(&p.Since, &p.NextAttempt)
			p.Error = message(p.Error)
			return p
		}),
	kindOf("objects copied on demand", through(state.Movable.Pulls, state.Pulls.EachPulled),
		func(ctx context.Context, to state.Movable, rows []state.Pulled) error {
			return to.Pulls().PutPulled(ctx, rows...)
		}, func(p state.Pulled) any {
			utc(&p.UsedAt, &p.Until)
			return p
		}),
	kindOf("uploads under way", through(state.Movable.Uploads, state.Uploads.EachUpload), each(through(state.Movable.Uploads, state.Uploads.PutUpload)), func(u state.Upload) any {
		utc(&u.Started)
		return u
	}),
	kindOf("decisions about conflicts", listed(state.Movable.Resolutions, state.Resolutions.Resolutions),
		each(func(to state.Movable, ctx context.Context, r state.Resolution) error {
			_, err := to.Resolutions().AddResolution(ctx, r)
			return err
		}), func(r state.Resolution) any {
			r.ID = 0
			return r
		}),
	kindOf("allowed deletes",
		listed(state.Movable.Allowances, func(a state.Allowances, ctx context.Context) ([]state.DeleteAllowance, error) {
			return a.DeleteAllowances(ctx, "")
		}),
		func(ctx context.Context, to state.Movable, rows []state.DeleteAllowance) error {
			return to.Allowances().AllowDeletes(ctx, time.Time{}, rows...)
		}, func(a state.DeleteAllowance) any { return a }),
	kindOf("verifications", eachVerification,
		each(func(to state.Movable, ctx context.Context, v state.Verification) error {
			_, err := to.Verifications().UpdateVerification(ctx, v.Bucket, func(row *state.Verification) error {
				*row = v
				return nil
			})
			return err
		}), func(v state.Verification) any {
			v.Error, v.Damage = message(v.Error), message(v.Damage)
			return v
		}),
	kindOf("mismatches found", eachMismatch,
		grouped(func(r mismatch) string { return r.Bucket }, func(to state.Movable, ctx context.Context, bucket string, rows []mismatch) error {
			found := make([]state.Mismatch, len(rows))
			for i, r := range rows {
				found[i] = r.Mismatch
			}
			return to.Verifications().PutMismatches(ctx, bucket, found...)
		}), func(r mismatch) any {
			r.Reason = message(r.Reason)
			return r
		}),
	kindOf("passes of the console",
		listed(state.Movable.Passes, func(p state.Passes, ctx context.Context) ([]state.Pass, error) { return p.ListPasses(ctx, "") }),
		each(through(state.Movable.Passes, state.Passes.PutPass)), func(p state.Pass) any {
			utc(&p.Created, &p.Used, &p.Until)
			return p
		}),
	kindOf("switches", eachSwitch,
		each(func(to state.Movable, ctx context.Context, r switches) error {
			return errors.Join(to.Pauses().SetPaused(ctx, r.Paused), to.Verifications().SaveScrub(ctx, r.Scrub))
		}), func(r switches) any { return r }),
	kindOf("settings", eachMeta,
		each(func(to state.Movable, ctx context.Context, m metaValue) error {
			return to.Facts().PutMeta(ctx, m.Key, m.Value)
		}),
		func(m metaValue) any { return m }),
}

// metaValue is a meta value as a row.
type metaValue struct{ Key, Value string }

// eachMeta streams the meta values but the mark of transfers.
func eachMeta(s state.Movable, ctx context.Context, f func(metaValue) error) error {
	return s.EachMeta(ctx, func(key, value string) error {
		if key == metaMark {
			return nil
		}
		return f(metaValue{key, value})
	})
}

// resources is the kind of row that a kind of resource is.
func resources(k catalog.Kind, what string) kind {
	return kindOf(what,
		func(s state.Movable, ctx context.Context, f func(state.Record) error) error {
			return s.Catalogue().Each(ctx, k, func(r state.Record) error {
				r.Body, r.Refs = bytes.Clone(r.Body), slices.Clone(r.Refs) // they outlive the call
				return f(r)
			})
		},
		inTx(state.Tx.Put),
		func(r state.Record) any {
			return []any{r.Name, string(r.Body), append([]state.Ref{}, r.Refs...)}
		})
}

// kindOf makes a kind of how its rows are streamed, written, and seen without what a
// store gives by itself.
func kindOf[T any](what string, stream func(s state.Movable, ctx context.Context, f func(T) error) error,
	write func(ctx context.Context, to state.Movable, rows []T) error, essence func(T) any,
) kind {
	read := func(ctx context.Context, s state.Movable, told func(int64), f func(T) error) (got sum, err error) {
		err = stream(s, ctx, func(row T) error {
			if err := got.add(essence(row)); err != nil {
				return err
			}
			if got.n%batchRows == 0 {
				told(got.n)
			}
			return f(row)
		})
		if err != nil {
			return got, fmt.Errorf("reading %s: %w", what, err)
		}
		told(got.n)
		return got, nil
	}
	return kind{
		what: what,
		sum: func(ctx context.Context, s state.Movable, told func(int64)) (sum, error) {
			return read(ctx, s, told, func(T) error { return nil })
		},
		move: func(ctx context.Context, from, to state.Movable, told func(int64)) (sum, error) {
			batch := make([]T, 0, batchRows)
			flush := func() error {
				if len(batch) == 0 {
					return nil
				}
				if err := write(ctx, to, batch); err != nil {
					return fmt.Errorf("writing %s: %w", what, err)
				}
				batch = batch[:0]
				return nil
			}
			got, err := read(ctx, from, told, func(row T) error {
				if batch = append(batch, row); len(batch) < batchRows {
					return nil
				}
				return flush()
			})
			if err != nil {
				return got, err
			}
			return got, flush()
		},
	}
}

// inTx writes rows in one change.
func inTx[T any](put func(state.Tx, T) error) func(context.Context, state.Movable, []T) error {
	return func(ctx context.Context, to state.Movable, rows []T) error {
		_, err := to.Catalogue().Update(ctx, func(tx state.Tx) error {
			for _, row := range rows {
				if err := put(tx, row); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	}
}

// each writes rows one by one: those of which there are few.
func each[T any](put func(state.Movable, context.Context, T) error) func(context.Context, state.Movable, []T) error {
	return func(ctx context.Context, to state.Movable, rows []T) error {
		for _, row := range rows {
			if err := put(to, ctx, row); err != nil {
				return err
			}
		}
		return nil
	}
}

// message is an error's text as every engine can keep it.
func message(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\ufffd"), "\ufffd")
}

// utc brings times to the form in which equal ones look equal.
func utc(times ...*time.Time) {
	for _, t := range times {
		if !t.IsZero() {
			*t = t.UTC().Truncate(time.Millisecond)
		}
	}
}

// sum is the number of rows and the sum of their hashes, in whatever order they came.
// It detects mistakes, not manipulation.
type sum struct {
	n    int64
	hash [4]uint64
}

func (s *sum) add(row any) error {
	text, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("encoding a row: %w", err)
	}
	digest := sha256.Sum256(text)
	for i := range s.hash {
		s.hash[i] += binary.LittleEndian.Uint64(digest[8*i:])
	}
	s.n++
	return nil
}

// metaMark names the meta value that stands in a target until the transfer completed,
// and lockName the lock that is held while the target is filled.
const (
	metaMark = "transfer"
	lockName = "transfer"
)
