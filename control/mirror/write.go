package mirror

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/state"
)

const (
	batchThings = 500  // things written in one transaction
	batchRows   = 4096 // rows of pending objects written in one transaction
)

// writer writes what changed to a mirror's store.
type writer struct {
	store state.Store
	seed  maphash.Seed
	// stored are the pending objects that were written to the store, by hash. Some may have gone with
	// their bucket or their copy since.
	stored map[uint64]struct{}
}

// newWriter finds out what a store has.
func newWriter(ctx context.Context, store state.Store) (*writer, error) {
	w := &writer{store: store, seed: maphash.MakeSeed()}
	return w, w.look(ctx)
}

// look finds out what pending objects the store has.
func (w *writer) look(ctx context.Context) error {
	w.stored = make(map[uint64]struct{})
	return w.store.Queue().EachPending(ctx, func(p state.Pending) error {
		w.stored[w.hash(objectKey{p.Bucket, p.Key, p.Cluster})] = struct{}{}
		return nil
	})
}

func (w *writer) hash(k objectKey) uint64 { return maphash.Comparable(w.seed, k) }

// write brings the store up to what changed. Where everything may have, it is compared with
// from.
func (w *writer) write(ctx context.Context, d dirtySet, from state.Store) error {
	if d.all {
		return w.writeAll(ctx, from)
	}
	if err := w.addObjects(ctx, d.objects); err != nil {
		return err
	}
	if err := w.writeThings(ctx, d); err != nil {
		return err
	}
	return w.removeObjects(ctx, d.objects)
}

