package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// anywhere says whether the rule's policy lets users write at every copy.
func (f ruleFinder) anywhere() bool {
	return slices.Contains(f.snap.RulesAnywhere(f.bucket), f.prefix)
}

// mendVersions switches versioning on in clusters, if a rule's objects may be written
// anywhere. One that is suspended is somebody's decision and stays: it is reported.
func (r *run) mendVersions(ctx context.Context, id copyID, clusters ...string) error {
	if !r.anywhere(id.bucket, id.prefix) {
		return nil
	}
	for _, c := range slices.Compact(clusters) {
		s, err := r.sites.usable(c)
		if err != nil {
			return err
		}
		if err := r.mendVersioning(ctx, s, id.bucket); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) mendVersioning(ctx context.Context, s *site, bucket string) error {
	vs, err := s.versions()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	name := s.client.Physical(bucket)
	state, err := vs.Versioning(ctx, bucket)
	switch {
	case errors.Is(err, storage.ErrNoBucket):
		return nil // it is made in its turn
	case err != nil || state == storage.VersioningOn:
		return err
	case state == storage.VersioningSuspended:
		return fmt.Errorf("%w: it is suspended for bucket %s in %s; switch it on there", errUnversioned, name, s.name)
	case !r.writable(bucket, s.name):
		return errForbidden
	}
	if _, err = s.client.EnsureBucket(ctx, bucket, true); err != nil {
		return fmt.Errorf("%w: bucket %s in %s: %w", errUnversioned, name, s.name, err)
	}
	r.log.Info("switched versioning on", zap.String("bucket", name), zap.String("cluster", s.name))
	return nil
}

// modeChanged says whether a bucket's rows may not say yet where its policies let it be
// written.
func (p *planner) modeChanged(bucket string) bool {
	mode := strings.Join(p.ctl.Router().Snapshot().RulesAnywhere(bucket), "\n")
	rules := len(p.ctl.Router().Snapshot().RulesAnywhere(bucket))
	p.mu.Lock()
	defer p.mu.Unlock()
	was, known := p.modes[bucket]
	return (known || rules > 0) && was != modeText(rules, mode)
}

func modeText(rules int, mode string) string { return fmt.Sprintf("%d %s", rules, mode) }

// noteMode notes that a bucket's rows say where it may be written now. What differs since
// it was written elsewhere is looked for at once.
func (p *planner) noteMode(bucket string) {
	rules := p.ctl.Router().Snapshot().RulesAnywhere(bucket)
	p.mu.Lock()
	was, known := p.modes[bucket]
	now := modeText(len(rules), strings.Join(rules, "\n"))
	if known || len(rules) > 0 {
		p.modes[bucket] = now
	}
	if known || len(rules) > 0 {
		p.attention[bucket] = struct{}{}
	}
	p.mu.Unlock()
	if (known || len(rules) > 0) && was != now {
		p.sweeper.atOnce(bucket)
	}
}

// markAnywhere notes in the rows of rules that may be written anywhere that it is so. The
// note goes when converge has brought together what was written.
func (p *planner) markAnywhere(bucket string, rows []state.Copy) {
	rules := p.ctl.Router().Snapshot().RulesAnywhere(bucket)
	for i := range rows {
		rows[i].Anywhere = rows[i].Anywhere || slices.Contains(rules, rows[i].Prefix)
	}
}

// staying says whether a bucket's primary has to wait with moving for work that its rows
// tell of.
func (p *planner) staying(bucket string) bool {
	if !p.marked(bucket) {
		return false
	}
	rows, err := p.ledger.of(p.ctx, bucket)
	return err != nil || carryingOver(rows) || !everVerified(rows)
}

// mustConverge says whether rows are marked as written anywhere while their policies say
// otherwise.
func mustConverge(snap *routing.Snapshot, rows []state.Copy) bool {
	return len(converging(snap, rows)) > 0
}

func converging(snap *routing.Snapshot, rows []state.Copy) []state.Copy {
	var cs []state.Copy
	for _, c := range rows {
		if c.Anywhere && !slices.Contains(snap.RulesAnywhere(c.Bucket), c.Prefix) {
			cs = append(cs, c)
		}
	}
	return cs
}

// converge brings together what was written anywhere before only the primary is written:
// every copy is compared, what that finds is settled by who wrote last, and from then on
// what lies at a copy up to that moment of its clock is FaDO's to replace, what comes
// later is somebody else's. Until then the last writer goes on winning.
func (r *run) converge(ctx context.Context, bucket string) error {
	rows, err := r.ledger.of(ctx, bucket)
	if err != nil {
		return err
	}
	back := converging(r.ctl.Router().Snapshot(), rows)
	primary := primaryOf(rows)
	clocks := make(map[string]time.Time)
	for _, c := range back {
		if c.Cluster == primary || clocks[c.Cluster] != (time.Time{}) {
			continue
		}
		if c.State != catalog.CopySynced {
			return errNotYet // it is on its way, or leaves
		}
		if err := r.compareOnce(ctx, rows, c.Cluster, clocks); err != nil {
			return err
		}
	}
	for _, cluster := range append(sortedKeys(keysOf(clocks)), primary) {
		if err := r.awaitNone(ctx, bucket, cluster); err != nil {
			return err
		}
	}
	return r.onlyPrimary(ctx, bucket, clocks)
}

func keysOf(m map[string]time.Time) map[string]bool {
	keys := make(map[string]bool, len(m))
	for k := range m {
		keys[k] = true
	}
	return keys
}

// compareOnce scans a cluster's copies of a bucket, and notes its clock before.
func (r *run) compareOnce(ctx context.Context, rows []state.Copy, cluster string, clocks map[string]time.Time) error {
	s, err := r.sites.usable(cluster)
	if err != nil {
		return err
	}
	clock, err := r.clockOf(ctx, s)
	if err != nil {
		return err
	}
	clocks[cluster] = clock
	return r.scanTarget(ctx, rows, cluster)
}

// awaitNone gives what is pending in a cluster a while to be settled.
func (r *run) awaitNone(ctx context.Context, bucket, cluster string) error {
	for until := r.now().Add(movePatience); ; {
		logs, err := r.ctl.Store().Backlogs(ctx, bucket)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(logs, func(l state.Backlog) bool { return l.Cluster == cluster }) {
			return nil
		}
		if r.now().After(until) || !sleep(ctx, 20*time.Millisecond) {
			return fmt.Errorf("bringing together what was written anywhere: objects are still on their way to %s: %w", cluster, errNotYet)
		}
	}
}

// onlyPrimary makes a bucket's copies ones that only FaDO writes.
func (r *run) onlyPrimary(ctx context.Context, bucket string, clocks map[string]time.Time) error {
	err := r.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		back := converging(r.ctl.Router().Snapshot(), rows)
		for i := range rows {
			c := &rows[i]
			if indexCopy(back, c.Prefix, c.Cluster) < 0 {
				continue
			}
			clock, compared := clocks[c.Cluster]
			switch {
			case c.Primary:
			case !compared, c.State != catalog.CopySynced:
				return rows, errStateChanged
			default:
				c.OwnedUntil, c.VerifiedAt = clock, r.now()
			}
			c.Anywhere = false
		}
		return rows, nil
	})
	if err == nil {
		r.log.Info("only the primary is written from now on", zap.String("bucket", bucket))
	}
	return err
}
