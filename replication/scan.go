package replication

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

const (
	scanBatch     = 512     // rows of a scan stored at a time
	scanStats     = 16      // HEADs of a scan at a time
	scanExtras    = 200_000 // deletes of a scan held in memory
	scanConflicts = 100_000 // conflicts, and held deletes, of a copy that a scan knows of
)

// scan compares a synced copy with the primary by their listings. It writes nothing to a
// storage: what differs becomes pending rows.
type scan struct {
	*walk
	track *tracker
	abort context.CancelCauseFunc
	heads chan struct{} // bounds HEADs at a time
	watch *scanWatch    // nil but for verifications
	wg    sync.WaitGroup

	conflicts map[string]bool // keys held as conflicts; true once met
	deletes   map[string]bool // keys held as deletes; true once met

	mu      sync.Mutex
	rows    []state.Pending
	extras  []state.Pending
	inStep  int64
	found   int64 // differences
	srcSums delta
}

// scanCopy brings what a synced copy misses to light, and counts it anew.
func (r *run) scanCopy(ctx context.Context, id copyID) error {
	remade, err := r.mend(ctx, id)
	if err != nil {
		return err
	}
	if remade {
		return r.startOver(ctx, id)
	}
	w, err := r.newWalk(ctx, id, catalog.CopySynced)
	if err != nil {
		return err
	}
	return r.scanWalk(ctx, w, nil)
}

func (r *run) scanWalk(ctx context.Context, w *walk, watch *scanWatch) error {
	s := &scan{walk: w, watch: watch, heads: make(chan struct{}, scanStats)}
	from := w.row.ScanCursor
	s.track = newTracker(from, 0, 0)
	if err := s.loadHeld(ctx); err != nil {
		return err
	}
	r.ledger.dropTally(w.id)
	if err := s.compareAll(ctx, from); err != nil {
		return err
	}
	return s.finish(ctx, from == "")
}

// startOver has a copy whose bucket vanished synced from the beginning: it leaves
// routing at once.
func (r *run) startOver(ctx context.Context, id copyID) error {
	r.log.Warn("a copy's bucket was missing and is made again", zap.String("bucket", id.bucket), zap.String("cluster", id.cluster))
	return r.ledger.update(ctx, id.bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if c := &rows[i]; c.Cluster == id.cluster && !c.Primary && c.State <= catalog.CopySynced {
				resync(c)
			}
		}
		return rows, nil
	})
}

// resync puts a copy back to the start of its life. What is known of its objects stays:
// they were compared once.
func resync(c *state.Copy) {
	c.State, c.Cursor, c.ScanCursor, c.Error = catalog.CopyWaiting, "", "", ""
	c.DrainSince = time.Time{}
}

// loadHeld finds the keys that wait for people, to see whether they still have to.
func (s *scan) loadHeld(ctx context.Context) (err error) {
	if s.conflicts, err = s.heldAs(ctx, state.HoldConflict); err == nil {
		s.deletes, err = s.heldAs(ctx, state.HoldDeletes)
	}
	return err
}

func (s *scan) heldAs(ctx context.Context, hold state.Hold) (map[string]bool, error) {
	held := make(map[string]bool)
	filter := state.PendingFilter{Bucket: s.id.bucket, Cluster: s.id.cluster, Hold: &hold}
	rows, err := s.ctl.Store().ListPending(ctx, filter, state.PendingKey{}, scanConflicts)
	for _, r := range rows {
		if strings.HasPrefix(r.Key, s.id.prefix) && s.rules.covers(r.Key) && r.Key > s.row.ScanCursor {
			held[r.Key] = false
		}
	}
	return held, err
}

// compareAll walks both listings.
func (s *scan) compareAll(ctx context.Context, from string) error {
	ctx, s.abort = context.WithCancelCause(ctx)
	defer s.abort(nil)
	defer s.wg.Wait()
	n := 0
	for p, err := range s.pairs(ctx, from) {
		if err != nil {
			return s.gone(ctx, err)
		}
		if !s.rules.covers(p.key) {
			continue
		}
		if n++; n%listingWindow == 0 {
			if err := s.checkpoint(ctx); err != nil {
				return err
			}
		}
		if err := s.one(ctx, p); err != nil {
			return err
		}
	}
	s.wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	for _, held := range []map[string]bool{s.conflicts, s.deletes} {
		for key, met := range held {
			if !met {
				s.differs(key, 0, false) // neither side has it any more
			}
		}
	}
	return s.flushRows(ctx)
}

