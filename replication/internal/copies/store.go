package copies

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/keylock"
	"github.com/fado-project/fado/state"
)

// Store is how this engine reads and writes the rows of copies: writes of one bucket
// are one at a time, so that none is made from a stale row, and reads come from memory
// where they can.
type Store struct {
	ctl   Control
	locks *keylock.Locks[string]

	mu        sync.Mutex
	cache     map[string]cachedRows
	forgotten int // times that something was forgotten
	tallies   map[ids.Copy]Delta
}

type cachedRows struct {
	rows []state.Copy
	at   time.Time
}

// What the cache may be behind, and how many buckets it holds. Stale rows are harmless:
// every fact that allows a removal or an overwrite only ever grows truer, and whether
// there is a copy at all is asked of the snapshot.
const (
	ledgerTTL  = 2 * time.Second
	ledgerSize = 10_000
)

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
	return &Store{ctl: c, locks: keylock.New[string](), cache: make(map[string]cachedRows)}
}

// Of returns the rows of a bucket's copies. They are not to be changed.
func (l *Store) Of(ctx context.Context, bucket string) ([]state.Copy, error) {
	l.mu.Lock()
	c, ok := l.cache[bucket]
	l.mu.Unlock()
	if ok && time.Since(c.at) < ledgerTTL {
		return c.rows, nil
	}
	unlock, err := l.locks.Lock(ctx, bucket)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return l.load(ctx, bucket)
}

// load reads the rows from the store. The caller holds the bucket's lock.
func (l *Store) load(ctx context.Context, bucket string) ([]state.Copy, error) {
	l.mu.Lock()
	forgotten := l.forgotten
	l.mu.Unlock()
	rows, err := l.ctl.Store().CopiesOf(ctx, bucket)
	if err != nil {
		return nil, err
	}
	l.keep(bucket, rows, forgotten)
	return rows, nil
}

// keep caches rows, unless others may have changed them since they were read.
func (l *Store) keep(bucket string, rows []state.Copy, forgotten int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.forgotten != forgotten {
		return
	}
	if len(l.cache) >= ledgerSize {
		clear(l.cache)
	}
	l.cache[bucket] = cachedRows{rows: rows, at: time.Now()}
}

// Forget drops what the cache has of a bucket ("": of all).
func (l *Store) Forget(bucket string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgotten++
	if bucket == "" {
		clear(l.cache)
	}
	delete(l.cache, bucket)
}

// Get returns one copy's row.
func (l *Store) Get(ctx context.Context, id ids.Copy) (state.Copy, bool, error) {
	rows, err := l.Of(ctx, id.Bucket)
	if err != nil {
		return state.Copy{}, false, err
	}
	i := Index(rows, id.Prefix, id.Cluster)
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
	l.mu.Lock()
	forgotten := l.forgotten
	l.mu.Unlock()
	var next []state.Copy
	err = l.ctl.UpdateCopies(ctx, bucket, func(now []state.Copy) ([]state.Copy, error) {
		var err error
		next, err = f(now)
		return next, err
	})
	if err != nil {
		l.Forget(bucket)
		return err
	}
	l.keep(bucket, slices.Clone(next), forgotten)
	return nil
}

// Amend changes one row durably. f returns false to leave it as it is. A row that is
// not there stays so; done says whether it was written.
func (l *Store) Amend(ctx context.Context, id ids.Copy, f func(*state.Copy) bool) (done bool, err error) {
	err = l.Update(ctx, id.Bucket, func(rows []state.Copy) ([]state.Copy, error) {
		i := Index(rows, id.Prefix, id.Cluster)
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
	rows, err := l.load(ctx, id.Bucket)
	if err != nil {
		return err
	}
	i := Index(rows, id.Prefix, id.Cluster)
	if i < 0 {
		return nil
	}
	row := rows[i]
	if !f(&row) {
		return nil
	}
	l.Forget(id.Bucket)
	return l.ctl.SaveProgress(ctx, row)
}

// Index returns where the row of a rule and cluster is, -1 if nowhere.
func Index(rows []state.Copy, prefix, cluster string) int {
	return slices.IndexFunc(rows, func(c state.Copy) bool { return c.Prefix == prefix && c.Cluster == cluster })
}

// MadeBucket says whether FaDO made the physical bucket in a cluster, by any of the
// rows of the bucket's copies there.
func MadeBucket(rows []state.Copy, cluster string) bool {
	return slices.ContainsFunc(rows, func(c state.Copy) bool { return c.Cluster == cluster && c.MadeBucket })
}

// Primary returns the cluster the bucket is written in by its rows, "" if none.
func Primary(rows []state.Copy) string {
	for _, c := range rows {
		if c.Primary {
			return c.Cluster
		}
	}
	return ""
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

// DropTally forgets what was noted of a copy, because it is being counted anew.
func (l *Store) DropTally(id ids.Copy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tallies, id)
}

// Flush writes what was tallied. The primary's count follows a synced copy's, since
// both have the same objects but for those pending.
func (l *Store) Flush(ctx context.Context) error {
	l.mu.Lock()
	tallies := l.tallies
	l.tallies = nil
	l.mu.Unlock()
	var failed error
	for id, d := range tallies {
		if d == (Delta{}) {
			continue
		}
		if err := l.add(ctx, id, d); err != nil {
			l.Tally(id, d)
			failed = err
		}
	}
	return failed
}

func (l *Store) add(ctx context.Context, id ids.Copy, d Delta) error {
	if l.ctl.Shared() {
		return l.Update(ctx, id.Bucket, func(rows []state.Copy) ([]state.Copy, error) {
			addTo(rows, id, d)
			return rows, nil
		})
	}
	unlock, err := l.locks.Lock(ctx, id.Bucket)
	if err != nil {
		return err
	}
	defer unlock()
	rows, err := l.load(ctx, id.Bucket)
	if err != nil {
		return err
	}
	rows = slices.Clone(rows)
	var changed []state.Copy
	for _, i := range addTo(rows, id, d) {
		changed = append(changed, rows[i])
	}
	if len(changed) == 0 {
		return nil
	}
	l.Forget(id.Bucket)
	return l.ctl.SaveProgress(ctx, changed...)
}

// addTo changes the size of a synced copy, and its primary's with it, and says which rows
// those are. Other copies are counted by a walk.
func addTo(rows []state.Copy, id ids.Copy, d Delta) (changed []int) {
	i := Index(rows, id.Prefix, id.Cluster)
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

// earlier returns the earlier of two moments, of which zero is the earliest.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
