package queue

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// Run claims rows as long as there is room, and works on them, until ctx ends.
func (w *Workers) Run(ctx context.Context) {
	for {
		err := w.gone.load(ctx, w.o.Rows)
		if err == nil {
			break
		}
		w.failedToStore(ctx, "could not read pending objects; retrying in a second", err)
		if !delay.Sleep(ctx, claimEvery) {
			return
		}
	}
	w.mu.Lock()
	w.ctx, w.open = ctx, true
	w.mu.Unlock()
	defer w.close()
	poll := time.NewTicker(claimEvery)
	defer poll.Stop()
	for {
		w.fill(ctx)
		select {
		case <-ctx.Done():
			return
		case <-w.o.Pending.Added():
		case <-w.freed:
		case <-poll.C:
			w.extend(ctx)
		}
	}
}

// close waits for all work; none begins any more.
func (w *Workers) close() {
	w.mu.Lock()
	w.open = false
	w.mu.Unlock()
	w.wg.Wait()
}

// fill claims rows of every cluster that has some and that there is room for. Where the
// storage is down nothing is claimed: its rows could only be noted as failed, each of them.
// When it comes up they are claimed at once.
func (w *Workers) fill(ctx context.Context) {
	if w.o.Pause.On() {
		return
	}
	for _, cluster := range w.o.Pending.Clusters() {
		if w.o.Sites.Down(cluster) {
			continue
		}
		room := w.room(cluster)
		if room <= 0 || ctx.Err() != nil {
			continue
		}
		rows, err := w.claim(ctx, cluster, room)
		if err != nil {
			if ctx.Err() == nil {
				w.o.Log.Warn("could not claim pending objects; retrying in a second", zap.String("cluster", cluster), zap.Error(err))
				delay.Sleep(ctx, claimEvery)
			}
			return
		}
		w.begin(ctx, rows)
	}
}

// How many buckets a claim names where not all rows may pass, and how many such claims there are
// before others have their turn.
const (
	bucketsPerClaim = 256
	claimsPerTurn   = 16
)

// claim claims rows of a cluster: any, or where the bytes of some may not pass through this
// instance, those of the buckets whose may, in turns. What may not pass is never looked at,
// however much of it there is: it is for other instances.
func (w *Workers) claim(ctx context.Context, cluster string, room int) (rows []state.Pending, err error) {
	buckets, all := w.passing(cluster)
	if all {
		return w.o.Pending.ClaimIn(ctx, cluster, room, w.o.Timing.Lease)
	}
	for range min(claimsPerTurn, (len(buckets)+bucketsPerClaim-1)/bucketsPerClaim) {
		next := w.turnOf(cluster, buckets)
		more, err := w.o.Pending.ClaimIn(ctx, cluster, room-len(rows), w.o.Timing.Lease, next...)
		if rows = append(rows, more...); err != nil || len(rows) == room {
			return rows, err
		}
		w.turn[cluster] = next[len(next)-1]
	}
	return rows, nil
}

// turnOf returns the buckets whose turn it is.
func (w *Workers) turnOf(cluster string, buckets []string) []string {
	if len(buckets) <= bucketsPerClaim {
		return buckets
	}
	from, _ := slices.BinarySearch(buckets, w.turn[cluster]+"\x00")
	if from == len(buckets) {
		from = 0
	}
	return buckets[from:min(from+bucketsPerClaim, len(buckets))]
}

// passing returns, in order, the buckets with rows in a cluster of which some bytes may pass through
// this instance, unless those of all of them may.
func (w *Workers) passing(cluster string) (buckets []string, all bool) {
	snap := w.o.Router.Snapshot()
	if snap.Here() == "" {
		return nil, true
	}
	all = true
	w.o.Router.Pending.Buckets(cluster, func(b string) bool {
		if snap.Of(b).PassesAny() {
			buckets = append(buckets, b)
		} else {
			all = false
		}
		return true
	})
	slices.Sort(buckets)
	return buckets, all
}

// room returns how many rows of a cluster to claim. It is 0 until a good part of those
// claimed before are done, so that claims come in batches.
func (w *Workers) room(cluster string) int {
	most := w.o.Slots.ClaimCap(cluster)
	w.mu.Lock()
	defer w.mu.Unlock()
	if has := w.by[cluster]; has == 0 || has <= most/2 {
		return most - has
	}
	return 0
}

// begin starts work on claimed rows.
func (w *Workers) begin(ctx context.Context, rows []state.Pending) {
	for _, row := range rows {
		if !w.take(row) {
			continue
		}
		w.wg.Go(func() {
			defer func() { w.begin(ctx, w.remove(row)) }()
			if !w.doneEarly(ctx, row) {
				w.work(ctx, row)
			}
		})
	}
}

// take notes that a row is worked on. One whose object is at work already, by a row that was
// raised since, is not: it would hold a slot until that work is over, and follows it.
func (w *Workers) take(row state.Pending) bool {
	ref := ids.ObjectIn(row.Bucket, row.Key, row.Cluster)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.atWork[ref]; ok {
		w.atWork[ref] = []state.Pending{row}
		return false
	}
	w.atWork[ref] = nil
	w.outstanding[row.RowKey()] = w.o.Now().Add(w.o.Timing.Lease)
	w.by[row.Cluster]++
	return true
}

// remove notes that work on a row is over, and returns the one that follows.
func (w *Workers) remove(row state.Pending) (next []state.Pending) {
	ref := ids.ObjectIn(row.Bucket, row.Key, row.Cluster)
	w.mu.Lock()
	delete(w.outstanding, row.RowKey())
	next = w.atWork[ref]
	delete(w.atWork, ref)
	w.leaveLine(row.Cluster)
	w.mu.Unlock()
	w.free()
	return next
}

// extend prolongs the claims of rows that take long.
func (w *Workers) extend(ctx context.Context) {
	now := w.o.Now()
	var keys []state.PendingKey
	w.mu.Lock()
	for k, until := range w.outstanding {
		if until.Sub(now) < w.o.Timing.Lease/2 {
			keys = append(keys, k)
			w.outstanding[k] = now.Add(w.o.Timing.Lease)
		}
	}
	w.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	// A lost claim does no harm: the row is worked on again, by its latest generation.
	if _, err := w.o.Rows.ExtendClaims(ctx, w.o.Claimant(), now.Add(w.o.Timing.Lease), keys...); err != nil {
		w.failedToStore(ctx, "could not prolong claims; they run out and are claimed again", err)
	}
}

// work brings one row's object in step and notes the outcome.
func (w *Workers) work(ctx context.Context, row state.Pending) {
	if err := w.attempts.waitsForSpace(row); err != nil {
		w.failed(ctx, row, err)
		return
	}
	err := w.attempts.attempt(ctx, row)
	if ctx.Err() == nil { // else the run ends: claims are released as a whole
		w.outcome(ctx, row, err)
	}
}