// gone tells a primary's missing bucket from other failures of a listing.
func (s *scan) gone(ctx context.Context, err error) error {
	if !errors.Is(err, storage.ErrNoBucket) {
		return err
	}
	_, mendErr := s.mend(ctx, s.id) // says whose bucket it is, and mends the copy's
	return errors.Join(err, mendErr)
}

// checkpoint stores what was found and how far the scan came.
func (s *scan) checkpoint(ctx context.Context) error {
	if err := s.pause.wait(ctx); err != nil {
		return err
	}
	if !s.still(catalog.CopySynced) {
		return errStateChanged
	}
	low, _, _ := s.track.mark() // before the rows: those of keys up to here are among them
	if err := s.flushRows(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	held := len(s.extras) > 0 // extras are not durable yet: a restart must meet them again
	s.mu.Unlock()
	if held {
		return nil
	}
	return s.ledger.progress(ctx, s.id, func(c *state.Copy) bool {
		if c.State != catalog.CopySynced || low <= c.ScanCursor {
			return false
		}
		c.ScanCursor = low
		return true
	})
}

// one judges a pair.
func (s *scan) one(ctx context.Context, p pair) error {
	s.watch.saw(p)
	if p.src != nil {
		s.srcSums.objects++
		s.srcSums.bytes += p.src.Size
	}
	if _, held := s.deletes[p.key]; held {
		s.deletes[p.key] = true
		if p.src != nil || p.dst == nil {
			s.differs(p.key, sizeOf(p.src), false) // no delete any more
		}
		s.track.pass(p.key, 0, 0)
		return nil
	}
	_, conflict := s.conflicts[p.key]
	if conflict {
		s.conflicts[p.key] = true
	} else if s.ctl.Router().Pending.Has(s.id.bucket, p.key, s.id.cluster) {
		s.track.pass(p.key, 0, 0)
		return nil // known already
	}
	verdict := storage.Different
	if p.src != nil && p.dst != nil {
		verdict = storage.Compare(*p.src, *p.dst)
	}
	if verdict == storage.Unknown {
		return s.ask(ctx, p, conflict)
	}
	s.judge(p, verdict, conflict)
	s.track.pass(p.key, 0, 0)
	return nil
}

// judge notes a pair by its comparison. A conflict stays one while both sides differ, and
// is looked at again when one of them has gone or they have become equal.
func (s *scan) judge(p pair, verdict storage.Comparison, conflict bool) {
	switch {
	case verdict == storage.Equal && !conflict:
		s.mu.Lock()
		s.inStep++
		s.mu.Unlock()
	case verdict == storage.Equal, conflict && p.dst == nil, s.anywhere:
		if verdict != storage.Equal && !conflict {
			s.watch.differs(s.id.cluster, p)
		}
		s.differs(p.key, sizeOf(p.src), false)
	case conflict:
		// still different
	default:
		s.watch.differs(s.id.cluster, p)
		s.differs(p.key, sizeOf(p.src), p.src == nil)
	}
}

func sizeOf(o *storage.Object) int64 {
	if o == nil {
		return 0
	}
	return o.Size
}

// ask looks at the copy's stamp where the listings don't tell.
func (s *scan) ask(ctx context.Context, p pair, conflict bool) error {
	select {
	case s.heads <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	src, done := *p.src, s.track.begin(p.key, 0, 0)
	key := p.key
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		defer func() { <-s.heads }()
		dst, err := s.stat(ctx, s.dst, s.id.bucket, key)
		if err != nil {
			s.abort(err)
			return
		}
		verdict := storage.Different
		if s.anywhere && dst != nil { // the primary's may be the copy
			now, err := s.stat(ctx, s.src, s.id.bucket, key)
			if err != nil {
				s.abort(err)
				return
			}
			if now != nil {
				src = *now
			}
		}
		if dst != nil {
			verdict = storage.Compare(src, *dst)
		}
		s.judge(pair{key: key, src: &src, dst: dst}, verdict, conflict)
		done()
	}()
	return nil
}

// differs notes a key for the workers.
func (s *scan) differs(key string, size int64, extra bool) {
	row := state.Pending{
		Bucket: s.id.bucket, Key: key, Cluster: s.id.cluster, Size: size, Since: s.now(), Background: true,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found++
	if s.anywhere { // either side may be the one that is behind
		row.Cluster = s.src.name
		s.rows = append(s.rows, row)
		row.Cluster = s.id.cluster
	}
	if extra && len(s.extras) < scanExtras {
		s.extras = append(s.extras, row)
		return
	}
	s.rows = append(s.rows, row)
}

// flushRows stores the rows collected so far.
func (s *scan) flushRows(ctx context.Context) error {
	s.mu.Lock()
	rows := s.rows
	s.rows = nil
	s.mu.Unlock()
	for len(rows) > 0 {
		n := min(len(rows), scanBatch)
		if err := s.ctl.AddPending(ctx, rows[:n]...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// finish stores the deletes, all of which were counted before the first is applied, and
// what the scan counted if it was a whole one.
func (s *scan) finish(ctx context.Context, whole bool) error {
	if n := int64(len(s.extras)); n > 0 && s.breakers.wouldTrip(s.id, s.row, s.conf().MaxDeletes, n) {
		s.log.Warn("a scan found more deletes than max_deletes allows: they are held",
			zap.String("bucket", s.id.bucket), zap.String("cluster", s.id.cluster), zap.Int64("deletes", n))
		s.tripBreaker(ctx, s.id)
	}
	s.rows = append(s.rows, s.extras...)
	if err := s.flushRows(ctx); err != nil {
		return err
	}
	nothingHeld, err := s.nothingHeld(ctx)
	if err != nil {
		return err
	}
	return s.ledger.update(ctx, s.id.bucket, func(rows []state.Copy) ([]state.Copy, error) {
		i := indexCopy(rows, s.id.prefix, s.id.cluster)
		if i < 0 || rows[i].State != catalog.CopySynced || primaryOf(rows) != s.src.name {
			return rows, errStateChanged
		}
		rows[i].ScanCursor, rows[i].VerifiedAt, rows[i].Error = "", s.now(), ""
		rows[i].HeldDeletes = rows[i].HeldDeletes && !nothingHeld
		p := indexCopy(rows, s.id.prefix, s.src.name)
		if !whole {
			return rows, nil
		}
		rows[i].Objects, rows[i].Bytes = s.srcSums.objects, s.srcSums.bytes
		if p >= 0 {
			rows[p].Objects, rows[p].Bytes, rows[p].VerifiedAt = s.srcSums.objects, s.srcSums.bytes, s.now()
		}
		return rows, nil
	})
}

// nothingHeld says whether the breaker's hold on the copy's deletes, if there was one when
// the scan began, has become pointless: nothing at all is to be done there.
func (s *scan) nothingHeld(ctx context.Context) (bool, error) {
	if !s.row.HeldDeletes || s.found > 0 {
		return false, nil
	}
	logs, err := s.ctl.Store().Backlogs(ctx, s.id.bucket)
	for _, l := range logs {
		if l.Cluster == s.id.cluster && l.Objects > 0 {
			return false, err
		}
	}
	return err == nil, err
}

// countPrimary counts a rule that has no copy but the primary's.
func (r *run) countPrimary(ctx context.Context, id copyID) error {
	if _, err := r.mendPrimary(ctx, id.bucket); err != nil {
		return err
	}
	if err := r.mendVersions(ctx, id, id.cluster); err != nil {
		return err
	}
	s, err := r.sites.usable(id.cluster)
	if err != nil {
		return err
	}
	rules := newRuleFinder(r.ctl.Router().Snapshot(), id)
	var sum delta
	for o, err := range s.client.List(ctx, id.bucket, id.prefix, "") {
		if err != nil {
			return err
		}
		if rules.covers(o.Key) {
			sum.objects++
			sum.bytes += o.Size
		}
	}
	return r.ledger.progress(ctx, id, func(c *state.Copy) bool {
		c.Objects, c.Bytes, c.VerifiedAt = sum.objects, sum.bytes, r.now()
		return c.Primary
	})
}
