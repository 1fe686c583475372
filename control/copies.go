package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Copies stores the rows of copies: each change is durable, then visible.
type Copies struct{ c *core }

// Update runs f on the rows of a bucket's copies in one transaction; f returns the rows as
// they should be (added, changed, left out to delete). While f runs, the snapshot has
// everything that this instance committed before. Rows of an unknown bucket are not made:
// ErrNotFound.
func (s *Copies) Update(ctx context.Context, bucket string, f func(now []state.Copy) ([]state.Copy, error)) error {
	var before, next []state.Copy
	err := s.c.commit(ctx, change{
		about: []state.Ref{record.Bucket(bucket)},
		run: func(tx state.Tx) (err error) {
			if err := s.stillThere(tx, bucket); err != nil {
				return err
			}
			if before, err = tx.Copies(bucket); err != nil {
				return err
			}
			if next, err = f(slices.Clone(before)); err != nil {
				return err
			}
			if err := record.WriteCopies(tx, bucket, before, next); err != nil {
				return err
			}
			return s.c.auditor(ctx, tx).copies(bucket, before, next)
		},
		edit: func(e *routing.Editor) { e.SetCopies(bucket, record.Routed(next)) },
		then: func(state.Seq) {
			s.c.mirror.NoteCopies(bucket, next)
			s.notify(bucket, before, next, false)
		},
	})
	if err != nil {
		return err
	}
	return s.dropExceptions(ctx, bucket, before, next)
}

// stillThere finds out whether a bucket is there, also where another instance may have
// removed it a moment ago.
func (s *Copies) stillThere(tx state.Tx, bucket string) error {
	if s.c.router.Snapshot().Bucket(bucket) == nil {
		return fmt.Errorf("bucket %s: %w", bucket, ErrNotFound)
	}
	if !s.c.shared() || s.c.declared().has(record.Bucket(bucket)) {
		return nil
	}
	_, err := tx.Get(catalog.KindBucket, bucket)
	return err
}

// notify tells watchers which copies changed state. It does not block. What others changed
// is compared with the copies routing knew, which have no errors.
func (s *Copies) notify(bucket string, before, next []state.Copy, elsewhere bool) {
	for _, n := range next {
		j := record.FindCopy(before, n.Copy)
		if j < 0 || before[j].State != n.State || before[j].Primary != n.Primary || !elsewhere && before[j].Error != n.Error {
			s.c.bus.Emit(Event{
				Type: EventCopy, Bucket: bucket, Prefix: n.Prefix, Cluster: n.Cluster, State: n.State.String(),
				Reason: n.Error, Elsewhere: elsewhere,
			})
		}
	}
	if from, to := writtenIn(before), writtenIn(next); from != "" && to != "" && from != to {
		s.c.bus.Emit(Event{Type: EventPrimaryMoved, Bucket: bucket, From: from, Cluster: to, Elsewhere: elsewhere})
	}
	for _, b := range before {
		if record.FindCopy(next, b.Copy) < 0 {
			s.c.bus.Emit(Event{Type: EventCopy, Bucket: bucket, Prefix: b.Prefix, Cluster: b.Cluster, State: "gone", Elsewhere: elsewhere})
		}
	}
}

// writtenIn returns the cluster of the primary among copies, "" for none.
func writtenIn(copies []state.Copy) string {
	for _, c := range copies {
		if c.Primary {
			return c.Cluster
		}
	}
	return ""
}

// dropExceptions drops the exceptions of copies that are gone.
func (s *Copies) dropExceptions(ctx context.Context, bucket string, before, next []state.Copy) error {
	for _, b := range before {
		if record.FindCopy(next, b.Copy) >= 0 {
			continue
		}
		if err := s.reloadPending(ctx, bucket, b.Cluster); err != nil {
			return err
		}
	}
	return nil
}

const reloadPage = 10_000

// reloadPending makes a bucket's exceptions in a cluster ("": in all) those of the
// stored rows.
func (s *Copies) reloadPending(ctx context.Context, bucket, cluster string) error {
	r := s.c.exceptions.BeginReload(bucket, cluster)
	err := func() error {
		after := state.PendingKey{}
		for {
			page, err := s.c.store().Queue().ListPending(ctx, state.PendingFilter{Bucket: bucket, Cluster: cluster}, after, reloadPage)
			if err != nil {
				return err
			}
			for _, p := range page {
				r.Row(p)
			}
			if len(page) < reloadPage {
				return nil
			}
			last := page[len(page)-1]
			after = state.PendingKey{Bucket: last.Bucket, Key: last.Key, Cluster: last.Cluster}
		}
	}()
	s.c.exceptions.EndReload(r, err)
	return err
}

// SaveProgress stores rows of copies that still exist, and routes by them. It is for
// progress (cursors, counts, times), which a power cut may take back: a row whose state or
// role is not the stored one is left out, because its writer did not know of the change.
// It is not for a store that others write too: see [follow.Members.Shared].
func (s *Copies) SaveProgress(ctx context.Context, copies ...state.Copy) error {
	if len(copies) == 0 {
		return nil
	}
	var buckets []string
	var about []state.Ref
	for _, cp := range copies {
		if !slices.Contains(buckets, cp.Bucket) {
			buckets, about = append(buckets, cp.Bucket), append(about, record.Bucket(cp.Bucket))
		}
	}
	next := make(map[string][]catalog.Copy)
	err := s.c.commit(ctx, change{
		about: about, progress: true,
		run: func(tx state.Tx) error {
			clear(next)
			for _, b := range buckets {
				rows, err := putProgress(tx, b, copies)
				if err != nil {
					return err
				}
				if rows != nil {
					next[b] = record.Routed(rows)
				}
			}
			if len(next) == 0 {
				return errUnchanged
			}
			return nil
		},
		edit: func(e *routing.Editor) {
			for b, rows := range next {
				e.SetCopies(b, rows)
			}
		},
	})
	return unlessUnchanged(err)
}

// putProgress writes what is progress among copies to the rows of a bucket, which it
// returns; nil if it wrote nothing.
func putProgress(tx state.Tx, bucket string, copies []state.Copy) ([]state.Copy, error) {
	rows, err := tx.Copies(bucket)
	if err != nil {
		return nil, err
	}
	written := false
	for _, cp := range copies {
		i := record.FindCopy(rows, cp.Copy)
		if cp.Bucket != bucket || i < 0 || rows[i].State != cp.State || rows[i].Primary != cp.Primary {
			continue
		}
		if err := tx.PutCopy(cp); err != nil {
			return nil, err
		}
		rows[i], written = cp, true
	}
	if !written {
		return nil, nil
	}
	return rows, nil
}

// unwatch has the synced copies of a bucket that is no longer there compared before they
// count as synced again.
func (s *Copies) unwatch(ctx context.Context, bucket string) error {
	err := s.c.commit(ctx, change{
		about: []state.Ref{record.Bucket(bucket)},
		run: func(tx state.Tx) error {
			rows, err := tx.Copies(bucket)
			if err != nil {
				return err
			}
			changed := false
			for _, r := range rows {
				if r.Primary || r.State != catalog.CopySynced && r.State != catalog.CopySyncing {
					continue
				}
				r.State, r.Cursor, r.ScanCursor, changed = catalog.CopyWaiting, "", "", true
				if err := tx.PutCopy(r); err != nil {
					return err
				}
			}
			if !changed {
				return errUnchanged
			}
			return nil
		},
		edit: func(*routing.Editor) {}, // routing does not know the bucket
	})
	return unlessUnchanged(err)
}
