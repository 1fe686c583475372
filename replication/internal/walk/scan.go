package walk

import (
	"context"
	"errors"
	"strings"
	"sync"

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
// storage: what differs becomes pending rows.
//
// No delete becomes a row before either all of them were counted, or they are known to be
// more than the breaker's bounds allow and the copy's deletes are held. This is so for any
// number of them: memory keeps the first ones, and what exceeds it is counted now and
// listed again once all are.
//
// A key that differs and has a row already is raised again, if its row may be worked on: the
// worker may have looked at the storages before the change that the scan sees.
type scan struct {
	*pass
	track  *copies.Tracker
	watch  Watch
	asking *errgroup.Group // HEADs under way
	clocks clocks

	conflicts map[string]bool          // keys held as conflicts; true once met
	foreign   map[string]state.Foreign // the objects these are about
	deletes   map[string]bool          // keys held as deletes; true once met
	srcSums   copies.Delta

	mu    sync.Mutex
	rows  []state.Pending
	found int64 // differences

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

// run compares everything from the copy's scan cursor on.
func (s *scan) run(ctx context.Context) error {
	from := s.row.ScanCursor
	s.track = copies.NewTracker(from, 0, 0)
	if err := s.loadHeld(ctx); err != nil {
		return err
	}
	var err error
	if s.clocks, err = s.compareClocks(ctx); err != nil {
		return err
	}
	s.o.Copies.DropTally(s.id)
	asking, actx := errgroup.WithContext(ctx)
	asking.SetLimit(scanStats)
	s.asking = asking
	err = s.each(actx, from)
	if failed := asking.Wait(); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	s.neverMet()
	if err := s.raise(ctx); err != nil {
		return err
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	return s.finish(ctx, from)
}

// loadHeld finds the keys that wait for people, to see whether they still have to.
func (s *scan) loadHeld(ctx context.Context) (err error) {
	if s.conflicts, err = s.heldAs(ctx, state.HoldConflict); err == nil {
		s.deletes, err = s.heldAs(ctx, state.HoldDeletes)
	}
	return err
}

func (s *scan) heldAs(ctx context.Context, hold state.Hold) (map[string]bool, error) {
	held, foreign := make(map[string]bool), make(map[string]state.Foreign)
	filter := state.PendingFilter{Bucket: s.id.Bucket, Cluster: s.id.Cluster, Hold: &hold}
	rows, err := s.o.Control.Store().ListPending(ctx, filter, state.PendingKey{}, MaxHeld)
	for _, r := range rows {
		if strings.HasPrefix(r.Key, s.id.Prefix) && s.rule.Covers(r.Key) && r.Key > s.row.ScanCursor {
			held[r.Key], foreign[r.Key] = false, r.Foreign
		}
	}
	if hold == state.HoldConflict {
		s.foreign = foreign
	}
	return held, err
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
		s.one(ctx, p)
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

// neverMet schedules a check of the held keys that neither side has any more.
func (s *scan) neverMet() {
	for _, held := range []map[string]bool{s.conflicts, s.deletes} {
		for key, met := range held {
			if !met {
				s.differs(key, 0)
			}
		}
	}
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
	if err := s.raise(ctx); err != nil {
		return err
	}
	low, _, _ := s.track.Mark() // before the rows: those of keys up to here are among them
	if err := s.flush(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	held := len(s.extras) > 0 || s.forgotten > 0 || len(s.doubt.older) > 0 // extras are not durable yet: a restart must meet them again
	s.mu.Unlock()
	if held {
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

// one judges a pair, by a HEAD where the listings don't tell.
func (s *scan) one(ctx context.Context, p listing.Pair) {
	s.watch.Saw(p)
	s.doubt.Seen(p.Src)
	if p.Src != nil {
		s.srcSums.Objects++
		s.srcSums.Bytes += p.Src.Size
	}
	verdict := storage.Different
	if p.Src != nil && p.Dst != nil {
		verdict = storage.Compare(*p.Src, *p.Dst)
	}
	judge, known := s.judgeOf(p)
	if known {
		if _, held := s.deletes[p.Key]; !held && verdict != storage.Equal {
			s.pending = append(s.pending, p)
		}
		s.track.Pass(p.Key, 0, 0)
		return
	}
	if verdict == storage.Unknown || verdict == storage.Equal && s.clocks.doubts(*p.Src, *p.Dst) ||
		verdict == storage.Different && (object.MayBeOlder(p.Src, p.Dst) && s.doubts() || p.Src != nil && s.watched()) {
		s.ask(ctx, *p.Src, judge)
		return
	}
	judge(p, verdict)
	s.track.Pass(p.Key, 0, 0)
}

// watched reports whether it is told what the scan finds: then a difference between two listings, which
// are not of one moment, is looked at before it counts.
func (s *scan) watched() bool {
	_, unwatched := s.watch.(noWatch)
	return !unwatched
}

// judgeOf returns what judges a pair by its comparison. Nothing has to where a row says
// already what is to be done about the key.
func (s *scan) judgeOf(p listing.Pair) (judge func(listing.Pair, storage.Comparison), known bool) {
	if _, held := s.deletes[p.Key]; held {
		s.deletes[p.Key] = true
		if p.Src != nil || p.Dst == nil {
			s.differs(p.Key, sizeOf(p.Src)) // no delete any more
		}
		return nil, true
	}
	if _, held := s.conflicts[p.Key]; held {
		s.conflicts[p.Key] = true
		return s.judgeConflict, false
	}
	return s.judge, s.o.Router.Pending.Has(s.id.Bucket, p.Key, s.id.Cluster)
}

// judge notes a pair that nothing was known of.
func (s *scan) judge(p listing.Pair, verdict storage.Comparison) {
	if verdict == storage.Equal {
		return
	}
	if s.watched() && s.o.Router.Pending.Has(s.id.Bucket, p.Key, s.id.Cluster) {
		s.differs(p.Key, sizeOf(p.Src)) // it was written since it was listed
		return
	}
	s.watch.Differs(s.id.Cluster, p)
	switch {
	case p.Src == nil && !s.anywhere:
		s.doubt.Extra(*p.Dst)
		s.extra(p.Key)
		return
	case p.Src != nil && p.Dst != nil && s.doubts() && object.IsOlder(*p.Src, *p.Dst):
		s.olderAt(p)
		return
	case p.Dst == nil:
		s.mu.Lock()
		s.missing++
		s.mu.Unlock()
	}
	s.differs(p.Key, sizeOf(p.Src))
}

// judgeConflict schedules a check of a conflict when the object it is about has gone, be it that
// another one stands there, or when both sides have become equal. While they differ it stays one.
func (s *scan) judgeConflict(p listing.Pair, verdict storage.Comparison) {
	of := s.foreign[p.Key]
	gone := p.Dst == nil || of != "" && of != state.ForeignAny && of != object.ForeignOf(*p.Dst)
	if verdict == storage.Equal || gone || s.anywhere {
		s.differs(p.Key, sizeOf(p.Src))
	}
}

// ask looks at both objects where the listings don't tell: they know no stamps, no headers and
// no tags.
func (s *scan) ask(ctx context.Context, src storage.Object, judge func(listing.Pair, storage.Comparison)) {
	done := s.track.Begin(src.Key, 0, 0)
	s.asking.Go(func() error {
		p, verdict, err := s.look(ctx, src)
		if err != nil {
			return err
		}
		judge(p, verdict)
		done()
		return nil
	})
}

// look asks both storages for an object.
func (s *scan) look(ctx context.Context, src storage.Object) (listing.Pair, storage.Comparison, error) {
	dst, err := s.dst.Stat(ctx, s.id.Bucket, src.Key)
	if err != nil {
		return listing.Pair{}, storage.Different, err
	}
	now, err := s.src.Stat(ctx, s.id.Bucket, src.Key)
	if err != nil {
		return listing.Pair{}, storage.Different, err
	}
	if now != nil {
		src = *now
	}
	verdict := storage.Different
	if dst != nil {
		verdict = storage.Compare(src, *dst)
	}
	if verdict == storage.Different && dst != nil && s.doubts() && object.IsOlder(src, *dst) {
		// The mark of a copy that users made of it on the server side is not FaDO's.
		if dst.Replica, err = s.ours(ctx, *dst); err != nil {
			return listing.Pair{}, verdict, err
		}
	}
	return listing.Pair{Key: src.Key, Src: &src, Dst: dst}, verdict, nil
}

// finish stores the deletes, all of which were counted before the first is applied, and
// what the scan counted if it was a whole one.
func (s *scan) finish(ctx context.Context, from string) error {
	if s.deleted > 0 { // what the primary lacks counts only if it is still the one it was
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
	s.rows = append(s.rows, s.doubt.older...)
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
		c.Objects, c.Bytes = s.srcSums.Objects, s.srcSums.Bytes
		if p := s.primaryRow(rows); p != nil {
			p.Objects, p.Bytes, p.VerifiedAt = s.srcSums.Objects, s.srcSums.Bytes, s.o.Now()
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
	if !s.row.HeldDeletes || s.found > 0 {
		return false, nil
	}
	logs, err := s.o.Control.Store().Backlogs(ctx, s.id.Bucket)
	for _, l := range logs {
		if l.Cluster == s.id.Cluster && l.Objects > 0 {
			return false, err
		}
	}
	return err == nil, err
}
