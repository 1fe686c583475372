package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/storage"
)

// The history of a key is every version and delete marker of it. Where a policy says versions
// all, and both storages keep versions with IDs and times of their own, a copy has the primary's.
//
// Bringing history changes nothing that users see at the destination, and removes nothing: what
// is brought comes below what is there by its time, or is a delete marker where nothing is shown.
// Whatever the order, the interruption or the race, it can be done again.

// Histories bring the histories of keys along. All methods are safe for concurrent use.
type Histories struct {
	o      *Options
	writes *Writes
}

// lostHistory names what a copy lacks whose versions can't be copied, as a subject of "... are
// not kept".
const lostHistory = "some older versions"

// Kept reports whether the histories of a bucket's keys can be the same in two places: both
// storages keep versions with IDs and times of their own, and so do both buckets.
func (h *Histories) Kept(ctx context.Context, at Sides, bucket string) (bool, error) {
	for _, s := range []*site.Site{at.Src, at.Dst} {
		if keeps, err := s.Reader().KeepsTimes(ctx); err != nil || !keeps {
			return false, err
		}
	}
	// The copy first: what is written there has asked already.
	if dst, err := at.Dst.Reader().KnownVersioning(ctx, bucket); err != nil || dst != storage.VersioningOn {
		return false, err
	}
	src, err := at.Src.Reader().KnownVersioning(ctx, bucket)
	return err == nil && src != storage.VersioningOff, err
}

// Wanted reports whether a key's policy wants its history at every copy. Storages keep one
// version of a key that ends in /.
func (h *Histories) Wanted(bucket, key string) bool {
	return !strings.HasSuffix(key, "/") && h.o.Router.Snapshot().Of(bucket).KeepsHistory(key)
}

// keeps is both of a key, in two places.
func (h *Histories) keeps(ctx context.Context, at Sides, bucket, key string) (bool, error) {
	if !h.Wanted(bucket, key) {
		return false, nil
	}
	return h.Kept(ctx, at, bucket)
}

// recent is how many of a key's newest versions a change of it looks at, so that its cost does not grow
// with the history. What is missing below is for a scan to find.
const recent = 100

// HistoryAt lists the versions of a key at a storage, the newest first.
func HistoryAt(ctx context.Context, at *site.Site, bucket, key string, limit int) (storage.History, error) {
	if limit > recent {
		return allVersions(ctx, at, func(ctx context.Context) (storage.History, error) {
			return at.Reader().History(ctx, bucket, key, limit)
		})
	}
	ctx, cancel := at.Call(ctx)
	defer cancel()
	h, err := at.Reader().History(ctx, bucket, key, limit)
	at.Observed(err)
	if err != nil {
		return h, fmt.Errorf("asking %s for the versions of an object: %w", at.Name(), err)
	}
	return h, nil
}

// Missing returns those of a key's versions at a source that a destination lacks and that can be
// brought there without changing what is shown there, newest first.
func Missing(src, dst storage.History) (missing []storage.Version) {
	there := slices.Clone(dst.Versions)
	for _, v := range src.Versions {
		if dst.Cut && !v.Written.After(dst.Versions[len(dst.Versions)-1].Written) {
			break // it may be there
		}
		if storage.Holds(there, v) || !unseen(there, v) {
			continue
		}
		missing = append(missing, v)
		i := slices.IndexFunc(there, func(t storage.Version) bool { return t.Written.Before(v.Written) })
		if i < 0 {
			i = len(there)
		}
		there = slices.Insert(there, i, v)
	}
	return missing
}

// unseen reports whether a version that keeps its time changes nothing that users see among others
// of its key, newest first.
func unseen(there []storage.Version, v storage.Version) bool {
	if len(there) > 0 && v.Written.Before(there[0].Written) {
		return true
	}
	return v.Deleted && (len(there) == 0 || there[0].Deleted)
}

