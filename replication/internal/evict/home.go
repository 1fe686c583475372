package evict

import (
	"context"
	"slices"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
)

// bringHome brings those older versions of a key to the primary that users wrote at a copy that leaves,
// and that the primary lacks: a former primary's history, or what users wrote there and deleted. They
// come below what the primary shows. It does nothing where the two can't have the same history.
//
// What has FaDO's mark came from a primary: that this one lacks it may be a user's removal, which is not
// to be undone, so it is left for [object.Removals.ForGood] to keep.
func (v *eviction) bringHome(ctx context.Context, ref ids.Object) error {
	there := object.Sides{Src: v.dst, Dst: v.src}
	if !v.histories || !v.o.Objects.Histories.Wanted(ref.Bucket, ref.Key) {
		return nil
	}
	ours, err := object.HistoryAt(ctx, v.dst, ref.Bucket, ref.Key, storage.MaxHistory)
	if err != nil || object.OnlyShown(ours.Versions) {
		return err
	}
	theirs, err := object.HistoryAt(ctx, v.src, ref.Bucket, ref.Key, storage.MaxHistory)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(object.Missing(ours, theirs), func(m storage.Version) bool { return !m.Deleted }) {
		return nil // of a delete marker that covers nothing nobody has anything
	}
	full, err := object.VersionsAt(ctx, v.dst, ref.Bucket, ref.Key)
	if err != nil {
		return err
	}
	shown := len(theirs.Versions) > 0 && !theirs.Versions[0].Deleted // else a delete marker keeps them hidden
	users := func(m storage.Version) bool {
		i := slices.IndexFunc(full, func(f storage.Version) bool { return f.VersionID == m.VersionID })
		return m.Deleted && !shown || i > 0 && !full[i].Deleted && !full[i].Replica
	}
	op := guard.Op{Object: ids.ObjectIn(ref.Bucket, ref.Key, v.src.Name()), From: v.dst.Name(), Total: -1, ToPrimary: true}
	return v.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		_, err := v.o.Objects.Histories.Bring(ctx, p, there, storage.MaxHistory, users)
		return err
	})
}
