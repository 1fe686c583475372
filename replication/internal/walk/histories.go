package walk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
)

// Historian brings the histories of a copy's keys along: the versions and delete markers that the
// primary has and the copy lacks. It lists the versions of both sides once, where the policy wants
// them, both storages can keep them and both buckets do; anywhere else it asks nothing.
type Historian struct{ o *Options }

// histories is one walk over the versions of a copy.
type histories struct {
	*pass
	watch Watch // nil: what is missing is brought at once

	keys *errgroup.Group // under way, bounded by slots

	left int // keys given to other instances

	mu      sync.Mutex
	brought int64
	lost    int64  // keys of which a version can't be copied
	why     error  // for one of them
	key     string // which
}

// Bring brings along what a synced copy lacks. What can't be copied whenever it is tried is named in
// the copy's losses. The caller holds the copy's lock.
func (h *Historian) Bring(ctx context.Context, id ids.Copy) error {
	w, err := h.walk(ctx, id, nil)
	if object.LosesHistory(err) {
		w, err = &histories{lost: 1, why: err}, nil // it may not even be listed
	}
	if err == nil && w != nil && w.lost > 0 {
		h.o.Objects.Histories.NoteLost(id.Bucket, id.Cluster)
		h.o.Log.Warn("versions can't be copied", zap.String("bucket", id.Bucket), zap.String("cluster", id.Cluster),
			zap.Int64("keys", w.lost), zap.String("one", w.key), zap.Error(w.why))
	}
	return err
}

// BringAll is Bring for who relies on the copy having everything: what can't be copied is [object.ErrBlocked].
func (h *Historian) BringAll(ctx context.Context, id ids.Copy) error {
	w, err := h.walk(ctx, id, nil)
	if err == nil && w != nil && w.lost > 0 {
		return fmt.Errorf("older versions of %d objects can't be copied to %s, one is of %q: %w: %w", w.lost, id.Cluster, w.key, object.ErrBlocked, w.why)
	}
	if err == nil && w != nil && w.left > 0 {
		err = object.ErrNotYet // other instances bring them
	}
	return err
}

// Compare tells a verification what the copy lacks, and leaves that to the workers. The caller holds
// the copy's lock.
func (h *Historian) Compare(ctx context.Context, id ids.Copy, watch Watch) error {
	_, err := h.walk(ctx, id, watch)
	return err
}

// walk goes over all versions; nil if there are no histories to compare.
func (h *Historian) walk(ctx context.Context, id ids.Copy, watch Watch) (*histories, error) {
	if !h.o.Router.Snapshot().Of(id.Bucket).KeepsHistory(id.Prefix) {
		return nil, nil
	}
	p, err := newPass(ctx, h.o, id, catalog.CopySynced)
	if err != nil {
		return nil, err
	}
	kept, err := h.o.Objects.Histories.Kept(ctx, object.Sides{Src: p.src, Dst: p.dst}, id.Bucket)
	if err != nil || !kept {
		return nil, err
	}
	w := &histories{pass: p, watch: watch}
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	if w.brought > 0 {
		h.o.Log.Info("older versions were copied", zap.String("bucket", id.Bucket), zap.String("cluster", id.Cluster),
			zap.Int64("versions", w.brought))
	}
	return w, nil
}

func (w *histories) run(parent context.Context) error {
	keys, ctx := errgroup.WithContext(parent)
	w.keys = keys
	err := w.each(ctx)
	if failed := keys.Wait(); failed != nil {
		return failed
	}
	if err == nil {
		err = parent.Err()
	}
	return err
}