// Bring brings those versions of an operation's key that the destination lacks there, as
// far as that changes nothing that is shown there, and which among them are asked for; nil: all.
// It looks at the newest limit of them, and returns how many it brought.
func (h *Histories) Bring(ctx context.Context, p *guard.Pass, at Sides, limit int, which func(storage.Version) bool) (n int, err error) {
	bucket, key := p.Op().Bucket, p.Op().Key
	src, err := HistoryAt(ctx, at.Src, bucket, key, limit)
	if err != nil || OnlyShown(src.Versions) {
		return 0, err
	}
	dst, err := HistoryAt(ctx, at.Dst, bucket, key, limit)
	if err != nil {
		return 0, err
	}
	if which != nil { // what is not asked for does not come to cover what is
		src.Versions = slices.DeleteFunc(src.Versions, func(v storage.Version) bool { return !which(v) })
	}
	for _, v := range Missing(src, dst) {
		if err := h.bringVersion(ctx, p, at, v); err != nil {
			return n, fmt.Errorf("version %s: %w", v.VersionID, err)
		}
		n++
	}
	return n, nil
}

// OnlyShown reports whether a key has no history: no version, or one that is shown, which comparing
// the key is for.
func OnlyShown(vs []storage.Version) bool { return len(vs) == 0 || len(vs) == 1 && !vs[0].Deleted }

func (h *Histories) bringVersion(ctx context.Context, p *guard.Pass, at Sides, v storage.Version) error {
	if !v.Deleted {
		_, err := h.writes.Transfer(ctx, p, at, v.Object, storage.CopyOptions{Version: &v, Below: true})
		if errors.Is(err, storage.ErrPrecondition) && storage.At(err) == at.Src.Name() {
			return nil // it was removed meanwhile
		}
		return err
	}
	w, err := p.Writer(at.Dst)
	if err != nil {
		return err
	}
	ctx, cancel := at.Dst.Call(ctx)
	defer cancel()
	err = w.PutMarker(ctx, p.Op().Bucket, v)
	at.Dst.Observed(err)
	if err != nil {
		return fmt.Errorf("copying a delete marker to %s: %w", at.Dst.Name(), err)
	}
	return nil
}

// Settle brings the history of an operation's key along, or those versions of it that which asks
// for, where its policy wants that and both storages can have it. What can't be copied, whenever it is tried, is named as lost and keeps
// nothing else from being settled.
func (h *Histories) Settle(ctx context.Context, p *guard.Pass, at Sides, which func(storage.Version) bool) error {
	kept, err := h.keeps(ctx, at, p.Op().Bucket, p.Op().Key)
	if err != nil || !kept {
		return err
	}
	_, err = h.Bring(ctx, p, at, recent, which)
	if LosesHistory(err) {
		h.NoteLost(p.Op().Bucket, at.Dst.Name())
		return nil
	}
	return err
}

// LosesHistory reports whether an error of bringing history is one that will not pass by itself.
func LosesHistory(err error) bool {
	return errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrRefused) ||
		errors.Is(err, storage.ErrUnsupported) || errors.Is(err, storage.ErrCorrupt)
}

// NoteLost names as lost that a copy lacks versions.
func (h *Histories) NoteLost(bucket, cluster string) {
	h.o.Sites.Facts.NoteLoss(bucket, cluster, lostHistory)
}

// coverAs puts a copy of the primary's own delete marker over an object at a copy, and reports
// whether it did: the copy has the primary's history, and the primary has such a marker.
func (h *Histories) coverAs(ctx context.Context, p *guard.Pass, at Sides, seen storage.Object) (bool, error) {
	kept, err := h.keeps(ctx, at, p.Op().Bucket, p.Op().Key)
	if err != nil || !kept {
		return false, err
	}
	src, err := HistoryAt(ctx, at.Src, p.Op().Bucket, p.Op().Key, 1)
	if err != nil || len(src.Versions) == 0 || !src.Versions[0].Deleted {
		return false, err
	}
	w, err := p.Writer(at.Dst)
	if err != nil {
		return false, err
	}
	ctx, cancel := at.Dst.Call(ctx)
	defer cancel()
	err = w.Cover(ctx, p.Op().Bucket, src.Versions[0], storage.Version{Object: seen})
	at.Dst.Observed(err)
	if err != nil {
		return false, fmt.Errorf("deleting in %s: %w", at.Dst.Name(), err)
	}
	return true, nil
}
