package queue

import (
	"context"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/state"
)

// addLive stores rows of live changes. Small objects are worked on at once, while their
// rows are being stored: that and the claim would take longer than all else FaDO does for
// them.
func (w *Workers) addLive(ctx context.Context, rows []state.Pending) (err error) {
	if w.o.Shared() {
		return w.o.Pending.Add(ctx, rows...)
	}
	n := &storing{over: make(chan struct{})}
	defer close(n.over)
	n.gens, err = w.o.Pending.Note(ctx, rows, func() bool { return w.start(rows, n) })
	return err
}

// start begins work on those of the rows that may be worked on at once, and reports whether
// these are all.
func (w *Workers) start(rows []state.Pending, n *storing) bool {
	all := true
	for i, row := range rows {
		w.gone.note(row)
		h := w.startEarly(row)
		if h == nil {
			all = false
			continue
		}
		go func() {
			defer w.wg.Done()
			defer w.endEarly(row, h)
			h.gen = w.workEarly(row, n, i)
		}()
	}
	return all
}

// startEarly makes an earlyStart of a row; nil if it has to wait for its claim: it is large,
// its line is full, its storage is down, the object is being worked on, its row says more, or
// nothing is to be worked on now.
func (w *Workers) startEarly(row state.Pending) *earlyStart {
	if !w.o.Router.Snapshot().Of(row.Bucket).Passes(row.Key) || row.Size > limit.SmallObject || w.o.Pause.On() || w.attempts.waitsForSpace(row) != nil || w.o.Sites.Down(row.Cluster) {
		return nil
	}
	most, ref := w.o.Slots.ClaimCap(row.Cluster), ids.ObjectIn(row.Bucket, row.Key, row.Cluster)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open || w.by[row.Cluster] >= most || w.early[ref] != nil || w.gone.has(ref) {
		return nil
	}
	h := &earlyStart{done: make(chan struct{})}
	w.early[ref] = h
	w.by[row.Cluster]++
	w.wg.Add(1)
	return h
}

// workEarly settles a row's object and, once the row is stored, notes the outcome. It
// returns the generation it did so for. A row that was not stored stays an exception until
// it is, and is worked on then.
func (w *Workers) workEarly(row state.Pending, n *storing, i int) int64 {
	err := w.attempts.attempt(w.ctx, row)
	select {
	case <-n.over:
	case <-w.ctx.Done():
	}
	if w.ctx.Err() != nil || n.gens == nil {
		return 0
	}
	row.Gen = n.gens[i]
	w.outcome(w.ctx, row, err)
	return row.Gen
}

// endEarly ends an earlyStart. Rows that found the line full are claimed when it is half
// empty, as in room.
func (w *Workers) endEarly(row state.Pending, h *earlyStart) {
	half := w.o.Slots.ClaimCap(row.Cluster) / 2
	w.mu.Lock()
	delete(w.early, ids.ObjectIn(row.Bucket, row.Key, row.Cluster))
	has := w.leaveLine(row.Cluster)
	w.mu.Unlock()
	close(h.done)
	if has == half {
		w.free()
	}
}

// doneEarly waits while the object of a claimed row is worked on by an early start, and
// reports whether that settled this very row.
func (w *Workers) doneEarly(ctx context.Context, row state.Pending) bool {
	w.mu.Lock()
	h := w.early[ids.ObjectIn(row.Bucket, row.Key, row.Cluster)]
	w.mu.Unlock()
	if h == nil {
		return false
	}
	select {
	case <-h.done:
		return h.gen == row.Gen
	case <-ctx.Done():
		return true
	}
}
