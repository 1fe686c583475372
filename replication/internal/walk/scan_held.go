package walk

import (
	"context"
	"strings"

	"github.com/fado-project/fado/state"
)

// held are the keys of a copy that wait for people, and what a scan has met of them.
type held struct {
	conflicts map[string]bool          // keys held as conflicts; true once met
	deletes   map[string]bool          // keys held as deletes; true once met
	foreign   map[string]state.Foreign // the objects that both are about, as far as the rows name them
}

// loadHeld finds the keys that wait for people, to see whether they still have to.
func loadHeld(ctx context.Context, w *pass) (h held, err error) {
	h.foreign = make(map[string]state.Foreign)
	if h.conflicts, err = heldAs(ctx, w, state.HoldConflict, h.foreign); err == nil {
		h.deletes, err = heldAs(ctx, w, state.HoldDeletes, h.foreign)
	}
	return h, err
}

// heldAs returns the keys that are held so, and adds the objects that they are about to foreign.
func heldAs(ctx context.Context, w *pass, hold state.Hold, foreign map[string]state.Foreign) (held map[string]bool, err error) {
	held = make(map[string]bool)
	filter := state.PendingFilter{Bucket: w.id.Bucket, Cluster: w.id.Cluster, Hold: &hold}
	rows, err := w.o.Control.Store().Queue().ListPending(ctx, filter, state.PendingKey{}, MaxHeld)
	for _, r := range rows {
		if strings.HasPrefix(r.Key, w.id.Prefix) && w.rule.Covers(r.Key) && r.Key > w.row.ScanCursor {
			held[r.Key], foreign[r.Key] = false, r.Foreign
		}
	}
	return held, err
}

// neverMet schedules a check of the held keys that neither side has any more.
func (h *held) neverMet(differs func(key string, size int64)) {
	for _, keys := range []map[string]bool{h.conflicts, h.deletes} {
		for key, met := range keys {
			if !met {
				differs(key, 0)
			}
		}
	}
}
