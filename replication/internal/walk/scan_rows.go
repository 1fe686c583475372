package walk

import (
	"context"
	"slices"
	"sort"
	"strings"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// found is what a scan found and does not know to be done: the rows that it stores.
//
// No delete becomes a row before either all of them were counted, or they are known to be
// more than the breaker's bounds allow and the copy's deletes are held. This is so for any
// number of them: memory keeps the first ones, and what exceeds it is counted now and
// listed again once all are.
//
// A key that differs and has a row already is raised again, if its row may be worked on: the
// worker may have looked at the storages before the change that the scan sees.
type found struct {
	pass *pass

	mu          sync.Mutex
	rows        []state.Pending
	differences int64

	doubt   doubt
	missing int64 // objects that the copy lacks without a row

	pending []listing.Pair // keys that differ and had rows when they were met

	extras    []state.Pending // deletes that wait until all are counted
	deleted   int64           // deletes counted
	forgotten int64           // of these, those that memory had no room for
	lastKept  string          // before the first of them
	tripped   bool            // they exceed the breaker's bounds
	holding   bool            // which the copy's row says
}

// differs notes a key for the workers.
func (f *found) differs(key string, size int64) {
	row := f.pass.rowOf(key, size)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.differences++
	f.rows = append(f.rows, row)
	if !f.pass.anywhere {
		return
	}
	for _, c := range f.pass.rows { // any of them may be behind
		if c.Prefix == f.pass.id.Prefix && c.Cluster != f.pass.id.Cluster && c.State <= catalog.CopySynced {
			other := row
			other.Cluster = c.Cluster
			f.rows = append(f.rows, other)
		}
	}
}

// tooMany reports whether the deletes found so far are more than the breaker allows.
func (f *found) tooMany() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tripped
}

// counts reports whether one delete more may make the breaker hold the copy's.
func (f *found) counts() bool {
	return f.pass.o.Deletes.Bounds() != (object.MaxDeletes{}) && !f.tooMany()
}

// only notes an object that only the copy has, which may make the scan doubt the primary.
func (f *found) only(dst storage.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doubt.Extra(dst)
}

// extra counts a key that the copy has and the primary has not. Deletes wait for the end of
// the scan, when all of them are counted, or for the breaker to hold them.
func (f *found) extra(key string) {
	row := f.pass.rowOf(key, 0)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.differences++
	f.deleted++
	f.tripped = f.tripped || f.pass.o.Deletes.WouldTrip(f.pass.id, f.pass.row, f.deleted)
	switch {
	case f.tripped || f.forgotten == 0 && len(f.extras) < f.pass.o.ScanExtras:
		f.extras = append(f.extras, row)
	default:
		if f.forgotten++; f.forgotten == 1 {
			f.lastKept = f.extras[len(f.extras)-1].Key
		}
		if key <= f.lastKept { // its row went after it was met
			f.lastKept = f.pass.row.ScanCursor
		}
	}
}

// raise has the keys looked at again that differ and had rows when they were met. A worker
// may have looked at one before the change that the listings show, and is about to finish its
// row, or has since: the new generation keeps that row, and one that has gone is made again.
// Rows that are held, or wait for their next attempt, are not being worked on.
func (f *found) raise(ctx context.Context) error {
	met := f.pending
	f.pending = nil
	for len(met) > 0 {
		rows, err := f.pass.o.Control.Store().Queue().ListPending(ctx, state.PendingFilter{Bucket: f.pass.id.Bucket, Cluster: f.pass.id.Cluster},
			state.PendingKey{Bucket: f.pass.id.Bucket, Key: met[0].Key}, scanBatch)
		if err != nil {
			return err
		}
		known := len(met)
		if len(rows) == scanBatch { // only up to there
			last := rows[len(rows)-1].Key
			known = sort.Search(len(met), func(i int) bool { return met[i].Key > last })
		}
		if err := f.raiseSome(ctx, met[:known], rows); err != nil {
			return err
		}
		met = met[known:]
		if err := f.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// raiseSome is raise for some keys and the rows there are among them, both in order. Of what the copy alone has,
// and whose row has gone, only what may be FaDO's counts; see [comparison.mayGo].
func (f *found) raiseSome(ctx context.Context, met []listing.Pair, rows []state.Pending) error {
	asking, actx := errgroup.WithContext(ctx)
	asking.SetLimit(scanStats)
	for _, p := range met {
		i, there := slices.BinarySearchFunc(rows, p.Key, func(r state.Pending, key string) int { return strings.Compare(r.Key, key) })
		switch {
		case !there && p.Src == nil && !f.pass.anywhere:
			asking.Go(func() error { return f.alone(actx, p.Key) })
		case !there:
			f.differs(p.Key, sizeOf(p.Src))
		case rows[i].Hold == state.HoldNone && (rows[i].ClaimedBy != "" || !rows[i].NextAttempt.After(f.pass.o.Now())):
			f.mu.Lock()
			f.rows = append(f.rows, rows[i])
			f.mu.Unlock()
		}
	}
	return asking.Wait()
}

// alone notes a key that the copy alone has, and asks whose the object is where that counts.
func (f *found) alone(ctx context.Context, key string) error {
	owns := !f.counts() || mayBeOurs(ctx, f.pass, key)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case owns:
		f.extra(key)
	default:
		f.differs(key, 0)
	}
	return nil
}

// flush stores the rows collected so far, and deletes once they are held.
func (f *found) flush(ctx context.Context) error {
	f.mu.Lock()
	rows, tripped, deleted := f.rows, f.tripped, f.deleted
	f.rows = nil
	if tripped {
		rows = append(rows, f.extras...)
		f.extras = nil
	}
	f.mu.Unlock()
	if tripped {
		if err := f.hold(ctx, deleted); err != nil {
			return err
		}
	}
	return f.store(ctx, rows)
}

// hold has the copy's deletes wait until people decide; so many were counted so far.
func (f *found) hold(ctx context.Context, deleted int64) error {
	if f.holding {
		return nil
	}
	f.pass.o.Log.Warn("a scan found more deletes than max_deletes allows; they are held",
		zap.String("bucket", f.pass.id.Bucket), zap.String("cluster", f.pass.id.Cluster), zap.Int64("deletes", deleted))
	if err := f.pass.o.Deletes.StoreHold(ctx, f.pass.id); err != nil {
		return err
	}
	f.holding = true
	return nil
}

func (f *found) store(ctx context.Context, rows []state.Pending) error {
	for len(rows) > 0 {
		n := min(len(rows), scanBatch)
		if err := f.pass.o.Control.AddPending(ctx, rows[:n]...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// olderAt puts a key aside whose object at the primary is older than its copy.
func (f *found) olderAt(p listing.Pair) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.differences++
	f.doubt.older = append(f.doubt.older, f.pass.rowOf(p.Key, sizeOf(p.Src)))
}

// lacks counts an object that the copy lacks.
func (f *found) lacks() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missing++
}

// waits reports whether something is not durable yet that was found: a restart must meet it again.
func (f *found) waits() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.extras) > 0 || f.forgotten > 0 || len(f.doubt.older) > 0
}
