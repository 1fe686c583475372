package purge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// Order forgets a bucket and notes what data of it is to be removed, in one transaction, and has
// [Purges.Run] look. The bucket leaves the catalogue and routing first.
// [control.ErrNotFound] if there is no such bucket; the errors of [control.Resources.Delete].
func (p *Purges) Order(ctx context.Context, bucket string, mode state.PurgeMode, pre control.Precondition) error {
	if mode != state.PurgeCopies && mode != state.PurgeAll {
		return fmt.Errorf("purge: %q: expected %q or %q", mode, state.PurgeCopies, state.PurgeAll)
	}
	if p.o.Router.Snapshot().Bucket(bucket) == nil {
		return fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	pulled, err := p.o.Control.Store().Pulls().ListPulled(ctx, state.PulledFilter{Bucket: bucket}, 0)
	if err != nil {
		return err
	}
	err = p.o.Resources.DeleteWith(ctx, catalog.KindBucket, bucket, pre, func(tx state.Tx) error {
		rows, err := tx.Copies(bucket)
		if err != nil {
			return err
		}
		_, err = tx.AddPurge(newPurge(bucket, mode, rows, pulled, p.o.Now(), p.addressOf))
		return err
	})
	if err != nil {
		return err
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// addressOf returns the address of a cluster's storage as it is declared, 0 if it has none.
func (p *Purges) addressOf(cluster string) int64 {
	cl := p.o.Router.Snapshot().Cluster(cluster)
	if cl == nil || cl.Storage == nil {
		return 0
	}
	return cl.Storage.Address()
}

// newPurge gathers what a purge will need to know. Where the rows don't say which storage it is
// about, it is the one that is declared when it is decided.
func newPurge(bucket string, mode state.PurgeMode, rows []state.Copy, pulled []state.Pulled, now time.Time, addressOf func(string) int64) state.Purge {
	p := state.Purge{Bucket: bucket, Mode: mode, Primary: copyrows.PrimaryOf(rows), Since: now}
	for _, c := range rows {
		i := slices.IndexFunc(p.Targets, func(t state.PurgeTarget) bool { return t.Cluster == c.Cluster })
		if i < 0 {
			p.Targets = append(p.Targets, state.PurgeTarget{Cluster: c.Cluster, Verified: true, OwnedUntil: c.OwnedUntil})
			i = len(p.Targets) - 1
		}
		t := &p.Targets[i]
		t.Primary = t.Primary || c.Primary
		t.MadeBucket = t.MadeBucket || c.MadeBucket
		t.Verified = t.Verified && !c.VerifiedAt.IsZero()
		t.OwnedUntil = copyrows.Earlier(t.OwnedUntil, c.OwnedUntil)
		if t.At == 0 {
			t.At, t.Born = c.At, c.Born
		}
	}
	for i := range p.Targets {
		if t := &p.Targets[i]; lacksRule(rows, t.Cluster) {
			t.OwnedUntil = time.Time{}
		}
	}
	p.Targets = append(p.Targets, pulledTargets(p.Targets, pulled)...)
	for i := range p.Targets {
		if t := &p.Targets[i]; t.At == 0 {
			t.At = addressOf(t.Cluster)
		}
	}
	return p
}

// lacksRule reports whether a cluster has no copy of one of a bucket's rules: what lies there below its prefix
// was compared with nothing, however old it is.
func lacksRule(rows []state.Copy, cluster string) bool {
	return slices.ContainsFunc(rows, func(c state.Copy) bool { return copyrows.Index(rows, c.Prefix, cluster) < 0 })
}

// pulledTargets are the clusters that only have objects copied on demand: the whole bucket
// is purged where FaDO made it for them, else just these objects.
func pulledTargets(copies []state.PurgeTarget, pulled []state.Pulled) (targets []state.PurgeTarget) {
	made := make(map[string]bool)
	for _, row := range pulled {
		if slices.ContainsFunc(copies, func(t state.PurgeTarget) bool { return t.Cluster == row.Cluster }) {
			continue // purged with the copy there
		}
		made[row.Cluster] = made[row.Cluster] || row.Key == ""
	}
	for _, c := range slices.Sorted(maps.Keys(made)) {
		targets = append(targets, state.PurgeTarget{Cluster: c, Verified: true, MadeBucket: made[c], PulledOnly: !made[c]})
	}
	return targets
}
