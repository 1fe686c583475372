package replication

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/state"
)

// Parts is how many parts the buckets are divided into; each is looked after by one instance.
const Parts = peers.ShardCount

// Instance is one of those that share the store.
type Instance struct {
	ID, Node string
	// This is the instance that was asked.
	This bool
	// Version of its program, "" where it has not said.
	Version string
	// Cluster that it is in, "" where nobody says, or it has not said yet.
	Cluster string
	// Replicates: it copies; otherwise it routes and serves only, or has not said yet.
	Replicates bool
	// Parts of the buckets that it looks after.
	Parts int
	// Feeds are the clusters whose storages it listens to, sorted.
	Feeds []string
	// LeaseUntil is when it counts as gone unless it renews its lease, by the store's clock;
	// zero with a store of its own.
	LeaseUntil time.Time
	// Behind is how many changes of the catalogue it does not route by yet.
	Behind int64
}

// Instances lists those that are alive, sorted by node; with a store of its own only this one.
func (r *Reports) Instances(ctx context.Context) ([]Instance, error) {
	members, err := r.e.core.ctl.Members.List(ctx)
	if err != nil {
		return nil, err
	}
	seq, own := state.Seq(0), r.e.core.ctl.Members.Claimant()
	if members == nil {
		members = []state.MemberInfo{{ID: own, Node: r.e.core.ctl.Node()}}
	} else if seq, err = r.e.core.ctl.Store().ChangeLog().Seq(ctx); err != nil {
		return nil, fmt.Errorf("reading the number of the last change: %w", err)
	}
	shares := make(map[string]peers.Share)
	if run := r.e.run.Load(); run != nil {
		shares = run.peers.Shares()
	}
	all := make([]Instance, 0, len(members))
	for _, m := range members {
		share, told := shares[m.ID]
		i := Instance{
			ID: m.ID, Node: m.Node, This: m.ID == own, Version: share.Version, Cluster: share.Cluster, Replicates: told,
			Parts: share.Parts, Feeds: share.Feeds, LeaseUntil: m.LeaseUntil, Behind: max(0, int64(seq-m.Changes)),
		}
		if i.This {
			i.Version, i.Cluster = r.e.core.version, r.e.core.snap().Here()
		}
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b Instance) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}
