package control

import (
	"context"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/state"
)

// forwarding has the methods that Control had before it was made of roles. It goes when
// their callers use the roles.
type forwarding struct{ c *Control }

// List is Resources.List.
func (f forwarding) List(ctx context.Context, k catalog.Kind, after string, limit int) ([]Item, error) {
	return f.c.Resources.List(ctx, k, after, limit)
}

// Get is Resources.Get.
func (f forwarding) Get(ctx context.Context, k catalog.Kind, name string) (Item, error) {
	return f.c.Resources.Get(ctx, k, name)
}

// Create is Resources.Create.
func (f forwarding) Create(ctx context.Context, r catalog.Resource) (Item, error) {
	return f.c.Resources.Create(ctx, r)
}

// Replace is Resources.Replace.
func (f forwarding) Replace(ctx context.Context, r catalog.Resource, pre Precondition, complete func(r, now catalog.Resource) error) (Item, bool, error) {
	return f.c.Resources.Replace(ctx, r, pre, complete)
}

// Modify is Resources.Modify.
func (f forwarding) Modify(ctx context.Context, k catalog.Kind, name string, pre Precondition, g func(now catalog.Resource) (catalog.Resource, error)) (Item, error) {
	return f.c.Resources.Modify(ctx, k, name, pre, g)
}

// Delete is Resources.Delete.
func (f forwarding) Delete(ctx context.Context, k catalog.Kind, name string, pre Precondition) error {
	return f.c.Resources.Delete(ctx, k, name, pre)
}

// UpdateCopies is Copies.Update.
func (f forwarding) UpdateCopies(ctx context.Context, bucket string, g func(now []state.Copy) ([]state.Copy, error)) error {
	return f.c.Copies.Update(ctx, bucket, g)
}

// SaveProgress is Copies.SaveProgress.
func (f forwarding) SaveProgress(ctx context.Context, copies ...state.Copy) error {
	return f.c.Copies.SaveProgress(ctx, copies...)
}

// AddPending is Pending.Add.
func (f forwarding) AddPending(ctx context.Context, rows ...state.Pending) error {
	return f.c.Pending.Add(ctx, rows...)
}

// NotePending is Pending.Note.
func (f forwarding) NotePending(ctx context.Context, rows []state.Pending, begun func() bool) ([]int64, error) {
	return f.c.Pending.Note(ctx, rows, begun)
}

// FinishPending is Pending.Finish.
func (f forwarding) FinishPending(ctx context.Context, rows ...state.PendingKey) error {
	return f.c.Pending.Finish(ctx, rows...)
}

// AddPendingEverywhere is Pending.AddEverywhere.
func (f forwarding) AddPendingEverywhere(ctx context.Context, rows ...state.Pending) error {
	return f.c.Pending.AddEverywhere(ctx, rows...)
}

// ClaimPendingIn is Pending.ClaimIn.
func (f forwarding) ClaimPendingIn(ctx context.Context, cluster string, most int, lease time.Duration) ([]state.Pending, error) {
	return f.c.Pending.ClaimIn(ctx, cluster, most, lease)
}

// FailPending is Pending.Fail.
func (f forwarding) FailPending(ctx context.Context, rows ...state.Pending) error {
	return f.c.Pending.Fail(ctx, rows...)
}

// PendingAdded is Pending.Added.
func (f forwarding) PendingAdded() <-chan struct{} { return f.c.Pending.Added() }

// WakeWorkers is Pending.Wake.
func (f forwarding) WakeWorkers() { f.c.Pending.Wake() }

// PutPulled is Pulled.Put.
func (f forwarding) PutPulled(ctx context.Context, rows ...state.Pulled) error {
	return f.c.Pulled.Put(ctx, rows...)
}

// DeletePulled is Pulled.Delete.
func (f forwarding) DeletePulled(ctx context.Context, rows ...state.PulledKey) error {
	return f.c.Pulled.Delete(ctx, rows...)
}

// HidePulled is Pulled.Hide.
func (f forwarding) HidePulled(bucket, key, cluster string) { f.c.Pulled.Hide(bucket, key, cluster) }

// FollowPulled is Pulled.Follow.
func (f forwarding) FollowPulled(ctx context.Context, changes ...state.ObjectChange) error {
	return f.c.Pulled.Follow(ctx, changes...)
}

// Shared is Members.Shared.
func (f forwarding) Shared() bool { return f.c.Members.Shared() }

