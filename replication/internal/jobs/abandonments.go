package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// Abandonment is what is lost with a cluster's storage, as far as FaDO knows.
type Abandonment struct {
	Cluster string
	// Answers says that the storage answers now: it can be drained.
	Answers bool
	// What only that storage has, of all buckets.
	Objects, Bytes int64
	Buckets        []AbandonedBucket // sorted by name
}

// AbandonedBucket is a bucket that has a copy in a lost storage.
type AbandonedBucket struct {
	Bucket  string
	Primary bool
	// Heir is the cluster whose copy becomes the primary; "" where the primary is not lost, or
	// no other cluster has a copy.
	Heir string
	// What only the lost storage has: objects that never reached the heir, or a conflicting
	// object of its own.
	Objects, Bytes int64
	Reason         string
}

// Abandonments are how people give clusters up whose storages are lost for good.
type Abandonments struct{ o *Options }

// Of tells what is lost with a cluster's storage; [control.ErrNotFound] where no bucket
// has a copy there and no cluster has the name.
func (a *Abandonments) Of(ctx context.Context, cluster string) (Abandonment, error) {
	out := Abandonment{Cluster: cluster, Answers: a.o.Sites.Up(cluster), Buckets: []AbandonedBucket{}}
	concerned := make(map[string]bool)
	err := a.o.Control.Store().Catalogue().EachCopy(ctx, func(c state.Copy) error {
		if c.Cluster == cluster {
			concerned[c.Bucket] = true
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	for bucket := range concerned {
		rows, err := a.o.Control.Store().Catalogue().CopiesOf(ctx, bucket)
		if err != nil {
			return out, err
		}
		logs, err := a.o.Control.Store().Queue().Backlogs(ctx, bucket)
		if err != nil {
			return out, err
		}
		b := a.abandonedBucket(cluster, bucket, rows, logs)
		out.Objects, out.Bytes = out.Objects+b.Objects, out.Bytes+b.Bytes
		out.Buckets = append(out.Buckets, b)
	}
	slices.SortFunc(out.Buckets, func(x, y AbandonedBucket) int { return strings.Compare(x.Bucket, y.Bucket) })
	if len(out.Buckets) == 0 && a.o.Router.Snapshot().Cluster(cluster) == nil {
		return out, fmt.Errorf("cluster %s: %w", cluster, control.ErrNotFound)
	}
	return out, nil
}

// abandonedBucket tells what a bucket loses with a cluster's storage.
func (a *Abandonments) abandonedBucket(cluster, bucket string, rows []state.Copy, logs []state.Backlog) AbandonedBucket {
	b := AbandonedBucket{Bucket: bucket, Primary: copyrows.PrimaryOf(rows) == cluster}
	at := func(name string) (l state.Backlog) {
		if i := slices.IndexFunc(logs, func(l state.Backlog) bool { return l.Cluster == name }); i >= 0 {
			l = logs[i]
		}
		return l
	}
	if !b.Primary {
		if b.Objects = at(cluster).Conflicts; b.Objects > 0 {
			b.Reason = "objects there that are not FaDO's were in conflict with the primary's"
		}
		return b
	}
	var held state.Copy
	for _, r := range rows {
		if r.Primary {
			held.Objects, held.Bytes = held.Objects+r.Objects, held.Bytes+r.Bytes
		}
	}
	b.Heir = a.heir(cluster, bucket, rows, logs)
	if b.Heir == "" {
		b.Objects, b.Bytes, b.Reason = held.Objects, held.Bytes, "no other cluster has a copy"
		return b
	}
	if whole(rows, b.Heir) {
		if l := at(b.Heir); l.Objects > 0 {
			b.Objects, b.Bytes, b.Reason = l.Objects, l.Bytes, "changes that had not reached "+b.Heir
		}
		return b
	}
	var has state.Copy
	for _, r := range rows {
		if r.Cluster == b.Heir {
			has.Objects, has.Bytes = has.Objects+r.Objects, has.Bytes+r.Bytes
		}
	}
	b.Objects, b.Bytes = max(0, held.Objects-has.Objects), max(0, held.Bytes-has.Bytes)
	b.Reason = "the copy in " + b.Heir + " was not complete"
	return b
}

// whole reports whether a cluster has a complete copy of every rule.
func whole(rows []state.Copy, cluster string) bool {
	return copyrows.SyncedEverywhere(copyrows.InCatalog(rows), cluster)
}

// successor is a cluster whose copy may take a lost primary's place. The lower, the better.
type successor struct {
	cluster string
	// removing: its objects are being removed; partial: it is not complete; down: its storage
	// does not answer; leaving: it drains, or a policy does not allow it, so that the primary
	// moves on from there.
	removing, partial, down, leaving int
	late                             int64 // objects that had not reached it
	objects                          int64
}

func (a *successor) compare(b *successor) int {
	return cmp.Or(
		cmp.Compare(a.removing, b.removing), cmp.Compare(a.partial, b.partial), cmp.Compare(a.down, b.down),
		cmp.Compare(a.leaving, b.leaving), cmp.Compare(a.late, b.late), cmp.Compare(b.objects, a.objects), cmp.Compare(a.cluster, b.cluster),
	)
}

// heir returns the cluster whose copy of a bucket is the best: complete, on a storage that
// answers, with the least that had not reached it. One that has to leave is better than none:
// what it has goes from there to where it may be. "" if no other has anything of the bucket.
func (a *Abandonments) heir(lost, bucket string, rows []state.Copy, logs []state.Backlog) string {
	in, rules := a.o.Inputs(), a.o.Router.Snapshot().Of(bucket).Rules()
	by := make(map[string]*successor)
	for _, r := range rows {
		leaves := r.State.Leaves()
		begun := leaves || r.State == catalog.CopySynced || r.Cursor != "" || r.Objects > 0
		if r.Cluster == lost || !begun || a.o.Router.Snapshot().Of(bucket).Elsewhere(r.Cluster) {
			continue
		}
		cand := by[r.Cluster]
		if cand == nil {
			cand = &successor{
				cluster: r.Cluster, partial: one(!whole(rows, r.Cluster)), down: one(!a.o.Sites.Up(r.Cluster)), leaving: one(!in.Allows(rules, r.Cluster)),
			}
			by[r.Cluster] = cand
		}
		cand.objects += r.Objects
		cand.removing, cand.leaving = max(cand.removing, one(r.State == catalog.CopyRemoving)), max(cand.leaving, one(leaves))
	}
	for _, l := range logs {
		if by[l.Cluster] != nil {
			by[l.Cluster].late = l.Objects
		}
	}
	var best *successor
	for _, cand := range by {
		if best == nil || cand.compare(best) < 0 {
			best = cand
		}
	}
	if best == nil {
		return ""
	}
	return best.cluster
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

// Abandon gives a cluster up whose storage is lost for good, and removes it: buckets go on
// without their copies there, and those that were written there with their best copy as the
// primary. It may be called again after an error, and continues.
func (a *Abandonments) Abandon(ctx context.Context, cluster string, pre control.Precondition) error {
	if err := a.o.Hooks.Running(); err != nil {
		return err
	}
	if err := a.mayAbandon(ctx, cluster); err != nil {
		return err
	}
	what, err := a.Of(ctx, cluster)
	if err != nil {
		return err
	}
	for _, b := range what.Buckets {
		if err := a.o.Moves.Abandon(ctx, b.Bucket, cluster, b.Heir); err != nil && !errors.Is(err, control.ErrNotFound) {
			return err
		}
	}
	if err := a.forgetPrimary(ctx, cluster); err != nil {
		return err
	}
	err = a.o.Resources.Delete(ctx, catalog.KindCluster, cluster, pre)
	if errors.Is(err, control.ErrNotFound) && len(what.Buckets) > 0 {
		err = nil // the configuration has forgotten it already
	}
	if err == nil {
		a.o.Log.Warn("a cluster was abandoned", zap.String("cluster", cluster),
			zap.Int("buckets", len(what.Buckets)), zap.Int64("objects_lost", what.Objects), zap.Int64("bytes_lost", what.Bytes))
	}
	return err
}

// mayAbandon refuses what could not be carried through: the removal of a cluster that the
// configuration declares, or that policies name.
func (a *Abandonments) mayAbandon(ctx context.Context, cluster string) error {
	it, err := a.o.Resources.Get(ctx, catalog.KindCluster, cluster)
	if errors.Is(err, control.ErrNotFound) {
		return nil
	}
	if err == nil && it.Origin == control.OriginConfig {
		err = fmt.Errorf("cluster %s: %w", cluster, control.ErrConfigOwned)
	}
	if err != nil {
		return err
	}
	refusal := &control.InUseError{What: "cluster " + cluster, Why: "is referred to by", Hint: "change them first: a policy that named no cluster any more would allow all"}
	a.o.Router.Snapshot().Policies(func(p *catalog.Policy) bool {
		if slices.Contains(p.Clusters, cluster) || slices.Contains(p.Prefer, cluster) {
			refusal.By = append(refusal.By, state.Ref{Kind: catalog.KindPolicy, Name: p.Name})
		}
		return true
	})
	if len(refusal.By) > 0 {
		slices.SortFunc(refusal.By, func(x, y state.Ref) int { return strings.Compare(x.Name, y.Name) })
		return refusal
	}
	return nil
}

// forgetPrimary has the buckets that name a cluster as their primary name the one they have
// now.
func (a *Abandonments) forgetPrimary(ctx context.Context, cluster string) error {
	snap := a.o.Router.Snapshot()
	var names []string
	snap.Buckets(func(b string) bool {
		if decl := snap.Bucket(b); decl != nil && decl.Primary == cluster {
			names = append(names, strings.Clone(b))
		}
		return true
	})
	for _, b := range names {
		_, err := a.o.Resources.Modify(ctx, catalog.KindBucket, b, control.Precondition{}, func(now catalog.Resource) (catalog.Resource, error) {
			decl := now.(*catalog.Bucket)
			if decl.Primary == cluster {
				decl.Primary, decl.Promote = snap.Of(b).Primary(), ""
			}
			if decl.Primary == cluster {
				decl.Primary = ""
			}
			return decl, nil
		})
		if err != nil && !errors.Is(err, control.ErrNotFound) {
			return err
		}
	}
	return nil
}
