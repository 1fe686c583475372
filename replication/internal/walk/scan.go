package walk

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

const (
	scanBatch = 512 // rows of a scan stored at a time
	scanStats = 16  // HEADs of a scan at a time
	// MaxHeld is how many conflicts, and as many held deletes, of a copy a scan knows of.
	MaxHeld = 100_000
)

// Watch is told what a scan meets. Its methods are called by several goroutines at a time.
type Watch interface {
	// Saw is called for every key.
	Saw(p listing.Pair)
	// Differs is called for a key that is not in step in the copy's cluster, and was not known
	// not to be.
	Differs(cluster string, p listing.Pair)
	// Lacks is called for a key whose current version was in step and of which the copy lacks n
	// versions that the primary has, delete markers counted.
	Lacks(cluster, key string, n int)
}

// noWatch watches nothing.
type noWatch struct{}

func (noWatch) Saw(listing.Pair)             {}
func (noWatch) Differs(string, listing.Pair) {}
func (noWatch) Lacks(string, string, int)    {}

// scan compares a synced copy with the primary by their listings. It writes nothing to a
// storage: what differs becomes pending rows, see [found].
type scan struct {
	*pass
	track *copies.Tracker
	by    *comparison
	found *found
}

// run compares everything from the copy's scan cursor on.
func (s *scan) run(ctx context.Context) error {
	from := s.row.ScanCursor
	s.track = copies.NewTracker(from, 0, 0)
	s.by.track = s.track
	held, err := loadHeld(ctx, s.pass)
	if err != nil {
		return err
	}
	s.by.held = held
	if s.by.clocks, err = s.compareClocks(ctx); err != nil {
		return err
	}
	s.o.Copies.DropTally(s.id)
	asking, actx := errgroup.WithContext(ctx)
	asking.SetLimit(scanStats)
	s.by.asking = asking
	err = s.each(actx, from)
	if failed := asking.Wait(); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	s.by.held.neverMet(s.found.differs)
	if err := s.found.raise(ctx); err != nil {
		return err
	}
	if err := s.found.flush(ctx); err != nil {
		return err
	}
	return s.finish(ctx, from)
}

// each walks both listings.
func (s *scan) each(ctx context.Context, from string) error {
	n := 0
	for p, err := range s.pairs(ctx, from) {
		if err != nil {
			return s.gone(ctx, err)
		}
		if !s.rule.Covers(p.Key) {
			continue
		}
		if n++; n%listingWindow == 0 {
			if err := s.checkpoint(ctx); err != nil {
				return err
			}
		}
		s.by.one(ctx, p)
	}
	return ctx.Err()
}

// gone tells a primary's missing bucket from other failures of a listing.
func (s *scan) gone(ctx context.Context, err error) error {
	if !errors.Is(err, storage.ErrNoBucket) {
		return err
	}
	_, made := s.o.Buckets.Ensure(ctx, s.id) // says whose bucket it is, and makes the copy's
	return errors.Join(err, made)
}

// checkpoint stores what was found and how far the scan came.
func (s *scan) checkpoint(ctx context.Context) error {
	if err := s.rolledBack(ctx); err != nil {
		return err
	}
	if err := s.emptied(ctx); err != nil {
		return err
	}
	if err := s.o.Pause.Wait(ctx); err != nil {
		return err
	}
	if err := s.o.Hooks.rest(ctx); err != nil {
		return err
	}
	if !s.still(catalog.CopySynced) {
		return object.ErrChanged
	}
	if err := s.found.raise(ctx); err != nil {
		return err
	}
	low, _, _ := s.track.Mark() // before the rows: those of keys up to here are among them
	if err := s.found.flush(ctx); err != nil {
		return err
	}
	if s.found.waits() {
		return nil
	}
	s.passed(low)
	return s.o.Copies.Progress(ctx, s.id, func(c *state.Copy) bool {
		if c.State != catalog.CopySynced || low <= c.ScanCursor {
			return false
		}
		c.ScanCursor = low
		return true
	})
}

