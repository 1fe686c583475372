package replication

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/evict"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/storage"
)

// aftermath says what comes after a job: the planner looks at the bucket again, at once or
// when trying again makes sense.
type aftermath struct {
	core
	ctx    context.Context // of the run
	agenda *agenda
	// fail stores that a copy as a whole has failed.
	fail func(ctx context.Context, id ids.Copy, cause error) error
	// scanAgain asks for a scan after one that failed.
	scanAgain func(bucket string, after time.Duration)
	// countOwed asks for a scan once the storage of a bucket's primary is up again.
	countOwed func(bucket, cluster string)
	// yield leaves a bucket to an instance that may do what this one may not.
	yield func(bucket string)
}

// Times before a bucket is checked again.
const (
	afterChange = 300 * time.Millisecond // what the job waited for comes by itself
	afterDown   = 5 * time.Second
	longestWait = time.Minute // of a job for what comes by itself
)

func (a *aftermath) ended(id jobID, err error) {
	switch {
	case err == nil:
		a.ctl.Issues.Set(id.Bucket, sourceOf(id), control.Issue{})
		a.agenda.recovered(id)
		a.agenda.touch(id.Bucket)
	case errors.Is(err, object.ErrChanged), errors.Is(err, guard.ErrMoving):
		a.agenda.later(id.Bucket, afterChange)
		a.repeatScan(id)
	case errors.Is(err, storage.ErrLocked): // people, or time, end that
		a.failed(id, err)
	case errors.Is(err, guard.ErrPath): // where no instance may that has its own issue
		a.yield(id.Bucket)
		a.agenda.later(id.Bucket, delay.Jitter(afterDown))
		a.repeatScan(id)
	case errors.Is(err, object.ErrNotYet): // a change of the bucket's copies has it looked at before
		b := delay.Backoff{Base: afterChange, Max: min(a.tune.RetryMax, longestWait)}
		a.agenda.later(id.Bucket, b.After(a.agenda.waited(id)))
		a.repeatScan(id)
	case errors.Is(err, control.ErrNotFound):
		a.agenda.touch(id.Bucket)
	case errors.Is(err, storage.ErrFull):
		a.ctl.Issues.Set(id.Bucket, sourceOf(id), a.fullness(id.Cluster))
		a.agenda.later(id.Bucket, delay.Jitter(a.tune.FullProbe))
	case errors.Is(err, guard.ErrElsewhere): // that has its own issue
		a.agenda.later(id.Bucket, longestWait)
	case errors.Is(err, site.ErrDown):
		// The storage's return wakes the planner; this is for the case that it was back
		// before the job ended.
		a.agenda.later(id.Bucket, afterDown)
		if id.kind == jobScan && id.Cluster == a.snap().Of(id.Bucket).Primary() {
			a.countOwed(id.Bucket, id.Cluster) // the pass over its buckets then compares copies, and counts none
		}
	default:
		a.failed(id, err)
	}
}

// fullness is what the copies lack that are yet to be filled in a storage without space.
func (a *aftermath) fullness(cluster string) control.Issue {
	issue := control.Issue{Reason: cluster + " is full", Code: control.ReasonFull, Cluster: cluster}
	if s := a.sites.Known(cluster); s != nil {
		issue.Since = s.Status().FullSince
	}
	return issue
}

// repeatScan asks for a scan again that could not be made now: the planner makes none.
func (a *aftermath) repeatScan(id jobID) {
	if id.kind == jobScan {
		a.scanAgain(id.Bucket, afterDown)
	}
}

func (a *aftermath) cancelled(id jobID) { a.agenda.touch(id.Bucket) }

// syncAttempts fail before a copy counts as failed.
const syncAttempts = 3

func (a *aftermath) failed(id jobID, err error) {
	if !errors.Is(err, object.ErrNoSource) { // that has its own issue
		why := control.Issue{Reason: id.kind.String() + " of the copy in " + id.Cluster + ": " + err.Error(), Cluster: id.Cluster}
		switch {
		case errors.Is(err, evict.ErrHidden):
			why.Code = control.ReasonHiddenHistory
		case errors.Is(err, storage.ErrRefused):
			why.Code = control.ReasonKeyRefused
		case id.kind == jobSync, id.kind == jobScan:
			why.Code = control.ReasonCopyFailed
		}
		a.ctl.Issues.Set(id.Bucket, sourceOf(id), why)
	}
	n := a.agenda.failed(id)
	wait := a.objects.RetryAfter(n, err)
	a.log.Warn("a walk failed; will retry", zap.String("what", id.kind.String()), zap.String("bucket", id.Bucket),
		zap.String("prefix", id.Prefix), zap.String("cluster", id.Cluster), zap.Int("attempts", n), zap.Duration("after", wait), zap.Error(err))
	a.agenda.later(id.Bucket, wait) // before the state changes: it says when to try again
	if id.kind == jobSync && (n >= syncAttempts || !errors.Is(err, storage.ErrUnavailable)) {
		a.stored(a.ctx, "could not store that a copy failed; the next attempt does", a.fail(a.ctx, id.Copy, err))
	}
	if id.kind == jobScan {
		a.scanAgain(id.Bucket, wait)
	}
	a.report.WalkFailed(id.Cluster, string(object.KindOf(err)))
}
