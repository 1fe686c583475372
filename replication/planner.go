package replication

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// planner turns placements into copies that come and go. It is level-triggered: whatever
// happens to a bucket, it is looked at as a whole, and the rows and jobs that should be
// are made to be.
type planner struct {
	*run
	clustersChanged chan struct{} // for the storages' monitors
	wake            chan struct{}
	looking         sync.WaitGroup

	mu        sync.Mutex
	all       bool
	nextAll   time.Time // a pass over everything may begin
	dirty     map[string]struct{}
	due       map[string]time.Time // buckets to look at later
	attempts  map[jobID]int        // jobs that failed in a row
	searching map[string]struct{}  // buckets whose primary is being looked for
	found     map[string]string    // the primaries found
	attention map[string]struct{}  // buckets with work that only their rows tell of
	unread    bool                 // attention is yet to be found out for some
	modes     map[string]string    // the rules by which the rows' Anywhere was last set
}

func newPlanner(r *run) *planner {
	return &planner{
		run: r, clustersChanged: make(chan struct{}, 1), wake: make(chan struct{}, 1), all: true,
		dirty: make(map[string]struct{}), due: make(map[string]time.Time), attempts: make(map[jobID]int),
		searching: make(map[string]struct{}), found: make(map[string]string), attention: make(map[string]struct{}),
		modes: make(map[string]string),
	}
}

// touch has a bucket looked at soon.
func (p *planner) touch(bucket string) {
	p.mu.Lock()
	p.dirty[bucket] = struct{}{}
	p.mu.Unlock()
	p.signal()
}

// touchAll has every bucket looked at soon.
func (p *planner) touchAll() {
	p.mu.Lock()
	p.all = true
	p.mu.Unlock()
	p.signal()
}

// later has a bucket looked at after a while, unless something happens before.
func (p *planner) later(bucket string, d time.Duration) {
	at := time.Now().Add(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	if was, ok := p.due[bucket]; !ok || at.Before(was) {
		p.due[bucket] = at
	}
}

func (p *planner) setback(id jobID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts[id]++
	return p.attempts[id]
}

// forgive has a bucket tried again at once, whatever failed before.
func (p *planner) forgive(bucket string) {
	p.mu.Lock()
	delete(p.due, bucket)
	for id := range p.attempts {
		if id.bucket == bucket {
			delete(p.attempts, id)
		}
	}
	p.mu.Unlock()
	p.touch(bucket)
}

func (p *planner) recovered(id jobID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.attempts, id)
}

func (p *planner) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// gained is told that this instance plans more buckets than before.
func (p *planner) gained() {
	p.mu.Lock()
	p.unread = true
	clear(p.due)
	p.mu.Unlock()
	p.touchAll()
}

func (p *planner) clusterChange() {
	select {
	case p.clustersChanged <- struct{}{}:
	default:
	}
}

// storageChanged is told that a storage came or went: what failed before may work now.
func (p *planner) storageChanged() {
	p.mu.Lock()
	clear(p.due)
	clear(p.attempts)
	p.mu.Unlock()
	p.touchAll()
}

// loop plans until ctx ends.
func (p *planner) loop(ctx context.Context) {
	defer p.looking.Wait()
	stop := p.follow(ctx)
	defer stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	full := time.Now()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-tick.C:
			if p.promote(); time.Since(full) > p.tune.PlanEvery {
				full = time.Now()
				p.touchAll()
			}
		}
		p.round(ctx)
	}
}

// follow marks what changes of resources concern, as they are told of; stop ends it.
func (p *planner) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	sub := p.ctl.Events().Subscribe(1024)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer sub.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case ev := <-sub.C:
				p.noteEvent(ev)
			}
			if sub.Missed() > 0 {
				p.touchAll()
				p.clusterChange()
			}
		}
	}()
	return func() { cancel(); <-done }
}

// noteEvent marks what a change of a resource concerns.
func (p *planner) noteEvent(ev control.Event) {
	switch {
	case ev.Type == control.EventConfiguration, ev.Type == control.EventResource && ev.Kind == string(catalog.KindCluster):
		p.clusterChange()
		p.touchAll()
	case ev.Type != control.EventResource:
	case ev.Kind == string(catalog.KindBucket):
		p.touch(ev.Name)
	default:
		p.touchAll()
	}
}

// promote makes buckets dirty whose time has come.
func (p *planner) promote() {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for b, at := range p.due {
		if !at.After(now) {
			delete(p.due, b)
			p.dirty[b] = struct{}{}
		}
	}
}

// round looks at every bucket that was marked.
func (p *planner) round(ctx context.Context) {
	began := time.Now()
	p.mu.Lock()
	unread := p.unread
	p.unread = false
	p.mu.Unlock()
	if unread {
		p.loadAttention(ctx)
	}
	p.named(ctx)
	p.mu.Lock()
	all := p.all && !began.Before(p.nextAll)
	p.all = p.all && !all
	p.mu.Unlock()
	if !all {
		return
	}
	tables, n := newTables(p.ctl), 0
	p.ctl.Router().Snapshot().Buckets(func(b string) bool {
		p.plan(ctx, tables, b)
		if n++; n%256 == 0 {
			p.named(ctx)
		}
		return ctx.Err() == nil
	})
	// Many changes of policies in a row cost at most a third of a core, however many
	// buckets there are.
	p.mu.Lock()
	p.nextAll = time.Now().Add(2 * time.Since(began))
	p.mu.Unlock()
}

