package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/asks"
	"github.com/fado-project/fado/replication/internal/moving"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What instances are doing now.
type (
	Status   = moving.Status
	Queue    = moving.Queue
	Rate     = moving.Rate
	Lag      = moving.Lag
	Transfer = moving.Transfer
)

// Failure is one object that could not be brought to where it should be yet, or, without a Key, a
// purge of a bucket that could not be carried out in a cluster yet.
type Failure struct {
	Bucket      string
	Key         string
	Cluster     string
	Error       string
	Cause       state.Cause // of Error
	Attempts    int
	NextAttempt time.Time
	Since       time.Time
}

// StorageStatus is the storage part of a cluster's status.
type StorageStatus struct {
	State string // up, down, unknown
	Error string
	// Capabilities are nil until the storage was asked.
	Capabilities *storage.Capabilities
	UsedBytes    int64
	// Skew is how far its clock is ahead of this instance's, to about a second; nil where it does not tell.
	Skew *time.Duration
	// Full: the storage has no space left. What has to be written there waits, while one
	// object at a time probes it.
	Full      bool
	FullSince time.Time // zero: it is not full
	// Refuses: it is down because it refuses FaDO's credentials.
	Refuses bool
	// Feed says how changes made directly at the storage are noticed: "listening", or
	// "scanning: " and why; and what of it may have been missed.
	Feed string
	// FeedKind is its kind: listener, webhook or scan.
	FeedKind string
	// Gap is a time in which changes may have been missed, nil if there is none.
	Gap *Gap
}

// ListedObject is one object of a bucket at its primary, and the clusters where it is
// current.
type ListedObject struct {
	Key          string
	Size         int64
	LastModified time.Time
	ETag         string
	VersionID    string
	Clusters     []string
}

// ObjectPage is a page of a bucket's objects. Next is where the following one begins, ""
// at the end.
type ObjectPage struct {
	Objects        []ListedObject
	CommonPrefixes []string
	Next           string
}

// Reports is what the engine tells of its work, of storages and of objects. Nothing of it changes
// anything.
type Reports struct{ e *Engine }

// Reports returns the engine's.
func (e *Engine) Reports() *Reports { return &Reports{e} }

// figures are what this instance knows by itself: all of Status but the queue.
func (r *Reports) figures() Status {
	rate, lag := r.e.core.report.Figures.Rate(), r.e.core.report.Figures.Lag()
	st := Status{
		Nodes: []string{r.e.core.ctl.Node()}, Paused: r.e.core.pause.On(), Workers: r.e.core.slots.Size(),
		Transfers:     moving.Transfers(r.e.core.guard.Transfers(), r.e.core.ctl.Node(), r.e.core.now()),
		Rate:          Rate{Objects: rate.Objects, Bytes: rate.Bytes},
		LagMS:         Lag{P50: milliseconds(lag.P50), P99: milliseconds(lag.P99)},
		Verifications: []Verification{},
	}
	if run := r.e.run.Load(); run != nil {
		st.Verifications = append(st.Verifications, run.verifier.List()...)
	}
	return st
}

