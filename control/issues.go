package control

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// issues holds why buckets can't get where they should be, per bucket and by who
// found it out. It lives in memory: what is still wrong is found again.
type issues struct {
	mu       sync.Mutex
	byBucket map[string]map[string]string
	// elsewhere is what other instances found out.
	elsewhere map[string][]string
}

// Issues returns what was found out here, about so many buckets at most.
func (c *Control) Issues(most int) map[string][]string {
	c.issues.mu.Lock()
	defer c.issues.mu.Unlock()
	all := make(map[string][]string)
	for b := range c.issues.byBucket {
		if len(all) == most {
			break
		}
		all[b] = c.issues.found(b)
	}
	return all
}

// SetIssuesElsewhere notes what other instances found out about the buckets they look
// after, in place of what it was told before.
func (c *Control) SetIssuesElsewhere(all map[string][]string) {
	c.issues.mu.Lock()
	defer c.issues.mu.Unlock()
	c.issues.elsewhere = all
}

// SetIssue notes why a bucket is stuck, or with reason "" that what source found is
// over. Source separates finders, such as "planner" or "scan c2".
func (c *Control) SetIssue(bucket, source, reason string) {
	if c.issues.set(bucket, source, reason) && reason != "" {
		c.bus.Emit(Event{Type: EventBucketStuck, Bucket: bucket, Reason: reason})
	}
}

// KeepIssues forgets what the sources that keep does not name found out about a bucket.
func (c *Control) KeepIssues(bucket string, keep func(source string) bool) {
	c.issues.mu.Lock()
	defer c.issues.mu.Unlock()
	found := c.issues.byBucket[bucket]
	maps.DeleteFunc(found, func(source, _ string) bool { return !keep(source) })
	if len(found) == 0 {
		delete(c.issues.byBucket, bucket)
	}
}

// set says whether anything changed.
func (i *issues) set(bucket, source, reason string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.byBucket[bucket][source] == reason {
		return false
	}
	if reason == "" {
		delete(i.byBucket[bucket], source)
		if len(i.byBucket[bucket]) == 0 {
			delete(i.byBucket, bucket)
		}
		return true
	}
	if i.byBucket == nil {
		i.byBucket = make(map[string]map[string]string)
	}
	if i.byBucket[bucket] == nil {
		i.byBucket[bucket] = make(map[string]string)
	}
	i.byBucket[bucket][source] = reason
	return true
}

// ForgetIssues forgets what was found out about the buckets that f selects: another
// instance looks after them from now on.
func (c *Control) ForgetIssues(f func(bucket string) bool) {
	c.issues.mu.Lock()
	defer c.issues.mu.Unlock()
	maps.DeleteFunc(c.issues.byBucket, func(b string, _ map[string]string) bool { return f(b) })
}

func (i *issues) forget(bucket string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.byBucket, bucket)
}

// of returns the reasons a bucket is stuck for, sorted by source.
func (i *issues) of(bucket string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append(i.found(bucket), i.elsewhere[bucket]...)
}

// found is of for what was found out here. The caller holds mu.
func (i *issues) found(bucket string) []string {
	found := i.byBucket[bucket]
	reasons := make([]string, 0, len(found))
	for _, source := range slices.Sorted(maps.Keys(found)) {
		reasons = append(reasons, found[source])
	}
	return reasons
}

// StuckBuckets returns how many buckets are stuck or in conflict, by what finders noted
// and by what is pending, and one of them with its reason. Storages that are down are
// not among the reasons. With the store gone it tells what memory knows.
func (c *Control) StuckBuckets(ctx context.Context) (n int, bucket, reason string) {
	why := make(map[string]string)
	logs, err := c.Store().Backlogs(ctx, "")
	if err == nil {
		for _, l := range logs {
			if r := append(stuckBy(l), conflictsOf(l.Conflicts)...); len(r) > 0 && why[l.Bucket] == "" {
				why[l.Bucket] = r[0]
			}
		}
	}
	c.issues.mu.Lock()
	for b := range c.issues.byBucket {
		why[b] = ""
	}
	for b := range c.issues.elsewhere {
		why[b] = ""
	}
	c.issues.mu.Unlock()
	if len(why) == 0 {
		return 0, "", ""
	}
	bucket = slices.Min(slices.Collect(maps.Keys(why)))
	if rs := c.issues.of(bucket); len(rs) > 0 {
		return len(why), bucket, rs[0]
	}
	return len(why), bucket, why[bucket]
}
