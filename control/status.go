package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// BucketStatus is the read-only status of a bucket.
type BucketStatus struct {
	State     string // ok, syncing, stuck, conflict
	Reason    string
	Primary   string
	Copies    []CopyStatus
	Conflicts int64
}

// CopyStatus is one cluster's part of a BucketStatus, over all of the bucket's rules.
type CopyStatus struct {
	Cluster    string
	Zone       string
	Role       string // primary, copy
	State      string
	Objects    int64
	Bytes      int64
	Cursor     string
	Pending    PendingStatus
	VerifiedAt *time.Time
	Error      string
	// Losses are what this copy can't keep of the primary's objects, in sentences such as
	// "tags are not kept in c3".
	Losses []string
}

// PendingStatus sums the objects of a copy that differ now.
type PendingStatus struct {
	Objects int64
	Bytes   int64
	Oldest  *time.Time
}

// The states of a bucket, from bad to good.
const (
	BucketStuck    = "stuck"    // can't get where it should be without help, or not now
	BucketConflict = "conflict" // objects that are not FaDO's stand in the way
	BucketSyncing  = "syncing"  // on its way
	BucketOK       = "ok"
)

// BucketStatus tells where a bucket is, and why it is not where it should be;
// ErrNotFound for an unknown bucket.
func (c *Control) BucketStatus(ctx context.Context, bucket string) (BucketStatus, error) {
	snap := c.router.Snapshot()
	rules := snap.Rules(bucket)
	if rules == nil {
		return BucketStatus{}, fmt.Errorf("bucket %s: %w", bucket, ErrNotFound)
	}
	rows, err := c.Store().CopiesOf(ctx, bucket)
	if err != nil {
		return BucketStatus{}, err
	}
	logs, err := c.Store().Backlogs(ctx, bucket)
	if err != nil {
		return BucketStatus{}, err
	}
	return c.statusBy(snap, bucket, rules, rows, logs), nil
}

// statusBy tells a bucket's status from what was read of it.
func (c *Control) statusBy(snap *routing.Snapshot, bucket string, rules []catalog.PrefixRule, rows []state.Copy, logs []state.Backlog) BucketStatus {
	st := BucketStatus{Primary: snap.Primary(bucket), Copies: copyStatuses(snap, rows, logs)}
	for _, l := range logs {
		st.Conflicts += l.Conflicts
	}
	stuck := c.issues.of(bucket)
	for _, r := range rules {
		short := c.solve(snap, bucket, r, rows).Short
		said := func(why string) bool { return strings.Contains(why, short) } // the planner's issue may be about this too
		if short != "" && !slices.ContainsFunc(stuck, said) {
			stuck = append(stuck, short)
		}
	}
	c.explainLosses(bucket, st)
	st.State, st.Reason = judge(snap, st, stuck, logs)
	return st
}

// copyStatuses sums a bucket's copies per cluster, the primary first, then by name.
func copyStatuses(snap *routing.Snapshot, rows []state.Copy, logs []state.Backlog) []CopyStatus {
	sts := []CopyStatus{}
	for _, r := range rows {
		i := slices.IndexFunc(sts, func(s CopyStatus) bool { return s.Cluster == r.Cluster })
		if i < 0 {
			sts = append(sts, newCopyStatus(snap, r))
		} else {
			sts[i].add(r)
		}
	}
	for _, l := range logs {
		if i := slices.IndexFunc(sts, func(s CopyStatus) bool { return s.Cluster == l.Cluster }); i >= 0 {
			sts[i].Pending = PendingStatus{Objects: l.Objects, Bytes: l.Bytes, Oldest: timeOrNil(l.Oldest)}
			if sts[i].Error == "" {
				sts[i].Error = l.LastError
			}
		}
	}
	slices.SortFunc(sts, func(a, b CopyStatus) int {
		return cmp.Or(-strings.Compare(a.Role, b.Role), strings.Compare(a.Cluster, b.Cluster))
	})
	return sts
}

func newCopyStatus(snap *routing.Snapshot, r state.Copy) CopyStatus {
	s := CopyStatus{
		Cluster: r.Cluster, Role: "copy", State: r.State.String(), Objects: r.Objects, Bytes: r.Bytes,
		VerifiedAt: timeOrNil(r.VerifiedAt), Error: r.Error,
		Losses: []string{},
	}
	if cl := snap.Cluster(r.Cluster); cl != nil && len(cl.Zones) > 0 {
		s.Zone = cl.Zones[0]
	}
	if r.Primary {
		s.Role = "primary"
	}
	if r.State == catalog.CopySyncing {
		s.Cursor = r.Cursor
	}
	return s
}

// stateRank orders copy states from what needs most attention to what needs none.
var stateRank = []string{"failed", "waiting", "syncing", "removing", "draining", "synced"}