// named looks at the buckets that were marked by name: somebody waits for those.
func (p *planner) named(ctx context.Context) {
	p.mu.Lock()
	dirty := p.dirty
	if len(dirty) > 0 {
		p.dirty = make(map[string]struct{})
	}
	p.mu.Unlock()
	if len(dirty) == 0 {
		return
	}
	tables := newTables(p.ctl)
	for b := range dirty {
		if ctx.Err() != nil {
			return
		}
		p.plan(ctx, tables, b)
	}
}

// plan brings one bucket's rows and jobs to where they should be.
func (p *planner) plan(ctx context.Context, t *tables, bucket string) {
	if !p.shards.owns(bucket) {
		return
	}
	snap := p.ctl.Router().Snapshot()
	decl := snap.Bucket(bucket)
	if decl == nil {
		p.ledger.forget(bucket)
		return
	}
	primary := snap.Primary(bucket)
	if primary == "" {
		if p.conf().Disabled {
			primary = t.firstChoice(decl, snap, nil)
		} else if primary = p.findPrimary(ctx, t, decl, snap); primary == "" {
			return
		}
	} else if p.conf().Disabled {
		return
	}
	// The snapshot tells at no cost whether anything is to be changed.
	a := t.arrange(decl, snap.Rules(bucket), routedRows(bucket, snap.Copies(bucket)), primary)
	p.ctl.SetIssue(bucket, "planner", a.issue)
	if a.changed || p.modeChanged(decl.Name) {
		if !p.apply(ctx, t, decl, primary) {
			return
		}
	}
	if !p.conf().Disabled {
		p.dispatch(bucket, a.target)
	}
}

// apply stores the arrangement made from the rows as they are in the store.
func (p *planner) apply(ctx context.Context, t *tables, decl *catalog.Bucket, primary string) bool {
	var gone []copyID
	err := p.ledger.update(ctx, decl.Name, func(rows []state.Copy) ([]state.Copy, error) {
		if now := primaryOf(rows); now != "" {
			primary = now
		}
		a := t.arrange(decl, p.ctl.Router().Snapshot().Rules(decl.Name), rows, primary)
		p.markAnywhere(decl.Name, a.rows)
		for i := range a.rows {
			if a.rows[i].State == catalog.CopyDraining && a.rows[i].DrainSince.IsZero() {
				a.rows[i].DrainSince = p.now()
			}
		}
		p.mark(decl.Name, needAttention(a.rows))
		gone = gone[:0]
		for _, r := range rows {
			if indexCopy(a.rows, r.Prefix, r.Cluster) < 0 {
				gone = append(gone, copyID{decl.Name, r.Prefix, r.Cluster})
			}
		}
		return a.rows, nil
	})
	for _, id := range gone {
		p.breakers.forget(id)
	}
	switch {
	case err == nil:
		p.noteMode(decl.Name)
		return true
	case errors.Is(err, control.ErrNotFound):
		p.ledger.forget(decl.Name)
	case ctx.Err() == nil:
		p.log.Warn("storing a bucket's copies", zap.String("bucket", decl.Name), zap.Error(err))
		p.later(decl.Name, time.Second)
	}
	return false
}

// dispatch has the jobs run that a bucket's rows ask for.
func (p *planner) dispatch(bucket, target string) {
	snap := p.ctl.Router().Snapshot()
	copies := snap.Copies(bucket)
	primary := snap.Primary(bucket)
	p.ctl.KeepIssues(bucket, func(source string) bool { return !outlived(source, copies) })
	p.endOrphanedMove(bucket, copies)
	for _, c := range copies {
		id := copyID{bucket, c.Prefix, c.Cluster}
		switch {
		case c.Primary:
		case c.State == catalog.CopyWaiting, c.State == catalog.CopySyncing:
			if p.mayWrite(snap, bucket, c, primary) {
				p.jobs.ensure(id, jobSync, func(ctx context.Context) error { return p.syncCopy(ctx, id) })
			}
		case c.State == catalog.CopyFailed:
			p.revive(id)
		case c.State == catalog.CopyDraining, c.State == catalog.CopyRemoving:
			p.jobs.cancel(id, jobSync)
			p.jobs.cancel(id, jobScan)
			if p.reachable(primary, c.Cluster) {
				p.jobs.ensure(id, jobEvict, func(ctx context.Context) error { return p.evictCopy(ctx, id) })
			}
		}
	}
	p.dispatchBucket(bucket, primary, target, copies)
}

