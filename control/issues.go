package control

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Finder is what finds out why buckets can't get where they should be.
type Finder string

// The finders. Those of jobs may find something per cluster and prefix.
const (
	FinderPlanner  Finder = "planner"
	FinderPath     Finder = "path"   // of bytes, through instances
	FinderSource   Finder = "source" // of objects: the primary, or what stands in for it
	FinderVerify   Finder = "verify"
	FinderSync     Finder = "sync"
	FinderScan     Finder = "scan"
	FinderEvict    Finder = "evict"
	FinderMove     Finder = "move"
	FinderCarry    Finder = "carry over"
	FinderConverge Finder = "convergence"
)

// Source tells findings about a bucket apart: each has at most one.
type Source struct {
	Finder          Finder
	Cluster, Prefix string // of the copy, for finders that look at copies
}

// Issue is why a bucket can't get where it should be.
type Issue struct {
	Reason string // a sentence; "": nothing
	// Code says what it is about where a program can help, and Cluster where that is; both may be "".
	Code    ReasonCode
	Cluster string
	// Since when it is so; where the finder does not know, the keeper of issues dates what it is told first.
	Since time.Time
	// Short are the shortfalls of rules (placement's Short) that Reason tells of.
	Short []string
}

// Issues keeps why buckets can't get where they should be, per bucket and by who found it
// out. It lives in memory: what is still wrong is found again.
type Issues struct {
	bus *Bus
	now func() time.Time

	mu       sync.Mutex
	byBucket map[string]map[Source]Issue
	// elsewhere is what other instances found out.
	elsewhere map[string][]Issue
}

func newIssues(bus *Bus, now func() time.Time) *Issues {
	return &Issues{bus: bus, now: now, byBucket: make(map[string]map[Source]Issue)}
}

// Set notes why a bucket is stuck, or with an Issue without Reason that what the source
// found is over.
func (s *Issues) Set(bucket string, source Source, issue Issue) {
	if s.set(bucket, source, issue) && issue.Reason != "" {
		s.bus.Emit(Event{Type: EventBucketStuck, Bucket: bucket, Reason: issue.Reason})
	}
}

// set says whether anything changed.
func (s *Issues) set(bucket string, source Source, issue Issue) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.byBucket[bucket][source]
	if before.Reason == issue.Reason {
		return false
	}
	issue.Since = cmp.Or(issue.Since, before.Since, s.now())
	if issue.Reason == "" {
		s.remove(bucket, func(found Source) bool { return found == source })
		return true
	}
	if s.byBucket[bucket] == nil {
		s.byBucket[bucket] = make(map[Source]Issue)
	}
	s.byBucket[bucket][source] = issue
	return true
}

// Keep forgets what sources found out about a bucket that f does not keep.
func (s *Issues) Keep(bucket string, f func(Source) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(bucket, func(found Source) bool { return !f(found) })
}

// remove forgets what some sources found. The caller holds mu.
func (s *Issues) remove(bucket string, which func(Source) bool) {
	found := s.byBucket[bucket]
	maps.DeleteFunc(found, func(source Source, _ Issue) bool { return which(source) })
	if len(found) == 0 {
		delete(s.byBucket, bucket)
	}
}

// Forget forgets what was found out about the buckets that f selects: another instance
// looks after them from now on.
func (s *Issues) Forget(f func(bucket string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.byBucket, func(b string, _ map[Source]Issue) bool { return f(b) })
}

func (s *Issues) forget(bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byBucket, bucket)
}

// List returns what was found out here, about so many buckets at most.
func (s *Issues) List(most int) map[string][]Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string][]Issue)
	for b := range s.byBucket {
		if len(all) == most {
			break
		}
		all[b] = s.found(b)
	}
	return all
}

// SetElsewhere notes what other instances found out about the buckets they look after, in
// place of what it was told before.
func (s *Issues) SetElsewhere(all map[string][]Issue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elsewhere = all
}

// of returns why a bucket is stuck: what was found here, sorted by source, and elsewhere.
func (s *Issues) of(bucket string) []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(s.found(bucket), s.elsewhere[bucket]...)
}

// found is of for what was found out here. The caller holds mu.
func (s *Issues) found(bucket string) []Issue {
	found := s.byBucket[bucket]
	issues := make([]Issue, 0, len(found))
	for _, source := range slices.SortedFunc(maps.Keys(found), compareSources) {
		issues = append(issues, found[source])
	}
	return issues
}

func compareSources(a, b Source) int {
	return cmp.Or(cmp.Compare(a.Finder, b.Finder), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Prefix, b.Prefix))
}

// buckets lists those about which something was found out, here or elsewhere.
func (s *Issues) buckets() map[string]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]struct{}, len(s.byBucket)+len(s.elsewhere))
	for b := range s.byBucket {
		all[b] = struct{}{}
	}
	for b := range s.elsewhere {
		all[b] = struct{}{}
	}
	return all
}
