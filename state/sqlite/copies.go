package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/state"
)

// Bits of copies.flags.
const (
	flagPrimary = 1 << iota
	flagMadeBucket
	flagHeldDeletes
	flagFormerPrimary
)

const copyColumns = `bucket, prefix, cluster, state, flags, cursor, objects, bytes, error, verified_at, scan_cursor, owned_until, drain_since`

type copyKey struct{ bucket, prefix, cluster string }

// Copies implements state.Tx.
func (t *tx) Copies(bucket string) (all []state.Copy, err error) {
	err = t.do("reading copies", func() error {
		all, err = copiesOf(t.w, bucket)
		return err
	})
	return all, err
}

// PutCopy implements state.Tx.
func (t *tx) PutCopy(c state.Copy) error {
	return t.do("writing a copy", func() error {
		_, err := t.w.exec(`INSERT INTO copies (`+copyColumns+`) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
			ON CONFLICT (bucket, prefix, cluster) DO UPDATE SET state = ?4, flags = ?5, cursor = ?6, objects = ?7, bytes = ?8,
			error = ?9, verified_at = ?10, scan_cursor = ?11, owned_until = ?12, drain_since = ?13`, copyArgs(c)...)
		t.log.copies(c.Bucket)
		return err
	})
}

// DeleteCopy implements state.Tx. Pending rows are looked at when f has ended, so that
// the order in which it adds and deletes copies does not matter.
func (t *tx) DeleteCopy(bucket, prefix, cluster string) error {
	return t.do("deleting a copy", func() error {
		n, err := t.w.exec("DELETE FROM copies WHERE bucket = ? AND prefix = ? AND cluster = ?", bucket, prefix, cluster)
		if n > 0 {
			t.log.copies(bucket)
		}
		t.removed = append(t.removed, copyKey{bucket, prefix, cluster})
		return err
	})
}

// SaveCopies implements state.Store.
func (s *Store) SaveCopies(ctx context.Context, copies ...state.Copy) (int, error) {
	if len(copies) == 0 {
		return 0, nil
	}
	written := 0
	err := s.write(ctx, "saving copies", progress, func(w *writer) error {
		var log changeLog
		for _, c := range copies {
			n, err := w.exec(`UPDATE copies SET state = ?4, flags = ?5, cursor = ?6, objects = ?7, bytes = ?8,
				error = ?9, verified_at = ?10, scan_cursor = ?11, owned_until = ?12, drain_since = ?13
				WHERE bucket = ?1 AND prefix = ?2 AND cluster = ?3`, copyArgs(c)...)
			if err != nil {
				return err
			}
			if n > 0 {
				written++
				log.copies(c.Bucket)
			}
		}
		if written == 0 {
			return nil
		}
		seq, err := nextSeq(w)
		if err != nil {
			return err
		}
		return log.write(w, seq)
	})
	if err != nil {
		return 0, err
	}
	if written > 0 {
		s.watch.wake()
	}
	return written, nil
}

// CopiesOf implements state.Store.
func (s *Store) CopiesOf(ctx context.Context, bucket string) ([]state.Copy, error) {
	err := s.reading(ctx)
	if err == nil {
		var all []state.Copy
		if all, err = copiesOf(s.r, bucket); err == nil {
			return all, nil
		}
	}
	return nil, s.wrap("reading copies", err)
}

// EachCopy implements state.Store.
func (s *Store) EachCopy(ctx context.Context, f func(state.Copy) error) error {
	var after copyKey
	for {
		err := s.reading(ctx)
		var page []state.Copy
		if err == nil {
			page, err = collect(s.r, new(copyRow).scan, `SELECT `+copyColumns+` FROM copies
				WHERE (bucket, prefix, cluster) > (?, ?, ?) ORDER BY bucket, prefix, cluster LIMIT ?`,
				after.bucket, after.prefix, after.cluster, pageRows)
		}
		if err != nil {
			return s.wrap("reading copies", err)
		}
		for _, c := range page {
			if err := f(c); err != nil {
				return err
			}
		}
		if len(page) < pageRows {
			return nil
		}
		last := page[len(page)-1]
		after = copyKey{last.Bucket, last.Prefix, last.Cluster}
	}
}

func copiesOf(q querier, bucket string) ([]state.Copy, error) {
	return collect(q, new(copyRow).scan, `SELECT `+copyColumns+` FROM copies WHERE bucket = ? ORDER BY prefix, cluster`, bucket)
}

