package replication

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/asks"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// planner turns placements into copy rows and jobs. It is level-triggered: after any change
// of a bucket it compares all of the bucket's rows and jobs with those that should exist.
type planner struct {
	core
	agenda *agenda
	finder *finder
	jobs   *runner
	walks  walkers
	owns   func(bucket string) bool
	// scan asks for a scan of a bucket that begins after now.
	scan func(bucket string)
	// rebalanced reports whether a bucket is to go to where it would be placed from scratch.
	rebalanced func(bucket string) bool
	// noPath says which objects of a bucket no instance may carry; "" for none.
	noPath func(bucket string) string
}

// loop plans until ctx ends.
func (p *planner) loop(ctx context.Context) {
	defer p.finder.wait()
	full := p.now().Add(p.tune.PlanEvery)
	for p.agenda.await(ctx, full.Sub(p.now())) {
		if !p.now().Before(full) {
			full = p.now().Add(p.tune.PlanEvery)
			p.agenda.touchAll()
		}
		p.round(ctx)
	}
}

// changed marks what a change of a resource concerns. It is control's hook.
func (p *planner) changed(r control.ResourceChange) {
	switch {
	case r.Any(), r.Kind == catalog.KindCluster:
		p.sites.Redeclared()
		p.agenda.touchAll()
	case r.Kind == catalog.KindBucket:
		p.agenda.touch(r.Name)
	case r.Kind == catalog.KindKey: // places nothing
	default:
		p.agenda.touchAll()
	}
}

// planBatch is how many buckets of a full pass are checked before those marked by name get
// their turn.
const planBatch = 256

// round checks every bucket that was marked.
func (p *planner) round(ctx context.Context) {
	began := p.now()
	p.named(ctx)
	if !p.agenda.takeAll() {
		return
	}
	in, n := p.inputs(), 0
	p.snap().Buckets(func(b string) bool {
		p.plan(ctx, in, b)
		if n++; n%planBatch == 0 {
			p.named(ctx)
		}
		return ctx.Err() == nil
	})
	// Many changes of policies in a row cost at most a third of a core, however many
	// buckets there are.
	p.agenda.rest(2 * p.now().Sub(began))
}

// named checks the buckets that were marked by name, which go before a full pass.
func (p *planner) named(ctx context.Context) {
	dirty := p.agenda.takeNamed()
	if len(dirty) == 0 {
		return
	}
	in := p.inputs()
	for b := range dirty {
		if ctx.Err() != nil {
			return
		}
		p.plan(ctx, in, b)
	}
}

// plan updates one bucket's rows and jobs to those that should exist.
func (p *planner) plan(ctx context.Context, in *plan.Inputs, bucket string) {
	if !p.owns(bucket) {
		return
	}
	snap := p.snap()
	decl := snap.Bucket(bucket)
	if decl == nil {
		return
	}
	view := snap.Of(bucket)
	primary := view.Primary()
	if primary == "" {
		if p.conf().Disabled {
			primary = in.FirstChoice(decl, view.Rules(), nil)
		} else if primary = p.finder.find(ctx, in, decl, snap); primary == "" {
			return
		}
	} else if p.conf().Disabled {
		return
	}
	p.ctl.Issues.Set(bucket, control.Source{Finder: control.FinderPath}, control.Issue{Reason: p.noPath(bucket)})
	if p.rebalanced(bucket) {
		in = in.Rebalanced()
	}
	// The snapshot tells at no cost whether anything is to be changed.
	pl := in.Plan(decl, view.Rules(), copyrows.FromCatalog(bucket, view.Copies()), primary)
	if !in.Unasked() || pl.Issue == "" || pl.Issue != strings.Join(pl.Short, "; ") {
		// A shortfall may be over once every storage was asked for the first time.
		p.ctl.Issues.Set(bucket, control.Source{Finder: control.FinderPlanner}, issueOf(pl))
	}
	if pl.Changed || asks.UnmarkedAnywhere(view) {
		if !p.apply(ctx, in, decl, primary) {
			return
		}
	}
	if !p.conf().Disabled {
		p.dispatch(ctx, bucket, pl.Target)
	}
}

