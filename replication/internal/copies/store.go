package copies

import (
	"context"
	"slices"
	"sync"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/keylock"
	"github.com/fado-project/fado/state"
)

// Store is how this engine reads and writes the rows of copies: writes of one bucket are one
// at a time, so that none is made from a stale row. What decides about an object is in the
// snapshot; a row is read where more is asked.
type Store struct {
	ctl   Control
	locks *keylock.Locks[string]

	mu      sync.Mutex
	tallies map[ids.Copy]Delta
}

// Control is what this package needs of package control: rows are read from its store, and
// changed by it alone, so that what is stored is what is routed by.
type Control interface {
	Store() state.Store
	UpdateCopies(ctx context.Context, bucket string, f func([]state.Copy) ([]state.Copy, error)) error
	SaveProgress(ctx context.Context, copies ...state.Copy) error
	Shared() bool
}

// Delta is what single objects changed in the size of a copy.
type Delta struct{ Objects, Bytes int64 }

// New returns the rows of an instance's copies.
func New(c Control) *Store {
	return &Store{ctl: c, locks: keylock.New[string]()}
}

// Of returns the rows of a bucket's copies.
func (l *Store) Of(ctx context.Context, bucket string) ([]state.Copy, error) {
	return l.ctl.Store().Catalogue().CopiesOf(ctx, bucket)
}

// Get returns one copy's row.
func (l *Store) Get(ctx context.Context, id ids.Copy) (state.Copy, bool, error) {
	rows, err := l.Of(ctx, id.Bucket)
	if err != nil {
		return state.Copy{}, false, err
	}
	i := copyrows.Index(rows, id.Prefix, id.Cluster)
	if i < 0 {
		return state.Copy{}, false, nil
	}
	return rows[i], true, nil
}

// Update changes the rows of a bucket durably; f is as for Control.UpdateCopies.
func (l *Store) Update(ctx context.Context, bucket string, f func([]state.Copy) ([]state.Copy, error)) error {
	unlock, err := l.locks.Lock(ctx, bucket)
	if err != nil {
		return err
	}
	defer unlock()
	return l.ctl.UpdateCopies(ctx, bucket, f)
}

// Amend changes one row durably. f returns false to leave it as it is. A row that is
// not there stays so; done says whether it was written.
func (l *Store) Amend(ctx context.Context, id ids.Copy, f func(*state.Copy) bool) (done bool, err error) {
	err = l.Update(ctx, id.Bucket, func(rows []state.Copy) ([]state.Copy, error) {
		i := copyrows.Index(rows, id.Prefix, id.Cluster)
		done = i >= 0 && f(&rows[i])
		return rows, nil
	})
	return done && err == nil, err
}

// Progress changes what a power cut may take back: cursors, counts, times.
func (l *Store) Progress(ctx context.Context, id ids.Copy, f func(*state.Copy) bool) error {
	if l.ctl.Shared() { // others write the row, too: never from what was read before
		_, err := l.Amend(ctx, id, f)
		return err
	}
	unlock, err := l.locks.Lock(ctx, id.Bucket)
	if err != nil {
		return err
	}
	defer unlock()
	rows, err := l.Of(ctx, id.Bucket)
	if err != nil {
		return err
	}
	i := copyrows.Index(rows, id.Prefix, id.Cluster)
	if i < 0 {
		return nil
	}
	row := rows[i]
	if !f(&row) {
		return nil
	}
	return l.ctl.SaveProgress(ctx, row)
}

// ProgressOf is Progress for several rows of a bucket: f changes some and says which.
func (l *Store) ProgressOf(ctx context.Context, bucket string, f func(rows []state.Copy) (changed []int, err error)) error {
	if l.ctl.Shared() {
		return l.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
			_, err := f(rows)
			return rows, err
		})
	}
	unlock, err := l.locks.Lock(ctx, bucket)
	if err != nil {
		return err
	}
	defer unlock()
	return l.saveProgress(ctx, bucket, f)
}

