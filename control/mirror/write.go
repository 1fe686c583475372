package mirror

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/state"
)

// write brings the mirror up to what changed.
func (m *Mirror) write(ctx context.Context, d dirtySet) error {
	if d.all {
		return m.writeAll(ctx)
	}
	if err := m.addObjects(ctx, d.objects); err != nil {
		return err
	}
	if err := m.writeThings(ctx, d); err != nil {
		return err
	}
	return m.removeObjects(ctx, d.objects)
}

// writeThings writes resources and copies.
func (m *Mirror) writeThings(ctx context.Context, d dirtySet) error {
	var steps []func(state.Tx) error
	for ref, rec := range d.resources {
		steps = append(steps, func(tx state.Tx) error { return writeRecord(tx, ref, rec) })
	}
	for bucket, rows := range d.copies {
		steps = append(steps, func(tx state.Tx) error { return writeRows(tx, bucket, rows) })
	}
	for batch := range slices.Chunk(steps, batchThings) {
		_, err := m.store.Update(ctx, func(tx state.Tx) error {
			for _, step := range batch {
				if err := step(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func writeRecord(tx state.Tx, ref state.Ref, rec *state.Record) error {
	if rec != nil {
		return tx.Put(*rec)
	}
	if err := tx.Delete(ref.Kind, ref.Name); !errors.Is(err, state.ErrNotFound) {
		return err
	}
	return nil
}

func writeRows(tx state.Tx, bucket string, rows []state.Copy) error {
	now, err := tx.Copies(bucket)
	if err != nil {
		return err
	}
	return record.WriteCopies(tx, bucket, now, slices.Clone(rows))
}

// addObjects adds the exceptions among what happened to objects.
func (m *Mirror) addObjects(ctx context.Context, objects map[objectKey]bool) error {
	var rows []state.Pending
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		_, err := m.store.AddPending(ctx, rows...)
		if err == nil {
			for _, r := range rows {
				m.stored[m.hash(objectKey{r.Bucket, r.Key, r.Cluster})] = struct{}{}
			}
		}
		rows = rows[:0]
		return err
	}
	for k, gone := range objects {
		if _, has := m.stored[m.hash(k)]; gone || has {
			continue
		}
		if rows = append(rows, state.Pending{Bucket: k.bucket, Key: k.key, Cluster: k.cluster}); len(rows) >= batchRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// removeObjects removes those that are none any more. Most were never written: they came
// and went between two writes.
func (m *Mirror) removeObjects(ctx context.Context, objects map[objectKey]bool) error {
	var keys []state.PendingKey
	for k, gone := range objects {
		if _, has := m.stored[m.hash(k)]; !gone || !has {
			continue
		}
		rows, err := m.store.ListPending(ctx, state.PendingFilter{Bucket: k.bucket, Cluster: k.cluster},
			state.PendingKey{Bucket: k.bucket, Key: k.key}, 1)
		if err != nil {
			return err
		}
		if len(rows) == 1 && rows[0].Key == k.key {
			keys = append(keys, state.PendingKey{Bucket: k.bucket, Key: k.key, Cluster: k.cluster, Gen: rows[0].Gen})
		}
	}
	return m.removeRows(ctx, keys)
}

func (m *Mirror) removeRows(ctx context.Context, keys []state.PendingKey) error {
	for batch := range slices.Chunk(keys, batchRows) {
		if _, err := m.store.FinishPending(ctx, batch...); err != nil {
			return err
		}
		for _, p := range batch {
			delete(m.stored, m.hash(objectKey{p.Bucket, p.Key, p.Cluster}))
		}
	}
	return nil
}

// writeAll makes the mirror what the store is, writing only what differs.
func (m *Mirror) writeAll(ctx context.Context) error {
	from := m.source.Shared()
	stale, err := m.addMissing(ctx, from)
	if err != nil {
		return err
	}
	for _, k := range catalog.Kinds {
		if err := m.writeKind(ctx, from, k); err != nil {
			return err
		}
	}
	if err := m.writeCopies(ctx, from); err != nil {
		return err
	}
	return m.removeRows(ctx, stale)
}

// addMissing adds the exceptions that the mirror has not, and returns those that it has and
// the store has not.
func (m *Mirror) addMissing(ctx context.Context, from state.Store) (stale []state.PendingKey, err error) {
	live := make(map[uint64]struct{})
	missing := make(map[objectKey]bool)
	err = from.EachPending(ctx, func(p state.Pending) error {
		k := objectKey{strings.Clone(p.Bucket), strings.Clone(p.Key), strings.Clone(p.Cluster)}
		live[m.hash(k)] = struct{}{}
		if _, has := m.stored[m.hash(k)]; !has {
			missing[k] = false
		}
		if len(missing) < batchRows {
			return nil
		}
		defer clear(missing)
		return m.addObjects(ctx, missing)
	})
	if err == nil {
		err = m.addObjects(ctx, missing)
	}
	if err != nil {
		return nil, err
	}
	err = m.store.EachPending(ctx, func(p state.Pending) error {
		if _, has := live[m.hash(objectKey{p.Bucket, p.Key, p.Cluster})]; !has {
			stale = append(stale, state.PendingKey{Bucket: strings.Clone(p.Bucket), Key: strings.Clone(p.Key), Cluster: strings.Clone(p.Cluster), Gen: p.Gen})
		}
		return nil
	})
	return stale, err
}

// writeKind compares the resources of a kind, both sorted by name.
func (m *Mirror) writeKind(ctx context.Context, from state.Store, k catalog.Kind) error {
	next, stop := iter.Pull2(records(ctx, m.store, k))
	defer stop()
	have, err, ok := next()
	d := newDirtySet()
	flush := func(least int) error {
		if len(d.resources) < least {
			return nil
		}
		defer clear(d.resources)
		return m.writeThings(ctx, d)
	}
	drop := func(until string, all bool) error { // what the store has not
		for ok && err == nil && (all || have.Name < until) {
			d.resources[state.Ref{Kind: k, Name: have.Name}] = nil
			have, err, ok = next()
		}
		return err
	}
	for rec, eachErr := range records(ctx, from, k) {
		if eachErr != nil {
			return eachErr
		}
		if err := drop(rec.Name, false); err != nil {
			return err
		}
		same := ok && have.Name == rec.Name && bytes.Equal(have.Body, rec.Body)
		if ok && have.Name == rec.Name {
			have, err, ok = next()
		}
		if !same {
			d.resources[state.Ref{Kind: k, Name: rec.Name}] = &rec
		}
		if err := flush(batchThings); err != nil {
			return err
		}
	}
	if err := drop("", true); err != nil {
		return err
	}
	return flush(1)
}

// records streams the resources of a kind, each a copy of its own, page by page: so that
// writing between two pages is possible on any store.
func records(ctx context.Context, s state.Store, k catalog.Kind) iter.Seq2[state.Record, error] {
	return func(yield func(state.Record, error) bool) {
		for after := ""; ; {
			page, err := s.List(ctx, k, after, batchRows)
			if err != nil {
				yield(state.Record{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < batchRows {
				return
			}
			after = page[len(page)-1].Name
		}
	}
}

// writeCopies compares the copies of every bucket that either side has some of.
func (m *Mirror) writeCopies(ctx context.Context, from state.Store) error {
	d := newDirtySet()
	known := make(map[uint64]struct{})
	err := record.EachBucket(ctx, from, func(bucket string, rows []state.Copy) error {
		known[m.hash(objectKey{bucket: bucket})] = struct{}{}
		have, err := m.store.CopiesOf(ctx, bucket)
		if err != nil || slices.EqualFunc(have, rows, sameCopy) {
			return err
		}
		if d.copies[bucket] = rows; len(d.copies) < batchThings {
			return nil
		}
		defer clear(d.copies)
		return m.writeThings(ctx, d)
	})
	if err != nil {
		return err
	}
	err = record.EachBucket(ctx, m.store, func(bucket string, _ []state.Copy) error {
		if _, has := known[m.hash(objectKey{bucket: bucket})]; !has {
			d.copies[bucket] = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.writeThings(ctx, d)
}

// sameCopy compares rows whose times may come in different zones.
func sameCopy(a, b state.Copy) bool {
	for _, c := range []*state.Copy{&a, &b} {
		for _, t := range []*time.Time{&c.VerifiedAt, &c.OwnedUntil, &c.DrainSince} {
			*t = t.UTC()
		}
	}
	return a == b
}
