package replication

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// intendPulled adds the clusters that only have objects copied on demand to a purge: the
// whole bucket where FaDO made it for them, else just these objects.
func (e *Engine) intendPulled(ctx context.Context, in *intent) error {
	rows, err := e.ctl.Store().ListPulled(ctx, state.PulledFilter{Bucket: in.Bucket}, 0)
	if err != nil {
		return err
	}
	targets := make(map[string]*purgeTarget)
	for _, row := range rows {
		if slices.ContainsFunc(in.Copies, func(t purgeTarget) bool { return t.Cluster == row.Cluster }) {
			continue // purged with the copy there
		}
		t := targets[row.Cluster]
		if t == nil {
			t = &purgeTarget{Cluster: row.Cluster, Verified: true, Pulled: make(map[string]string)}
			targets[row.Cluster] = t
		}
		if row.Key == "" {
			t.MadeBucket = true
		} else {
			t.Pulled[row.Key] = row.ETag
		}
	}
	for _, c := range slices.Sorted(maps.Keys(targets)) {
		if targets[c].MadeBucket {
			targets[c].Pulled = nil
		}
		in.Copies = append(in.Copies, *targets[c])
	}
	return nil
}

// pulledOf purges a target's objects copied on demand, those that are still what FaDO put
// there.
func (p *purger) pulledOf(ctx context.Context, in intent, t purgeTarget, dst *site, versioned bool) error {
	for _, key := range slices.Sorted(maps.Keys(t.Pulled)) {
		err := p.persist(ctx, func() error {
			return p.pulledObject(ctx, objectRef{in.Bucket, key, t.Cluster}, t.Pulled[key], dst, versioned)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *purger) pulledObject(ctx context.Context, ref objectRef, etag string, dst *site, versioned bool) error {
	return p.admitted(ctx, ref, func(ctx context.Context) error {
		o, err := p.stat(ctx, dst, ref.bucket, ref.key)
		if errors.Is(err, storage.ErrNoBucket) || err == nil && (o == nil || !pulledIs(catalog.Pulled{ETag: etag}, *o)) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = p.removeForGood(ctx, dst, ref, *o, versioned)
		return err
	})
}