// writeThings writes resources and copies.
func (w *writer) writeThings(ctx context.Context, d dirtySet) error {
	var steps []func(state.Tx) error
	for ref, rec := range d.resources {
		steps = append(steps, func(tx state.Tx) error { return writeRecord(tx, ref, rec) })
	}
	for bucket, rows := range d.copies {
		steps = append(steps, func(tx state.Tx) error { return writeRows(tx, bucket, rows) })
	}
	for batch := range slices.Chunk(steps, batchThings) {
		_, err := w.store.Catalogue().Update(ctx, func(tx state.Tx) error {
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

// addObjects adds the exceptions among what happened to objects, those too that were written before:
// only the store knows whether they are still there.
func (w *writer) addObjects(ctx context.Context, objects map[objectKey]bool) error {
	var rows []state.Pending
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		_, err := w.store.Queue().AddPending(ctx, rows...)
		if err == nil {
			for _, r := range rows {
				w.stored[w.hash(objectKey{r.Bucket, r.Key, r.Cluster})] = struct{}{}
			}
		}
		rows = rows[:0]
		return err
	}
	for k, gone := range objects {
		if gone {
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

// removeObjects removes those that no longer exist. Most were never written: they came
// and went between two writes.
func (w *writer) removeObjects(ctx context.Context, objects map[objectKey]bool) error {
	var keys []state.PendingKey
	for k, gone := range objects {
		if _, has := w.stored[w.hash(k)]; !gone || !has {
			continue
		}
		rows, err := w.store.Queue().ListPending(ctx, state.PendingFilter{Bucket: k.bucket, Cluster: k.cluster},
			state.PendingKey{Bucket: k.bucket, Key: k.key}, 1)
		if err != nil {
			return err
		}
		if len(rows) == 1 && rows[0].Key == k.key {
			keys = append(keys, state.PendingKey{Bucket: k.bucket, Key: k.key, Cluster: k.cluster, Gen: rows[0].Gen})
		} else {
			delete(w.stored, w.hash(k))
		}
	}
	return w.removeRows(ctx, keys)
}

func (w *writer) removeRows(ctx context.Context, keys []state.PendingKey) error {
	for batch := range slices.Chunk(keys, batchRows) {
		if _, err := w.store.Queue().FinishPending(ctx, batch...); err != nil {
			return err
		}
		for _, p := range batch {
			delete(w.stored, w.hash(objectKey{p.Bucket, p.Key, p.Cluster}))
		}
	}
	return nil
}

// writeAll makes the mirror what the store is, writing only what differs.
func (w *writer) writeAll(ctx context.Context, from state.Store) error {
	if err := w.look(ctx); err != nil {
		return err
	}
	stale, err := w.addMissing(ctx, from)
	if err != nil {
		return err
	}
	for _, k := range catalog.Kinds {
		if err := w.writeKind(ctx, from, k); err != nil {
			return err
		}
	}
	if err := w.writeCopies(ctx, from); err != nil {
		return err
	}
	return w.removeRows(ctx, stale)
}

// addMissing adds the exceptions that the mirror has not, and returns those that it has and
// the store has not.
func (w *writer) addMissing(ctx context.Context, from state.Store) (stale []state.PendingKey, err error) {
	live := make(map[uint64]struct{})
	missing := make(map[objectKey]bool)
	err = from.Queue().EachPending(ctx, func(p state.Pending) error {
		k := objectKey{strings.Clone(p.Bucket), strings.Clone(p.Key), strings.Clone(p.Cluster)}
		live[w.hash(k)] = struct{}{}
		if _, has := w.stored[w.hash(k)]; !has {
			missing[k] = false
		}
		if len(missing) < batchRows {
			return nil
		}
		defer clear(missing)
		return w.addObjects(ctx, missing)
	})
	if err == nil {
		err = w.addObjects(ctx, missing)
	}
	if err != nil {
		return nil, err
	}
	err = w.store.Queue().EachPending(ctx, func(p state.Pending) error {
		if _, has := live[w.hash(objectKey{p.Bucket, p.Key, p.Cluster})]; !has {
			stale = append(stale, state.PendingKey{Bucket: strings.Clone(p.Bucket), Key: strings.Clone(p.Key), Cluster: strings.Clone(p.Cluster), Gen: p.Gen})
		}
		return nil
	})
	return stale, err
}

// writeKind compares the resources of a kind, both sorted by name.
func (w *writer) writeKind(ctx context.Context, from state.Store, k catalog.Kind) error {
	next, stop := iter.Pull2(records(ctx, w.store, k))
	defer stop()
	have, err, ok := next()
	d := newDirtySet()
	flush := func(least int) error {
		if len(d.resources) < least {
			return nil
		}
		defer clear(d.resources)
		return w.writeThings(ctx, d)
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
			page, err := s.Catalogue().List(ctx, k, after, batchRows)
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
func (w *writer) writeCopies(ctx context.Context, from state.Store) error {
	d := newDirtySet()
	known := make(map[uint64]struct{})
	err := record.EachBucket(ctx, from.Catalogue(), func(bucket string, rows []state.Copy) error {
		known[w.hash(objectKey{bucket: bucket})] = struct{}{}
		have, err := w.store.Catalogue().CopiesOf(ctx, bucket)
		if err != nil || slices.EqualFunc(have, rows, sameCopy) {
			return err
		}
		if d.copies[bucket] = rows; len(d.copies) < batchThings {
			return nil
		}
		defer clear(d.copies)
		return w.writeThings(ctx, d)
	})
	if err != nil {
		return err
	}
	err = record.EachBucket(ctx, w.store.Catalogue(), func(bucket string, _ []state.Copy) error {
		if _, has := known[w.hash(objectKey{bucket: bucket})]; !has {
			d.copies[bucket] = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.writeThings(ctx, d)
}

// sameCopy compares rows whose times may come in different zones.
func sameCopy(a, b state.Copy) bool {
	for _, c := range []*state.Copy{&a, &b} {
		for _, t := range []*time.Time{&c.VerifiedAt, &c.OwnedUntil, &c.DrainSince, &c.Born} {
			*t = t.UTC()
		}
	}
	return a == b
}