// copyRow scans rows of copyColumns, reusing what it scans into.
type copyRow struct {
	c                      state.Copy
	state                  string
	flags                  int64
	verified, owned, drain int64
	dest                   []any
}

func (r *copyRow) scan(rows *sql.Rows) (state.Copy, error) {
	if r.dest == nil {
		c := &r.c
		r.dest = []any{
			&c.Bucket, &c.Prefix, &c.Cluster, &r.state, &r.flags, &c.Cursor, &c.Objects, &c.Bytes, &c.Error,
			&r.verified, &c.ScanCursor, &r.owned, &r.drain,
		}
	}
	if err := rows.Scan(r.dest...); err != nil {
		return state.Copy{}, err
	}
	if err := r.c.State.UnmarshalText([]byte(r.state)); err != nil {
		return state.Copy{}, err
	}
	c := r.c
	c.Primary, c.MadeBucket = r.flags&flagPrimary != 0, r.flags&flagMadeBucket != 0
	c.HeldDeletes, c.FormerPrimary = r.flags&flagHeldDeletes != 0, r.flags&flagFormerPrimary != 0
	c.VerifiedAt, c.OwnedUntil, c.DrainSince = fromMillis(r.verified), fromMillis(r.owned), fromMillis(r.drain)
	return c, nil
}

func copyArgs(c state.Copy) []any {
	flags := 0
	for i, set := range [...]bool{c.Primary, c.MadeBucket, c.HeldDeletes, c.FormerPrimary} { // in the bits' order
		if set {
			flags |= 1 << i
		}
	}
	return []any{
		c.Bucket, c.Prefix, c.Cluster, c.State.String(), flags, c.Cursor, c.Objects, c.Bytes, c.Error,
		toMillis(c.VerifiedAt), c.ScanCursor, toMillis(c.OwnedUntil), toMillis(c.DrainSince),
	}
}

// removeUnneeded removes pending rows of deleted copies. A key belongs to the rule
// with the longest matching prefix, of those the bucket's copies that remain know; its
// row stays only where that rule has a copy in the row's cluster.
func removeUnneeded(w *writer, removed []copyKey) error {
	for _, gone := range removed {
		left, err := copiesOf(w, gone.bucket)
		if err != nil {
			return err
		}
		for _, r := range unneededRanges(gone, left) {
			if _, err := w.exec("DELETE FROM pending WHERE bucket = ? AND key >= ? AND key < ? AND cluster = ?",
				gone.bucket, r.from, r.to, gone.cluster); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyRange holds the keys from <= key < to.
type keyRange struct{ from, to string }

// unneededRanges splits the keys below a deleted copy's prefix where other prefixes
// begin and end, so that each piece belongs to one rule, and returns the pieces whose
// rule has no copy left in the cluster.
func unneededRanges(gone copyKey, left []state.Copy) []keyRange {
	bounds := []string{gone.prefix, prefixEnd(gone.prefix)}
	for _, c := range left {
		if strings.HasPrefix(c.Prefix, gone.prefix) {
			bounds = append(bounds, c.Prefix, prefixEnd(c.Prefix))
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	var ranges []keyRange
	for i, from := range bounds[:len(bounds)-1] {
		if !neededAt(from, gone.cluster, left) {
			ranges = append(ranges, keyRange{from, bounds[i+1]})
		}
	}
	return ranges
}

// neededAt says whether the rule that covers a piece's first key, and so all of it,
// has a copy in the cluster.
func neededAt(key, cluster string, copies []state.Copy) bool {
	longest, needed := -1, false
	for _, c := range copies {
		if len(c.Prefix) < longest || key < c.Prefix || key >= prefixEnd(c.Prefix) {
			continue
		}
		needed = c.Cluster == cluster || needed && len(c.Prefix) == longest
		longest = len(c.Prefix)
	}
	return needed
}

// prefixEnd returns the least string that is greater than every key with the prefix.
// No UTF-8 text has the byte 0xff, so the last byte can always be raised.
func prefixEnd(prefix string) string {
	if prefix == "" {
		return "\xff"
	}
	end := []byte(prefix)
	end[len(end)-1]++
	return string(end)
}

// toMillis and fromMillis map times to what is stored: 0 is the zero time.
func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
