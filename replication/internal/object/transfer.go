package object

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Writes bring objects to storages and take them away, under a pass of the guard: what is decided
// elsewhere ends here. All methods are safe for concurrent use.
type Writes struct {
	o          *Options
	provenance *Provenance // is told what was written
}

// Transfer moves the object of a pass's operation between storages, with its bandwidth and
// stall bounds, and returns its size. Options say on what condition; the bounds are set here.
func (w *Writes) Transfer(ctx context.Context, p *guard.Pass, at Sides, obj storage.Object, opts storage.CopyOptions) (int64, error) {
	dst, err := p.Writer(at.Dst)
	if err != nil {
		return 0, err
	}
	if !at.Src.Opened() {
		return 0, storage.ErrUnavailable
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(w.o.Timing.StallTimeout, func() { cancel(ErrStalled) })
	defer stall.Stop()
	note := uploadNote{w.o, ids.ObjectIn(p.Op().Bucket, obj.Key, at.Dst.Name())}
	if err := at.Dst.Space.Admit(); err != nil {
		return 0, err
	}
	began := time.Now()
	var waited atomic.Int64 // for bandwidth
	opts.Rewrite = p.Op().Rewrite
	opts.Progress = func(n int64) {
		p.Moved(n)
		w.o.Report.Moved(at.Src.Name(), at.Dst.Name(), n)
		stall.Reset(w.o.Timing.StallTimeout)
	}
	opts.Limit = func(ctx context.Context, n int) error {
		defer stall.Reset(w.o.Timing.StallTimeout)
		asked := time.Now()
		defer func() { waited.Add(int64(time.Since(asked))) }()
		return w.o.Sites.Bandwidth.Copy(ctx, at.Src, at.Dst, n)
	}
	opts.Upload = note
	opts.Lost = func(what string) { w.o.Sites.Facts.NoteLoss(p.Op().Bucket, at.Dst.Name(), what) }
	got, err := w.o.Copy(ctx, at.Src.Reader(), dst, p.Op().Bucket, obj, opts)
	if err != nil && errors.Is(context.Cause(ctx), ErrStalled) {
		err = fmt.Errorf("no byte moved in %s: %w: %w", w.o.Timing.StallTimeout, ErrStalled, storage.ErrUnavailable)
	}
	if err = learn(at, err); err != nil {
		w.afterTransfer(ctx, p, at.Dst, note)
		return 0, fmt.Errorf("copying from %s to %s: %w", at.Src.Name(), at.Dst.Name(), err)
	}
	at.Src.Flowing()
	w.o.Router.Ledger.Carried(w.o.Router.Snapshot(), p.Op().Bucket, obj.Key, at.Src.Name(), at.Dst.Name(), got.Size)
	if opts.Below { // what is remembered is what users see
		return got.Size, nil
	}
	w.provenance.tokens.Note(note.Object, got.Token)
	if limit.Slow(obj.Size, time.Since(began)-time.Duration(waited.Load())) {
		at.Dst.Congested()
	}
	w.provenance.given.Note(givenRef(p.Op().Bucket, obj.Key, at.Src, at.Dst), obj)
	return got.Size, nil
}

// learn tells both storages' sites of a copy's outcome.
func learn(at Sides, err error) error {
	at.Dst.Space.Wrote(err)
	if errors.Is(err, storage.ErrFull) && storage.At(err) == at.Dst.Name() {
		err = at.Dst.Space.Error(err)
	}
	if storage.At(err) == at.Src.Name() {
		at.Src.Observed(err)
	} else {
		at.Dst.Observed(err)
	}
	return err
}

// Delete removes an operation's object if it is still what was seen: a delete marker where
// the bucket keeps versions. One that is gone already is no error.
func (w *Writes) Delete(ctx context.Context, p *guard.Pass, at *site.Site, seen storage.Object) error {
	dst, err := p.Writer(at)
	if err != nil {
		return err
	}
	ctx, cancel := at.Call(ctx)
	defer cancel()
	err = dst.Delete(ctx, p.Op().Bucket, p.Op().Key, seen.ETag)
	at.Observed(err)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("removing from %s: %w", at.Name(), err)
	}
	return nil
}

// uploadNote keeps a transfer's upload in the store; it is a [storage.UploadNote].
type uploadNote struct {
	o *Options
	ids.Object
}

// abortTimeout bounds the end of an upload that is not to be finished.
const abortTimeout = 30 * time.Second

func (n uploadNote) Load(ctx context.Context) (string, error) {
	u, err := n.o.Control.Store().Uploads().GetUpload(ctx, n.Bucket, n.Key, n.Cluster)
	if errors.Is(err, state.ErrNotFound) {
		return "", nil
	}
	return u.Token, err
}

// Save does not fail a transfer: without the note it is only dearer when it is cut.
func (n uploadNote) Save(ctx context.Context, text string) error {
	err := n.o.Control.Store().Uploads().PutUpload(ctx, state.Upload{
		Bucket: n.Bucket, Key: n.Key, Cluster: n.Cluster, Token: text, Started: n.o.Now(),
	})
	if err != nil && ctx.Err() == nil {
		n.o.Log.Warn("could not store that an upload is under way; if it is cut it starts over",
			zap.String("bucket", n.Bucket), zap.String("cluster", n.Cluster), zap.Error(err))
	}
	return nil
}

func (n uploadNote) Clear(ctx context.Context) error {
	return n.o.Control.Store().Uploads().DeleteUpload(ctx, n.Bucket, n.Key, n.Cluster)
}

// AbortUpload ends the noted upload of a pass's object, if there is one, and forgets it.
func (w *Writes) AbortUpload(ctx context.Context, p *guard.Pass, at *site.Site) error {
	return w.discard(ctx, p, at, uploadNote{w.o, p.Op().Object})
}

func (w *Writes) discard(ctx context.Context, p *guard.Pass, at *site.Site, n uploadNote) error {
	text, err := n.Load(ctx)
	if err != nil || text == "" {
		return err
	}
	dst, err := p.Writer(at)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	err = storage.AbortUpload(ctx, dst, n.Bucket, n.Key, text)
	if err != nil && !errors.Is(err, storage.ErrNoBucket) {
		return err
	}
	return n.Clear(ctx)
}

// afterTransfer removes what a transfer left of an upload at a cluster that may not have
// the object any more. It returns before the operation leaves the guard, so that a change
// that forbids the cluster is answered after that.
func (w *Writes) afterTransfer(ctx context.Context, p *guard.Pass, dst *site.Site, n uploadNote) {
	if p.Op().AllowedBy(w.o.Router.Snapshot()) {
		return
	}
	if err := w.discard(context.WithoutCancel(ctx), p, dst, n); err != nil {
		w.o.Log.Warn("could not end an upload that is not allowed any more; the hourly look at uploads tries again",
			zap.String("bucket", n.Bucket), zap.String("cluster", n.Cluster), zap.Error(err))
	}
}
