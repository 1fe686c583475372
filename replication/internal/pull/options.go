package pull

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Why an object is not copied on demand, beside the errors of package object.
var (
	// ErrNoRoom: the object does not fit beside what copies take, or is in use.
	ErrNoRoom = errors.New("the cluster's capacity has no room for it")

	errGone   = errors.New("the primary has no such object")
	errPaused = errors.New("replication is paused")
	errBehind = errors.New("the copy there can't be brought in step now")
)

// Metrics counts pulls by their result, one of copied, timeout, no_room and failed.
type Metrics interface{ Pulled(result string) }

// Pending is the queue of objects that differ; see [github.com/fado-project/fado/control.Pending].
type Pending interface {
	Add(ctx context.Context, rows ...state.Pending) error
	Finish(ctx context.Context, keys ...state.PendingKey) error
	// Changed returns a channel that closes at the next change of what is known of a
	// bucket's objects: pending ones, and those copied on demand.
	Changed(bucket string) <-chan struct{}
}

// Rows stores objects copied on demand, and routes by them; see
// [github.com/fado-project/fado/control.Pulled].
type Rows interface {
	Put(ctx context.Context, rows ...state.Pulled) error
	Delete(ctx context.Context, keys ...state.PulledKey) error
	Hide(bucket, key, cluster string)
	Follow(ctx context.Context, changes ...state.ObjectChange) error
}

// Buckets removes physical buckets; see package buckets.
type Buckets interface {
	// Drop removes a bucket if it is empty.
	Drop(ctx context.Context, s *site.Site, bucket string) error
}

// Apart tells storages apart; see package buckets.
type Apart interface {
	// Distinct returns nil if a bucket at two storages is two buckets.
	Distinct(ctx context.Context, bucket string, x, y *site.Site) error
}

// Drain waits for requests that were routed to a cluster; see package evict.
type Drain interface {
	// AwaitDrained returns once none is in flight that was routed there before since, or
	// when their time is up.
	AwaitDrained(ctx context.Context, bucket, cluster string, since time.Time) error
}

// Timing is how long things take.
type Timing struct {
	CallTimeout time.Duration // of one small request
	Every       time.Duration // between looks at objects copied on demand
	Backoff     time.Duration // before an object that found no room is tried again
}

// Options of a Puller. All are required but Metrics.
type Options struct {
	Router *routing.Router
	// Store returns the store as it is now, for what Pending and Rows have no method for.
	Store   func() state.Store
	Pending Pending
	Rows    Rows
	Copies  *copies.Store
	Sites   *site.Sites
	Guard   *guard.Guard
	Pause   *guard.Pause
	Slots   *limit.Slots
	Objects *object.Settler
	Report  *report.Report
	Buckets Buckets
	Apart   Apart
	Drain   Drain
	Metrics Metrics // nil: nothing is counted
	Log     *zap.Logger
	Now     func() time.Time
	Timing  Timing
	// UsedBytes is what copies take of the clusters' capacities.
	UsedBytes func() map[string]int64
	// Record puts on record that an object is about to be copied from a cluster. It returns nil
	// once that survives a crash.
	Record func(ctx context.Context, o ids.Object, from string, bytes int64) error
	// Owns reports whether this instance looks after a bucket.
	Owns func(bucket string) bool
	// ErrOff is what Pull answers while Run does not run.
	ErrOff error
}

// Is reports whether an object that lies where one was copied on demand is that one: it has
// FaDO's mark and the ETag on record. None is on record while a copy is, or was when a
// process ended, on its way; nothing or FaDO's was there when that began.
func Is(known catalog.Pulled, o storage.Object) bool {
	return o.Replica && (known.ETag == "" || o.ETag == known.ETag)
}

// known returns what is routed by of an object.
func (o *Options) known(ref ids.Object) (catalog.Pulled, bool) {
	return o.Router.Pulled.Get(ref.Bucket, ref.Key, ref.Cluster)
}

func (o *Options) current(ref ids.Object) bool {
	return o.Router.Current(ref.Bucket, ref.Key, ref.Cluster)
}

// ttl is how long an object stays after its last use.
func (o *Options) ttl(ref ids.Object) time.Duration {
	snap := o.Router.Snapshot()
	if rule, ok := snap.Of(ref.Bucket).RuleOf(ref.Key); ok {
		if p := snap.Policy(rule.Policy); p != nil {
			return time.Duration(p.PullTTL)
		}
	}
	return 0
}

// taken reports whether a copy of the cluster's own has, or is getting, the object.
func (o *Options) taken(ref ids.Object) bool {
	st, primary, ok := o.Router.Snapshot().Of(ref.Bucket).CopyState(ref.Key, ref.Cluster)
	return ok && (primary || st <= catalog.CopySynced)
}

// sides returns the storages an object is compared at.
func (o *Options) sides(ref ids.Object) (at object.Sides, err error) {
	primary := o.Router.Snapshot().Of(ref.Bucket).Primary()
	if primary == "" || primary == ref.Cluster {
		return at, guard.ErrMoving
	}
	if at.Src, err = o.Sites.Usable(primary); err != nil {
		return at, err
	}
	at.Dst, err = o.Sites.Usable(ref.Cluster)
	return at, err
}

// noBucket reports whether an error of [object.Look] says that only the cluster's bucket is
// missing.
func noBucket(err error) bool {
	return errors.Is(err, storage.ErrNoBucket) && !errors.Is(err, object.ErrNoSource)
}

// warn reports what failed and what comes of that, unless work ends anyway.
func (o *Options) warn(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		o.Log.Warn(what, zap.Error(err))
	}
}

// tell is warn for what needs storages: of one that is down people know.
func (o *Options) tell(ctx context.Context, what string, err error) {
	if !errors.Is(err, site.ErrDown) {
		o.warn(ctx, what, err)
	}
}

func fieldsOf(ref ids.Object, err error) []zap.Field {
	return []zap.Field{
		zap.String("bucket", ref.Bucket), zap.String("key", ref.Key), zap.String("cluster", ref.Cluster), zap.Error(err),
	}
}

func refOf(p state.Pulled) ids.Object { return ids.ObjectIn(p.Bucket, p.Key, p.Cluster) }

func keyOf(ref ids.Object) state.PulledKey {
	return state.PulledKey{Bucket: ref.Bucket, Key: ref.Key, Cluster: ref.Cluster}
}

func rowOf(ref ids.Object, o catalog.Pulled) state.Pulled {
	return state.Pulled{Bucket: ref.Bucket, Key: ref.Key, Cluster: ref.Cluster, Size: o.Size, ETag: o.ETag}
}