// saveProgress is ProgressOf of a store that nobody shares. The caller holds the bucket's lock.
func (l *Store) saveProgress(ctx context.Context, bucket string, f func(rows []state.Copy) (changed []int, err error)) error {
	rows, err := l.Of(ctx, bucket)
	if err != nil {
		return err
	}
	rows = slices.Clone(rows)
	at, err := f(rows)
	if err != nil || len(at) == 0 {
		return err
	}
	changed := make([]state.Copy, len(at))
	for i, j := range at {
		changed[i] = rows[j]
	}
	return l.ctl.SaveProgress(ctx, changed...)
}

// Tally notes what a single object changed in the size of a copy; it is written with
// the next flush.
func (l *Store) Tally(id ids.Copy, d Delta) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tallies == nil {
		l.tallies = make(map[ids.Copy]Delta)
	}
	t := l.tallies[id]
	l.tallies[id] = Delta{t.Objects + d.Objects, t.Bytes + d.Bytes}
}

// DropTally forgets the deltas of a copy that is being recounted. Within [Store.Update] none of
// them is on its way to the row.
func (l *Store) DropTally(id ids.Copy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tallies, id)
}

// take returns the deltas of a copy and forgets them.
func (l *Store) take(id ids.Copy) Delta {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.tallies[id]
	delete(l.tallies, id)
	return d
}

// Flush writes what was tallied, of each bucket at once. The primary's count follows a synced copy's, since
// both have the same objects but for those pending.
func (l *Store) Flush(ctx context.Context) error {
	l.mu.Lock()
	tallied := make(map[string][]ids.Copy)
	for id := range l.tallies {
		tallied[id.Bucket] = append(tallied[id.Bucket], id)
	}
	l.mu.Unlock()
	var failed error
	for bucket, of := range tallied {
		if err := l.add(ctx, bucket, of); err != nil {
			failed = err
		}
	}
	return failed
}

// add writes what was tallied of some copies of a bucket. It is taken while nobody else writes the bucket's
// rows: who writes a count and drops the tally in one [Store.Update] has what it counted stay.
func (l *Store) add(ctx context.Context, bucket string, of []ids.Copy) (err error) {
	taken := make(map[ids.Copy]Delta)
	defer func() {
		if err != nil {
			for id, d := range taken {
				l.Tally(id, d)
			}
		}
	}()
	unlock, err := l.locks.Lock(ctx, bucket)
	if err != nil {
		return err
	}
	defer unlock()
	for _, id := range of {
		if d := l.take(id); d != (Delta{}) {
			taken[id] = d
		}
	}
	if len(taken) == 0 {
		return nil
	}
	addAll := func(rows []state.Copy) (changed []int) {
		for id, d := range taken {
			changed = append(changed, addTo(rows, id, d)...)
		}
		slices.Sort(changed)
		return slices.Compact(changed)
	}
	if l.ctl.Shared() {
		return l.ctl.UpdateCopies(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
			addAll(rows)
			return rows, nil
		})
	}
	return l.saveProgress(ctx, bucket, func(rows []state.Copy) ([]int, error) { return addAll(rows), nil })
}

// addTo changes the size of a synced copy, and its primary's with it, and says which rows
// those are. Other copies are counted by a walk.
func addTo(rows []state.Copy, id ids.Copy, d Delta) (changed []int) {
	i := copyrows.Index(rows, id.Prefix, id.Cluster)
	if i < 0 || rows[i].State != catalog.CopySynced {
		return nil
	}
	rows[i].Objects = max(0, rows[i].Objects+d.Objects)
	rows[i].Bytes = max(0, rows[i].Bytes+d.Bytes)
	changed = append(changed, i)
	for j := range rows {
		if r := &rows[j]; r.Primary && r.Prefix == id.Prefix && r.Cluster != id.Cluster {
			r.Objects, r.Bytes = rows[i].Objects, rows[i].Bytes
			changed = append(changed, j)
		}
	}
	return changed
}
