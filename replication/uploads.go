package replication

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// Uploads of large objects are on record while they are under way, so that a transfer that
// was cut resumes with the parts that are there, after a restart as well. One that is not
// resumed is aborted: when the object's policy comes to forbid the cluster, at once (by
// package object); when the copy has gone, or the upload was not resumed for a day, by a
// look that one instance takes when it begins and every hour.
type uploads struct{ core }

const (
	uploadsEvery = time.Hour
	uploadMaxAge = 24 * time.Hour
)

// sweep aborts uploads that are not resumed, now and every hour, until ctx ends.
func (u *uploads) sweep(ctx context.Context) {
	for {
		u.abortStale(ctx)
		if !delay.Sleep(ctx, delay.Jitter(uploadsEvery)) {
			return
		}
	}
}

func (u *uploads) abortStale(ctx context.Context) {
	var stale []state.Upload
	err := u.ctl.Store().Uploads().EachUpload(ctx, func(up state.Upload) error {
		if u.isStale(up) {
			stale = append(stale, up)
		}
		return nil
	})
	if err != nil {
		u.stored(ctx, "could not read the uploads under way; looking again in an hour", err)
		return
	}
	for _, up := range stale {
		if err := u.abort(ctx, up); err != nil && ctx.Err() == nil {
			u.log.Debug("could not abort a stale upload; trying again in an hour", zap.String("bucket", up.Bucket), zap.String("cluster", up.Cluster), zap.Error(err))
		}
	}
}

// isStale reports whether an upload is a day old, or no copy there needs it.
func (u *uploads) isStale(up state.Upload) bool {
	snap := u.snap()
	if u.now().Sub(up.Started) > uploadMaxAge || !snap.Of(up.Bucket).Allows(up.Key, up.Cluster) {
		return true
	}
	rule, ok := snap.Of(up.Bucket).RuleOf(up.Key)
	if !ok {
		return true
	}
	for _, c := range snap.Of(up.Bucket).Copies() {
		if c.Prefix == rule.Prefix && c.Cluster == up.Cluster && c.State <= catalog.CopySynced {
			return false
		}
	}
	return true
}

// abort aborts one, unless a transfer of the object is under way after all. A cluster
// that is gone can't be asked: its storage expires it.
func (u *uploads) abort(ctx context.Context, up state.Upload) error {
	ref := ids.ObjectIn(up.Bucket, up.Key, up.Cluster)
	unlock, err := u.guard.Lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	if now, err := u.ctl.Store().Uploads().GetUpload(ctx, up.Bucket, up.Key, up.Cluster); err != nil || now.Token != up.Token || !u.isStale(now) {
		return err
	}
	s, err := u.sites.Usable(up.Cluster)
	if err != nil {
		if u.sites.Get(up.Cluster) == nil {
			return u.ctl.Store().Uploads().DeleteUpload(ctx, up.Bucket, up.Key, up.Cluster)
		}
		return err
	}
	op := guard.Op{Object: ref, Total: -1, Allowed: guard.Always}
	return u.guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error { return u.objects.Writes.AbortUpload(ctx, p, s) })
}