// Status returns the figures of this instance, or of all that replicate together; the queue is that
// of the whole store.
func (r *Reports) Status(ctx context.Context, all bool) (Status, error) {
	st := r.figures()
	if run := r.e.run.Load(); all && run != nil {
		st.Hear(run.peers.Watch(ctx))
	}
	total, err := r.e.core.ctl.Store().Queue().BacklogTotal(ctx)
	if err != nil {
		return st, err
	}
	st.Queue.Objects, st.Queue.Bytes = total.Objects, total.Bytes
	if total.Objects > 0 {
		st.Queue.Oldest = &total.Oldest
	}
	return st, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Failures lists objects that failed at least once, and purges of this instance that can't go on,
// ordered by bucket, key and cluster, behind one and at most limit (0: all). A purge has no key.
func (r *Reports) Failures(ctx context.Context, after state.PendingKey, limit int) ([]Failure, error) {
	rows, err := r.e.core.ctl.Store().Queue().ListPending(ctx, state.PendingFilter{Failed: true}, after, limit)
	if err != nil {
		return nil, err
	}
	fs := make([]Failure, 0, len(rows))
	for _, row := range rows {
		fs = append(fs, Failure{
			Bucket: row.Bucket, Key: row.Key, Cluster: row.Cluster, Error: row.Error, Cause: row.Cause,
			Attempts: row.Attempts, NextAttempt: row.NextAttempt, Since: row.Since,
		})
	}
	place := func(f Failure) state.PendingKey {
		return state.PendingKey{Bucket: f.Bucket, Key: f.Key, Cluster: f.Cluster}
	}
	for _, p := range r.StuckPurges() {
		if place(p).Compare(after) > 0 {
			fs = append(fs, p)
		}
	}
	slices.SortFunc(fs, func(a, b Failure) int { return place(a).Compare(place(b)) })
	if limit > 0 {
		fs = fs[:min(len(fs), limit)]
	}
	return fs, nil
}

// FailuresTotal counts them.
func (r *Reports) FailuresTotal(ctx context.Context) (int, error) {
	total, err := r.e.core.ctl.Store().Queue().BacklogTotal(ctx)
	return int(total.Failing) + len(r.StuckPurges()), err
}

// StuckPurges returns the purges of this instance that could not be carried out yet, by bucket.
// A Failure of a purge has no Key.
func (r *Reports) StuckPurges() (fs []Failure) {
	if r.e.run.Load() == nil {
		return nil
	}
	for _, p := range r.e.purges.Stuck() {
		fs = append(fs, Failure{
			Bucket: p.Bucket, Cluster: p.Cluster, Error: p.Error, Attempts: p.Attempts, NextAttempt: p.NextAttempt, Since: p.Since,
		})
	}
	return fs
}

// Objects lists a bucket's objects at its primary, and where each is current.
func (r *Reports) Objects(ctx context.Context, bucket, prefix, delimiter, after string, limit int) (ObjectPage, error) {
	page := ObjectPage{Objects: []ListedObject{}, CommonPrefixes: []string{}}
	snap := r.e.core.snap()
	if snap.Bucket(bucket) == nil {
		return page, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	primary := snap.Of(bucket).Primary()
	if primary == "" {
		return page, fmt.Errorf("bucket %s has no primary yet: %w", bucket, storage.ErrUnavailable)
	}
	s, err := r.e.core.sites.Usable(primary)
	if err != nil {
		return page, err
	}
	copies := snap.Of(bucket).Copies()
	seen := asks.Seen(copies)
	objs, prefixes, next, err := s.Reader().Page(ctx, bucket, prefix, delimiter, after, limit)
	if errors.Is(err, storage.ErrNoBucket) && !seen {
		return page, nil // about to be made
	}
	if err != nil {
		return page, err
	}
	for _, o := range objs {
		page.Objects = append(page.Objects, ListedObject{
			Key: o.Key, Size: o.Size, LastModified: o.LastModified.UTC(), ETag: o.ETag, VersionID: o.VersionID,
			Clusters: r.e.core.currentIn(bucket, o.Key),
		})
	}
	page.CommonPrefixes = append(page.CommonPrefixes, prefixes...)
	page.Next = next
	return page, nil
}

// currentIn lists the clusters in which a key is current, the primary first, as routing
// sees it.
func (c *core) currentIn(bucket, key string) []string {
	return c.ctl.Router().CurrentIn([]string{}, bucket, key)
}

// The kinds of feeds.
const (
	FeedListener = "listener"
	FeedWebhook  = "webhook"
	FeedScan     = "scan"
)

// hintedFor is how long after its last event a webhook counts as a feed.
const hintedFor = 24 * time.Hour

// feedOf says how changes at a storage are noticed: a listener's; else, while one sends, a
// webhook's; scans find what neither tells of.
func feedOf(f *site.Feed, now time.Time) (kind, text string) {
	feed, hint := f.Get(), f.LastHint()
	if feed.Live {
		return FeedListener, "listening"
	}
	kind, text = FeedScan, "scanning"
	if feed.Why != "" {
		text += ": " + feed.Why
	}
	if ago := now.Sub(hint); !hint.IsZero() && ago < hintedFor {
		kind, text = FeedWebhook, fmt.Sprintf("webhook, last event %s ago; %s", max(ago, 0).Round(time.Second), text)
	}
	return kind, text
}

// Storage returns what is known of a cluster's storage.
func (r *Reports) Storage(cluster string) StorageStatus {
	st := StorageStatus{State: routing.StorageUnknown.String(), FeedKind: FeedScan, UsedBytes: r.e.core.ctl.Usage.All()[cluster]}
	s := r.e.core.sites.Known(cluster)
	if s == nil {
		return st
	}
	known := s.Status()
	st.State, st.Error, st.Capabilities, st.Full = known.Condition.String(), known.Error, known.Capabilities, known.Full
	st.Skew, st.FullSince, st.Refuses = known.Skew, known.FullSince, known.Refuses
	st.FeedKind, st.Feed = feedOf(&s.Feed, r.e.core.now())
	if st.Gap = r.e.gaps.status(cluster); st.Gap != nil {
		st.Feed += "; " + st.Gap.String()
	}
	return st
}