// issueOf is what stands in a plan's way. It is about too few clusters where nothing else does.
func issueOf(pl plan.Plan) control.Issue {
	issue := control.Issue{Reason: pl.Issue, Short: pl.Short}
	if pl.Issue != "" && pl.Issue == strings.Join(pl.Short, "; ") {
		issue.Code = control.ReasonTooFew
	}
	return issue
}

// apply stores the plan made from the rows as they are in the store.
func (p *planner) apply(ctx context.Context, in *plan.Inputs, decl *catalog.Bucket, primary string) bool {
	var gone []ids.Copy
	marked, split := false, false
	err := p.copies.Update(ctx, decl.Name, func(rows []state.Copy) ([]state.Copy, error) {
		if now := copyrows.PrimaryOf(rows); now != "" {
			primary = now
		}
		view := p.snap().Of(decl.Name)
		next := in.Plan(decl, view.Rules(), rows, primary).Rows
		marked = markAnywhere(view.RulesAnywhere(), next)
		p.markDrained(next)
		gone = without(rows, next)
		split = hasNewRule(rows, next)
		return next, nil
	})
	switch {
	case err == nil:
		for _, id := range gone {
			p.deletes.Forget(id)
		}
		if marked || split { // what differs since it was written elsewhere, or its keys had another rule, is looked for at once
			p.scan(decl.Name)
		}
		return true
	case errors.Is(err, control.ErrNotFound):
	case ctx.Err() == nil:
		p.log.Warn("could not store a bucket's copies; planning the bucket again in a second", zap.String("bucket", decl.Name), zap.Error(err))
		p.agenda.later(decl.Name, time.Second)
	}
	return false
}

// markAnywhere notes in the rows of rules that may be written anywhere that it is so, and
// reports whether that changed one. The note goes when converge has brought together what
// was written.
func markAnywhere(rules []string, rows []state.Copy) (changed bool) {
	for i := range rows {
		if !rows[i].Anywhere && asks.Among(rules, rows[i].Prefix) {
			rows[i].Anywhere, changed = true, true
		}
	}
	return changed
}

// hasNewRule reports whether next has copies of a rule that rows have none of, of a bucket
// that has copies.
func hasNewRule(rows, next []state.Copy) bool {
	known := make(map[string]bool)
	for _, r := range rows {
		known[r.Prefix] = true
	}
	return len(rows) > 0 && slices.ContainsFunc(next, func(n state.Copy) bool { return !known[n.Prefix] })
}

// markDrained notes since when copies drain.
func (p *planner) markDrained(rows []state.Copy) {
	for i := range rows {
		if rows[i].State == catalog.CopyDraining && rows[i].DrainSince.IsZero() {
			rows[i].DrainSince = p.now()
		}
	}
}

