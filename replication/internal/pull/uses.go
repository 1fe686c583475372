package pull

import (
	"context"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// uses stores when objects were used, so that the least recently used go first and what is
// used stays.
type uses struct{ o *Options }

// note stores the uses since the last time.
func (u uses) note(ctx context.Context) {
	used := u.o.Router.Pulled.TakeUsed()
	if len(used) == 0 {
		return
	}
	rows := make([]state.Pulled, len(used))
	for i, p := range used {
		rows[i] = state.Pulled{
			Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, UsedAt: p.UsedAt,
			Until: p.UsedAt.Add(u.o.ttl(ids.ObjectIn(p.Bucket, p.Key, p.Cluster))),
		}
	}
	u.o.warn(ctx, "could not store the uses of objects copied on demand; they may expire earlier", u.o.Store().Pulls().TouchPulled(ctx, rows...))
}
