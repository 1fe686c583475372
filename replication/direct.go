package replication

import (
	"context"

	"github.com/fado-project/fado/state"
)

// A headStart is a live row on its way into the store that is being worked on already, by
// nobody's claim: no other instance uses the store. The row is an exception before work on
// it begins, and its outcome is noted by the generation under which it was stored, so that
// the store sees what it would see of a row that was claimed.
type headStart struct {
	gen  int64         // that was settled or noted as failed; 0: the row was not stored
	done chan struct{} // closed when the work is over
}

// noting is a batch of rows being stored.
type noting struct {
	over chan struct{} // closed when it is known how that ended
	gens []int64       // nil: they were not stored
}

// noteLive stores rows of live changes. Small objects are worked on at once, while their
// rows are being stored: that and the claim would take longer than all else FaDO does for
// them.
func (w *workers) noteLive(ctx context.Context, rows []state.Pending) (err error) {
	if w.ctl.Shared() {
		return w.ctl.AddPending(ctx, rows...)
	}
	n := &noting{over: make(chan struct{})}
	defer close(n.over)
	n.gens, err = w.ctl.NotePending(ctx, rows, func() bool { return w.take(rows, n) })
	return err
}

// take begins work on those of the rows that may be worked on at once, and says whether
// these are all.
func (w *workers) take(rows []state.Pending, n *noting) bool {
	all := true
	for i, row := range rows {
		h := w.starts(row)
		if h == nil {
			all = false
			continue
		}
		go func() {
			defer w.wg.Done()
			defer w.endStart(row, h)
			h.gen = w.workDirectly(row, n, i)
		}()
	}
	return all
}

// starts makes a headStart of a row; nil if it has to wait for its claim: it is large, its
// line is full, the object is being worked on, or nothing is to be worked on now.
func (w *workers) starts(row state.Pending) *headStart {
	if row.Size > smallObject || w.pause.paused() || w.waitsForSpace(row) != nil {
		return nil
	}
	most, ref := w.slots.lineCap(row.Cluster), objectRef{row.Bucket, row.Key, row.Cluster}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.by[row.Cluster] >= most || w.direct[ref] != nil {
		return nil
	}
	h := &headStart{done: make(chan struct{})}
	w.direct[ref] = h
	w.by[row.Cluster]++
	w.wg.Add(1)
	return h
}

// workDirectly settles a row's object and, once the row is stored, notes the outcome. It
// returns the generation it did so for. A row that was not stored stays an exception until
// it is, and is worked on then.
func (w *workers) workDirectly(row state.Pending, n *noting, i int) int64 {
	err := w.attempt(w.ctx, row)
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

// endStart ends a headStart. Rows that found the line full are claimed when it is half
// empty, as in room.
func (w *workers) endStart(row state.Pending, h *headStart) {
	half := w.slots.lineCap(row.Cluster) / 2
	w.mu.Lock()
	delete(w.direct, objectRef{row.Bucket, row.Key, row.Cluster})
	has := w.leaveLine(row.Cluster)
	w.mu.Unlock()
	close(h.done)
	if has == half {
		w.free()
	}
}

// doneDirectly waits while the object of a claimed row is worked on directly, and says
// whether that settled this very row.
func (w *workers) doneDirectly(ctx context.Context, row state.Pending) bool {
	w.mu.Lock()
	h := w.direct[objectRef{row.Bucket, row.Key, row.Cluster}]
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

// close waits for all work; none begins any more.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wg.Wait()
}