// each walks both listings of versions.
func (w *histories) each(ctx context.Context) error {
	src, dst := w.src.Reader().Histories(ctx, w.id.Bucket, w.id.Prefix), w.dst.Reader().Histories(ctx, w.id.Bucket, w.id.Prefix)
	n := 0
	for h, err := range listing.MergeHistories(ctx, src, dst, w.src.Name(), w.dst.Name()) {
		if err != nil {
			return err
		}
		if n++; n%listingWindow == 0 {
			if err := w.checkpoint(ctx); err != nil {
				return err
			}
		}
		// A key with a row is brought in step with its history, or is a conflict.
		if !w.rule.Covers(h.Key) || !w.o.Objects.Histories.Wanted(w.id.Bucket, h.Key) || w.isPending(h.Key) {
			continue
		}
		if err := w.one(ctx, h); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *histories) isPending(key string) bool {
	return w.o.Router.Pending.Has(w.id.Bucket, key, w.id.Cluster)
}

func (w *histories) checkpoint(ctx context.Context) error {
	if err := w.o.Pause.Wait(ctx); err != nil {
		return err
	}
	if err := w.o.Hooks.rest(ctx); err != nil {
		return err
	}
	if !w.still(catalog.CopySynced) {
		return object.ErrChanged
	}
	return nil
}

// one has a key's history brought along if the copy lacks some of it, and where users write anywhere,
// the copy's to the primary.
func (w *histories) one(ctx context.Context, h listing.Histories) error {
	if h.Src.Cut {
		w.loses(h.Key, errTooMany)
	}
	if n := lacks(h.Src, h.Dst); n > 0 {
		if w.watch != nil {
			w.watch.Lacks(w.id.Cluster, h.Key, n)
			return w.give(ctx, h.Key)
		}
		if !w.o.Router.Snapshot().Of(w.id.Bucket).Passes(h.Key) {
			return w.leave(ctx, h.Key)
		}
		if err := w.bring(ctx, h.Key, object.Sides{Src: w.src, Dst: w.dst}); err != nil {
			return err
		}
	}
	if w.anywhere && w.watch == nil && lacks(h.Dst, h.Src) > 0 && w.o.Router.Snapshot().Of(w.id.Bucket).Passes(h.Key) {
		return w.bring(ctx, h.Key, object.Sides{Src: w.dst, Dst: w.src})
	}
	return nil
}

// lacks counts what there is to bring from one side to another. An only version that is shown is for
// the comparison of objects.
func lacks(src, dst storage.History) int {
	if object.OnlyShown(src.Versions) {
		return 0
	}
	return len(object.Missing(src, dst))
}

// leave gives a key whose bytes may not pass through this instance to the others, where there are any.
func (w *histories) leave(ctx context.Context, key string) error {
	if w.o.Hooks.Carriers(w.id.Bucket, key) == 0 {
		w.loses(key, guard.ErrPath)
		return nil
	}
	w.left++
	return w.give(ctx, key)
}

// give has a key looked at by the workers.
func (w *histories) give(ctx context.Context, key string) error {
	return w.o.Control.AddPending(ctx, w.rowOf(key, 0))
}

// bring has a key's history brought from one side to the other, when there is a slot.
func (w *histories) bring(ctx context.Context, key string, at object.Sides) error {
	release, err := w.o.Slots.Acquire(ctx, limit.Want{Class: limit.Bulk, Bucket: w.id.Bucket, From: at.Src.Name(), To: at.Dst.Name()})
	if err != nil {
		return err
	}
	w.keys.Go(func() error {
		defer release()
		err := w.o.Objects.Persist(ctx, func() error { return w.bringKey(ctx, key, at) })
		return w.judge(ctx, key, err)
	})
	return nil
}

// bringKey brings one key's history along, with the object to itself.
func (w *histories) bringKey(ctx context.Context, key string, at object.Sides) error {
	ref := ids.ObjectIn(w.id.Bucket, key, at.Dst.Name())
	unlock, err := w.o.Guard.Lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := guard.Op{Object: ref, From: at.Src.Name(), Total: -1}
	return w.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		n, err := w.o.Objects.Histories.Bring(ctx, p, at, storage.MaxHistory, nil)
		w.mu.Lock()
		w.brought += int64(n)
		w.mu.Unlock()
		return err
	})
}

// judge tells what ends the walk from what is about one key.
func (w *histories) judge(ctx context.Context, key string, err error) error {
	switch {
	case err == nil, errors.Is(err, storage.ErrPrecondition):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case object.LosesHistory(err):
		w.loses(key, err)
		return nil
	}
	if reason, ends := endsWalk(err); ends {
		return reason
	}
	return err
}

// errTooMany: a key has more versions than are looked at.
var errTooMany = fmt.Errorf("it has more than %d versions", storage.MaxHistory)

// loses notes a key of which a version can't be copied.
func (w *histories) loses(key string, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost++
	w.key, w.why = key, why
}