// add takes the copy of another rule in the same cluster in: what is furthest from
// done is shown.
func (s *CopyStatus) add(r state.Copy) {
	if slices.Index(stateRank, r.State.String()) < slices.Index(stateRank, s.State) {
		s.State = r.State.String()
	}
	if r.Primary {
		s.Role = "primary"
	}
	if r.State == catalog.CopySyncing {
		s.Cursor = r.Cursor
	}
	s.Objects, s.Bytes = s.Objects+r.Objects, s.Bytes+r.Bytes
	if s.VerifiedAt == nil || r.VerifiedAt.Before(*s.VerifiedAt) {
		s.VerifiedAt = timeOrNil(r.VerifiedAt)
	}
	if s.Error == "" {
		s.Error = r.Error
	}
}

// judge sums a bucket up in one state and the reason for it.
func judge(snap *routing.Snapshot, st BucketStatus, stuck []string, logs []state.Backlog) (string, string) {
	for _, l := range logs {
		stuck = append(stuck, stuckBy(l)...)
	}
	for _, cp := range st.Copies {
		live := snap.ClusterState(cp.Cluster)
		switch {
		case cp.State == "failed":
			stuck = append(stuck, "copy in "+cp.Cluster+": "+cp.Error)
		case live != nil && live.Storage() == routing.StorageDown:
			stuck = append(stuck, "the storage of "+cp.Cluster+" is down")
		}
	}
	if len(stuck) > 0 {
		return BucketStuck, strings.Join(stuck, "; ")
	}
	if why := conflictsOf(st.Conflicts); len(why) > 0 {
		return BucketConflict, why[0]
	}
	if st.Primary == "" {
		return BucketSyncing, "the primary is yet to be chosen"
	}
	for _, cp := range st.Copies {
		if cp.State != "synced" {
			return BucketSyncing, "copy in " + cp.Cluster + " is " + cp.State
		}
		if cp.Pending.Objects > 0 {
			return BucketSyncing, fmt.Sprintf("%s on %s way to %s", Count(cp.Pending.Objects, "object"), its(cp.Pending.Objects), cp.Cluster)
		}
	}
	return BucketOK, ""
}

// stuckBy says what of a copy's pending objects does not get done by itself, or not now.
func stuckBy(l state.Backlog) (why []string) {
	if l.HeldDeletes > 0 {
		why = append(why, fmt.Sprintf("%s held in %s: more than max_deletes", countAre(l.HeldDeletes, "delete"), l.Cluster))
	}
	if l.Failing > 0 {
		why = append(why, fmt.Sprintf("%s can't be brought to %s yet: %s", Count(l.Failing, "object"), l.Cluster, l.LastError))
	}
	return why
}

func conflictsOf(n int64) []string {
	if n == 0 {
		return nil
	}
	if n == 1 {
		return []string{"1 object on a copy is not FaDO's and stands in the way"}
	}
	return []string{fmt.Sprintf("%d objects on copies are not FaDO's and stand in the way", n)}
}

// Placement solves one rule of a bucket as the planner would now: the rule that
// covers the prefix. ErrNotFound for an unknown bucket.
func (c *Control) Placement(ctx context.Context, bucket, prefix string) (catalog.PrefixRule, placement.Result, error) {
	snap := c.router.Snapshot()
	rule, ok := snap.RuleOf(bucket, prefix)
	if !ok {
		return rule, placement.Result{}, fmt.Errorf("bucket %s: %w", bucket, ErrNotFound)
	}
	rows, err := c.Store().CopiesOf(ctx, bucket)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return rule, placement.Result{}, err
	}
	return rule, c.solve(snap, bucket, rule, rows), nil
}

// solve places one rule by the copies given.
func (c *Control) solve(snap *routing.Snapshot, bucket string, rule catalog.PrefixRule, rows []state.Copy) placement.Result {
	var current []string
	for _, r := range rows {
		if r.Prefix == rule.Prefix && r.State <= catalog.CopySynced {
			current = append(current, r.Cluster)
		}
	}
	b := snap.Bucket(bucket)
	p, known := placement.NewSolver(snap, c.UsedBytes()).Place(&placement.RuleInput{
		Bucket: bucket, Prefix: rule.Prefix, Policy: rule.Policy,
		Primary: snap.Primary(bucket), PrimaryDeclared: b != nil && b.Primary != "", Current: current,
	})
	if !known {
		p.Short = "policy " + rule.Policy + " does not exist"
	}
	return p
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Count is a number with its noun, as people write it: "1 object", "2 objects".
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func countAre(n int64, noun string) string {
	if n == 1 {
		return Count(n, noun) + " is"
	}
	return Count(n, noun) + " are"
}

func its(n int64) string {
	if n == 1 {
		return "its"
	}
	return "their"
}

// ExplainLosses sets what says, in sentences, what a bucket's copy in a cluster can't keep
// of its primary's objects.
func (c *Control) ExplainLosses(f func(bucket, primary, cluster string) []string) { c.losses.Store(&f) }

// explainLosses fills the copies' losses in.
func (c *Control) explainLosses(bucket string, st BucketStatus) {
	f := c.losses.Load()
	if f == nil {
		return
	}
	for i := range st.Copies {
		if st.Copies[i].Role == "copy" {
			st.Copies[i].Losses = (*f)(bucket, st.Primary, st.Copies[i].Cluster)
		}
	}
}
