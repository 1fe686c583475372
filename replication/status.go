package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
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
}

// Failure is one object that could not be brought to where it should be yet.
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
	State        string // up, down, unknown
	Error        string
	Capabilities storage.Capabilities
	UsedBytes    int64
	// Full: the storage has no space left. What has to be written there waits, while one
	// object at a time probes it.
	Full bool
	// Feed says how changes made directly at the storage are noticed: "listening", or
	// "scanning: " and why.
	Feed string
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

// Status returns the figures of this instance; the queue is that of the whole store.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	st := Status{
		Paused: e.pause.paused(), Workers: e.slots.size(), Rate: e.figures.rate(), LagMS: e.figures.percentiles(),
		Transfers: e.transfers(),
	}
	st.Verifications = []Verification{}
	if r := e.run.Load(); r != nil {
		st.Verifications = r.verifications()
	}
	logs, err := e.ctl.Store().Backlogs(ctx, "")
	if err != nil {
		return st, err
	}
	for _, l := range logs {
		st.Queue.Objects += l.Objects
		st.Queue.Bytes += l.Bytes
		if l.Objects > 0 && (st.Queue.Oldest == nil || l.Oldest.Before(*st.Queue.Oldest)) {
			oldest := l.Oldest
			st.Queue.Oldest = &oldest
		}
	}
	return st, nil
}

// transfers lists the objects being copied, the longest first.
func (e *Engine) transfers() []Transfer {
	ops := e.gate.list(func(o *operation) bool { return o.from != "" })
	slices.SortFunc(ops, func(a, b *operation) int { return a.started.Compare(b.started) })
	ts := make([]Transfer, 0, min(len(ops), maxTransfers))
	for _, o := range ops[:min(len(ops), maxTransfers)] {
		ts = append(ts, Transfer{
			Bucket: o.bucket, Key: o.key, From: o.from, To: o.to,
			Done: o.done.Load(), Total: o.total, Started: o.started,
		})
	}
	return ts
}

// Failures lists objects that failed at least once, ordered by bucket, key and cluster,
// at most limit (0: all).
func (e *Engine) Failures(ctx context.Context, limit int) ([]Failure, error) {
	rows, err := e.ctl.Store().ListPending(ctx, state.PendingFilter{Failed: true}, state.PendingKey{}, limit)
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
	return fs, nil
}

// RetryFailures makes all failing objects due now and says how many. Copies that failed
// as a whole are tried again, too.
func (e *Engine) RetryFailures(ctx context.Context) (int, error) {
	n, err := e.ctl.Store().RetryPending(ctx, state.PendingFilter{}, e.now())
	if err != nil {
		return 0, err
	}
	e.ctl.WakeWorkers()
	if r := e.run.Load(); r != nil {
		r.planner.storageChanged()
	}
	return n, e.askOthers(ctx, ask{})
}

// SyncBucket asks for a scan of a bucket now; control.ErrNotFound if there is none.
func (e *Engine) SyncBucket(ctx context.Context, bucket string) error {
	if e.ctl.Router().Snapshot().Bucket(bucket) == nil {
		return fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	r := e.run.Load()
	if r == nil || e.conf().Disabled {
		return ErrOff
	}
	if !r.shards.owns(bucket) && e.ctl.Shared() {
		return e.askOthers(ctx, ask{Bucket: bucket})
	}
	r.planner.forgive(bucket)
	r.sweeper.atOnce(bucket)
	return nil
}

// askOthers asks the other instances for something, where there may be some.
func (e *Engine) askOthers(ctx context.Context, a ask) error {
	r := e.run.Load()
	if r == nil || !e.ctl.Shared() {
		return nil
	}
	return r.board.ask(ctx, a)
}

// others says whether other instances are alive, or may be.
func (e *Engine) others(ctx context.Context) bool {
	members, err := e.ctl.Members.List(ctx)
	return err != nil || len(members) > 1
}

// Objects lists a bucket's objects at its primary, and where each is current.
func (e *Engine) Objects(ctx context.Context, bucket, prefix, delimiter, after string, limit int) (ObjectPage, error) {
	page := ObjectPage{Objects: []ListedObject{}, CommonPrefixes: []string{}}
	snap := e.ctl.Router().Snapshot()
	if snap.Bucket(bucket) == nil {
		return page, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	primary := snap.Primary(bucket)
	if primary == "" {
		return page, fmt.Errorf("bucket %s has no primary yet: %w", bucket, storage.ErrUnavailable)
	}
	s, err := e.sites.usable(primary)
	if err != nil {
		return page, err
	}
	objs, prefixes, next, err := s.client.Page(ctx, bucket, prefix, delimiter, after, limit)
	if errors.Is(err, storage.ErrNoBucket) && !e.seenBefore(ctx, bucket) {
		return page, nil // about to be made
	}
	if err != nil {
		return page, err
	}
	copies := snap.Copies(bucket)
	for _, o := range objs {
		page.Objects = append(page.Objects, ListedObject{
			Key: o.Key, Size: o.Size, LastModified: o.LastModified.UTC(), ETag: o.ETag, VersionID: o.VersionID,
			Clusters: e.currentIn(snap, copies, bucket, o.Key),
		})
	}
	page.CommonPrefixes = append(page.CommonPrefixes, prefixes...)
	page.Next = next
	return page, nil
}

func (e *Engine) seenBefore(ctx context.Context, bucket string) bool {
	rows, err := e.ledger.of(ctx, bucket)
	return err != nil || everVerified(rows)
}

// currentIn lists the clusters in which a key is current, the primary first, as routing
// sees it.
func (e *Engine) currentIn(snap *routing.Snapshot, copies []catalog.Copy, bucket, key string) []string {
	in := []string{}
	rule, ok := snap.RuleOf(bucket, key)
	if !ok {
		return in
	}
	for _, c := range copies {
		there := c.State == catalog.CopySynced || c.State == catalog.CopySyncing && c.Cursor != "" && key <= c.Cursor
		if c.Prefix != rule.Prefix || !there || e.ctl.Router().Pending.Has(bucket, key, c.Cluster) {
			continue
		}
		if c.Primary {
			in = slices.Insert(in, 0, c.Cluster)
		} else {
			in = append(in, c.Cluster)
		}
	}
	return in
}

// How often counts are written, and used bytes summed.
const (
	flushEvery = 2 * time.Second
	usedEvery  = 5 * time.Second
)

// keepCounts writes the sizes of copies that single objects changed, and sums the used
// bytes of every storage.
func (r *run) keepCounts(ctx context.Context) {
	next := time.Now()
	for {
		if !time.Now().Before(next) {
			began := time.Now()
			r.sumUsed(ctx)
			next = time.Now().Add(max(usedEvery, 20*time.Since(began)))
		}
		more := sleep(ctx, flushEvery)
		if err := r.ledger.flush(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, control.ErrClosed) {
			r.log.Warn("writing the sizes of copies", zap.Error(err))
		}
		if !more {
			return
		}
	}
}

func (r *run) sumUsed(ctx context.Context) {
	used := make(map[string]int64)
	err := r.ctl.Store().EachCopy(ctx, func(c state.Copy) error {
		used[strings.Clone(c.Cluster)] += c.Bytes
		return nil
	})
	if err != nil {
		r.store(err)
		return
	}
	for _, c := range r.sites.declared() {
		r.ctl.SetUsedBytes(c, used[c])
	}
}
