package replication

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
)

// finder chooses the primary of buckets that have none yet.
type finder struct {
	core
	agenda *agenda
	wg     sync.WaitGroup

	mu        sync.Mutex
	searching map[string]struct{} // buckets whose primary is being looked for
	waiting   []string            // buckets whose search waits for its turn
	queued    map[string]struct{} // the same
	found     map[string]string   // the primaries found
}

// findersAtATime bounds concurrent searches.
const findersAtATime = 16

func newFinder(c core, a *agenda) *finder {
	return &finder{
		core: c, agenda: a,
		searching: make(map[string]struct{}), queued: make(map[string]struct{}), found: make(map[string]string),
	}
}

// wait returns when no search is under way.
func (f *finder) wait() { f.wg.Wait() }

// find returns where a bucket that has no primary yet is to be written: where it is
// declared; else where its physical bucket exists; else, once every storage that may hold it
// was asked, where placement puts it. Looking at storages continues in the background: until
// it ends the answer is "".
func (f *finder) find(ctx context.Context, in *plan.Inputs, decl *catalog.Bucket, snap *routing.Snapshot) string {
	rules := snap.Of(decl.Name).Rules()
	if decl.Primary != "" {
		if in.Allows(rules, decl.Primary) {
			return decl.Primary
		}
		f.stuck(decl.Name, primaryNotAllowed(decl.Primary), control.ReasonFound)
		return ""
	}
	if c, ok := f.take(decl.Name); ok && in.Allows(rules, c) {
		return c
	}
	candidates := in.Candidates(rules)
	if len(candidates) == 0 {
		f.stuck(decl.Name, noCandidates, control.ReasonTooFew)
		return ""
	}
	if f.begin(decl.Name) {
		f.wg.Go(func() { f.search(ctx, in, decl, rules, candidates) })
	}
	return ""
}

func (f *finder) stuck(bucket, why string, code control.ReasonCode) {
	f.ctl.Issues.Set(bucket, control.Source{Finder: control.FinderPlanner}, control.Issue{Reason: why, Code: code})
}

// take returns what a search found, once.
func (f *finder) take(bucket string) (cluster string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cluster, ok = f.found[bucket]
	delete(f.found, bucket)
	return cluster, ok
}

// begin reports whether a search is to begin: none is under way, and not too many others
// are. One that has to wait for those is begun after them.
func (f *finder) begin(bucket string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.searching[bucket]; ok {
		return false
	}
	if len(f.searching) < findersAtATime {
		f.searching[bucket] = struct{}{}
		return true
	}
	if _, ok := f.queued[bucket]; !ok {
		f.queued[bucket] = struct{}{}
		f.waiting = append(f.waiting, bucket)
	}
	return false
}

// end notes what a search found, and has the next one begin.
func (f *finder) end(bucket, choice string) {
	f.mu.Lock()
	delete(f.searching, bucket)
	if choice != "" {
		f.found[bucket] = choice
	}
	next := ""
	if len(f.waiting) > 0 {
		next, f.waiting = f.waiting[0], f.waiting[1:]
		delete(f.queued, next)
	}
	f.mu.Unlock()
	if next != "" {
		f.agenda.touch(next)
	}
}

// searchAgain is the time before a search that found nothing repeats; a storage that comes up
// has all repeat.
const searchAgain = 5 * time.Second

// search asks the candidates' storages whether they have the bucket. One that has it is its
// primary; while one can't be asked, the bucket is not made anywhere else.
func (f *finder) search(ctx context.Context, in *plan.Inputs, decl *catalog.Bucket, rules []catalog.PrefixRule, candidates []string) {
	asked := f.askAll(ctx, decl.Name, candidates)
	choice, why := "", noneTakes
	switch {
	case len(asked.holders) > 0:
		if choice = in.FirstChoice(decl, rules, asked.holders); choice == "" {
			choice = asked.holders[0] // it drains, say; it moves from there
		}
	case len(asked.silent) > 0:
		why = canNotBeAsked(asked.silent)
	default:
		choice = in.FirstChoice(decl, rules, asked.answered)
	}
	if len(asked.holders) > 1 && choice != "" {
		f.log.Warn("several clusters have a bucket that names no primary; one was chosen, and what differs elsewhere is a conflict: name the primary if it is to be another one",
			zap.String("bucket", decl.Name), zap.String("primary", choice), zap.Strings("clusters", asked.holders))
	}
	f.end(decl.Name, choice)
	if choice == "" {
		if ctx.Err() == nil {
			f.stuck(decl.Name, why, control.ReasonFound)
			f.agenda.later(decl.Name, delay.Jitter(searchAgain))
		}
		return
	}
	f.agenda.touch(decl.Name)
}

// answers are what storages said of a bucket.
type answers struct {
	answered, holders []string // those that answered, and those of them that have it
	silent            []string // those that could not be asked
}

// askAll asks all candidates at once, within a bound of time. One that is known to be down is
// not waited for.
func (f *finder) askAll(ctx context.Context, bucket string, candidates []string) (a answers) {
	ctx, cancel := context.WithTimeout(ctx, f.tune.LookTimeout)
	defer cancel()
	var mu sync.Mutex
	var g errgroup.Group
	for _, c := range candidates {
		g.Go(func() error {
			has, err := f.ask(ctx, c, bucket)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				a.silent = append(a.silent, c)
				return nil
			case has:
				a.holders = append(a.holders, c)
			}
			a.answered = append(a.answered, c)
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	slices.Sort(a.answered)
	slices.Sort(a.holders)
	slices.Sort(a.silent)
	return a
}

// ask asks a cluster's storage whether it has a bucket.
func (f *finder) ask(ctx context.Context, cluster, bucket string) (bool, error) {
	s := f.awaitSite(ctx, cluster)
	if s == nil {
		return false, site.ErrDown
	}
	return s.Reader().BucketExists(ctx, bucket)
}

// siteEvery is the time between checks whether a storage is up.
const siteEvery = 20 * time.Millisecond

// awaitSite waits until it is known how a cluster's storage is; nil if it is down, or that
// takes too long.
func (f *finder) awaitSite(ctx context.Context, cluster string) *site.Site {
	for {
		s := f.sites.Get(cluster)
		if s == nil {
			return nil
		}
		if s.Up() {
			return s
		}
		if down, _ := s.Down(); down || !delay.Sleep(ctx, siteEvery) {
			return nil
		}
	}
}
