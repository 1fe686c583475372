package record

import (
	"context"
	"slices"

	"github.com/fado-project/fado/audit"
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

// CopyEvents says what became of copies that FaDO makes, in the order of next, then of what
// is gone. The primary's is made by users; a rule that takes over another one's copy makes
// none.
func CopyEvents(before, next []state.Copy) (events []audit.CopyBody) {
	type place struct{ prefix, cluster string }
	at := func(c state.Copy) place { return place{c.Prefix, c.Cluster} }
	was, left := make(map[place]catalog.CopyState, len(before)), make(map[place]bool, len(next))
	for _, b := range before {
		was[at(b)] = b.State
	}
	primary := ""
	for _, n := range next {
		left[at(n)] = true
		if n.Primary {
			primary = n.Cluster
		}
	}
	note := func(e audit.CopyEvent, c state.Copy, from string) {
		events = append(events, audit.CopyBody{Event: e, Movement: audit.Movement{
			Prefix: c.Prefix, From: from, To: c.Cluster, Objects: c.Objects, Bytes: c.Bytes,
		}})
	}
	for _, n := range next {
		former, known := was[at(n)]
		switch {
		case n.Primary:
		case !known && n.State == catalog.CopyWaiting:
			note(audit.Created, n, primary)
		case !known || former == n.State:
		case n.State == catalog.CopySynced && !former.Leaves():
			note(audit.Synced, n, primary)
		case n.State.Leaves() && !former.Leaves():
			note(audit.Left, n, "")
		case n.State == catalog.CopyWaiting && former.Leaves():
			note(audit.Created, n, primary) // it stays after all
		}
	}
	for _, b := range before {
		if !b.Primary && !left[at(b)] {
			note(audit.Removed, b, "")
		}
	}
	return events
}
