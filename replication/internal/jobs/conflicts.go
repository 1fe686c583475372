package jobs

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// Conflict is one key where an object that is not FaDO's stands where a copy should be,
// and people decide.
type Conflict struct {
	Key    string
	Reason string
	Copies []ConflictCopy
}

// ConflictCopy is what is in one cluster under a key that is in conflict.
type ConflictCopy struct {
	Cluster      string
	ETag         string
	Size         int64
	LastModified time.Time
}

// askAtATime is how many objects are read at a time to show conflicts.
const askAtATime = 16

// listConflicts lists the keys of a bucket that are in conflict, in order, behind one ("" for all)
// and at most so many, with what the storages concerned hold now: the primary first. A
// cluster without the object, or whose storage can't be asked, is left out of a key's
// copies. more says that there are further keys.
func listConflicts(ctx context.Context, o *Options, bucket, after string, limit int) (list []Conflict, more bool, err error) {
	snap := o.Router.Snapshot()
	if snap.Bucket(bucket) == nil {
		return nil, false, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	list = []Conflict{}
	clusters := [][]string{} // to ask, per conflict
	hold, from := state.HoldConflict, state.PendingKey{}
	if after != "" {
		// The least key behind it.
		from = state.PendingKey{Bucket: bucket, Key: after + "\x00"}
	}
	for !more {
		rows, err := o.Control.Store().Queue().ListPending(ctx, state.PendingFilter{Bucket: bucket, Hold: &hold}, from, limit+1)
		if err != nil {
			return nil, false, err
		}
		for _, row := range rows {
			n := len(list)
			if n > 0 && list[n-1].Key == row.Key {
				clusters[n-1] = append(clusters[n-1], row.Cluster)
				continue
			}
			if more = n == limit; more {
				break
			}
			list = append(list, Conflict{Key: row.Key, Reason: row.Error, Copies: []ConflictCopy{}})
			clusters = append(clusters, []string{snap.Of(bucket).Primary(), row.Cluster})
		}
		if len(rows) <= limit {
			break
		}
		from = rows[limit].RowKey()
	}
	var g errgroup.Group
	g.SetLimit(askAtATime)
	for i := range list {
		g.Go(func() error {
			for _, c := range clusters[i] {
				list[i].Copies = appendHeld(ctx, o.Sites, list[i].Copies, c, bucket, list[i].Key)
			}
			return ctx.Err()
		})
	}
	return list, more, g.Wait()
}

// appendHeld appends what a cluster holds under a key, if that can be told.
func appendHeld(ctx context.Context, sites *site.Sites, copies []ConflictCopy, cluster, bucket, key string) []ConflictCopy {
	s, err := sites.Usable(cluster)
	if err != nil {
		return copies
	}
	o, err := s.Stat(ctx, bucket, key)
	if err != nil || o == nil {
		return copies
	}
	return append(copies, ConflictCopy{Cluster: cluster, ETag: o.ETag, Size: o.Size, LastModified: o.LastModified.UTC()})
}