// finish stores the deletes, all of which were counted before the first is applied, and
// what the scan counted if it was a whole one.
func (s *scan) finish(ctx context.Context, from string) error {
	if s.found.deleted > 0 { // what the primary lacks counts only if it is still the one it was
		if err := s.o.Buckets.Identities.Primary(ctx, s.src, s.id.Bucket, s.pass.rows, s.src.Births.Now); err != nil {
			return err
		}
		if err := s.lostLatest(ctx); err != nil {
			return err
		}
	}
	if err := s.rolledBack(ctx); err != nil {
		return err
	}
	s.found.rows = append(s.found.rows, s.found.doubt.older...)
	if err := s.storeDeletes(ctx); err != nil {
		return err
	}
	nothingHeld, err := s.nothingHeld(ctx)
	if err != nil {
		return err
	}
	err = s.storeOutcome(ctx, func(rows []state.Copy) (changed []int, err error) {
		c, err := s.own(rows, catalog.CopySynced)
		if err != nil {
			return nil, err
		}
		c.ScanCursor, c.Error, c.Trusts = "", "", false
		if !s.began.IsZero() {
			c.VerifiedAt = s.began
		}
		c.HeldDeletes = c.HeldDeletes && !nothingHeld
		changed = append(changed, copyrows.Index(rows, c.Prefix, c.Cluster))
		if from != "" {
			return changed, nil
		}
		c.Objects, c.Bytes = s.by.srcSums.Objects, s.by.srcSums.Bytes
		if p := s.primaryRow(rows); p != nil {
			p.Objects, p.Bytes, p.VerifiedAt = s.by.srcSums.Objects, s.by.srcSums.Bytes, s.o.Now()
			changed = append(changed, copyrows.Index(rows, p.Prefix, p.Cluster))
		}
		return changed, nil
	})
	if err == nil {
		s.o.Router.Compared.EndWalk(s.name())
	}
	return err
}

// storeOutcome stores what a scan found of the copy: durably where it takes back what people or a failure left, else as
// progress. There is one such row per copy and scan, and a start compares everything again.
func (s *scan) storeOutcome(ctx context.Context, f func([]state.Copy) ([]int, error)) error {
	if s.row.Error == "" && !s.row.Trusts && !s.row.HeldDeletes {
		return s.o.Copies.ProgressOf(ctx, s.id.Bucket, f)
	}
	return s.o.Copies.Update(ctx, s.id.Bucket, func(rows []state.Copy) ([]state.Copy, error) {
		_, err := f(rows)
		return rows, err
	})
}

// nothingHeld reports whether the breaker's hold on the copy's deletes, if there was one when
// the scan began, has become pointless: nothing at all is to be done there.
func (s *scan) nothingHeld(ctx context.Context) (bool, error) {
	if !s.row.HeldDeletes || s.found.differences > 0 {
		return false, nil
	}
	logs, err := s.o.Control.Store().Queue().Backlogs(ctx, s.id.Bucket)
	for _, l := range logs {
		if l.Cluster == s.id.Cluster && l.Objects > 0 {
			return false, err
		}
	}
	return err == nil, err
}

// storeDeletes stores the deletes that were counted: those in memory, and those that it had
// no room for, which are listed again.
func (s *scan) storeDeletes(ctx context.Context) error {
	s.found.rows = append(s.found.rows, s.found.extras...)
	kept := s.found.deleted - s.found.forgotten
	s.found.extras = nil
	if err := s.found.flush(ctx); err != nil || s.found.forgotten == 0 {
		return err
	}
	return s.storeRest(ctx, kept)
}

// storeRest lists the deletes again that memory had no room for. What is more than was
// counted before counts as well.
func (s *scan) storeRest(ctx context.Context, n int64) error {
	read := 0
	for p, err := range s.pairs(ctx, s.found.lastKept) {
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
		if n++; n > s.found.deleted {
			s.found.deleted = n
			s.found.tripped = s.found.tripped || s.o.Deletes.WouldTrip(s.id, s.row, n)
		}
		s.found.rows = append(s.found.rows, s.rowOf(p.Key, 0))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.found.flush(ctx)
}
