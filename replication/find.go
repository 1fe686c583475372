package replication

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// findPrimary says where a bucket that has no primary yet is to be written: where it is
// declared; else where its physical bucket exists; else where placement puts it. Looking
// at storages goes on in the background: until it is over the answer is "".
func (p *planner) findPrimary(ctx context.Context, t *tables, decl *catalog.Bucket, snap *routing.Snapshot) string {
	a := &arranger{tables: t, decl: decl, rules: snap.Rules(decl.Name)}
	if decl.Primary != "" {
		if a.allowedByAll(decl.Primary) && a.hasStorage(decl.Primary) {
			return decl.Primary
		}
		p.ctl.SetIssue(decl.Name, "planner", "the declared primary "+decl.Primary+" is not allowed by every policy of the bucket, or has no storage")
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.found[decl.Name]; ok {
		delete(p.found, decl.Name)
		if a.allowedByAll(c) && a.hasStorage(c) {
			return c
		}
	}
	if _, ok := p.searching[decl.Name]; ok {
		return ""
	}
	candidates := a.possible()
	if len(candidates) == 0 {
		p.ctl.SetIssue(decl.Name, "planner", "no cluster with a storage is allowed by every policy of the bucket")
		return ""
	}
	p.searching[decl.Name] = struct{}{}
	p.looking.Add(1)
	go func() {
		defer p.looking.Done()
		p.look(ctx, t, decl, snap, candidates)
	}()
	return ""
}

// possible lists the clusters a bucket may be written in.
func (a *arranger) possible() []string {
	var names []string
	for _, n := range sortedNames(a.clusters) {
		if a.hasStorage(n) && a.allowedByAll(n) {
			names = append(names, n)
		}
	}
	return names
}

// lookers bounds how many buckets are looked for at a time.
var lookers = make(chan struct{}, 16)

// look asks the candidates' storages whether they have the bucket.
func (p *planner) look(ctx context.Context, t *tables, decl *catalog.Bucket, snap *routing.Snapshot, candidates []string) {
	select {
	case lookers <- struct{}{}:
		defer func() { <-lookers }()
	case <-ctx.Done():
		return
	}
	answered, holders := p.askAll(ctx, decl.Name, candidates)
	choice := ""
	switch {
	case len(holders) > 0:
		choice = t.firstChoice(decl, snap, holders)
	case len(answered) > 0:
		choice = t.firstChoice(decl, snap, answered)
	}
	if choice == "" {
		choice = t.firstChoice(decl, snap, nil)
	}
	if choice == "" && len(holders) > 0 {
		choice = holders[0] // it drains, say; it moves from there
	}
	p.mu.Lock()
	delete(p.searching, decl.Name)
	if choice != "" {
		p.found[decl.Name] = choice
	}
	p.mu.Unlock()
	if choice == "" {
		p.ctl.SetIssue(decl.Name, "planner", "no cluster can take the bucket now")
		p.later(decl.Name, 5*time.Second)
		return
	}
	p.touch(decl.Name)
}

// askAll asks all candidates at once, within a bound of time. It returns those that
// answered, and those of them that have the bucket.
func (p *planner) askAll(ctx context.Context, bucket string, candidates []string) (answered, holders []string) {
	ctx, cancel := context.WithTimeout(ctx, p.tune.LookTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range candidates {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s := p.awaitSite(ctx, c)
			if s == nil {
				return
			}
			has, err := s.client.BucketExists(ctx, bucket)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answered = append(answered, c)
			if has {
				holders = append(holders, c)
			}
		}()
	}
	wg.Wait()
	slices.Sort(answered)
	slices.Sort(holders)
	return answered, holders
}

// awaitSite waits until a cluster's storage is up; nil if that takes too long.
func (p *planner) awaitSite(ctx context.Context, cluster string) *site {
	for {
		s := p.sites.get(cluster)
		if s == nil {
			return nil
		}
		if s.up() {
			return s
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return nil
		}
	}
}

// firstChoice places a bucket's primary among some clusters (nil: all).
func (t *tables) firstChoice(decl *catalog.Bucket, snap *routing.Snapshot, among []string) string {
	a := &arranger{tables: t, decl: decl, rules: snap.Rules(decl.Name)}
	if decl.Primary != "" && a.allowedByAll(decl.Primary) && a.hasStorage(decl.Primary) {
		return decl.Primary
	}
	open := make(map[string]*catalog.Cluster)
	for name, c := range t.clusters {
		if a.mayStay(name) && (among == nil || slices.Contains(among, name)) {
			open[name] = c
		}
	}
	if len(open) == 0 || len(a.rules) == 0 {
		return ""
	}
	if chosen := a.solve(a.rules[0], "", open).Chosen; len(chosen) > 0 {
		return chosen[0]
	}
	return ""
}
