package peers

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// Members is what this package needs to know of the instances that share the store.
type Members interface {
	Shared() bool
	Claimant() string
	MayWrite() error
	// List reads those that are alive.
	List(ctx context.Context) ([]state.MemberInfo, error)
	// News tells of what other instances do; nil where there can be none.
	News(ctx context.Context, of state.NewsKind) <-chan struct{}
}

// Locks are the store's.
type Locks interface {
	TryLock(ctx context.Context, name string) (state.Lock, bool, error)
}

// Reports keeps the last report under each name; none is waited for.
type Reports interface {
	Put(ctx context.Context, name, body string) error
	// List reads the bodies of those whose names begin with a prefix.
	List(ctx context.Context, prefix string) ([]string, error)
}

// Issues are why buckets are stuck.
type Issues interface {
	// List returns what this instance found out, about at most so many buckets.
	List(most int) map[string][]control.Issue
	// SetElsewhere takes in what the others found out.
	SetElsewhere(all map[string][]control.Issue)
}

// Options of the peers. All are required.
type Options struct {
	Members Members
	Locks   Locks
	Reports Reports
	Issues  Issues
	Sites   *site.Sites
	Log     *zap.Logger
	Now     func() time.Time
	Hooks   Hooks
	// Idle reports whether this instance routes and serves only.
	Idle func() bool
	// ShardEvery is the time between looks for work to share.
	ShardEvery time.Duration
	// Version is this program's, which the others are told.
	Version string
	// Here is the cluster that this instance is in, "" where nobody says.
	Here func() string
	// Moving is what this instance moves now, for those that ask for what all do.
	Moving func() json.RawMessage
}

// Request asks for something to be done by the instance that looks after a bucket ("": by
// every one).
type Request struct {
	Bucket string
	// Allow lets so many deletes of Copy through whatever max_deletes says; 0: the bucket
	// is to be looked at and scanned. Negative: what is left of earlier ones is void.
	Allow int64
	Copy  ids.Copy
	// Read is the member that is to read all of the bucket, and verify it; "" for none.
	Read string
}

// Share is what an instance does of the work, as it said lately.
type Share struct {
	Version string
	Cluster string   // that it is in, "" where nobody says
	Parts   int      // of ShardCount
	Feeds   []string // clusters whose storages it listens to, sorted
}

// Hooks are called on changes. They are called without locks held.
type Hooks struct {
	// Gained is called with the parts that this instance has acquired.
	Gained func(parts []int)
	// Lost ends all work on a part's buckets and returns when it has ended.
	Lost func(part int)
	// Asked is called once with each request of another instance.
	Asked func(Request)
	// Feed is called when a storage is listened to elsewhere in another way than before: live,
	// or not, or there is nothing to listen to. A listener that began again has left a gap.
	Feed func(cluster string, live, none bool)
	// Moved is called when other instances came or went, or are in other clusters than before.
	Moved func()
}