// without returns the copies that are in rows and not in next.
func without(rows, next []state.Copy) (gone []ids.Copy) {
	left := make(map[ids.Copy]bool, len(next))
	for _, r := range next {
		left[ids.CopyIn(r.Bucket, r.Prefix, r.Cluster)] = true
	}
	for _, r := range rows {
		if id := ids.CopyIn(r.Bucket, r.Prefix, r.Cluster); !left[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

// dispatch queues the jobs that a bucket's copies need.
func (p *planner) dispatch(ctx context.Context, bucket, target string) {
	snap := p.snap()
	view := snap.Of(bucket)
	cs, primary := view.Copies(), view.Primary()
	if view.Elsewhere(primary) { // nothing is done until it is known to be right, or people say so
		if p.sites.Up(primary) {
			id := ids.CopyIn(bucket, "", primary)
			p.jobs.ensure(id, jobScan, func(ctx context.Context) error { return p.walks.copies.Scanner.CountPrimary(ctx, id) })
		}
		return
	}
	whole := asks.OfWhole(snap, bucket, cs, primary, target)
	p.ctl.Issues.Keep(bucket, func(s control.Source) bool { return !asks.Outlived(s, cs, whole) })
	p.endOrphanedMove(ctx, bucket)
	for _, c := range cs {
		id := ids.CopyIn(bucket, c.Prefix, c.Cluster)
		switch {
		case c.Primary:
		case c.State == catalog.CopyWaiting, c.State == catalog.CopySyncing:
			if p.mayWrite(snap, bucket, c, primary) {
				p.jobs.ensure(id, jobSync, func(ctx context.Context) error { return p.walks.copies.Syncer.Sync(ctx, id) })
			}
		case c.State == catalog.CopyFailed:
			p.revive(ctx, id)
		case c.State == catalog.CopyDraining, c.State == catalog.CopyRemoving:
			p.jobs.cancel(id, jobSync)
			p.jobs.cancel(id, jobScan)
			if p.sites.Up(primary, c.Cluster) {
				p.jobs.ensure(id, jobEvict, func(ctx context.Context) error { return p.walks.evictor.Evict(ctx, id) })
			}
		}
	}
	p.dispatchWhole(bucket, primary, cs, whole)
}

// dispatchWhole queues the jobs that concern a bucket as a whole.
func (p *planner) dispatchWhole(bucket, primary string, cs []catalog.Copy, whole asks.Whole) {
	seen := asks.Seen(cs)
	if to := whole.Move; to != "" && copyrows.SyncedEverywhere(cs, to) && whole.Carry == "" && seen && p.sites.Up(primary, to) {
		id := ids.CopyIn(bucket, "", to)
		p.jobs.ensure(id, jobMove, func(ctx context.Context) error { return p.walks.moves.Mover.MovePrimary(ctx, bucket, to) })
	}
	if whole.Carry != "" && p.sites.Up(primary, whole.Carry) {
		id := ids.CopyIn(bucket, "", whole.Carry)
		p.jobs.ensure(id, jobCarry, func(ctx context.Context) error { return p.walks.moves.Carrier.CarryOver(ctx, bucket, id.Cluster) })
	}
	if whole.Converge != "" {
		id := ids.CopyIn(bucket, "", primary)
		p.jobs.ensure(id, jobConverge, func(ctx context.Context) error { return p.walks.moves.Converger.Converge(ctx, bucket) })
	}
	if !seen && p.sites.Up(primary) {
		id := ids.CopyIn(bucket, "", primary)
		p.jobs.ensure(id, jobScan, func(ctx context.Context) error { return p.walks.copies.Scanner.CountPrimary(ctx, id) })
	}
}

// endOrphanedMove removes the marks of a move that was abandoned.
func (p *planner) endOrphanedMove(ctx context.Context, bucket string) {
	if !p.snap().Of(bucket).AnyMoving() || p.jobs.moving(bucket) {
		return
	}
	err := p.walks.moves.Halts.End(ctx, bucket)
	if err != nil {
		p.agenda.later(bucket, time.Second)
	}
	p.stored(ctx, "could not take away the marks of a move that ended; trying again in a second", err)
}

// mayWrite reports whether a copy's first walk makes sense now.
func (p *planner) mayWrite(snap *routing.Snapshot, bucket string, c catalog.Copy, primary string) bool {
	for _, rule := range snap.Of(bucket).Rules() {
		if rule.Prefix == c.Prefix {
			return snap.AllowsPolicy(rule.Policy, c.Cluster) && p.sites.Up(primary, c.Cluster) && p.hasSpace(bucket, c.Cluster)
		}
	}
	return false
}

// hasSpace reports whether a cluster has space for writes now; if not, it schedules the next
// check of the bucket.
func (p *planner) hasSpace(bucket, cluster string) bool {
	s := p.sites.Get(cluster)
	if s == nil {
		return false
	}
	d, waits := s.Space.Waits()
	if waits {
		p.agenda.later(bucket, d)
	}
	return !waits
}

// revive puts a failed copy back to waiting once its time to try again has come.
func (p *planner) revive(ctx context.Context, id ids.Copy) {
	if p.agenda.waits(id.Bucket) {
		return
	}
	_, err := p.copies.Amend(ctx, id, func(c *state.Copy) bool {
		if c.State != catalog.CopyFailed {
			return false
		}
		why := c.Error
		copyrows.Resync(c)
		c.Error = why
		return true
	})
	p.stored(ctx, "could not store that a failed copy is tried again; the next plan does", err)
	p.agenda.touch(id.Bucket)
}