// Claimant is Members.Claimant.
func (f forwarding) Claimant() string { return f.c.Members.Claimant() }

// MayWrite is Members.MayWrite.
func (f forwarding) MayWrite() error { return f.c.Members.MayWrite() }

// LeaseLost is Members.LeaseLost.
func (f forwarding) LeaseLost() <-chan struct{} { return f.c.Members.LeaseLost() }

// LeaseUntil is Members.LeaseUntil.
func (f forwarding) LeaseUntil() time.Time { return f.c.Members.LeaseUntil() }

// CatchUp is Members.CatchUp.
func (f forwarding) CatchUp(ctx context.Context) error { return f.c.Members.CatchUp(ctx) }

// Confirm is Members.Confirm.
func (f forwarding) Confirm(ctx context.Context) error { return f.c.Members.Confirm(ctx) }

// BucketStatus is Status.Bucket.
func (f forwarding) BucketStatus(ctx context.Context, bucket string) (BucketStatus, error) {
	return f.c.Status.Bucket(ctx, bucket)
}

// BucketStatuses is Status.Buckets.
func (f forwarding) BucketStatuses(ctx context.Context, buckets ...string) (map[string]BucketStatus, error) {
	return f.c.Status.Buckets(ctx, buckets...)
}

// Placement is Status.Placement.
func (f forwarding) Placement(ctx context.Context, bucket, prefix string) (catalog.PrefixRule, placement.Result, error) {
	return f.c.Status.Placement(ctx, bucket, prefix)
}

// StuckBuckets is Status.Stuck.
func (f forwarding) StuckBuckets(ctx context.Context) (n int, bucket, reason string) {
	return f.c.Status.Stuck(ctx)
}

// StoreTrouble is Status.StoreTrouble.
func (f forwarding) StoreTrouble() error { return f.c.Status.StoreTrouble() }

// SnapshotAge is Status.SnapshotAge.
func (f forwarding) SnapshotAge() time.Duration { return f.c.Status.SnapshotAge() }

// ExplainLosses is Status.ExplainLosses.
func (f forwarding) ExplainLosses(g func(bucket, primary, cluster string) []string) {
	f.c.Status.ExplainLosses(g)
}

// SetUsedBytes is Usage.Set.
func (f forwarding) SetUsedBytes(cluster string, bytes int64) { f.c.Usage.Set(cluster, bytes) }

// UsedBytes is Usage.All.
func (f forwarding) UsedBytes() map[string]int64 { return f.c.Usage.All() }

// OnChange is Hooks.BeforeAnswer.
func (f forwarding) OnChange(g func(ctx context.Context)) { f.c.Hooks.BeforeAnswer(g) }

// OnCopies is Hooks.OnCopies.
func (f forwarding) OnCopies(g func(bucket string)) { f.c.Hooks.OnCopies(g) }

// SetIssue is Issues.Set for a source of one string: a finder, and a cluster and prefix
// behind it.
func (f forwarding) SetIssue(bucket, source, reason string) {
	issue := Issue{Reason: reason}
	if source == string(FinderPlanner) && reason != "" {
		issue.Short = strings.Split(reason, "; ")
	}
	f.c.Issues.Set(bucket, sourceOf(source), issue)
}

// KeepIssues is Issues.Keep.
func (f forwarding) KeepIssues(bucket string, keep func(source string) bool) {
	f.c.Issues.Keep(bucket, func(s Source) bool { return keep(s.text()) })
}

// ForgetIssues is Issues.Forget.
func (f forwarding) ForgetIssues(g func(bucket string) bool) { f.c.Issues.Forget(g) }

// text is what sourceOf reads.
func (s Source) text() string {
	switch s.Finder {
	case FinderPlanner, FinderSource, FinderVerify:
		return string(s.Finder)
	}
	return string(s.Finder) + " " + s.Cluster + " " + s.Prefix
}

func sourceOf(text string) Source {
	for _, f := range []Finder{FinderSync, FinderScan, FinderEvict, FinderMove, FinderCarry, FinderConverge} {
		if rest, ok := strings.CutPrefix(text, string(f)+" "); ok {
			cluster, prefix, _ := strings.Cut(rest, " ")
			return Source{Finder: f, Cluster: cluster, Prefix: prefix}
		}
	}
	return Source{Finder: Finder(text)}
}
