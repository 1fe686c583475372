package replication

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Uploads of large objects are on record while they are under way, so that a transfer that
// was cut goes on with the parts that are there, after a restart as well. What nobody goes
// on with is aborted: when the object's policy comes to forbid the cluster, at once; when
// the copy has gone, or the upload has not been gone on with for a day, by a look that one
// instance takes when it begins and every hour.

const (
	uploadsEvery = time.Hour
	uploadMaxAge = 24 * time.Hour
	abortTimeout = 30 * time.Second
)

// uploadNote keeps a transfer's upload in the store; it is a [storage.UploadNote].
type uploadNote struct {
	*Engine
	objectRef
}

func (n uploadNote) Load(ctx context.Context) (string, error) {
	u, err := n.ctl.Store().GetUpload(ctx, n.bucket, n.key, n.cluster)
	if errors.Is(err, state.ErrNotFound) {
		return "", nil
	}
	return u.Token, err
}

// Save does not fail a transfer: without the note it is only dearer when it is cut.
func (n uploadNote) Save(ctx context.Context, text string) error {
	err := n.ctl.Store().PutUpload(ctx, state.Upload{Bucket: n.bucket, Key: n.key, Cluster: n.cluster, Token: text, Started: n.now()})
	if err != nil && ctx.Err() == nil {
		n.log.Warn("noting an upload under way", zap.String("bucket", n.bucket), zap.String("cluster", n.cluster), zap.Error(err))
	}
	return nil
}

func (n uploadNote) Clear(ctx context.Context) error {
	return n.ctl.Store().DeleteUpload(ctx, n.bucket, n.key, n.cluster)
}

// discard aborts the noted upload, if there is one, and forgets it.
func (n uploadNote) discard(ctx context.Context, at storage.Storage) error {
	text, err := n.Load(ctx)
	if err != nil || text == "" {
		return err
	}
	if err := storage.AbortUpload(ctx, at, n.bucket, n.key, text); err != nil {
		return err
	}
	return n.Clear(ctx)
}

// afterTransfer removes what a transfer left of an upload at a cluster that may not have
// the object any more. It returns before the operation leaves the gate, so that a change
// that forbids the cluster is answered after that.
func (e *Engine) afterTransfer(ctx context.Context, op *operation, dst *site, n uploadNote) {
	if op.allowedBy(e.ctl.Router().Snapshot()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if err := n.discard(ctx, dst.client); err != nil {
		e.log.Warn("aborting an upload that is not allowed any more", zap.String("bucket", n.bucket),
			zap.String("cluster", n.cluster), zap.Error(err))
	}
}

// sweepUploads aborts uploads that nobody goes on with, now and every hour.
func (r *run) sweepUploads(ctx context.Context) {
	r.leading(ctx, "uploads", func(ctx context.Context) {
		for {
			r.abortStale(ctx)
			if !sleep(ctx, jitter(uploadsEvery)) {
				return
			}
		}
	})
}

func (r *run) abortStale(ctx context.Context) {
	var stale []state.Upload
	err := r.ctl.Store().EachUpload(ctx, func(u state.Upload) error {
		if r.staleUpload(u) {
			stale = append(stale, u)
		}
		return nil
	})
	if err != nil {
		r.store(err)
		return
	}
	for _, u := range stale {
		if err := r.abortOne(ctx, u); err != nil && ctx.Err() == nil {
			r.log.Debug("aborting a stale upload", zap.String("bucket", u.Bucket), zap.String("cluster", u.Cluster), zap.Error(err))
		}
	}
}

// staleUpload says whether an upload is a day old, or no copy there needs it any more.
func (r *run) staleUpload(u state.Upload) bool {
	snap := r.ctl.Router().Snapshot()
	if r.now().Sub(u.Started) > uploadMaxAge || !snap.Allows(u.Bucket, u.Key, u.Cluster) {
		return true
	}
	rule, ok := snap.RuleOf(u.Bucket, u.Key)
	if !ok {
		return true
	}
	for _, c := range snap.Copies(u.Bucket) {
		if c.Prefix == rule.Prefix && c.Cluster == u.Cluster && c.State <= catalog.CopySynced {
			return false
		}
	}
	return true
}

// abortOne aborts one, unless a transfer of the object is under way after all. A cluster
// that is gone can't be asked: its storage expires it.
func (r *run) abortOne(ctx context.Context, u state.Upload) error {
	ref := objectRef{u.Bucket, u.Key, u.Cluster}
	unlock, err := r.keys.lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	if now, err := r.ctl.Store().GetUpload(ctx, u.Bucket, u.Key, u.Cluster); err != nil || now.Token != u.Token || !r.staleUpload(now) {
		return err
	}
	n := uploadNote{r.Engine, ref}
	s, err := r.sites.usable(u.Cluster)
	if err != nil {
		if r.sites.get(u.Cluster) == nil {
			return n.Clear(ctx)
		}
		return err
	}
	actx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	err = n.discard(actx, s.client)
	if errors.Is(err, storage.ErrNoBucket) {
		return n.Clear(ctx)
	}
	return err
}
