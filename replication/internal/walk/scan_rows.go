package walk

import (
	"context"
	"slices"
	"sort"
	"strings"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/state"
)

// The rows that a scan stores.

// differs notes a key for the workers.
func (s *scan) differs(key string, size int64) {
	row := s.rowOf(key, size)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found++
	s.rows = append(s.rows, row)
	if !s.anywhere {
		return
	}
	for _, c := range s.pass.rows { // any of them may be behind
		if c.Prefix == s.id.Prefix && c.Cluster != s.id.Cluster && c.State <= catalog.CopySynced {
			other := row
			other.Cluster = c.Cluster
			s.rows = append(s.rows, other)
		}
	}
}

// extra counts a key that the copy has and the primary has not. Deletes wait for the end of
// the scan, when all of them are counted, or for the breaker to hold them.
func (s *scan) extra(key string) {
	row := s.rowOf(key, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found++
	s.deleted++
	s.tripped = s.tripped || s.o.Deletes.WouldTrip(s.id, s.row, s.deleted)
	switch {
	case s.tripped || s.forgotten == 0 && len(s.extras) < s.o.ScanExtras:
		s.extras = append(s.extras, row)
	default:
		if s.forgotten++; s.forgotten == 1 {
			s.lastKept = s.extras[len(s.extras)-1].Key
		}
		if key <= s.lastKept { // its row went after it was met
			s.lastKept = s.row.ScanCursor
		}
	}
}

// raise has the keys looked at again that differ and had rows when they were met. A worker
// may have looked at one before the change that the listings show, and is about to finish its
// row, or has since: the new generation keeps that row, and one that has gone is made again.
// Rows that are held, or wait for their next attempt, are not being worked on.
func (s *scan) raise(ctx context.Context) error {
	met := s.pending
	s.pending = nil
	for len(met) > 0 {
		rows, err := s.o.Control.Store().ListPending(ctx, state.PendingFilter{Bucket: s.id.Bucket, Cluster: s.id.Cluster},
			state.PendingKey{Bucket: s.id.Bucket, Key: met[0].Key}, scanBatch)
		if err != nil {
			return err
		}
		known := len(met)
		if len(rows) == scanBatch { // only up to there
			last := rows[len(rows)-1].Key
			known = sort.Search(len(met), func(i int) bool { return met[i].Key > last })
		}
		s.raiseSome(met[:known], rows)
		met = met[known:]
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// raiseSome is raise for some keys and the rows there are among them, both in order.
func (s *scan) raiseSome(met []listing.Pair, rows []state.Pending) {
	for _, p := range met {
		i, there := slices.BinarySearchFunc(rows, p.Key, func(r state.Pending, key string) int { return strings.Compare(r.Key, key) })
		switch {
		case !there && p.Src == nil && !s.anywhere:
			s.extra(p.Key)
		case !there:
			s.differs(p.Key, sizeOf(p.Src))
		case rows[i].Hold == state.HoldNone && (rows[i].ClaimedBy != "" || !rows[i].NextAttempt.After(s.o.Now())):
			s.mu.Lock()
			s.rows = append(s.rows, rows[i])
			s.mu.Unlock()
		}
	}
}

func (s *scan) rowOf(key string, size int64) state.Pending {
	return state.Pending{Bucket: s.id.Bucket, Key: key, Cluster: s.id.Cluster, Size: size, Since: s.o.Now(), Background: true, Counted: true}
}

// flush stores the rows collected so far, and deletes once they are held.
func (s *scan) flush(ctx context.Context) error {
	s.mu.Lock()
	rows, tripped := s.rows, s.tripped
	s.rows = nil
	if tripped {
		rows = append(rows, s.extras...)
		s.extras = nil
	}
	s.mu.Unlock()
	if tripped {
		if err := s.hold(ctx); err != nil {
			return err
		}
	}
	return s.store(ctx, rows)
}

// hold has the copy's deletes wait until people decide.
func (s *scan) hold(ctx context.Context) error {
	if s.holding {
		return nil
	}
	s.o.Log.Warn("a scan found more deletes than max_deletes allows; they are held",
		zap.String("bucket", s.id.Bucket), zap.String("cluster", s.id.Cluster), zap.Int64("deletes", s.deleted))
	if err := s.o.Deletes.StoreHold(ctx, s.id); err != nil {
		return err
	}
	s.holding = true
	return nil
}

func (s *scan) store(ctx context.Context, rows []state.Pending) error {
	for len(rows) > 0 {
		n := min(len(rows), scanBatch)
		if err := s.o.Control.AddPending(ctx, rows[:n]...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// storeDeletes stores the deletes that were counted: those in memory, and those that it had
// no room for, which are listed again.
func (s *scan) storeDeletes(ctx context.Context) error {
	s.rows = append(s.rows, s.extras...)
	kept := s.deleted - s.forgotten
	s.extras = nil
	if err := s.flush(ctx); err != nil || s.forgotten == 0 {
		return err
	}
	return s.storeRest(ctx, kept)
}

// storeRest lists the deletes again that memory had no room for. What is more than was
// counted before counts as well.
func (s *scan) storeRest(ctx context.Context, n int64) error {
	read := 0
	for p, err := range s.pairs(ctx, s.lastKept) {
		if err != nil {
			return s.gone(ctx, err)
		}
		if read++; read%listingWindow == 0 {
			if err := s.checkpoint(ctx); err != nil {
				return err
			}
		}
		if p.Src != nil || !s.rule.Covers(p.Key) || s.o.Router.Pending.Has(s.id.Bucket, p.Key, s.id.Cluster) {
			continue
		}
		if n++; n > s.deleted {
			s.deleted = n
			s.tripped = s.tripped || s.o.Deletes.WouldTrip(s.id, s.row, n)
		}
		s.rows = append(s.rows, s.rowOf(p.Key, 0))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.flush(ctx)
}