// dispatchBucket has the jobs run that are about a bucket as a whole.
func (p *planner) dispatchBucket(bucket, primary, target string, copies []catalog.Copy) {
	moves := target != "" && target != primary && syncedEverywhere(copies, target)
	if moves && !p.staying(bucket) && p.reachable(primary, target) {
		id := copyID{bucket: bucket, cluster: target}
		p.jobs.ensure(id, jobMove, func(ctx context.Context) error { return p.movePrimary(ctx, bucket, target) })
	}
	if !p.marked(bucket) {
		return
	}
	rows, err := p.ledger.of(p.ctx, bucket)
	if err != nil {
		return
	}
	if !needAttention(rows) {
		p.mark(bucket, false)
		return
	}
	for _, r := range rows {
		if r.FormerPrimary && p.reachable(primary, r.Cluster) {
			id := copyID{bucket: bucket, cluster: r.Cluster}
			p.jobs.ensure(id, jobCarry, func(ctx context.Context) error { return p.carryOver(ctx, bucket, id.cluster) })
			break
		}
	}
	if mustConverge(p.ctl.Router().Snapshot(), rows) {
		id := copyID{bucket: bucket, cluster: primary}
		p.jobs.ensure(id, jobConverge, func(ctx context.Context) error { return p.converge(ctx, bucket) })
	}
	if p.reachable(primary) && !everVerified(rows) {
		id := copyID{bucket, "", primary}
		p.jobs.ensure(id, jobScan, func(ctx context.Context) error { return p.countPrimary(ctx, id) })
	}
}

// needAttention says whether rows ask for a job that routing's view does not tell of: a
// former primary to carry over from, a primary whose bucket was never seen, or what was
// written anywhere and is to be brought together.
func needAttention(rows []state.Copy) bool {
	return carryingOver(rows) || !everVerified(rows) || slices.ContainsFunc(rows, func(c state.Copy) bool { return c.Anywhere })
}

// loadAttention finds the buckets that need attention after a start.
func (p *planner) loadAttention(ctx context.Context) {
	var bucket string
	var rows []state.Copy
	flush := func() {
		if len(rows) > 0 && needAttention(rows) {
			p.mark(bucket, true)
		}
		rows = rows[:0]
	}
	err := p.ctl.Store().EachCopy(ctx, func(c state.Copy) error {
		if c.Bucket != bucket {
			flush()
			bucket = c.Bucket
		}
		rows = append(rows, c)
		return nil
	})
	flush()
	p.store(err)
}

func (p *planner) mark(bucket string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		p.attention[bucket] = struct{}{}
	} else {
		delete(p.attention, bucket)
	}
}

func (p *planner) marked(bucket string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.attention[bucket]
	return ok
}

// mayWrite says whether a copy's first walk makes sense now.
func (p *planner) mayWrite(snap *routing.Snapshot, bucket string, c catalog.Copy, primary string) bool {
	for _, rule := range snap.Rules(bucket) {
		if rule.Prefix == c.Prefix {
			return snap.AllowsPolicy(rule.Policy, c.Cluster) && p.reachable(primary, c.Cluster) && p.hasSpace(bucket, c.Cluster)
		}
	}
	return false
}

// hasSpace says whether something may be written to a cluster now; if not, the bucket is
// looked at again when it may.
func (p *planner) hasSpace(bucket, cluster string) bool {
	s := p.sites.get(cluster)
	if s == nil {
		return false
	}
	d, waits := s.space.waits(p.now())
	if waits {
		p.later(bucket, d)
	}
	return !waits
}

// reachable says whether all of the clusters' storages are up.
func (p *planner) reachable(clusters ...string) bool {
	for _, c := range clusters {
		if s := p.sites.get(c); s == nil || !s.up() {
			return false
		}
	}
	return true
}

// revive puts a failed copy back to waiting once its time to try again has come.
func (p *planner) revive(id copyID) {
	p.mu.Lock()
	_, waits := p.due[id.bucket]
	p.mu.Unlock()
	if waits {
		return
	}
	_, err := p.ledger.amend(p.ctx, id, func(c *state.Copy) bool {
		if c.State != catalog.CopyFailed {
			return false
		}
		why := c.Error
		resync(c)
		c.Error = why
		return true
	})
	p.store(err)
	p.touch(id.bucket)
}

// syncedEverywhere says whether a cluster has a synced copy of every rule of a bucket.
func syncedEverywhere(copies []catalog.Copy, cluster string) bool {
	var rules, synced []string
	for _, c := range copies {
		if !slices.Contains(rules, c.Prefix) && c.State <= catalog.CopySynced {
			rules = append(rules, c.Prefix)
		}
		if c.Cluster == cluster && c.State == catalog.CopySynced {
			synced = append(synced, c.Prefix)
		}
	}
	return len(rules) > 0 && len(rules) == len(synced)
}

// routedRows makes rows of what routing knows of copies: enough to tell whether a change
// is due.
func routedRows(bucket string, copies []catalog.Copy) []state.Copy {
	rows := make([]state.Copy, len(copies))
	for i, c := range copies {
		rows[i] = state.Copy{Bucket: bucket, Copy: c}
	}
	return rows
}
