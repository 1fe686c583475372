package replication

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

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
	room   chan struct{} // bounds how many buckets are looked for at a time
	wg     sync.WaitGroup

	mu        sync.Mutex
	searching map[string]struct{} // buckets whose primary is being looked for
	found     map[string]string   // the primaries found
}

// findersAtATime bounds concurrent searches.
const findersAtATime = 16

func newFinder(c core, a *agenda) *finder {
	return &finder{
		core: c, agenda: a, room: make(chan struct{}, findersAtATime),
		searching: make(map[string]struct{}), found: make(map[string]string),
	}
}

// wait returns when no search is under way.
func (f *finder) wait() { f.wg.Wait() }

// find returns where a bucket that has no primary yet is to be written: where it is
// declared; else where its physical bucket exists; else where placement puts it. Looking
// at storages continues in the background: until it ends the answer is "".
func (f *finder) find(ctx context.Context, in *plan.Inputs, decl *catalog.Bucket, snap *routing.Snapshot) string {
	rules := snap.Rules(decl.Name)
	if decl.Primary != "" {
		if in.Allows(rules, decl.Primary) {
			return decl.Primary
		}
		f.stuck(decl.Name, fmt.Sprintf("the declared primary %s is not allowed by every policy of the bucket, or has no storage", decl.Primary))
		return ""
	}
	if c, ok := f.take(decl.Name); ok && in.Allows(rules, c) {
		return c
	}
	candidates := in.Candidates(rules)
	if len(candidates) == 0 {
		f.stuck(decl.Name, "no cluster with a storage is allowed by every policy of the bucket")
		return ""
	}
	if f.begin(decl.Name) {
		f.wg.Go(func() { f.search(ctx, in, decl, rules, candidates) })
	}
	return ""
}

func (f *finder) stuck(bucket, why string) {
	f.ctl.Issues.Set(bucket, control.Source{Finder: control.FinderPlanner}, control.Issue{Reason: why})
}

// take returns what a search found, once.
func (f *finder) take(bucket string) (cluster string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cluster, ok = f.found[bucket]
	delete(f.found, bucket)
	return cluster, ok
}

// begin reports whether a search is to begin: none is under way.
func (f *finder) begin(bucket string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.searching[bucket]
	f.searching[bucket] = struct{}{}
	return !ok
}

func (f *finder) end(bucket, choice string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.searching, bucket)
	if choice != "" {
		f.found[bucket] = choice
	}
}

// searchAgain is the time before the search for a bucket that no cluster can take repeats.
const searchAgain = 5 * time.Second

// search asks the candidates' storages whether they have the bucket.
func (f *finder) search(ctx context.Context, in *plan.Inputs, decl *catalog.Bucket, rules []catalog.PrefixRule, candidates []string) {
	select {
	case f.room <- struct{}{}:
		defer func() { <-f.room }()
	case <-ctx.Done():
		return
	}
	answered, holders := f.askAll(ctx, decl.Name, candidates)
	choice := ""
	switch {
	case len(holders) > 0:
		choice = in.FirstChoice(decl, rules, holders)
	case len(answered) > 0:
		choice = in.FirstChoice(decl, rules, answered)
	}
	if choice == "" {
		choice = in.FirstChoice(decl, rules, nil)
	}
	if choice == "" && len(holders) > 0 {
		choice = holders[0] // it drains, say; it moves from there
	}
	f.end(decl.Name, choice)
	if choice == "" {
		f.stuck(decl.Name, "no cluster can take the bucket now")
		f.agenda.later(decl.Name, searchAgain)
		return
	}
	f.agenda.touch(decl.Name)
}

// askAll asks all candidates at once, within a bound of time. It returns those that
// answered, and those of them that have the bucket.
func (f *finder) askAll(ctx context.Context, bucket string, candidates []string) (answered, holders []string) {
	ctx, cancel := context.WithTimeout(ctx, f.tune.LookTimeout)
	defer cancel()
	var mu sync.Mutex
	var g errgroup.Group
	for _, c := range candidates {
		g.Go(func() error {
			s := f.awaitSite(ctx, c)
			if s == nil {
				return nil
			}
			has, err := s.Reader().BucketExists(ctx, bucket)
			if err != nil {
				return nil // one that does not answer says nothing
			}
			mu.Lock()
			defer mu.Unlock()
			answered = append(answered, c)
			if has {
				holders = append(holders, c)
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	slices.Sort(answered)
	slices.Sort(holders)
	return answered, holders
}

// siteEvery is the time between checks whether a storage is up.
const siteEvery = 20 * time.Millisecond

// awaitSite waits until a cluster's storage is up; nil if that takes too long.
func (f *finder) awaitSite(ctx context.Context, cluster string) *site.Site {
	for {
		s := f.sites.Get(cluster)
		if s == nil {
			return nil
		}
		if s.Up() {
			return s
		}
		if !delay.Sleep(ctx, siteEvery) {
			return nil
		}
	}
}
