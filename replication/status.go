package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/evict"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/move"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Status is what replication is doing: figures of this instance, and the whole store's
// queue.
type Status struct {
	Paused    bool
	Workers   int
	Queue     Queue
	Rate      Rate
	LagMS     Lag
	Transfers []Transfer
	// Verifications under way on this instance.
	Verifications []Verification
}

// Queue sums the pending objects of all buckets.
type Queue struct {
	Objects int64
	Bytes   int64
	Oldest  *time.Time
}

// Rate is per second, over the last half minute.
type Rate struct {
	Objects float64
	Bytes   float64
}

// Lag is that of recent live objects, from noticed to routable, in milliseconds.
type Lag struct {
	P50 float64
	P99 float64
}

// Transfer is one object on its way. Total is -1 while it is not known.
type Transfer struct {
	Bucket  string
	Key     string
	From    string
	To      string
	Done    int64
	Total   int64
	Started time.Time
	// Node is the instance that copies it.
	Node string
	// Rate is the bytes per second so far, and ETA when it will have ended at that rate; nil
	// while that can't be told.
	Rate float64
	ETA  *time.Time
}

// Failure is one object that could not be brought to where it should be yet, or, without a Key, a
// purge of a bucket that could not be carried out in a cluster yet.
type Failure struct {
	Bucket      string
	Key         string
	Cluster     string
	Error       string
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
	// Full: the storage has no space left. What has to be written there waits, while one
	// object at a time probes it.
	Full bool
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

// maxTransfers bounds the transfers shown.
const maxTransfers = 100

// figures are what this instance knows by itself: all of Status but the queue.
func (e *Engine) figures() Status {
	rate, lag := e.core.report.Figures.Rate(), e.core.report.Figures.Lag()
	st := Status{
		Paused: e.core.pause.On(), Workers: e.core.slots.Size(), Transfers: e.transfers(e.core.guard.Transfers()),
		Rate:          Rate{Objects: rate.Objects, Bytes: rate.Bytes},
		LagMS:         Lag{P50: milliseconds(lag.P50), P99: milliseconds(lag.P99)},
		Verifications: []Verification{},
	}
	if r := e.run.Load(); r != nil {
		st.Verifications = append(st.Verifications, r.verifier.List()...)
	}
	return st
}

// Status returns the figures of this instance; the queue is that of the whole store.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	st := e.figures()
	total, err := e.core.ctl.Store().BacklogTotal(ctx)
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

// transfers shows the objects being copied, the longest first.
func (e *Engine) transfers(ts []guard.Transfer) []Transfer {
	now := e.core.now()
	slices.SortFunc(ts, func(a, b guard.Transfer) int { return a.Started.Compare(b.Started) })
	shown := make([]Transfer, 0, min(len(ts), maxTransfers))
	for _, t := range ts[:min(len(ts), maxTransfers)] {
		tr := Transfer{
			Bucket: t.Bucket, Key: t.Key, From: t.From, To: t.Cluster, Done: t.Done, Total: t.Total, Started: t.Started,
			Node: e.core.ctl.Node(),
		}
		tr.foresee(now)
		shown = append(shown, tr)
	}
	return shown
}

// foresee works out the rate, and the end if that rate lasts.
func (t *Transfer) foresee(now time.Time) {
	took := now.Sub(t.Started).Seconds()
	if took <= 0 || t.Done <= 0 {
		return
	}
	t.Rate = float64(t.Done) / took
	if t.Total >= t.Done {
		t.ETA = new(now.Add(time.Duration(float64(t.Total-t.Done) / t.Rate * float64(time.Second))))
	}
}

// Failures lists objects that failed at least once, ordered by bucket, key and cluster,
// at most limit (0: all).
func (e *Engine) Failures(ctx context.Context, limit int) ([]Failure, error) {
	rows, err := e.core.ctl.Store().ListPending(ctx, state.PendingFilter{Failed: true}, state.PendingKey{}, limit)
	if err != nil {
		return nil, err
	}
	fs := make([]Failure, 0, len(rows))
	for _, r := range rows {
		fs = append(fs, Failure{
			Bucket: r.Bucket, Key: r.Key, Cluster: r.Cluster, Error: r.Error,
			Attempts: r.Attempts, NextAttempt: r.NextAttempt, Since: r.Since,
		})
	}
	return append(fs, e.StuckPurges()...), nil
}

// StuckPurges returns the purges of this instance that could not be carried out yet, by bucket.
// A Failure of a purge has no Key.
func (e *Engine) StuckPurges() []Failure {
	r := e.run.Load()
	if r == nil {
		return nil
	}
	return r.purger.stuck.all()
}

// RetryFailures makes all failing objects due now and returns how many. Copies that failed
// as a whole are tried again, too.
func (e *Engine) RetryFailures(ctx context.Context) (int, error) {
	n, err := e.core.ctl.Store().RetryPending(ctx, state.PendingFilter{}, e.core.now())
	if err != nil {
		return 0, err
	}
	e.core.ctl.Pending.Wake()
	r := e.run.Load()
	if r == nil {
		return n, nil
	}
	r.agenda.forgiveAll()
	return n, r.peers.Ask(ctx, peers.Request{})
}

// SyncBucket asks for a scan of a bucket now; control.ErrNotFound if there is none.
func (e *Engine) SyncBucket(ctx context.Context, bucket string) error {
	if e.core.snap().Bucket(bucket) == nil {
		return fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	r := e.run.Load()
	if r == nil || e.core.conf().Disabled {
		return ErrOff
	}
	if !r.owns(bucket) && e.core.ctl.Members.Shared() {
		return r.peers.Ask(ctx, peers.Request{Bucket: bucket})
	}
	r.agenda.forgive(bucket)
	r.scans.runNow(bucket)
	return nil
}

// Trust takes people's word on a bucket that is stopped because the storage of its primary may
// not be the one it was: what lies in a cluster is right. If that is the primary's, copies
// follow it; otherwise the copy there becomes the primary. [ErrNotStopped], [ErrNoWhole]: the
// word can't be taken.
func (e *Engine) Trust(ctx context.Context, bucket, cluster string) error {
	snap := e.core.snap()
	if snap.Bucket(bucket) == nil {
		return fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	r := e.run.Load()
	if r == nil || e.core.conf().Disabled {
		return ErrOff
	}
	var err error
	if cluster == snap.Of(bucket).Primary() {
		err = e.walks.moves.Decisions.TrustPrimary(ctx, bucket)
	} else {
		err = e.walks.moves.Decisions.TrustCopy(ctx, bucket, cluster)
	}
	if err != nil {
		return err
	}
	e.sources.isThere(bucket)
	return e.SyncBucket(ctx, bucket)
}

// ErrNoneLeaves says that no copy leaves; see [Engine.ReleaseHistory].
var ErrNoneLeaves = evict.ErrNoneLeaves

// ReleaseHistory removes for good what the copies of a bucket in a cluster hide that are being removed:
// older versions, which may be in no copy that remains and keep a copy from leaving that the policy does not
// allow any more. It returns of how many objects there were some. [ErrNoneLeaves].
func (e *Engine) ReleaseHistory(ctx context.Context, bucket, cluster string) (int, error) {
	if e.core.snap().Bucket(bucket) == nil {
		return 0, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	if r := e.run.Load(); r == nil || e.core.conf().Disabled {
		return 0, ErrOff
	}
	n, err := e.walks.evictor.ReleaseHistory(ctx, bucket, cluster)
	if err != nil {
		return n, err
	}
	return n, e.SyncBucket(ctx, bucket)
}

// Why people's word on a bucket can't be taken; see [Engine.Trust].
var (
	ErrNotStopped = move.ErrNotStopped
	ErrNoWhole    = move.ErrNoWhole
)

// Objects lists a bucket's objects at its primary, and where each is current.
func (e *Engine) Objects(ctx context.Context, bucket, prefix, delimiter, after string, limit int) (ObjectPage, error) {
	page := ObjectPage{Objects: []ListedObject{}, CommonPrefixes: []string{}}
	snap := e.core.snap()
	if snap.Bucket(bucket) == nil {
		return page, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	primary := snap.Of(bucket).Primary()
	if primary == "" {
		return page, fmt.Errorf("bucket %s has no primary yet: %w", bucket, storage.ErrUnavailable)
	}
	s, err := e.core.sites.Usable(primary)
	if err != nil {
		return page, err
	}
	copies := snap.Of(bucket).Copies()
	seen := slices.ContainsFunc(copies, func(c catalog.Copy) bool { return c.Verified })
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
			Clusters: e.core.currentIn(bucket, o.Key),
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

// StorageStatus returns what is known of a cluster's storage.
func (e *Engine) StorageStatus(cluster string) StorageStatus {
	st := StorageStatus{State: routing.StorageUnknown.String(), FeedKind: FeedScan, UsedBytes: e.core.ctl.Usage.All()[cluster]}
	s := e.core.sites.Known(cluster)
	if s == nil {
		return st
	}
	known := s.Status()
	st.State, st.Error, st.Capabilities, st.Full = known.Condition.String(), known.Error, known.Capabilities, known.Full
	st.FeedKind, st.Feed = feedOf(&s.Feed, e.core.now())
	if st.Gap = e.gaps.status(cluster); st.Gap != nil {
		st.Feed += "; " + st.Gap.String()
	}
	return st
}
